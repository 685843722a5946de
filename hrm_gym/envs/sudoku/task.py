"""Sudoku as a puzzle family: 4x4, 6x6 with boxes of 2 rows and 3 columns, 9x9, and 16x16."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import ClassVar

import numpy as np

from hrm_gym.envs.arrays import Array, as_bytes, as_int64, like
from hrm_gym.envs.sudoku import SYMBOLS, counting, shipped, symmetry
from hrm_gym.envs.task import Puzzles, Task, Traces
from hrm_gym.errors import HrmGymError, unknown

BOXES = {4: (2, 2), 6: (2, 3), 9: (3, 3), 16: (4, 4)}
"""Rows and columns of a box for each size of board."""


class SudokuTask(Task):
    """Fill the board so that every row, column and box contains every digit, and keep the givens.

    Tokens: 0 is blank, 1 to `size` are the digits, written 1 to 9 and A to G.

    Args:
        size: rows of the board: 4, 6, 9 or 16.
        extreme: use puzzles found by search that are as hard as those of the Sudoku-Extreme benchmark (9x9 only).
        hard_by: measure of difficulty of these validation and test puzzles: "guesses", as many as in the benchmark;
            "resistance" to looking one guess ahead, which predicts better how hard the benchmark's puzzles are; or
            "vicinity", as hard as the benchmark's, near published hard puzzles.

    Raises:
        HrmGymError: if the size or combination does not exist.
    """

    hintable = True
    aliases: ClassVar[Mapping[str, str]] = {**dict.fromkeys("0_*-?xX·•□", "."), **{c: c.upper() for c in "abcdefg"}}

    def __init__(self, size: int = 9, extreme: bool = False, hard_by: str = "guesses") -> None:
        measures = list(shipped.HARD_BY.values())
        if hard_by not in measures:
            raise unknown("hard_by", hard_by, measures)
        if size not in BOXES:
            raise HrmGymError(f"no Sudoku of size {size!r}: choose one of {', '.join(map(str, BOXES))}")
        if extreme and size != 9:
            raise HrmGymError(f"no extreme Sudoku of size {size}: only 9 is allowed; leave out extreme=True")
        if hard_by != measures[0] and not extreme:
            raise HrmGymError(f"hard_by={hard_by!r} applies only to extreme Sudokus: also give extreme=True")
        self.size = size
        self.extreme = extreme
        self.hard_by = hard_by
        self.shape = (size, size)
        self.boxes: tuple[int, int] = BOXES[size]
        self.symbols = SYMBOLS[: size + 1]
        cells = np.arange(size * size).reshape(size, size)
        height, width = self.boxes
        boxes = cells.reshape(size // height, height, size // width, width).swapaxes(1, 2).reshape(size, size)
        self.groups = (cells, cells.T.copy(), boxes)
        self.group_symbols = tuple(range(1, size + 1))
        # 4x4 has only two grids up to symmetry, so augmentation could turn a training puzzle into a test puzzle.
        self.num_uniforms = 0 if size == 4 else symmetry.num_uniforms(self.boxes)

    def sample(self, num: int, rng: np.random.Generator) -> Puzzles:
        """As `Task.sample`: minimal puzzles with one solution, from both splits; see `generator`."""
        from hrm_gym.envs.sudoku.making import extreme, generator, mixture

        seed = int(rng.integers(2**62))
        if self.hard_by == "vicinity":
            return mixture.generate_mixture(num, seed)
        if self.extreme:
            return extreme.generate_extreme(num, seed, hard_by=self.hard_by)
        return generator.generate(self.boxes, num, seed)

    def violations(self, puzzle: Array, answer: Array) -> Array:
        """Return the number of digits missing in rows, columns and boxes plus altered givens, int64 of shape (N,)."""
        size, (height, width) = self.size, self.boxes
        if isinstance(answer, np.ndarray):
            return counting.count_violations(as_bytes(puzzle), as_bytes(answer), height, width)
        # The axis of cells comes first, so that every step works on contiguous memory; the blank has no bit.
        cells = ((1 << as_int64(answer).T) >> 1).reshape(size, size, -1)
        rows = _union(cells[:, i] for i in range(size))
        columns = _union(cells[i] for i in range(size))
        boxes = _union(cells[i::height, j::width] for i in range(height) for j in range(width))
        ones = like(_ones(size), answer)
        held = sum(ones[unit.reshape(size, -1)].sum(0) for unit in (rows, columns, boxes))
        altered = ((puzzle != 0) & (puzzle != answer)).sum(-1)
        return 3 * size * size - held + altered

    def count(self, puzzle: np.ndarray, solution: np.ndarray, answer: np.ndarray) -> np.ndarray:
        """As `Task.count`."""
        return self.violations(puzzle, answer)

    def recount(
        self, puzzle: np.ndarray, solution: np.ndarray, answer: np.ndarray, before: np.ndarray, counts: np.ndarray
    ) -> np.ndarray:
        """As `Task.recount`; if one cell changed, only its row, column and box are counted."""
        return counting.recount_violations(puzzle, answer, before, counts, *self.boxes)

    def augment(self, puzzles: Puzzles, uniforms: Array) -> Puzzles:
        """As `Task.augment`: the whole symmetry group, but none for 4x4."""
        if self.num_uniforms == 0:
            return puzzles
        return Puzzles(*symmetry.random_image(puzzles[:2], uniforms, self.boxes))

    def restore(self, answer: Array, uniforms: Array) -> Array:
        """As `Task.restore`, except for 4x4."""
        if self.num_uniforms == 0:
            return super().restore(answer, uniforms)
        return symmetry.undo_image(answer, uniforms, self.boxes)

    def keys(self, puzzles: Puzzles) -> list[bytes]:
        """As `Task.keys`; for 9x9 and 16x16 boards the key of the solution, so that splits share no solution."""
        from hrm_gym.envs.sudoku.canonical import canonical_forms

        forms = canonical_forms(puzzles.puzzle, puzzles.solution, self.boxes)
        return [form.tobytes() for form in forms]

    def solve(self, puzzle: np.ndarray) -> np.ndarray:
        """As `Task.solve`."""
        from hrm_gym.envs.sudoku import solver

        return solver.solve(puzzle, self.boxes)

    def trace(self, puzzles: np.ndarray, room: int) -> Traces:
        """As `Task.trace`: constraint propagation, guesses and backtracking."""
        from hrm_gym.envs.sudoku import trace

        groups = np.concatenate(self.groups)
        of_cell = np.stack([partition.ravel().argsort() // self.size for partition in self.groups], axis=1)
        of_cell += self.size * np.arange(3)
        return Traces(*trace.trace(np.ascontiguousarray(puzzles, np.uint8), groups, of_cell, room))

    def check(self, puzzle: np.ndarray) -> None:
        """Reject a puzzle, shape (L,), that does not have exactly one solution.

        Raises:
            HrmGymError: with a contradiction among the givens, or the number of solutions: none or several.
        """
        self.solve(puzzle)

    def rate(self, puzzle: Array) -> np.ndarray:
        """Guesses that a solver needs per puzzle, shape (N, L); int64 of shape (N,). See `solver.rate`."""
        from hrm_gym.envs.sudoku import solver

        return solver.rate(puzzle, self.boxes)

    def dataset(self, split: str) -> Puzzles:
        """As `Task.dataset`: the shipped puzzles; the training puzzles do not depend on `hard_by`."""
        return _shipped("extreme" if self.extreme and split == "train" else self.name, split)

    def write_shipped(self, path: Path) -> None:
        """As `Task.write_shipped`; `SudokuExtreme-v0` takes 1.5 hours, `SudokuDeep-v0` one hour, others minutes."""
        from hrm_gym.envs.sudoku.making.shipping import write_shipped

        write_shipped(self.name, path)

    @property
    def name(self) -> str:
        """The name of the shipped set: 4x4, 6x6, 9x9, 16x16, extreme, deep or vicinity."""
        if not self.extreme:
            return f"{self.size}x{self.size}"
        return next(name for name, hard_by in shipped.HARD_BY.items() if hard_by == self.hard_by)


@functools.lru_cache(maxsize=4)
def _ones(size: int) -> np.ndarray:
    """Return the number of set bits of each mask of `size` bits, int16 (2 ** size,)."""
    ones = np.zeros(1, np.int16)
    for _ in range(size):
        ones = np.concatenate([ones, ones + 1])
    return ones


def _union(masks: Iterable[Array]) -> Array:
    return functools.reduce(lambda a, b: a | b, masks)


@functools.lru_cache(maxsize=8)
def _shipped(name: str, split: str) -> Puzzles:
    return shipped.load(name, split)
