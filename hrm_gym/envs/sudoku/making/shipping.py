"""Regenerating the files of shipped puzzles bit for bit."""

from __future__ import annotations

import os

import numpy as np

from hrm_gym.envs.sudoku import shipped
from hrm_gym.envs.sudoku.canonical import canonical_forms
from hrm_gym.envs.sudoku.making.extreme import generate_extreme
from hrm_gym.envs.sudoku.making.generator import generate
from hrm_gym.envs.sudoku.making.mixture import generate_mixture
from hrm_gym.envs.sudoku.solver import rate
from hrm_gym.envs.task import Puzzles
from hrm_gym.files import save_arrays


def generate_split(name: str, split: str, num: int | None = None) -> Puzzles:
    """Generate the first `num` puzzles of a shipped split (default: all).

    Puzzles found by search take 0.5 to 8 seconds each and are drawn in pools, so they equal the first shipped ones only
    if `num` is a multiple of `extreme.POOLS`. Other sets are generated at thousands of puzzles per second, 16x16 at 80.
    """
    counts = shipped.counts(name)
    if num is None:
        num = counts[split]
    if split == "validation":
        return _validation(name, num)
    return _draw(name, num, split, shipped.SEEDS[name])


def _validation(name: str, num: int) -> Puzzles:
    """Generate puzzles like the test puzzles with another seed, without those that are symmetric to a test puzzle.

    Validation puzzles are separated from training puzzles in the same way as test puzzles are.
    """
    test = shipped.load(name, "test")
    known = {form.tobytes() for form in canonical_forms(test.puzzle, test.solution, shipped.BOXES[name])}
    seed, drawn = shipped.SEEDS[name] + shipped.VALIDATION_SEED, num
    while True:
        puzzles = _draw(name, drawn, "test", seed, frozenset(known))
        forms = canonical_forms(puzzles.puzzle, puzzles.solution, shipped.BOXES[name])
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
    if name in shipped.HARD_BY:
        return generate_extreme(num, seed, split, shipped.HARD_BY[name])
    drawn = num
    while True:
        puzzles = generate(shipped.BOXES[name], drawn, seed, split)
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
        "rating": rate(puzzles.puzzle, shipped.BOXES[name]).astype(np.uint16),
    }


def arrays(name: str) -> dict[str, np.ndarray]:
    """Generate all arrays of the shipped file `name`, one of `shipped.COUNTS`."""
    return {
        f"{split}_{key}": array
        for split in shipped.counts(name)
        for key, array in pack(name, generate_split(name, split)).items()
    }


def write_shipped(name: str, path: str | os.PathLike[str]) -> None:
    """Generate the shipped set `name` and write it to `path`, with the same bytes for the same version of zlib.

    Raises:
        HrmGymError: if the name is unknown or the file cannot be written.
    """
    save_arrays(arrays(name), path)
