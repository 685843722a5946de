"""How hard a 9x9 Sudoku is for a plain solver, which knows nothing but the digits that a cell may still take.

It fills cells with one possible digit, and otherwise guesses in the first of the cells with the fewest, row by row.
Which cell and which digit come first is luck, so we average over random images of the puzzle.
"""

from __future__ import annotations

import numpy as np

from hrm_gym.envs.jit import njit
from hrm_gym.envs.splitmix import below, shuffle

SOLVES = 8
"""The number of random images for an average."""


@njit(cache=True, nogil=True)
def _solve(state: np.ndarray, order: np.ndarray, puzzle: np.ndarray, scratch: np.ndarray) -> int:
    """The number of guesses until `puzzle`, shape (81,), is solved.

    Args:
        state: random numbers.
        order: cells in the order in which they are looked at, shape (81,).
        puzzle: changed into the solution.
        scratch: int64 of shape (4, 81).
    """
    lines = np.zeros((3, 9), np.int64)  # digits that stand in each row, column and box
    for cell in range(81):
        if puzzle[cell]:
            bit = 1 << (puzzle[cell] - 1)
            lines[0, cell // 9] |= bit
            lines[1, cell % 9] |= bit
            lines[2, cell // 27 * 3 + cell % 9 // 3] |= bit
    filled, cells, rest, before = scratch  # filled cells; for each open guess its cell, its other digits, and `num`
    num = depth = guesses = 0
    while True:
        fewest, chosen, possible = 10, -1, 0
        for cell in order:
            if puzzle[cell]:
                continue
            mask = 511 & ~(lines[0, cell // 9] | lines[1, cell % 9] | lines[2, cell // 27 * 3 + cell % 9 // 3])
            count = _ones(mask)
            if count < fewest:
                fewest, chosen, possible = count, cell, mask
                if count < 2:
                    break
        if chosen < 0:
            return guesses
        if fewest == 0:  # take the last guess back that has another digit
            while depth and not rest[depth - 1]:
                depth -= 1
            if not depth:
                return guesses
            depth -= 1
            chosen, possible = cells[depth], rest[depth]
            while num > before[depth]:
                num -= 1
                cell = filled[num]
                bit = ~(1 << (puzzle[cell] - 1))
                puzzle[cell] = 0
                lines[0, cell // 9] &= bit
                lines[1, cell % 9] &= bit
                lines[2, cell // 27 * 3 + cell % 9 // 3] &= bit
        digit = _nth(possible, below(state, _ones(possible)))
        if fewest != 1:
            cells[depth], rest[depth], before[depth] = chosen, possible & ~(1 << digit), num
            depth += 1
            guesses += 1
        puzzle[chosen] = digit + 1
        lines[0, chosen // 9] |= 1 << digit
        lines[1, chosen % 9] |= 1 << digit
        lines[2, chosen // 27 * 3 + chosen % 9 // 3] |= 1 << digit
        filled[num] = chosen
        num += 1


@njit(cache=True, nogil=True)
def _ones(mask: int) -> int:
    """The number of bits that are set."""
    count = 0
    while mask:
        mask &= mask - 1
        count += 1
    return count


@njit(cache=True, nogil=True)
def _nth(mask: int, n: int) -> int:
    """The position of the set bit before which `n` others are set."""
    for _ in range(n):
        mask &= mask - 1
    digit = 0
    while not mask >> digit & 1:
        digit += 1
    return digit


@njit(cache=True, nogil=True)
def _shuffled_lines(state: np.ndarray, lines: np.ndarray) -> None:
    """Writes 0 to 8 into `lines`, the three bands and the lines of each in random order."""
    bands, within = np.arange(3), np.arange(3)
    shuffle(state, bands)
    for i in range(3):
        shuffle(state, within)
        lines[3 * i : 3 * i + 3] = 3 * bands[i] + within


@njit(cache=True, nogil=True)
def plain_guesses(state: np.ndarray, puzzle: np.ndarray) -> int:
    """The mean number of guesses of the plain solver over random images of a puzzle, rounded down.

    Args:
        state: random numbers.
        puzzle: tokens, shape (81,).
    """
    scratch, order = np.zeros((4, 81), np.int64), np.zeros(81, np.int64)
    rows, columns = np.zeros(9, np.int64), np.zeros(9, np.int64)
    total = 0
    for _ in range(SOLVES):
        _shuffled_lines(state, rows)
        _shuffled_lines(state, columns)
        down, across = (9, 1) if below(state, 2) else (1, 9)
        for i in range(81):
            order[i] = down * rows[i // 9] + across * columns[i % 9]
        total += _solve(state, order, puzzle.copy(), scratch)
    return total // SOLVES
