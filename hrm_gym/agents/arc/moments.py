"""What a solver of an ARC task knows at some time: the observations of a rule that decides when to stop."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from hrm_gym.agents.arc.boards import Grid


class Moment(NamedTuple):
    """The state of a solver after a whole number of seconds."""

    seconds: float
    """Seconds of a core spent so far."""
    signals: tuple[float, ...]
    """The values of `hrm_gym.envs.halting.recorded_solvers.SIGNALS`."""
    attempts: list[list[Grid]]
    """The attempts if it stopped now."""


Ranked = Sequence[tuple[Grid, float]]
"""The grids of one test with their shares of the votes, the best first."""


def share_and_lead(tests: Sequence[Ranked]) -> tuple[float, float]:
    """The signals `votes` and `vote_lead`; both are 0 for a test without a vote."""
    shares = [[share for _, share in ranked] or [0.0] for ranked in tests]
    return min(first for first, *_ in shares), min(first - max(rest, default=0.0) for first, *rest in shares)
