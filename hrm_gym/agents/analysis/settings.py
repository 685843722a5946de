"""The names of the analyses and the size of an analysis, which are read without torch."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from hrm_gym.errors import unknown
from hrm_gym.options import Options, number

TITLES = {
    "participation": "Dimensions of the states",
    "convergence": "Forward residuals",
    "trajectories": "Paths of thought",
    "depth": "Accuracy against segments",
    "stopping": "Halting against difficulty",
    "completion": "Nearly solved boards",
    "fixed_points": "Does a solved board stay solved?",
    "interventions": "What remains of a changed state",
    "identity": "Without the task's embedding",
}
"""The titles of all analyses by name, in the order of the report."""


def check_names(names: Sequence[str]) -> None:
    """Refuse unknown analyses.

    Raises:
        HrmGymError: on an unknown name.
    """
    for name in names:
        if name not in TITLES:
            raise unknown("analysis", name, TITLES)


@dataclasses.dataclass(frozen=True)
class Settings(Options):
    """The size of an analysis."""

    puzzles: int = number(500, least=2)
    """Number of puzzles for measuring accuracy."""
    traced: int = number(100, least=2)
    """Number of puzzles, the first of these, whose states are recorded (HRM, arXiv 2506.21734: 100)."""
    changed: int = number(64, least=2)
    """Number of puzzles, the first of these, that are solved again with more givens (`completion`) and with changed
    states (`interventions`)."""
    max_segments: int = number(0, least=0)
    """Number of segments; 0: four times as many as in training."""
    draws: int = number(200, least=20)
    """Number of bootstrap samples over puzzles."""
    seed: int = number(0, least=0, most=2**31 - 1)
    """Random seed of the untrained agent for comparison, the bootstrap and the interventions."""
