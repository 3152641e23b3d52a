"""The few lines that a run prints."""

import pandas as pd

from jaxflow.errors import printable
from jaxflow.figures import MESSAGE_NAMES, counted, middle_level
from jaxflow.interventions import METHODS
from jaxflow.running.results import Results


def summary(results: Results) -> str:
    """Accuracy and bias before and after, the correlations of flow and effect, and where the results lie."""
    networks = results.table("networks")
    experiment = printable(str(results.manifest["experiment"]))
    head = f"{experiment}: {len(networks)} networks, mean accuracy and bias at the output (%)"
    where = f"Results: {printable(str(results.path))}"
    parts = [
        head,
        _outputs(networks, results.table("tradeoff")),
        "",
        "Pearson r of edge flow and effect of removal",
    ]
    return "\n".join(
        [
            *parts,
            _correlations(results.table("correlations")),
            *_fits(results),
            "",
            where,
        ]
    )


def _fits(results: Results) -> list[str]:
    """How many fits did not converge, where there are any."""
    if not (results.path / "fits.csv").exists():
        return []
    fits, unconverged = results.table("fits")[["fits", "unconverged"]].sum()
    return ["", f"{unconverged:,} of {fits:,} SVM fits did not converge (fits.csv)"]


def _outputs(networks: pd.DataFrame, tradeoff: pd.DataFrame) -> str:
    """Unpruned, and the chosen weights removed: every method at its middle level."""
    columns = ["accuracy", "bias", "argmax_accuracy"]
    unpruned = networks.rename(columns={"output_accuracy": "accuracy", "output_bias": "bias"})
    rows = {"unpruned": unpruned[columns].mean()}
    removed = tradeoff[tradeoff["factor"] == 0]
    for method in METHODS:
        of_method = removed[removed["method"] == method]
        for metric in ("bias/acc", "random"):
            chosen = of_method[of_method["metric"] == metric]
            if len(chosen):
                level = middle_level(chosen["level"])
                label = f"{counted(level, method)} removed, {metric}"
                rows[label] = chosen.loc[chosen["level"] == level, columns].mean()
    table = pd.DataFrame(rows).T.rename(columns={"argmax_accuracy": "argmax accuracy"})
    return table.to_string(float_format="{:.1f}".format)


def _correlations(table: pd.DataFrame) -> str:
    """A row for every message, a column for every layer."""
    by_layer = table.pivot_table(index="message", columns="layer", values="r", dropna=False)
    by_layer.index = pd.Index([MESSAGE_NAMES[str(message)] for message in by_layer.index])
    by_layer.columns = pd.Index([f"layer {layer}" for layer in by_layer.columns])
    return by_layer.to_string(float_format="{:+.2f}".format, na_rep="–")
