"""Figures of matplotlib, which is an extra: without it everything but the plots works."""

from __future__ import annotations

from typing import Any

from hrm_gym.errors import extra


def require_matplotlib() -> None:
    """Say so where the library that draws is missing."""
    extra("matplotlib.figure", "plots", "the plot")


def new_figure(width: float = 9.0, height: float = 4.0) -> Any:
    """An empty matplotlib figure.

    Raises:
        HrmGymError: where matplotlib is missing.
    """
    require_matplotlib()
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")
