"""What the gallery's scripts share: where the data are, where the picture goes, and its look."""

import argparse
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure
from PIL import Image

from jaxflow import figures

COLOURS = figures.COLOURS  # Okabe and Ito's, which the colour-blind tell apart


def options(description: str, seeds: int | None = None, files: bool = False) -> argparse.Namespace:
    """Where the data files are (a must if the script reads some itself), where the picture goes, how many networks."""
    parser, usual = argparse.ArgumentParser(description=description), os.environ.get("JAXFLOW_DATA")
    parser.add_argument("--data-dir", type=Path, default=usual, required=files and not usual,
                        help="folder with the original data files; else $JAXFLOW_DATA")  # fmt: skip
    parser.add_argument("--out", type=Path, default=Path(), help="folder of the picture")
    if seeds is not None:
        parser.add_argument("--seeds", type=int, default=seeds, help="number of networks")
    return parser.parse_args()


@contextmanager
def sheet(width: float, height: float, path: Path, rows: int = 1, columns: int = 1, **shared: Any) -> Iterator[Any]:
    """Axes ``[rows, columns]`` of a figure in inches, in the look of jaxflow's own, saved where the block ends."""
    with figures.paper_style(), mpl.rc_context({"axes.titlelocation": "left"}):
        figure = Figure(figsize=(width, height), layout="constrained")
        yield figure.subplots(rows, columns, squeeze=False, **shared)
        figures.laid_out(figure).savefig(path, dpi=160)
    with Image.open(path) as picture:  # a palette takes a third of the bytes
        palette = picture.convert("RGB").quantize(256, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    palette.save(path, optimize=True)
    print(f"Figure: {path}")
