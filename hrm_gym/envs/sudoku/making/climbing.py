"""What the searches for hard puzzles share: a step from one minimal puzzle to the next, and memory of the grids met."""

from __future__ import annotations

import numpy as np

from hrm_gym.envs.jit import njit
from hrm_gym.envs.splitmix import below, shuffle
from hrm_gym.envs.sudoku.propagation import start
from hrm_gym.envs.sudoku.solver import search

SOLUTIONS = 64
"""How many solutions of a puzzle without one of its givens are looked at for what could replace it."""

TRIALS = 30
"""How many replacements of one given are tried."""

APART = 4
"""How many replacements lie at least between two puzzles of one walk."""


@njit(cache=True, nogil=True)
def replacements(
    state: np.ndarray, stack: np.ndarray, puzzle: np.ndarray, many: np.ndarray, choices: np.ndarray
) -> tuple[int, int]:
    """Takes a random given out of `puzzle` and lists what would leave one solution in its place.

    Where there are too many solutions to look at, a digit of one of them is put in as well, up to twice.

    Args:
        state: random numbers.
        stack: room for the solver.
        puzzle: changed in place, shape (81,).
        many: room for the solutions to look at.
        choices: gets the replacements as 9 * cell + digit - 1, in random order, shape (729,).

    Returns:
        How many replacements there are, and how many givens were taken out or put in without them.
    """
    removed = below(state, 81)
    while not puzzle[removed]:
        removed = below(state, 81)
    digit = puzzle[removed]
    puzzle[removed] = 0
    found = changes = 0
    while changes < 3:
        changes += 1
        start(stack[0], 3, 3, puzzle)
        found = search(stack, 3, 3, many)[0]
        if found < len(many):
            break
        if changes < 3:
            cell = below(state, 81)
            while puzzle[cell] or cell == removed:
                cell = below(state, 81)
            puzzle[cell] = many[below(state, found), cell]
    if found == len(many):
        return 0, changes
    seen = np.zeros(729, np.int64)
    for i in range(found):
        for cell in range(81):
            seen[9 * cell + many[i, cell] - 1] += 1
    seen[9 * removed + digit - 1] = 0
    num = 0
    for choice in range(729):
        if seen[choice] == 1:
            choices[num] = choice
            num += 1
    shuffle(state, choices[:num])
    return num, changes


@njit(cache=True, nogil=True)
def is_new(grid: np.ndarray, solutions: np.ndarray) -> bool:
    """Whether none of the solutions is `grid`: a walk comes back to the hardest puzzles that it has met."""
    for solution in solutions:
        cell = 0
        while cell < 81 and solution[cell] == grid[cell]:
            cell += 1
        if cell == 81:
            return False
    return True
