"""The options of every environment, in addition to the arguments of its puzzle family.

A field here is an argument of `gym.make` and `gym.make_vec` and a field of `rules.Rules.options`, so families cannot
use its name. A field of `PuzzleOptions` is also an option of training runs.
"""

from __future__ import annotations

import dataclasses
import os
from typing import Literal

from hrm_gym.errors import HrmGymError
from hrm_gym.options import Options, number, share


@dataclasses.dataclass(frozen=True)
class PuzzleOptions(Options):
    """The puzzles, the horizon and the rewards of episodes.

    Raises:
        HrmGymError: if a value has the wrong type or is out of range.
    """

    num_examples: int | None = None
    """Use only the first puzzles of the split, this many; None: all."""
    dataset: str | None = None
    """Path of a file of puzzles to use instead of the family's own (see `datasets.puzzles_of`)."""
    augment: bool | None = None
    """Apply a random symmetry to each puzzle; None: in the training split only. No other split allows it."""
    hints: float = share(0.0)
    """Share of the training puzzles with hints: part of the solution filled in as givens (Sudoku). The number of hints
    is random, usually small, and at most 70 % of the blank cells."""
    guesses: float = share(0.0)
    """Share of the training puzzles shown with random candidates filled in as givens (Sudoku). Some are wrong, and the
    agent learns to detect that the puzzle then has no solution (`--halting soundness`)."""
    graded_by: Literal["rules", "solution"] = "rules"
    """How answers are graded: by the puzzle's rules, if they can decide, or by the known solution."""
    max_segments: int | None = number(None, least=1)
    """Maximum number of segments per episode; None: 16 for boards and 2 * L for edits, which write one cell each."""
    segment_cost: float = number(0.0, least=0)
    """Cost of every segment after the first, subtracted from the reward; a correct answer pays 1."""

    def __post_init__(self) -> None:
        if isinstance(self.dataset, os.PathLike):
            object.__setattr__(self, "dataset", os.fsdecode(self.dataset))
        if not isinstance(self.dataset, str | None):
            raise HrmGymError(
                f"dataset is a {type(self.dataset).__name__}: give the path of a file or a folder; "
                "hrm_gym.envs.reading.writing.write_puzzles writes one"
            )
        super().__post_init__()


@dataclasses.dataclass(frozen=True)
class EnvOptions(PuzzleOptions):
    """All options of an environment."""

    split: Literal["train", "validation", "test"] = "train"
    """The split of the family's puzzles; splits are disjoint."""
    action_type: Literal["board", "edit"] = "board"
    """`board`: an action is a whole answer and the choice to halt or continue. `edit`: it writes one cell, or halts."""
    obs_type: Literal["dict", "flat"] = "dict"
    """`dict`: a dictionary of tokens. `flat`: one vector of one-hot tokens."""
    ranked: bool = False
    """Sort the puzzles from easy to hard by the family's rating, so that episodes can use only the easiest ones
    (`Rules.easiest`)."""
    count_violations: bool = True
    """Report `violations` in `info`; counting them is slow for large mazes on a GPU."""


OPTIONS = tuple(field.name for field in dataclasses.fields(EnvOptions))
"""Names of the options, which families cannot use for their own arguments."""
