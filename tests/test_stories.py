"""What users will write: the stories of ``../shared/stories``, where that folder is, run as they stand."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from conftest import SHARED

STORIES = SHARED / "stories"
COMMAND = (  # of these sources, installed or not
    f'jaxflow() {{ "{sys.executable}" -m jaxflow "$@"; }}\npython() {{ "{sys.executable}" "$@"; }}\n'
)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not STORIES.is_dir(), reason="needs ../shared/stories, scripts that users would write"),
]


def output_of(*command: str | Path, folder: Path) -> str:
    """Standard output of a command that succeeds, in a folder of its own: a story may leave a picture there."""
    sources = os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    environment = os.environ | {"PYTHONPATH": sources}
    process = subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environment)
    assert process.returncode == 0, process.stderr
    return process.stdout


@pytest.mark.parametrize(
    ("story", "says"),
    [
        ("1_many_seeds", "bias "),
        ("2_own_network", "bias after pruning 5 of 58 edges: "),
        ("4_classes", "flows about three cultivars: "),
    ],
)
def test_a_script_runs_as_it_stands(tmp_path, story, says):
    assert output_of(sys.executable, STORIES / f"{story}.py", SHARED / "data", folder=tmp_path).startswith(says)


def test_the_commands_for_a_table_run_as_they_stand(tmp_path):
    """The runs, the edit and the report of the story, on COMPAS; its folder, which it would delete, is kept."""
    lines = (STORIES / "5_table.sh").read_text().splitlines()
    second = [number for number, line in enumerate(lines) if line.startswith("jaxflow run")][1]
    page = next(line for line in lines if line.startswith("jaxflow report"))
    edit = next(line for line in lines if line.startswith("jaxflow edit"))
    script = COMMAND + "\n".join([*lines[: second + 1], edit, page, 'cp -r "$dir" "$2"'])
    kept = tmp_path / "kept"
    printed = output_of("bash", "-c", script, "story", SHARED / "data", kept, folder=tmp_path)
    assert printed.count("compas: 10 networks") == 2
    networks, tradeoff = (pd.read_csv(kept / "run" / f"{name}.csv") for name in ("networks", "tradeoff"))
    assert {"bias_race", "bias_sex", "parity_gap_race", "odds_gap_sex"} <= set(networks)
    assert set(tradeoff["attribute"]) == {"race", "sex"}
    assert "race|two_year_recid" in set(pd.read_csv(kept / "odds" / "node_flows.csv")["message"])
    assert "the least information bias of race that costs at most 2 points of decision accuracy" in printed
    assert len(pd.read_csv(kept / "edited/edits.csv")) == 20
    html = (kept / "report.html").read_text()
    assert len(html) < 1_500_000
    assert not re.search(r"<(script|link|img|iframe|source)[^>]+https?:", html)


def test_the_commands_for_a_recording_run_as_they_stand(tmp_path):
    """Which says itself what must be found: unit 0 from bin 3 on, and nothing before."""
    script = COMMAND + (STORIES / "3_recording.sh").read_text()
    printed = output_of("bash", "-c", script, folder=tmp_path)
    assert "stimulus|context: " in printed
    assert "unit 0 from bin 3 on: p_max 0.00" in printed
    assert all(f"figures/{name}.png" in printed for name in ("flow_over_time", "flow_matrix"))
