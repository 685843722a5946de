"""Random Sudokus with exactly one solution and no redundant given: 16x16 ones are easy (see `easy`), others minimal.

Puzzle number `i` of a seed depends on the seed and `i` alone, so any part of a sequence can be regenerated.
"""

from __future__ import annotations

import numpy as np

from hrm_gym.envs.jit import njit
from hrm_gym.envs.splitmix import below, seed_stream, shuffle
from hrm_gym.envs.sudoku.canonical import canonical_into, form_is_test, images_for_split
from hrm_gym.envs.sudoku.making.easy import thin
from hrm_gym.envs.sudoku.propagation import place, propagate, read, start
from hrm_gym.envs.sudoku.solver import new_stack, search
from hrm_gym.envs.task import Puzzles

# ---- one puzzle -------------------------------------------------------------------------------------


@njit(cache=True, nogil=True)
def random_grid(
    state: np.ndarray, stack: np.ndarray, height: int, width: int, order: np.ndarray, grid: np.ndarray
) -> None:
    """Writes a random full grid: random digits in random cells, restarted after a contradiction.

    A 16x16 grid meets seven contradictions on average. There, the candidate that led to the contradiction is removed,
    and the grid is restarted only if the board is contradictory without it, too.
    """
    size = height * width
    masks, before = stack[0], stack[1]
    filled = False
    while not filled:
        masks[:size] = (1 << size) - 1
        masks[size] = 0
        shuffle(state, order)
        filled = True
        for cell in order:
            row, bit = cell // size, 1 << (cell % size)
            while filled and not masks[size, row] & bit:
                digit = below(state, size)
                if masks[digit, row] & bit:
                    if size == 16:
                        before[:] = masks
                    place(masks, height, width, digit, row, bit)
                    filled = propagate(masks, height, width)[0]
                    if size == 16 and not filled:
                        masks[:] = before
                        masks[digit, row] &= ~bit
                        filled = propagate(masks, height, width)[0]
    read(masks, height, width, grid)


@njit(cache=True, nogil=True)
def needed(stack: np.ndarray, height: int, width: int, puzzle: np.ndarray, cell: int, scratch: np.ndarray) -> bool:
    """Whether the given in `cell` is necessary: without it, another digit in that cell leads to a solution."""
    size = height * width
    digit = puzzle[cell]
    puzzle[cell] = 0
    start(stack[0], height, width, puzzle)
    puzzle[cell] = digit
    stack[0, digit - 1, cell // size] &= ~(1 << (cell % size))
    return search(stack, height, width, scratch)[0] > 0


@njit(cache=True, nogil=True)
def minimize(
    state: np.ndarray,
    stack: np.ndarray,
    height: int,
    width: int,
    order: np.ndarray,
    puzzle: np.ndarray,
    scratch: np.ndarray,
) -> None:
    """Removes redundant givens in random order, until the puzzle is minimal."""
    shuffle(state, order)
    for cell in order:
        if puzzle[cell] and not needed(stack, height, width, puzzle, cell, scratch):
            puzzle[cell] = 0


@njit(cache=True, nogil=True)
def _generate(
    height: int, width: int, first: int, num: int, seed: int, split: int, images: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    size = height * width
    cells = size * size
    puzzles = np.zeros((num, cells), np.uint8)
    solutions = np.zeros((num, cells), np.uint8)
    stack = new_stack(height, width)
    state = np.zeros(1, np.uint64)
    scratch = np.zeros((1, cells), np.uint8)
    for i in range(num):
        seed_stream(state, seed, first + i)
        order = np.arange(cells)
        while True:
            random_grid(state, stack, height, width, order, solutions[i])
            puzzles[i] = solutions[i]
            # The split of a 9x9 or 16x16 puzzle depends on its grid alone, so it is checked before the slow part.
            if size < 9:
                minimize(state, stack, height, width, order, puzzles[i], scratch)
            if split >= 0:
                canonical_into(puzzles[i], solutions[i], images, size, scratch[0])
                if form_is_test(scratch[0]) != (split == 1):
                    continue
            if size == 9:
                minimize(state, stack, height, width, order, puzzles[i], scratch)
            elif size == 16:
                thin(state, stack[0], height, width, order, puzzles[i])
            break
    return puzzles, solutions


SPLIT_CODES = {None: -1, "train": 0, "test": 1}


def generate(boxes: tuple[int, int], num: int, seed: int, split: str | None = None, first: int = 0) -> Puzzles:
    """Random puzzles, uint8 arrays of shape (num, L); they depend on the arguments alone.

    Args:
        boxes: rows and columns of a box.
        num: number of puzzles.
        seed: which sequence of puzzles.
        split: only puzzles of that split ("train" or "test"); None for both.
        first: index of the first puzzle in the sequence.
    """
    return Puzzles(*_generate(*boxes, first, num, seed, SPLIT_CODES[split], images_for_split(boxes)))
