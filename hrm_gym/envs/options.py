"""The options that every environment takes beside the arguments of its puzzle family, each in one place.

A field here is an argument of `gym.make` and `gym.make_vec` at once, a name that no family may use itself, and a field
of `rules.Rules.options`. A field of `PuzzleOptions` is an option of training runs, too.
"""

from __future__ import annotations

import dataclasses
import os
from typing import Literal

from hrm_gym.errors import HrmGymError
from hrm_gym.options import Options, number, share


@dataclasses.dataclass(frozen=True)
class PuzzleOptions(Options):
    """Which puzzles an episode shows, how long it lasts and what it pays.

    Raises:
        HrmGymError: on a value of another type or out of range.
    """

    num_examples: int | None = None
    """Keep only the first so many puzzles of the split; None keeps all."""
    dataset: str | None = None
    """Path of a file of puzzles to use instead of those of the family (see `datasets.puzzles_of`)."""
    augment: bool | None = None
    """Show puzzles under a random symmetry; None does so for training. No other split allows it."""
    hints: float = share(0.0)
    """Share of the training puzzles that are shown with some of their solution filled in, as given cells (Sudoku): a
    random part of the blank cells, mostly a small one, at most seven tenths."""
    guesses: float = share(0.0)
    """Share of the training puzzles that are shown with guesses: symbols that no given rules out are taken for givens.
    Some are wrong; what is then learned is that there is no solution (`--halting soundness`; Sudoku)."""
    graded_by: Literal["rules", "solution"] = "rules"
    """What makes an answer right: the puzzle's rules where they decide, or the solution given with it."""
    max_segments: int | None = number(None, least=1)
    """The last segment, which ends an episode; None is 16 for boards and 2 * L for edits, which write one cell each."""
    segment_cost: float = number(0.0, least=0)
    """What the environment takes off the reward for every segment after the first; a right answer pays 1."""

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
    """The part of the family's puzzles; no two share one."""
    action_type: Literal["board", "edit"] = "board"
    """`board`: the whole answer, and halt or continue. `edit`: one cell, or halt."""
    obs_type: Literal["dict", "flat"] = "dict"
    """`dict`: tokens. `flat`: one-hot, one real vector."""
    ranked: bool = False
    """Order the puzzles from easy to hard, as the family rates them, so that episodes may be drawn from the easiest
    ones alone (`Rules.easiest`)."""
    count_violations: bool = True
    """Say in `info` how many rules an answer breaks; in large mazes on a GPU counting takes time."""


OPTIONS = tuple(field.name for field in dataclasses.fields(EnvOptions))
"""Their names; a family may not use these for its own arguments."""
