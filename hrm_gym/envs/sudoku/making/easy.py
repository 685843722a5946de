"""Random Sudokus that singles alone solve, as beginners do: what 16x16 boards are made by.

A grid is filled at random. Then givens are taken away in random order, each one that singles find again from what is
left: a cell with one candidate, or a digit with one place in a row, column or box. So a puzzle has one solution by
construction, takes no guess, and without any one of its givens singles would not solve it.
"""

from __future__ import annotations

import numpy as np

from hrm_gym.envs.jit import njit
from hrm_gym.envs.splitmix import shuffle
from hrm_gym.envs.sudoku.propagation import place, settle_singles, start


@njit(cache=True, nogil=True)
def _settle_in_columns(masks: np.ndarray, height: int, width: int) -> bool:
    """Settles digits with one cell in a column; whether there were any."""
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
    """Settles digits with one cell in a box; whether there were any."""
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
    """Whether singles find the given in `cell` again from the others; `masks` are overwritten."""
    size = height * width
    digit = puzzle[cell]
    puzzle[cell] = 0
    start(masks, height, width, puzzle)
    puzzle[cell] = digit
    row, bit = cell // size, 1 << (cell % size)
    # It need not go on to the end: with this given the rest is known to follow.
    while not masks[size, row] & bit:
        if settle_singles(masks, height, width) == 1:
            continue
        if not (_settle_in_columns(masks, height, width) or _settle_in_boxes(masks, height, width)):
            return False
    return True


@njit(cache=True, nogil=True)
def thin(state: np.ndarray, masks: np.ndarray, height: int, width: int, order: np.ndarray, puzzle: np.ndarray) -> None:
    """Takes givens away in random order, each one that follows from the others by singles alone."""
    shuffle(state, order)
    for cell in order:
        if puzzle[cell] and follows(masks, height, width, puzzle, cell):
            puzzle[cell] = 0
