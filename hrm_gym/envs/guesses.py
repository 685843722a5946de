"""Puzzles that are shown with guesses, from which an agent learns what a wrong one looks like.

A guess is a symbol that no given rules out, taken for a given. After a wrong one the puzzle has no solution, and only
further thought can tell.
"""

from __future__ import annotations

import numpy as np

from hrm_gym.envs.arrays import Array, as_int64, gather, like, where
from hrm_gym.envs.task import Puzzles, Task
from hrm_gym.errors import HrmGymError

MOST = 6
"""Guesses in a puzzle, at most."""
NUMBERS = 4
"""Random numbers that a guess takes."""
WRONG = 0.15
"""Share of the guesses that are wrong: after six, four puzzles in ten still have a solution."""
HASTE = 7.0
"""What it costs to give up a puzzle that has a solution; to give up one that has none pays 1. So it is worth giving up
from a probability of 7/8 on."""


def check_guesses(share: float, task: Task, split: str) -> None:
    """Refuse a share of episodes with guesses where this split or family has none.

    Raises:
        HrmGymError: saying where there are guesses.
    """
    if share and not (can_guess(task) and split == "train"):
        raise HrmGymError(
            f"guesses={share}: only training puzzles get guesses, of a family whose givens are cells of the solution "
            "and whose rules are groups (Sudoku); leave it out"
        )


def can_guess(task: Task) -> bool:
    """Whether a symbol that no given rules out may be taken for a given."""
    return task.hintable and bool(task.groups)


def possible(task: Task, puzzle: Array) -> Array:
    """Which symbols the givens leave in each blank cell, bool (N, L, S): S are the `group_symbols` of the family."""
    symbols = like(np.asarray(task.group_symbols, np.int64), puzzle)
    given = puzzle[:, :, None] == symbols
    left = ~task.is_given(puzzle)[:, :, None] & (symbols >= 0)
    for groups in task.groups:
        cells = np.asarray(groups)
        used = given[:, like(cells, puzzle)].sum(2) > 0  # (N, groups, S): the symbols that a group has already
        owner = np.empty(cells.size, np.int64)  # the group of each cell
        owner[cells.reshape(-1)] = np.arange(len(cells)).repeat(cells.shape[1])
        left = left & ~used[:, like(owner, puzzle)]
    return left


def with_guesses(task: Task, puzzles: Puzzles, share: float, uniforms: Array) -> Puzzles:
    """The puzzles, a `share` of them with one to six guesses, of which 15 % are wrong.

    The cell is drawn among all that several symbols are left for, or half the time among those with fewest. A guess
    that leaves some cell without a symbol is not made.

    Args:
        task: the family.
        puzzles: N puzzles and solutions.
        share: of those with guesses.
        uniforms: in [0, 1), (N, 2 + MOST * NUMBERS).
    """
    board, solution = as_int64(puzzles.puzzle), as_int64(puzzles.solution)
    symbols = like(np.asarray(task.group_symbols, np.int64), board)
    num = where(uniforms[:, 0] < share, 1 + as_int64(uniforms[:, 1] * MOST), 0 * board[:, 0])
    rows = like(np.arange(len(board)), board)
    left = possible(task, board)
    for guess in range(MOST):
        numbers = uniforms[:, 2 + guess * NUMBERS : 2 + (guess + 1) * NUMBERS]
        count = left.sum(2)
        fewest = where(count >= 2, count, len(symbols) + 1).argsort(1)[:, :1]
        open_cells = (count >= 2) & ((numbers[:, :1] < 0.5) | (count == gather(count, fewest)))
        cell = _drawn(open_cells, numbers[:, 1])
        right = symbols == solution[rows, cell][:, None]  # (N, S)
        wanted = left[rows, cell] & (right != (numbers[:, 2:3] < WRONG))
        symbol = symbols[_drawn(wanted, numbers[:, 3])]
        made = (num > guess) & open_cells.any(1) & wanted.any(1)
        here = made[:, None] & (like(np.arange(task.num_cells), board) == cell[:, None])
        after = where(here, symbol[:, None], board)
        still = possible(task, after)
        keeps = ((still.sum(2) > 0) | task.is_given(after)).all(1)
        board, left = where(keeps[:, None], after, board), where(keeps[:, None, None], still, left)
    return puzzles._replace(puzzle=board, solution=solution)


def sound(task: Task, puzzle: Array, solution: Array) -> Array:
    """Whether no guess among the givens is wrong, bool (N,)."""
    return ~(task.is_given(puzzle) & (puzzle != solution)).any(1)


def _drawn(allowed: Array, uniform: Array) -> Array:
    """One of the places of each row that are allowed, int64 (N,), by a number in [0, 1); 0 where none is."""
    rank = as_int64(uniform * allowed.sum(1))
    return as_int64(allowed.cumsum(1) == rank[:, None] + 1).argmax(1)
