"""The style of the plots: few colours that also differ in lightness, no frame, a light grid.

matplotlib is an optional dependency: everything except the plots works without it.
"""

from __future__ import annotations

from typing import Any

from hrm_gym.errors import extra

BLUE, AMBER, PLUM, GREY, INK = "#245fa6", "#d08a1d", "#a81662", "#9aa1ad", "#1b2434"
SERIES = (BLUE, AMBER, PLUM, "#3f8f7f", "#6b5ca5", GREY)
"""Colours of curves, in order."""

LEVELS = ("#9ec1e8", "#5c93d0", "#245fa6", "#0e2f57")
"""Colours of up to four ordered groups, from easy to hard."""


def require_matplotlib() -> None:
    """Raise an error if matplotlib is missing."""
    extra("matplotlib.figure", "plots", "the plot")


def new_figure(width: float = 9.0, height: float = 4.0) -> Any:
    """An empty matplotlib figure.

    Raises:
        HrmGymError: if matplotlib is missing.
    """
    require_matplotlib()
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def tidy(axes: Any, xlabel: str = "", ylabel: str = "", title: str = "") -> None:
    """Set labels and a light grid, and remove the frame at the top and on the right."""
    axes.set_xlabel(xlabel, color=INK)
    axes.set_ylabel(ylabel, color=INK)
    axes.set_title(title, fontsize=10, color=INK, loc="left")
    axes.grid(alpha=0.25, linewidth=0.6)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def percent(axes: Any, top: float = 104.0) -> None:
    """Format the y axis in per cent, for shares multiplied by 100."""
    axes.set_ylim(0, top)
    axes.yaxis.set_major_formatter("{x:.0f} %")


def segment_axis(axes: Any, most: int) -> None:
    """Scale the x axis of segments in powers of two, because most happens early."""
    axes.set_xscale("log", base=2)
    axes.set_xlim(0.93, most * 1.08)
    axes.xaxis.set_major_formatter("{x:g}")


def curve(axes: Any, x: Any, y: Any, low: Any, high: Any, colour: str, label: str, dashed: bool = False) -> None:
    """Draw a line with its interval as a band."""
    axes.plot(x, y, color=colour, label=label, linewidth=1.8, linestyle="--" if dashed else "-")
    axes.fill_between(x, low, high, color=colour, alpha=0.15, linewidth=0)
