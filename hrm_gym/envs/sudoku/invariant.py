"""A hash of a full Sudoku grid that is equal for all its symmetric images; it decides the split of 16x16 puzzles.

A 16x16 grid has about 10^27 images, too many to find the least one. But two rows define a permutation of the columns,
from the place of a digit in one row to its place in the other. Relabelling digits keeps this permutation, and permuting
columns keeps its cycle lengths. So the hash combines the cycle lengths of all pairs of rows and of all pairs of
columns, and whether the two lines share a box. Sums of hashes make it independent of their order.

Images have equal hashes. Two grids that are not images of each other may share one by chance; they then fall into the
same split, which does no harm.
"""

from __future__ import annotations

import numpy as np

from hrm_gym.envs.jit import njit
from hrm_gym.envs.splitmix import scramble


@njit(cache=True, nogil=True)
def _cycles(one: np.ndarray, place: np.ndarray) -> np.uint64:
    """A hash of the cycle lengths of the permutation from line `one` to the line with digit `d` at `place[d]`."""
    code = np.uint64(0)
    seen = 0
    for first in range(len(one)):
        length = 0
        at = first
        while not seen >> at & 1:
            seen |= 1 << at
            at = place[one[at]]
            length += 1
        if length:
            code += scramble(np.uint64(length))
    return code


@njit(cache=True, nogil=True)
def _code_of_lines(lines: np.ndarray, height: int) -> np.uint64:
    """The hash of all pairs of rows of `lines`, shape (size, size), in bands of `height` rows."""
    size = len(lines)
    place = np.empty((size, size + 1), np.int64)
    for line in range(size):
        for at in range(size):
            place[line, lines[line, at]] = at
    of_grid = np.uint64(0)
    for top in range(0, size, height):
        of_band = np.uint64(0)
        for line in range(top, top + height):
            of_line = np.uint64(0)
            for other in range(size):
                if other != line:
                    together = np.uint64(top <= other < top + height)
                    of_line += scramble(_cycles(lines[line], place[other]) + together)
            of_band += scramble(of_line)
        of_grid += scramble(of_band)
    return scramble(of_grid)


@njit(cache=True, nogil=True)
def grid_code(grid: np.ndarray, side: int) -> np.uint64:
    """The hash of a full grid, shape (side ** 4,), with boxes of `side` rows and columns."""
    size = side * side
    lines = grid.reshape(size, size).astype(np.int64)
    return _code_of_lines(lines, side) + _code_of_lines(lines.T.copy(), side)


@njit(cache=True, nogil=True)
def write_code(grid: np.ndarray, side: int, form: np.ndarray) -> None:
    """Writes the hash into the first eight bytes of `form`, uint8 of the shape of `grid`, and 0 into the rest."""
    code = grid_code(grid, side)
    form[:] = 0
    for i in range(8):
        form[i] = code >> np.uint64(8 * i) & np.uint64(255)
