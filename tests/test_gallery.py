"""The gallery: every picture on its page has a short script, and scripts draw what they say."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/gallery.md").read_text()
NAMES = sorted(path.stem for path in (ROOT / "experiments/gallery").glob("*.py") if path.stem != "sheet")
MOST_LINES, MOST_BYTES = 40, 120_000


def test_every_picture_of_the_page_has_its_script_and_command():
    assert len(NAMES) == 8
    assert sorted(re.findall(r"\(figures/gallery_(\w+)\.png\)", PAGE)) == NAMES
    assert sorted(re.findall(r"^python experiments/gallery/(\w+)\.py", PAGE, flags=re.MULTILINE)) == NAMES
    sections = PAGE.split("\n## ")[1:]
    for section in sections:  # a picture, its caption, and the command of the same script
        picture, script = (re.findall(form, section) for form in (r"gallery_(\w+)\.png", r"gallery/(\w+)\.py"))
        assert picture == script
        assert re.search(r"\n\n\*[^*]{200,}\*\n\n```sh\n", section), section[:40]


@pytest.mark.parametrize("name", NAMES)
def test_a_script_is_short_and_its_picture_small(name):
    text = (ROOT / f"experiments/gallery/{name}.py").read_text()
    assert len([line for line in text.splitlines() if line.strip()]) <= MOST_LINES
    assert f"gallery_{name}.png" in text
    assert f"python experiments/gallery/{name}.py" in text
    picture = ROOT / f"docs/figures/gallery_{name}.png"
    assert picture.stat().st_size <= MOST_BYTES


@pytest.mark.slow
@pytest.mark.parametrize(("name", "options"), [("lattice", ()), ("features", ("--seeds", "2"))])
def test_a_script_draws_its_picture(name, options, tmp_path, request):
    data = () if name == "lattice" else ("--data-dir", str(request.getfixturevalue("data_dir")))
    command = [sys.executable, f"experiments/gallery/{name}.py", "--out", str(tmp_path), *options, *data]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    pixels = imread(tmp_path / f"gallery_{name}.png")
    assert len(np.unique(pixels.reshape(-1, pixels.shape[-1]), axis=0)) > 50
