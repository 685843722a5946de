"""Learning curves of runs: accuracy on validation puzzles against steps or minutes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from hrm_gym.agents.analysis.style import SERIES, new_figure, percent, tidy
from hrm_gym.agents.saved import checkpoint as checkpoints
from hrm_gym.errors import HrmGymError
from hrm_gym.files import is_file, read_json

Along = Literal["minutes", "steps"]

_FIGURES = ("step", "seconds", "exact_accuracy", "valid_accuracy")


class Curve(NamedTuple):
    """The learning curve of one run."""

    name: str
    points: list[dict[str, float]]
    """`step`, `seconds`, `exact_accuracy` and `valid_accuracy` of each evaluation."""


def read_curve(folder: Path) -> Curve:
    """The curve of a run, finished or not.

    Raises:
        HrmGymError: if there is no run, or no evaluation yet.
    """
    result = folder / "result.json"
    try:
        if is_file(result):
            points = read_json(result)["training"]["validation_curve"]
        else:  # still running, or stopped
            points = checkpoints.load(folder).counters.get("curve", [])
        whole = all(math.isfinite(point[name]) for point in points for name in _FIGURES)
    except (KeyError, TypeError, OverflowError):
        whole = False
    if not whole:
        raise HrmGymError(f"{folder} does not hold the curve of a run as hrm-gym writes it: give the folder of one")
    if not points:
        raise HrmGymError(
            f"{folder} has not been evaluated while it trained: lower --eval-minutes, or train for longer"
        )
    return Curve(folder.name, points)


def plot_curves(curves: Sequence[Curve], along: Along, grade: str) -> Any:
    """All curves on one matplotlib figure.

    Args:
        curves: the curves of runs.
        along: the quantity on the x axis.
        grade: "exact" or "valid".

    Raises:
        HrmGymError: if matplotlib is missing.
    """
    figure = new_figure(8.0, 4.5)
    axes = figure.subplots()
    for i, curve in enumerate(curves):
        x = [point["step"] if along == "steps" else point["seconds"] / 60 for point in curve.points]
        y = [100 * point[f"{grade}_accuracy"] for point in curve.points]
        style = "-" if i < len(SERIES) else "--"
        axes.plot(x, y, style, color=SERIES[i % len(SERIES)], marker="o", markersize=4, label=curve.name)
    percent(axes)
    axes.set_xlim(0)
    tidy(axes, along, f"validation puzzles, {grade}")
    axes.legend(frameon=False, fontsize=9)
    return figure
