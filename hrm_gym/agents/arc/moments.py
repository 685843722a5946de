"""What a solver of an ARC task knows at some time: the observations of a rule that decides when to stop."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from hrm_gym.agents.arc.boards import Grid

SIGNALS = ("choosing", "form", "left_out", "fitted", "agreement", "margin", "changed")
"""Names of the values that a moment holds, each in [0, 1]:

- `choosing`: 1 while forms of the network are compared, 0 while networks vote;
- `form`: the form of the network in training, from 0 for the first rung to 1 for the last;
- `left_out`: the share of the left-out demonstrations that the best form predicts;
- `fitted`: 1 if the network in training reproduces its demonstrations;
- `agreement`: the share of the votes for the first attempt, the least over the tests;
- `margin`: the difference between the shares of the first and the second attempt, the least over the tests;
- `changed`: 1 if a first attempt differs from that of the moment before.
"""


class Moment(NamedTuple):
    """The state of a solver after a whole number of seconds."""

    seconds: float
    """Seconds of a core spent so far."""
    signals: tuple[float, ...]
    """The values of `SIGNALS`."""
    attempts: list[list[Grid]]
    """The attempts if it stopped now."""


Ranked = Sequence[tuple[Grid, float]]
"""The grids of one test with their shares of the votes, the best first."""


def agreement(tests: Sequence[Ranked]) -> tuple[float, float]:
    """The signals `agreement` and `margin`; both are 0 for a test without a vote."""
    shares = [[share for _, share in ranked[:2]] + [0.0, 0.0] for ranked in tests]
    return min(first for first, *_ in shares), min(first - second for first, second, *_ in shares)


def ranked(votes: Mapping[Grid, float]) -> list[tuple[Grid, float]]:
    """Grids with their shares of the votes, the best first."""
    total = sum(votes.values())
    return [(grid, weight / total) for grid, weight in sorted(votes.items(), key=lambda vote: -vote[1])]
