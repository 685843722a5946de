"""The puzzles that ship with the package; `making.shipping` regenerates their files."""

from __future__ import annotations

import numpy as np

from hrm_gym.envs.task import Puzzles
from hrm_gym.errors import unknown
from hrm_gym.files import shipped_arrays

BOXES = {
    "4x4": (2, 2),
    "6x6": (2, 3),
    "9x9": (3, 3),
    "extreme": (3, 3),
    "deep": (3, 3),
    "vicinity": (3, 3),
    "16x16": (4, 4),
}
"""Rows and columns of a box in each set."""

COUNTS = {
    "4x4": {"train": 20_000, "validation": 1_000, "test": 1_000},
    "6x6": {"train": 20_000, "validation": 1_000, "test": 2_000},
    "9x9": {"train": 20_000, "validation": 1_000, "test": 2_000},
    "extreme": {"train": 1_000, "validation": 1_000, "test": 10_000},
    "deep": {"validation": 100, "test": 500},
    "vicinity": {"validation": 100, "test": 500},
    "16x16": {"train": 2_000, "validation": 500, "test": 1_000},
}
"""Number of puzzles in each set."""

SEEDS = {"4x4": 0, "6x6": 0, "9x9": 2, "extreme": 1, "deep": 1, "vicinity": 3, "16x16": 0}
"""Seed of each set; with the same seed, the sets of 9x9 boards would share their random minimal puzzles."""

HARD_BY = {"extreme": "guesses", "deep": "resistance", "vicinity": "vicinity"}
"""Measure of difficulty of the validation and test puzzles in sets that are found by search.

`guesses`: they take as many guesses as the benchmark's, but are far easier for an agent. `resistance`
(`making.deep`): they resist looking one guess ahead, though less than the benchmark's, and take a dozen guesses.
`vicinity` (`making.mixture`): they match the benchmark in both, and two guesses deep.
"""

VALIDATION_SEED = 100
"""Added to a set's seed for its validation puzzles, which have the distribution of the test puzzles."""


def counts(name: str) -> dict[str, int]:
    """Return the number of puzzles in each split of a set; raise an error for an unknown set."""
    if name not in COUNTS:
        raise unknown("set of puzzles", name, COUNTS)
    return COUNTS[name]


def load(name: str, split: str) -> Puzzles:
    """Load a shipped split, uint8 arrays of shape (N, L).

    Raises:
        HrmGymError: if the set or split is unknown or the file is missing.
    """
    if split not in counts(name):
        raise unknown("split", split, counts(name))
    arrays = shipped_arrays(__package__, name)
    solution = arrays[f"{split}_solution"]
    given = np.unpackbits(arrays[f"{split}_given"], axis=1, count=solution.shape[1])
    return Puzzles(solution * given, solution)
