"""Training puzzles with guesses, from which an agent learns to detect wrong ones.

A guess is a candidate, a symbol that no given rules out, filled in as a given. After a wrong guess the puzzle has no
solution, which only further reasoning can show.
"""

from __future__ import annotations

import numpy as np

from hrm_gym.envs.arrays import Array, as_int64, gather, like, where
from hrm_gym.envs.task import Puzzles, Task
from hrm_gym.errors import HrmGymError

MOST = 6
"""Maximum number of guesses in a puzzle."""
NUMBERS = 4
"""Random numbers per guess."""
WRONG = 0.15
"""Share of wrong guesses. With six guesses, four puzzles in ten still have a solution."""
HASTE = 7.0
"""Cost of giving up a puzzle that has a solution. Giving up one without a solution pays 1, so giving up is worthwhile
from a probability of 7/8."""


def check_hints(share: float, task: Task, split: str) -> None:
    """Reject a positive share of puzzles with hints if the split or family does not support hints.

    Raises:
        HrmGymError: with the splits and families that support them.
    """
    if share and not (task.hintable and split == "train"):
        raise HrmGymError(
            f"hints={share}: only training puzzles whose givens are cells of the solution get hints; leave it out"
        )


def check_guesses(share: float, task: Task, split: str) -> None:
    """Reject a positive share of puzzles with guesses if the split or family does not support guesses.

    Raises:
        HrmGymError: with the splits and families that support them.
    """
    if share and not (can_guess(task) and split == "train"):
        raise HrmGymError(
            f"guesses={share}: only training puzzles get guesses, of a family whose givens are cells of the solution "
            "and whose rules are groups (Sudoku); leave it out"
        )


def can_guess(task: Task) -> bool:
    """Return whether guesses can be filled into the family's puzzles."""
    return task.hintable and bool(task.groups)


def possible(task: Task, puzzle: Array) -> Array:
    """Return the candidates of each blank cell, bool (N, L, S), for the S `group_symbols` of the family."""
    symbols = like(np.asarray(task.group_symbols, np.int64), puzzle)
    given = puzzle[:, :, None] == symbols
    left = ~task.is_given(puzzle)[:, :, None] & (symbols >= 0)
    for groups in task.groups:
        cells = np.asarray(groups)
        used = given[:, like(cells, puzzle)].sum(2) > 0  # (N, groups, S): symbols already used in a group
        owner = np.empty(cells.size, np.int64)  # the group of each cell
        owner[cells.reshape(-1)] = np.arange(len(cells)).repeat(cells.shape[1])
        left = left & ~used[:, like(owner, puzzle)]
    return left


def with_guesses(task: Task, puzzles: Puzzles, share: float, uniforms: Array) -> Puzzles:
    """Add one to six guesses, 15 % of them wrong, to a `share` of the puzzles.

    The cell of a guess is drawn from all cells with several candidates, or half the time from those with the fewest
    candidates. A guess that leaves some cell without a candidate is not made.

    Args:
        task: the family.
        puzzles: N puzzles and solutions.
        share: share of puzzles with guesses.
        uniforms: random numbers in [0, 1), (N, 2 + MOST * NUMBERS).
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
    """Return whether all guesses in each puzzle are correct, bool (N,)."""
    return ~(task.is_given(puzzle) & (puzzle != solution)).any(1)


def _drawn(allowed: Array, uniform: Array) -> Array:
    """Choose an allowed index in each row, int64 (N,), by a number in [0, 1); 0 if none is allowed."""
    rank = as_int64(uniform * allowed.sum(1))
    return as_int64(allowed.cumsum(1) == rank[:, None] + 1).argmax(1)
