"""A search for 9x9 Sudokus that resist looking one guess ahead, as the hardest of the Sudoku-Extreme benchmark do.

Place a digit in a cell and propagate. Even in a puzzle that takes many guesses, a third of such trials fail, and each
failure removes a candidate, until none is left. In the hardest collected puzzles hardly one of 230 trials fails. The
number of guesses does not separate the two kinds, but a network solves the first and not the second. `probing` measures
the difference as *resistance*.

Resistant puzzles are too rare for a walk that starts at a random puzzle. They are common among puzzles that a symmetry
of order three maps to themselves: if one trial holds, so do its two images. A walk among symmetric puzzles therefore
finds a starting point within seconds. From there, a walk without the symmetry leads to ordinary puzzles.
"""

from __future__ import annotations

import numpy as np

from hrm_gym.envs.jit import njit
from hrm_gym.envs.splitmix import below, shuffle
from hrm_gym.envs.sudoku.canonical import canonical_into, form_is_test
from hrm_gym.envs.sudoku.making.climbing import APART, SOLUTIONS, TRIALS, is_new, replacements
from hrm_gym.envs.sudoku.making.generator import minimize
from hrm_gym.envs.sudoku.making.probing import ESTIMATED, EXACT, NONE, probe
from hrm_gym.envs.sudoku.propagation import start
from hrm_gym.envs.sudoku.solver import new_stack, search

BEGINNING = 165
"""The walk gives up the symmetry once it reaches this resistance."""

DEEP = {"train": 150, "test": 170}
"""The minimum resistance of puzzles for training and for all other purposes.

An agent trained on puzzles of 150 or more solves a third of new puzzles between 150 and 160, a fifth of those from 170
on, and a twentieth of the benchmark's, which lie between 200 and 260. A walk hardly ever reaches that range.
"""

_SYMMETRIC_STEPS = 15_000
"""The maximum number of steps of a symmetric walk."""

_STEPS = 2_000
"""Steps of a walk without the symmetry."""

_PER_WALK = 8
"""The maximum number of puzzles from one walk."""

_FALL, _SYMMETRIC_FALL = 8, 16
"""The mean drop in resistance that a step may accept, without and with the symmetry."""

_SLACK = 40
"""An upper bound on the resistance that a puzzle gains when its redundant givens are removed."""

_CELLS = np.arange(81)
_IMAGES = np.stack(
    (
        # Each row and each box moves to the next of its band; each box moves along a diagonal.
        _CELLS // 27 * 27 + (_CELLS // 9 + 1) % 3 * 9 + (_CELLS % 9 + 3) % 9,
        (_CELLS // 9 + 3) % 9 * 9 + (_CELLS % 9 + 3) % 9,
    )
)
"""Images of the cells under two symmetries of order three. Both cycle the digits 1-2-3, 4-5-6 and 7-8-9."""


@njit(cache=True, nogil=True)
def _drop(state: np.ndarray, mean: int) -> int:
    """The drop in resistance that this step accepts: geometric, which makes it a Metropolis walk on integers."""
    drop = 0
    while below(state, mean):
        drop += 1
    return drop


# ---- symmetric puzzles ---------------------------------------------------------------------------


@njit(cache=True, nogil=True)
def _put(puzzle: np.ndarray, image: np.ndarray, cell: int, digit: int) -> None:
    """Writes a digit and its two images; 0 clears the three cells."""
    for _ in range(3):
        puzzle[cell] = digit
        cell = image[cell]
        if digit:
            digit = digit + 1 if digit % 3 else digit - 2


@njit(cache=True, nogil=True)
def _complete(
    state: np.ndarray, stack: np.ndarray, image: np.ndarray, puzzle: np.ndarray, two: np.ndarray, most: int
) -> bool:
    """Adds up to `most` digits and their images until one solution is left; False if that fails."""
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
    """Removes redundant givens together with their images; returns whether there were any."""
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
    """Walks among symmetric puzzles to a resistant one, and removes its redundant givens.

    Returns:
        Its resistance; `NONE` if the walk found no such puzzle.
    """
    image = _IMAGES[below(state, 2)]
    trial, fewer = np.zeros(81, np.uint8), np.zeros(81, np.uint8)
    resistance = NONE
    while resistance == NONE:
        puzzle[:] = 0
        for _ in range(8):
            trial[:] = puzzle
            _put(trial, image, below(state, 81), 1 + below(state, 9))
            if start(stack[0], 3, 3, trial):
                puzzle[:] = trial
        if _complete(state, stack, image, puzzle, two, 20):
            _minimize(state, stack, image, order, puzzle, fewer, two)
            resistance = probe(state, stack, order, puzzle, NONE, EXACT)
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
        new = probe(state, stack, order, trial, floor - _SLACK, ESTIMATED)
        if new == NONE:
            continue
        if _minimize(state, stack, image, order, trial, fewer, two):
            new = probe(state, stack, order, trial, floor, EXACT)
        if new >= floor:
            puzzle[:] = trial
            resistance = new
        if resistance >= BEGINNING:
            minimize(state, stack, 3, 3, order, puzzle, two[:1])
            return probe(state, stack, order, puzzle, NONE, EXACT)
    return NONE


# ---- ordinary puzzles --------------------------------------------------------------------------------


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
    """Changes one given of the puzzle if that costs little resistance.

    Returns:
        The new resistance; `NONE` if nothing changed.
    """
    two = many[:2]
    base[:] = puzzle
    found = replacements(state, stack, base, many, choices)[0]
    for choice in choices[: min(found, TRIALS)]:
        trial[:] = base
        trial[choice // 9] = choice % 9 + 1
        floor = resistance - _drop(state, _FALL)
        new = probe(state, stack, order, trial, floor - _SLACK, ESTIMATED)
        if new == NONE:
            continue
        givens = np.count_nonzero(trial)
        minimize(state, stack, 3, 3, order, trial, two[:1])
        if np.count_nonzero(trial) < givens:
            new = probe(state, stack, order, trial, floor, EXACT)
        if new >= floor:
            puzzle[:] = trial
            return new
    return NONE


@njit(cache=True, nogil=True)
def _is_wanted(
    stack: np.ndarray, puzzle: np.ndarray, two: np.ndarray, form: np.ndarray, solutions: np.ndarray, split: int
) -> bool:
    """Whether a puzzle belongs to the split and has a new solution, which is written to `two[0]`."""
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
    """Writes resistant puzzles of the split and their solutions, all different.

    Args:
        state: random numbers.
        split: 0 for training, 1 for test, -1 for both.
        least: the minimum resistance.
        puzzles: gets the puzzles, shape (num, 81).
        solutions: gets their solutions, shape (num, 81).
        walks: the maximum number of walks; puzzles not found by then stay blank.
    """
    stack, order = new_stack(3, 3), np.arange(81)
    many, choices = np.zeros((SOLUTIONS, 81), np.uint8), np.zeros(729, np.int64)
    two = many[:2]
    puzzle, base, trial = np.zeros(81, np.uint8), np.zeros(81, np.uint8), np.zeros(81, np.uint8)
    form = np.zeros(81, np.uint8)
    num = 0
    while num < len(puzzles) and walks:
        resistance = _beginning(state, stack, order, puzzle, two)
        if resistance == NONE:
            continue
        walks -= 1
        met = changes = 0
        for _ in range(_STEPS):
            new = _step(state, stack, order, puzzle, resistance, many, base, trial, choices)
            if new != NONE:
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
