"""How hard a 9x9 Sudoku is for a solver that looks one guess ahead: failed-literal probing, as SAT solvers call it.

A trial places one candidate and propagates. It fails if propagation ends in a contradiction or in the solution.
"""

from __future__ import annotations

import numpy as np

from hrm_gym.envs.jit import njit
from hrm_gym.envs.splitmix import shuffle
from hrm_gym.envs.sudoku.propagation import place, propagate, start
from hrm_gym.envs.sudoku.solver import new_stack

NONE = -10_000
"""The resistance of a puzzle that propagation alone solves, or that misses the required resistance."""

WRONG, SOLVED, OPEN = range(3)
"""What looking ahead says of a board."""

EXACT, ESTIMATED, SEQUENTIAL = range(3)
"""When `probe` gives up on a puzzle before all its trials.

`EXACT`: once the required resistance is out of reach. `ESTIMATED`: also once an estimate from `_SAMPLE` trials or more
is below it by more than `_MARGIN`. `SEQUENTIAL`: also once a sequential test rejects the puzzle. The test compares a
failure rate of 30 %, as most puzzles have, with one of 3 %, as hard ones have.
"""

_SAMPLE, _MARGIN = 24, 60


@njit(cache=True, nogil=True)
def _count_candidates(masks: np.ndarray) -> int:
    """Candidates in all unsettled cells."""
    num = 0
    for digit in range(9):
        for row in range(9):
            mask = masks[digit, row] & ~masks[9, row]
            while mask:
                mask &= mask - 1
                num += 1
    return num


@njit(cache=True, nogil=True)
def _try(masks: np.ndarray, trial: np.ndarray, digit: int, row: int, bit: int) -> tuple[bool, int]:
    """Places a candidate in the copy `trial` and propagates: whether that is consistent, and the choices left."""
    trial[:] = masks
    place(trial, 3, 3, digit, row, bit)
    consistent, _, _, count = propagate(trial, 3, 3)
    return consistent, count


@njit(cache=True, nogil=True)
def probe(state: np.ndarray, stack: np.ndarray, order: np.ndarray, puzzle: np.ndarray, floor: int, stop: int) -> int:
    """Resistance of one puzzle, or `NONE` if it is below `floor`; see `resistance`.

    Args:
        state: random numbers.
        stack: scratch space of the solver.
        order: scratch space, the numbers 0 to 80 in any order.
        puzzle: tokens, shape (81,).
        floor: the required resistance.
        stop: `EXACT`, `ESTIMATED` or `SEQUENTIAL`; the last two may also reject a puzzle that reaches `floor`.
    """
    masks, trial = stack[0], stack[1]
    start(masks, 3, 3, puzzle)
    if propagate(masks, 3, 3)[3] == 0:
        return NONE
    candidates = _count_candidates(masks)
    if stop == SEQUENTIAL and candidates < floor:
        return NONE
    failed = seen = 0
    shuffle(state, order)
    for line in order:
        digit, row = line // 9, line % 9
        mask = masks[digit, row] & ~masks[9, row]
        while mask:
            bit = mask & -mask
            mask &= mask - 1
            consistent, count = _try(masks, trial, digit, row, bit)
            seen += 1
            if consistent and count:
                continue
            failed += 1
            if candidates - 3 * failed < floor:
                return NONE
            if stop == ESTIMATED and seen >= _SAMPLE:
                if (candidates - floor + _MARGIN) * seen < 3 * candidates * failed:
                    return NONE
            elif stop == SEQUENTIAL and 7 * failed - (seen - failed) > 14:
                return NONE
    return candidates - 3 * failed


@njit(cache=True, nogil=True)
def _close(masks: np.ndarray, trial: np.ndarray) -> int:
    """Removes refuted trials from `masks` until nothing changes.

    Args:
        masks: a board, changed in place.
        trial: scratch space of the same shape.

    Returns:
        `WRONG` if nothing fits any more, `SOLVED` if this or a trial solves the puzzle, else `OPEN`.
    """
    changed = True
    while changed:
        consistent, _, _, count = propagate(masks, 3, 3)
        if not consistent:
            return WRONG
        if count == 0:
            return SOLVED
        changed = False
        for digit in range(9):
            for row in range(9):
                mask = masks[digit, row] & ~masks[9, row]
                while mask:
                    bit = mask & -mask
                    mask &= mask - 1
                    consistent, count = _try(masks, trial, digit, row, bit)
                    if consistent and count == 0:
                        return SOLVED
                    if not consistent:
                        masks[digit, row] &= ~bit
                        changed = True
    return OPEN


@njit(cache=True, nogil=True)
def closure(stack: np.ndarray, puzzle: np.ndarray) -> int:
    """Candidates left when refuted trials are removed until nothing changes; 0 if that solves the puzzle.

    Of 3,000 hard puzzles of the Sudoku-Extreme benchmark, 99 % keep 204 candidates or more.
    """
    masks = stack[0]
    start(masks, 3, 3, puzzle)
    return _count_candidates(masks) if _close(masks, stack[1]) == OPEN else 0


@njit(cache=True, nogil=True)
def survivors(state: np.ndarray, stack: np.ndarray, order: np.ndarray, puzzle: np.ndarray, hopeless: int) -> int:
    """Candidates that stay open when each is placed and refuted trials are then removed until nothing changes.

    This is resistance two guesses deep. It takes a tenth of a second.

    Args:
        state: random numbers.
        stack: scratch space of the solver.
        order: scratch space, the numbers 0 to 80 in any order.
        puzzle: tokens, shape (81,).
        hopeless: the result is 0 if none of this many random candidates stays open.
    """
    masks, placed = stack[0], stack[1]
    start(masks, 3, 3, puzzle)
    propagate(masks, 3, 3)
    num = seen = 0
    shuffle(state, order)
    for line in order:
        digit, row = line // 9, line % 9
        mask = masks[digit, row] & ~masks[9, row]
        while mask:
            bit = mask & -mask
            mask &= mask - 1
            placed[:] = masks
            place(placed, 3, 3, digit, row, bit)
            num += _close(placed, stack[2]) == OPEN
            seen += 1
            if seen == hopeless and num == 0:
                return 0
    return num


@njit(cache=True, nogil=True)
def _all_resistances(puzzles: np.ndarray) -> np.ndarray:
    stack, order, state = new_stack(3, 3), np.arange(81), np.zeros(1, np.uint64)
    out = np.empty(len(puzzles), np.int64)
    for i in range(len(puzzles)):
        out[i] = probe(state, stack, order, puzzles[i], NONE, EXACT)
    return out


def resistance(puzzles: np.ndarray) -> np.ndarray:
    """How well 9x9 puzzles, shape (N, 81), resist a solver that looks one guess ahead; int64 of shape (N,).

    Resistance is the number of candidates that propagation leaves minus three times the number of failed trials. A
    puzzle that propagation alone solves gets -10,000. The hardest puzzles that people have collected average 226;
    random puzzles have large negative numbers.
    """
    return _all_resistances(np.ascontiguousarray(puzzles, dtype=np.uint8))
