"""Levels of chance in a tradeoff: thin lines with their names."""

from collections.abc import Iterable, Mapping

from matplotlib.axes import Axes

REACH = 0.5  # of what the curves cover, beyond which a line would squeeze them
LINE = {"color": "0.45", "linewidth": 0.6, "linestyle": (0, (6, 2, 1, 2)), "zorder": 0}
TEXT = {"fontsize": 6, "color": "0.35", "zorder": 0}


def mark_chance(panels: Iterable[tuple[Axes, str, bool]], chance: Mapping[str, float]) -> None:
    """Lines at what bias and accuracy come to where an output tells nothing; an arrow where that is far away.

    A line is far away where it lies farther beyond the curves than half of what these cover: it would squeeze them.

    Args:
        panels: Axes on which all curves are drawn, the measure across each, and whether the lines get their names.
        chance: per cent by measure, see ``chance.chance_levels``; measures without a level get no line.
    """
    limits = [(axes, bias, named, axes.get_xlim(), axes.get_ylim()) for axes, bias, named in panels]
    for axes, bias, named, across, up in limits:
        if bias in chance:
            _mark(axes, chance[bias], across, "x", "bias at chance", named)
        if "accuracy" in chance:
            _mark(axes, chance["accuracy"], up, "y", "accuracy at chance", named)


def _mark(axes: Axes, value: float, limits: tuple[float, float], way: str, name: str, named: bool) -> None:
    """One line with its name, or where it lies far away its name with an arrow."""
    low, high = limits
    near = low - REACH * (high - low) <= value <= high + REACH * (high - low)
    if near:
        (axes.axvline if way == "x" else axes.axhline)(value, **LINE)
    if not named:
        return
    text, style = f"{name}, {value:.1f} %", {**TEXT, "textcoords": "offset points"}
    after = value < (low + high) / 2  # names stand on the side of a line where there is room
    if way == "x" and near:
        axes.annotate(text, (value, 0.98), (3 if after else -3, 0), xycoords=axes.get_xaxis_transform(), rotation=90,
                      ha="left" if after else "right", va="top", **style)  # fmt: skip
    elif way == "y" and near:
        axes.annotate(text, (0.98, value), (0, 2 if after else -2), xycoords=axes.get_yaxis_transform(), ha="right",
                      va="bottom" if after else "top", **style)  # fmt: skip
    else:
        arrow = ("←↓" if after else "→↑")[way == "y"]
        place = {"x": (0.02, 0.1), "y": (0.08, 0.02)}[way] if after else {"x": (0.98, 0.1), "y": (0.92, 0.98)}[way]
        axes.annotate(f"{arrow} {text}", place, (0, 0), xycoords="axes fraction", ha="left" if after else "right",
                      va="bottom" if after or way == "x" else "top", **style)  # fmt: skip
