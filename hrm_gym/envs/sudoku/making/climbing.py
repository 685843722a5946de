"""Shared by the searches for hard puzzles: a step between minimal puzzles, guesses, and a test for known grids."""

from __future__ import annotations

import numpy as np

from hrm_gym.envs.jit import njit
from hrm_gym.envs.splitmix import below, shuffle
from hrm_gym.envs.sudoku.propagation import start
from hrm_gym.envs.sudoku.solver import search

SOLUTIONS = 64
"""The number of solutions at which a search for replacements of a given stops."""

TRIALS = 30
"""The maximum number of replacements tried for one given."""

APART = 4
"""The minimum number of replacements between two puzzles of one walk."""


@njit(cache=True, nogil=True)
def replacements(
    state: np.ndarray, stack: np.ndarray, puzzle: np.ndarray, many: np.ndarray, choices: np.ndarray
) -> tuple[int, int]:
    """Removes a random given of `puzzle` and lists the givens that would make the solution unique again.

    If there are too many solutions, a digit of one of them is added first, up to twice.

    Args:
        state: random numbers.
        stack: scratch space of the solver.
        puzzle: changed in place, shape (81,).
        many: scratch space for solutions; its length is the limit.
        choices: gets the replacements as 9 * cell + digit - 1, in random order, shape (729,).

    Returns:
        The number of replacements, and the number of givens removed or added so far.
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
def count_guesses(stack: np.ndarray, puzzle: np.ndarray, solutions: np.ndarray) -> int:
    """Guesses until as many solutions are found as `solutions` has rows, or until there are no more."""
    start(stack[0], 3, 3, puzzle)
    return search(stack, 3, 3, solutions)[1]


@njit(cache=True, nogil=True)
def is_new(grid: np.ndarray, solutions: np.ndarray) -> bool:
    """Whether `grid` is not among the solutions: a walk returns to the hardest puzzles that it has met."""
    for solution in solutions:
        cell = 0
        while cell < 81 and solution[cell] == grid[cell]:
            cell += 1
        if cell == 81:
            return False
    return True
