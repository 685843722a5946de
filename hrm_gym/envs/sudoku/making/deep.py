"""A search for 9x9 Sudokus that looking one guess ahead does not open, as the hardest of the benchmark are.

Try a digit in a cell and draw the consequences: in a puzzle that takes many guesses a third of such trials
still fail, and each failure strikes a candidate out, until nothing is left; in those that people have collected
as the hardest hardly one of 230 trials fails (these are failed literals, as satisfiability solvers call them).
No number of guesses tells the two apart, but a network feels it: it solves the first kind and not the second.

Such puzzles are too rare for a walk from a random puzzle. Among puzzles that a symmetry of order three maps to
themselves they are not: where one trial holds, so do its two images. So a walk among those finds a beginning within
seconds; from there a walk without the symmetry leads to puzzles that no longer have it.
"""

from __future__ import annotations

import numpy as np

from hrm_gym.envs.jit import njit
from hrm_gym.envs.splitmix import below, shuffle
from hrm_gym.envs.sudoku.making.climbing import APART, SOLUTIONS, TRIALS, is_new, replacements
from hrm_gym.envs.sudoku.making.generator import minimize
from hrm_gym.envs.sudoku.propagation import place, propagate, start
from hrm_gym.envs.sudoku.solver import new_stack, search
from hrm_gym.envs.sudoku.symmetry import canonical_into, form_is_test

BEGINNING = 165
"""The resistance at which the symmetry is given up."""

DEEP = {"train": 150, "test": 170}
"""The least resistance of the puzzles that are kept, for training and for other ends.

An agent that has learned on those of 150 and more solves a third of new ones at 150 to 160, one in five from 170 on,
and one in twenty of the real ones, at 200 to 260, of which a walk hardly ever finds one.
"""

_NONE = -10_000
"""The resistance of a puzzle that is solved without a trial, or that has less than was asked for."""

_SYMMETRIC_STEPS = 15_000
"""Steps after which a symmetric walk is given up."""

_STEPS = 2_000
"""Steps of a walk without the symmetry."""

_PER_WALK = 8
"""How many puzzles one walk may yield."""

_FALL, _SYMMETRIC_FALL = 8, 16
"""By how much resistance may fall in a step, on average: without the symmetry and with it."""

_SLACK = 40
"""How much resistance a puzzle gains, at most, by losing the givens that it does not need."""

_SAMPLE, _DOUBT = 24, 60
"""After how many trials the rest is estimated, and how far below the floor an estimate has to be to give up."""

