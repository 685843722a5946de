"""Loading the puzzles that ship with the package, and regenerating their files bit for bit."""

from __future__ import annotations

import os

import numpy as np

from hrm_gym.envs.sudoku.making.extreme import generate_extreme
from hrm_gym.envs.sudoku.making.generator import generate
from hrm_gym.envs.sudoku.making.mixture import generate_mixture
from hrm_gym.envs.sudoku.solver import rate
from hrm_gym.envs.sudoku.symmetry import canonical_forms
from hrm_gym.envs.task import Puzzles
from hrm_gym.errors import unknown
from hrm_gym.files import save_arrays, shipped_arrays

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
    "vicinity": {"validation": 45, "test": 150},
    "16x16": {"train": 2_000, "validation": 500, "test": 1_000},
}
"""Number of puzzles in each set."""

SEEDS = {"4x4": 0, "6x6": 0, "9x9": 2, "extreme": 1, "deep": 1, "vicinity": 3, "16x16": 0}
"""Seed of each set; with the same seed, the sets of 9x9 boards would share their random minimal puzzles."""

HARD_BY = {"extreme": "guesses", "deep": "resistance", "vicinity": "vicinity"}
"""Measure of difficulty of the validation and test puzzles in sets that are found by search."""

VALIDATION_SEED = 100
"""Added to a set's seed for its validation puzzles, which have the distribution of the test puzzles."""


def _counts(name: str) -> dict[str, int]:
    """Return the number of puzzles in each split of a set; raise an error for an unknown set."""
    if name not in COUNTS:
        raise unknown("set of puzzles", name, COUNTS)
    return COUNTS[name]


def generate_split(name: str, split: str, num: int | None = None) -> Puzzles:
    """Generate the first `num` puzzles of a shipped split (default: all).

    Puzzles found by search take 0.5 to 8 seconds each and are drawn in pools, so they equal the first shipped ones only
    if `num` is a multiple of `extreme.POOLS`. Other sets are generated at thousands of puzzles per second, 16x16 at 80.
    """
    counts = _counts(name)
    if num is None:
        num = counts[split]
    if split == "validation":
        return _validation(name, num)
    return _draw(name, num, split, SEEDS[name])


def _validation(name: str, num: int) -> Puzzles:
    """Generate puzzles like the test puzzles with another seed, without those that are symmetric to a test puzzle.

    Validation puzzles are separated from training puzzles in the same way as test puzzles are.
    """
    test = load(name, "test")
    known = {form.tobytes() for form in canonical_forms(test.puzzle, test.solution, BOXES[name])}
    seed, drawn = SEEDS[name] + VALIDATION_SEED, num
    while True:
        puzzles = _draw(name, drawn, "test", seed, frozenset(known))
        forms = canonical_forms(puzzles.puzzle, puzzles.solution, BOXES[name])
        new = np.array([form.tobytes() not in known for form in forms])
        if new.sum() >= num:
            return Puzzles(puzzles.puzzle[new][:num], puzzles.solution[new][:num])
        drawn *= 2


def _draw(name: str, num: int, split: str, seed: int, known: frozenset[bytes] = frozenset()) -> Puzzles:
    """Generate the first `num` distinct puzzles of a sequence; on small boards puzzles repeat.

    The search of a vicinity meets the same grids with every seed, so it leaves out the `known` ones.
    """
    if name == "vicinity":
        return generate_mixture(num, seed, split, known)
    if name in HARD_BY:
        return generate_extreme(num, seed, split, HARD_BY[name])
    drawn = num
    while True:
        puzzles = generate(BOXES[name], drawn, seed, split)
        first = np.sort(np.unique(puzzles.puzzle, axis=0, return_index=True)[1])
        if len(first) >= num:
            kept = first[:num]
            return Puzzles(puzzles.puzzle[kept], puzzles.solution[kept])
        drawn *= 2


def pack(name: str, puzzles: Puzzles) -> dict[str, np.ndarray]:
    """Return the arrays to store for one split: solutions, givens (8 cells per byte) and ratings."""
    return {
        "solution": puzzles.solution,
        "given": np.packbits(puzzles.puzzle > 0, axis=1),
        "rating": rate(puzzles.puzzle, BOXES[name]).astype(np.uint16),
    }


def shipped(name: str) -> dict[str, np.ndarray]:
    """Generate all arrays of the shipped file `name`, one of `COUNTS`."""
    return {
        f"{split}_{key}": array
        for split in _counts(name)
        for key, array in pack(name, generate_split(name, split)).items()
    }


def write_shipped(name: str, path: str | os.PathLike[str]) -> None:
    """Generate the shipped set `name` and write it to `path`, with the same bytes for the same version of zlib.

    Raises:
        HrmGymError: if the name is unknown or the file cannot be written.
    """
    save_arrays(shipped(name), path)


def load(name: str, split: str) -> Puzzles:
    """Load a shipped split, uint8 arrays of shape (N, L).

    Raises:
        HrmGymError: if the set or split is unknown or the file is missing.
    """
    if split not in _counts(name):
        raise unknown("split", split, _counts(name))
    arrays = shipped_arrays(__package__, name)
    solution = arrays[f"{split}_solution"]
    given = np.unpackbits(arrays[f"{split}_given"], axis=1, count=solution.shape[1])
    return Puzzles(solution * given, solution)
