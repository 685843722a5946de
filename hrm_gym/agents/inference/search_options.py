"""The constants of the search by guessing; `benchmarks/fit_search.py` fits them on validation puzzles."""

from __future__ import annotations

import dataclasses
import math

from hrm_gym.options import Options, number

BOARDS = 32
"""Default number of boards in parallel."""


@dataclasses.dataclass(frozen=True)
class SearchOptions(Options):
    """How an agent searches with several boards."""

    first: int = number(2, least=1)
    """Segments on the puzzle before the first guesses."""
    at_once: int = number(3, least=1)
    """Cells in the first guess."""
    segments: int = number(3, least=1)
    """Segments on a board with guesses before its next guess."""
    margin: float = number(2.0, least=0)
    """Subtracted with 32 boards from the logit that an answer is right: among many boards, one looks right by chance.
    With other numbers of boards it is proportional to their logarithm."""
    solved: tuple[float, ...] = (1.0, 0.15, 0.3, 0.45, 0.65, 0.8, 0.9)
    """Share of hard puzzles that the agent solves within eight segments after 0, 1, 2, ... right guesses. The first
    number only ranks the puzzle itself, which never waits."""

    def margin_for(self, boards: int) -> float:
        """The margin, in logits, for this many boards."""
        return self.margin * math.log(boards) / math.log(BOARDS)