_CELLS = np.arange(81)
_IMAGES = np.stack(
    (
        # Each row to the next of its band and each box to the next of its band, and box to box along a diagonal.
        _CELLS // 27 * 27 + (_CELLS // 9 + 1) % 3 * 9 + (_CELLS % 9 + 3) % 9,
        (_CELLS // 9 + 3) % 9 * 9 + (_CELLS % 9 + 3) % 9,
    )
)
"""Where each of two symmetries of order three takes the cells. Both turn digits 1-2-3, 4-5-6 and 7-8-9 in cycles."""


@njit(cache=True, nogil=True)
def _resistance(
    state: np.ndarray, stack: np.ndarray, order: np.ndarray, puzzle: np.ndarray, floor: int, doubt: int
) -> int:
    """Candidates left by propagation, less three times those of them that propagation refutes or that it solves with.

    Gives up with `_NONE` where less than `floor` comes out for certain or, with `doubt`, in all likelihood.
    """
    masks, trial = stack[0], stack[1]
    start(masks, 3, 3, puzzle)
    if propagate(masks, 3, 3)[3] == 0:
        return _NONE
    candidates = 0
    for digit in range(9):
        for row in range(9):
            mask = masks[digit, row] & ~masks[9, row]
            while mask:
                mask &= mask - 1
                candidates += 1
    failed = seen = 0
    shuffle(state, order)
    for line in order:
        digit, row = line // 9, line % 9
        mask = masks[digit, row] & ~masks[9, row]
        while mask:
            bit = mask & -mask
            mask &= mask - 1
            trial[:] = masks
            place(trial, 3, 3, digit, row, bit)
            consistent, _, _, count = propagate(trial, 3, 3)
            seen += 1
            if not consistent or count == 0:
                failed += 1
                if candidates - 3 * failed < floor:
                    return _NONE
                if doubt and seen >= _SAMPLE and (candidates - floor + doubt) * seen < 3 * candidates * failed:
                    return _NONE
    return candidates - 3 * failed


@njit(cache=True, nogil=True)
def _drop(state: np.ndarray, mean: int) -> int:
    """By how much resistance may fall in this step: geometric, so that a walk is a Metropolis walk in whole numbers."""
    drop = 0
    while below(state, mean):
        drop += 1
    return drop


# ---- puzzles with a symmetry ------------------------------------------------------------------------


@njit(cache=True, nogil=True)
def _put(puzzle: np.ndarray, image: np.ndarray, cell: int, digit: int) -> None:
    """Puts a digit and its two images in; blanks where it is 0."""
    for _ in range(3):
        puzzle[cell] = digit
        cell = image[cell]
        if digit:
            digit = digit + 1 if digit % 3 else digit - 2


@njit(cache=True, nogil=True)
def _complete(
    state: np.ndarray, stack: np.ndarray, image: np.ndarray, puzzle: np.ndarray, two: np.ndarray, most: int
) -> bool:
    """Puts up to `most` digits and their images in until one solution is left; False where that fails."""
    for _ in range(most):
        if not start(stack[0], 3, 3, puzzle):
            return False
        found = search(stack, 3, 3, two)[0]
        if found < 2:
            return found == 1
        cell = below(state, 81)
        while two[0, cell] == two[1, cell]:
            cell = below(state, 81)
        _put(puzzle, image, cell, two[below(state, 2), cell])
    return False


@njit(cache=True, nogil=True)
def _minimize(
    state: np.ndarray,
    stack: np.ndarray,
    image: np.ndarray,
    order: np.ndarray,
    puzzle: np.ndarray,
    fewer: np.ndarray,
    two: np.ndarray,
) -> bool:
    """Takes givens away with their images while one solution is left; whether there were any to take."""
    shuffle(state, order)
    changed = False
    for cell in order:
        if puzzle[cell]:
            fewer[:] = puzzle
            _put(fewer, image, cell, 0)
            start(stack[0], 3, 3, fewer)
            if search(stack, 3, 3, two)[0] == 1:
                puzzle[:] = fewer
                changed = True
    return changed


@njit(cache=True, nogil=True)
def _beginning(state: np.ndarray, stack: np.ndarray, order: np.ndarray, puzzle: np.ndarray, two: np.ndarray) -> int:
    """Walks among puzzles with a symmetry to one that resists, and takes away the givens that it can spare.

    Returns:
        Its resistance then; `_NONE` where the walk did not come to one.
    """
    image = _IMAGES[below(state, 2)]
    trial, fewer = np.zeros(81, np.uint8), np.zeros(81, np.uint8)
    resistance = _NONE
    while resistance == _NONE:
        puzzle[:] = 0
        for _ in range(8):
            trial[:] = puzzle
            _put(trial, image, below(state, 81), 1 + below(state, 9))
            if start(stack[0], 3, 3, trial):
                puzzle[:] = trial
        if _complete(state, stack, image, puzzle, two, 20):
            _minimize(state, stack, image, order, puzzle, fewer, two)
            resistance = _resistance(state, stack, order, puzzle, _NONE, 0)
    for _ in range(_SYMMETRIC_STEPS):
        trial[:] = puzzle
        for _ in range(1 + below(state, 2)):
            cell = below(state, 81)
            while not trial[cell]:
                cell = below(state, 81)
            _put(trial, image, cell, 0)
        if not _complete(state, stack, image, trial, two, 8):
            continue
        floor = resistance - _drop(state, _SYMMETRIC_FALL)
        new = _resistance(state, stack, order, trial, floor - _SLACK, _DOUBT)
        if new == _NONE:
            continue
        if _minimize(state, stack, image, order, trial, fewer, two):
            new = _resistance(state, stack, order, trial, floor, 0)
        if new >= floor:
            puzzle[:] = trial
            resistance = new
        if resistance >= BEGINNING:
            minimize(state, stack, 3, 3, order, puzzle, two[:1])
            return _resistance(state, stack, order, puzzle, _NONE, 0)
    return _NONE


# ---- puzzles without --------------------------------------------------------------------------------


@njit(cache=True, nogil=True)
def _step(
    state: np.ndarray,
    stack: np.ndarray,
    order: np.ndarray,
    puzzle: np.ndarray,
    resistance: int,
    many: np.ndarray,
    base: np.ndarray,
    trial: np.ndarray,
    choices: np.ndarray,
) -> int:
    """Changes one given of the puzzle where that costs little resistance; the new one, or `_NONE` for no change."""
    two = many[:2]
    base[:] = puzzle
    found = replacements(state, stack, base, many, choices)[0]
    for choice in choices[: min(found, TRIALS)]:
        trial[:] = base
        trial[choice // 9] = choice % 9 + 1
        floor = resistance - _drop(state, _FALL)
        new = _resistance(state, stack, order, trial, floor - _SLACK, _DOUBT)
        if new == _NONE:
            continue
        givens = np.count_nonzero(trial)
        minimize(state, stack, 3, 3, order, trial, two[:1])
        if np.count_nonzero(trial) < givens:
            new = _resistance(state, stack, order, trial, floor, 0)
        if new >= floor:
            puzzle[:] = trial
            return new
    return _NONE


@njit(cache=True, nogil=True)
def _is_wanted(
    stack: np.ndarray, puzzle: np.ndarray, two: np.ndarray, form: np.ndarray, solutions: np.ndarray, split: int
) -> bool:
    """Whether a puzzle is of the split and its solution a new one, which is then the first of `two`."""
    start(stack[0], 3, 3, puzzle)
    search(stack, 3, 3, two)
    if not is_new(two[0], solutions):
        return False
    canonical_into(puzzle, two[0], np.zeros((0, 0), np.uint8), 9, form)
    return split < 0 or form_is_test(form) == (split == 1)


@njit(cache=True, nogil=True)
def hunt_deep(
    state: np.ndarray, split: int, least: int, puzzles: np.ndarray, solutions: np.ndarray, walks: int
) -> None:
    """Writes puzzles of the split with some resistance, and their solutions, each another grid.

    Args:
        state: random numbers.
        split: 0 for training, 1 for test, -1 for both.
        least: the resistance that they have at least.
        puzzles: gets the puzzles, shape (num, 81).
        solutions: gets their solutions, shape (num, 81).
        walks: stop after so many walks, and leave the rest blank.
    """
    stack, order = new_stack(3, 3), np.arange(81)
    many, choices = np.zeros((SOLUTIONS, 81), np.uint8), np.zeros(729, np.int64)
    two = many[:2]
    puzzle, base, trial = np.zeros(81, np.uint8), np.zeros(81, np.uint8), np.zeros(81, np.uint8)
    form = np.zeros(81, np.uint8)
    num = 0
    while num < len(puzzles) and walks:
        resistance = _beginning(state, stack, order, puzzle, two)
        if resistance == _NONE:
            continue
        walks -= 1
        met = changes = 0
        for _ in range(_STEPS):
            new = _step(state, stack, order, puzzle, resistance, many, base, trial, choices)
            if new != _NONE:
                resistance = new
                changes += 1
            if resistance < least or changes < APART:
                continue
            if _is_wanted(stack, puzzle, two, form, solutions, split):
                puzzles[num] = puzzle
                solutions[num] = two[0]
                num += 1
                met += 1
                changes = 0
            if met == _PER_WALK or num == len(puzzles):
                break


# ---- whole sets -------------------------------------------------------------------------------------


@njit(cache=True, nogil=True)
def _all_resistances(puzzles: np.ndarray) -> np.ndarray:
    stack, order, state = new_stack(3, 3), np.arange(81), np.zeros(1, np.uint64)
    out = np.empty(len(puzzles), np.int64)
    for i in range(len(puzzles)):
        out[i] = _resistance(state, stack, order, puzzles[i], _NONE, 0)
    return out


def resistance(puzzles: np.ndarray) -> np.ndarray:
    """How well 9x9 puzzles, shape (N, 81), resist looking one guess ahead; int64 of shape (N,).

    The candidates that propagation leaves, less three times those among them whose trial ends in a contradiction or in
    the solution; -10,000 for a puzzle that propagation alone solves. Puzzles collected by people as the hardest
    have 226 on average, random ones a large negative number.
    """
    return _all_resistances(np.ascontiguousarray(puzzles, dtype=np.uint8))
