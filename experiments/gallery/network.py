"""Several attributes in one network: what flows about income, sex and marriage through a network that tells income.

python experiments/gallery/network.py --data-dir DIR
"""

import tempfile

import pandas as pd
from sheet import COLOURS, options, sheet

import jaxflow as jf
from jaxflow import figures
from jaxflow.datasets.adult import COLUMNS

given = options("flows about several attributes in one network", files=True)
table = pd.read_csv(given.data_dir / "adult/adult.data", names=COLUMNS, skipinitialspace=True)
table = table.assign(income=table["class"], married=table["marital-status"].str.startswith("Married"))
features, messages = ["age", "education-num", "hours-per-week", "capital-gain"], ["income", "sex", "married"]
data = jf.read_table(table[[*features, *messages]], label="income", attributes=messages[1:], name="adult")

strategies = jf.pipeline.strategy_grid((1,), (1,), (1,), metrics=("bias/acc",))  # of which a run needs some
training = jf.Training(epochs=5)
config = jf.pipeline.Config("adult", hidden=(4, 3), seeds=1, training=training, strategies=strategies, factors=(1, 0))
with tempfile.TemporaryDirectory() as folder:
    results = jf.pipeline.run(config, data, out=f"{folder}/run")
    nodes, edges = results.table("node_flows"), results.table("edge_flows")

with sheet(7, 2.5, given.out / "gallery_network.png", columns=3) as (grid,):
    for number, (axes, message) in enumerate(zip(grid, messages, strict=True)):
        names = [] if number else data.features
        figures.flow_panel(axes, nodes, edges, (message, f"{message}:"), COLOURS[number], names)
        axes.set_xticks(range(4), ["inputs", "layer 1", "layer 2", "output"], fontsize=7)
