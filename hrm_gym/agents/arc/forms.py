"""The forms of a network for one ARC task, and what is known of each after the comparison."""

from __future__ import annotations

from typing import Any, NamedTuple

RUNGS: dict[str, dict[str, Any]] = {
    "symmetric": {"form": "symmetric", "colour_names": False},
    "symmetric, colours": {"form": "symmetric", "colour_names": True},
    "directional": {"form": "directional", "colour_names": False},
    "directional, colours": {"form": "directional", "colour_names": True},
}
"""From the simplest form; ties go to the first."""

USUAL, RICHEST = "symmetric, colours", "directional, colours"
"""The form that is right most often, used if time or demonstrations do not suffice for a choice, and the form that
distinguishes most."""

PLANS: tuple[tuple[tuple[str, ...], int], ...] = (
    (tuple(RUNGS), 2),
    (tuple(RUNGS), 1),
    ((USUAL, RICHEST), 1),
)
"""Forms to compare, and the maximum number of demonstrations that are left out, one at a time: the first plan for which
there is time."""

SURE = {True: 53 / 68, None: 21 / 41, False: 26 / 197}
"""How often the first attempt was right where all, some or none of the left-out demonstrations were: 52 of 66, 20 of 39
and 25 of 195 of the 300 training tasks of ARC-AGI-1 on which the solver was not designed, each with one success and one
failure more."""


class Form(NamedTuple):
    """A form of network and what it did on left-out demonstrations."""

    rung: str
    left_out: tuple[int, int] = (0, 0)
    """The number of left-out demonstrations that it predicted, and their total number."""
    fitted: int = 0
    """How often it reproduced the other demonstrations."""
    share: float = 0.0
    """The mean share of right cells of its predictions."""

    @property
    def score(self) -> tuple[int, int, float]:
        """Forms are ranked by this.

        Where none predicts more, a form that reproduces the other demonstrations is better than one that does not,
        because the latter has found no rule. Shares count to a tenth: smaller differences say less than simplicity.
        """
        return self.left_out[0], self.fitted, round(self.share, 1)

    @property
    def sure(self) -> float:
        """The estimated chance that its first attempt is right."""
        right, tried = self.left_out
        return SURE[True if tried and right == tried else None if right else False]
