"""The look of all figures, and how names are written in them.

Colours are Okabe and Ito's, safe for colour-blind readers; markers and line styles tell the same in grey.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text

from jaxflow.errors import printable
from jaxflow.outputs import PAPER, Roles

ALPHA = 0.05  # of p_max: family-wise, over the nodes of a layer or over all time bins
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
STYLES = {"bias/acc": "-", "acc/bias": "--", "random": ":", "magnitude": "-."}
METRIC_LOOK = {"bias/acc": 0, "acc/bias": 1, "random": 6, "magnitude": 2}
MANY_COLOURS = "viridis"
LONGEST_LABEL, LONGEST_TITLE = 24, 60  # characters of a name
DPI = 200  # of saved figures; letters are laid out for it, since their widths in inches depend on it by some per cent
FULL = 5  # noise floors that full width, shade or height stand for at least
MANY_POINTS = 20_000  # beyond which to look for the best place of a legend takes seconds
RC: dict[Any, Any] = {
    "font.size": 8,
    "axes.titlesize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "legend.edgecolor": "none",
    "legend.framealpha": 0.8,
    "legend.fontsize": 7,
    "lines.linewidth": 1.2,
    "lines.markersize": 3,
    "svg.hashsalt": "jaxflow",
}


@contextmanager
def paper_style() -> Iterator[None]:
    """The look of all figures, for the length of a block."""
    with mpl.rc_context(RC):
        yield


def new_figure(
    width: float, height: float, rows: int = 1, columns: int = 1, shared: bool | Literal["row", "col"] = False
) -> tuple[Figure, np.ndarray]:
    """A figure that no global state knows of, in inches, and its grid of Axes, on the same scales if ``shared``.

    With ``row`` the horizontal scales are the same within a row only; with ``col`` those within a column are the same,
    and every vertical scale is its own.
    """
    figure = Figure(figsize=(width, height), layout="constrained")
    upright = shared in (True, "row")
    return figure, figure.subplots(rows, columns, squeeze=False, sharex=shared, sharey=upright)


def laid_out(figure: Figure) -> Figure:
    """Compute the layout once and keep it: matplotlib would do it again for every file, and draw twice for it.

    Titles that are wider than the figure, which no layout sees to, become smaller.
    """
    figure.set_dpi(DPI)
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.execute(figure)
        figure.set_layout_engine(None)
    for title in (*figure.texts, *(axes.title for axes in figure.axes)):
        _fit(title, figure.bbox.width)
    return figure


def _fit(title: Text, width: float) -> None:
    """Shrink the letters of a centred text until both its ends lie in a figure of ``width`` pixels."""
    box = title.get_window_extent()
    middle = (box.x0 + box.x1) / 2
    room = 2 * min(middle, width - middle) - 0.08 * DPI
    if box.width > room > 0:
        title.set_fontsize(float(title.get_fontsize()) * room / box.width)


def faint_legend(figure: Figure) -> None:
    """Say below the drawing of networks what a dashed edge is."""
    handles = [Line2D([], [], color="0.75", linestyle="--")]
    figure.legend(handles, [f"flow not significant ($p_{{max}}$ ≥ {ALPHA:g})"], loc="outside lower center")


def message_titles(roles: Roles) -> dict[str, str]:
    """What figures call the flow about each message: accuracy, and bias with attribute and notion.

    ``bias`` alone is the paper's, ``bias (odds)`` that of one attribute, ``bias (sex, odds)`` that of one of several.
    """
    titles = {roles.measured(roles.label): "accuracy"}
    for name in roles.attributes:
        about = [plain_text(name)] if len(roles.attributes) > 1 else []
        about += [roles.notion] if roles != PAPER else []
        titles[roles.measured(name)] = f"bias ({', '.join(about)})" if about else "bias"
    return titles


PAPER_TITLES = {"y": "accuracy", "z": "bias"}


def plain_text(text: str, longest: int = LONGEST_LABEL) -> str:
    r"""A user's name as matplotlib draws it letter by letter: no mathematics, one line, cut where it is too long.

    ``$`` would begin mathematics, and ``$\frac{$`` a failure after all the computing.
    """
    line = printable(text)
    line = line if len(line) <= longest else f"{line[: longest - 1]}…"
    return line.replace("$", r"\$")


def middle_level(levels: pd.Series) -> int:
    """The middle one of the levels there are, the lower of two."""
    distinct = sorted(set(levels))
    return int(distinct[(len(distinct) - 1) // 2])
