"""Random 16x16 Sudokus that singles alone solve.

A single is a cell with one candidate, or a digit with one place in a row, column or box. Givens are removed from a full
grid in random order, each one that singles recover from the rest. So the solution is unique by construction, no guess
is needed, and every remaining given is necessary for a solver that knows only singles.
"""

from __future__ import annotations

import numpy as np

from hrm_gym.envs.jit import njit
from hrm_gym.envs.splitmix import shuffle
from hrm_gym.envs.sudoku.propagation import place, settle_singles, start


@njit(cache=True, nogil=True)
def _settle_in_columns(masks: np.ndarray, height: int, width: int) -> bool:
    """Settles digits with one cell in a column; returns whether there were any."""
    size = height * width
    changed = False
    for digit in range(size):
        once = twice = 0
        for row in range(size):
            twice |= once & masks[digit, row]
            once |= masks[digit, row]
        single = once & ~twice
        for row in range(size):
            found = masks[digit, row] & single & ~masks[size, row]
            if found:
                place(masks, height, width, digit, row, found & -found)
                changed = True
    return changed


@njit(cache=True, nogil=True)
def _settle_in_boxes(masks: np.ndarray, height: int, width: int) -> bool:
    """Settles digits with one cell in a box; returns whether there were any."""
    size = height * width
    changed = False
    for digit in range(size):
        for top in range(0, size, height):
            for left in range(0, size, width):
                box = ((1 << width) - 1) << left
                cells = 0
                line = found = 0
                for row in range(top, top + height):
                    mask = masks[digit, row] & box
                    if mask:
                        cells += 2 if mask & (mask - 1) else 1
                        line, found = row, mask
                if cells == 1 and not masks[size, line] & found:
                    place(masks, height, width, digit, line, found)
                    changed = True
    return changed


@njit(cache=True, nogil=True)
def follows(masks: np.ndarray, height: int, width: int, puzzle: np.ndarray, cell: int) -> bool:
    """Whether singles recover the given in `cell` from the other givens; `masks` are overwritten."""
    size = height * width
    digit = puzzle[cell]
    puzzle[cell] = 0
    start(masks, height, width, puzzle)
    puzzle[cell] = digit
    row, bit = cell // size, 1 << (cell % size)
    # This given is enough: with it, singles solve the rest.
    while not masks[size, row] & bit:
        if settle_singles(masks, height, width) == 1:
            continue
        if not (_settle_in_columns(masks, height, width) or _settle_in_boxes(masks, height, width)):
            return False
    return True


@njit(cache=True, nogil=True)
def thin(state: np.ndarray, masks: np.ndarray, height: int, width: int, order: np.ndarray, puzzle: np.ndarray) -> None:
    """Removes givens in random order, each one that singles recover from the others."""
    shuffle(state, order)
    for cell in order:
        if puzzle[cell] and follows(masks, height, width, puzzle, cell):
            puzzle[cell] = 0
