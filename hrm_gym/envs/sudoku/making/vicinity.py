"""A search for 9x9 Sudokus as hard as the hardest that people have collected, in the vicinity of three of them.

A walk from a random puzzle ends at a resistance (see `probing`) between 110 and 210. Near published hard puzzles there
are others between 200 and 260, the range of the Sudoku-Extreme benchmark. One step removes one or two givens, lists the
solutions that are left, adds one to three digits so that one of those solutions is left, and removes redundant givens.
Any puzzle found so far may be the start of the next step.

Almost all hard puzzles of the benchmark cannot be solved by probing alone, and a tenth of their candidates stays open
even two guesses deep. The search keeps only puzzles with these properties: see `probing.closure` and
`probing.survivors`. The neighbours of the published ones have few survivors in general. Those with more givens have
hard neighbours more often, so most steps start at puzzles with many givens and many survivors.
"""

from __future__ import annotations

import numpy as np

from hrm_gym.envs.jit import njit
from hrm_gym.envs.splitmix import below
from hrm_gym.envs.sudoku.canonical import canonical_into
from hrm_gym.envs.sudoku.making.climbing import count_guesses, is_new
from hrm_gym.envs.sudoku.making.generator import minimize
from hrm_gym.envs.sudoku.making.plain import plain_guesses
from hrm_gym.envs.sudoku.making.probing import NONE, SEQUENTIAL, closure, probe, survivors
from hrm_gym.envs.sudoku.propagation import start
from hrm_gym.envs.sudoku.solver import new_stack, search

_PUBLISHED = (
    "1.......2.9.4...5...6...7...5.9.3.......7.......85..4.7.....6...3...9.8...2.....1",
    ".......39.....1..5..3.5.8....8.9...6.7...2...1..4.......9.8..5..2....6..4..7.....",
    ".......12........3..23..4....18....5.6..7.8.......9.....85.....9...4.5..47...6...",
)
"""Hard puzzles from newspapers and forums, 2006 to 2010, with 40 to 63 survivors (see `probing.survivors`)."""

_FOUND = (
    ".....7.39.......65..395.8....859...6.....2...1....8.....638..5....1....8.4.7.....",
    ".5.....39.1.9...659.3.5.8..2.8.9...6.4...2...1........3.6.8..5..2......84..7.....",
    ".5.....39.1.....659.3.5.8..2.8.9...6.4.......1....2.8.3.6.8..5..2.......4..7.....",
    ".5...7.39.1.....65..3.5.8....8.9...6.....2...1..4.....3.6.8..5..2......84..7.....",
    ".......82.......53..23..4....14....5.6..7.8.......91....85...4.9...1.5...7...6...",
    ".....7.39.9..2...5..369.8....897...6.7...2.8.1..........928..5..2....6..4........",
    ".5...7.39.1.....656.3.5.8....8.9...61....2......4.......6.8..5..2......84..7.....",
    ".4.....39.1.....659.3.5.8..2.8.9...6.....2....3..6....3.6.8..5..2......84..7.....",
    ".....7.39.1.....659.3.6.8....2.9...31....2......4.....3.6.8..5..2......84..7.....",
    "..2..7.39...2...6...396.8....859...6.........1.....5....638..5.....2...8.4.......",
    "...1...39.......659.3.5.8..2.8.9...6.4............2.8.3.6.8..5..2......84..7.....",
    ".....7.39.1.....659.3.6.8....2.9...3.....2...1..4.....3.6.8..5..2......84..7.....",
    ".....7.39.1.....659.3.5.8....2.9...31....2....3.4.......6.8..5..2......84..7.....",
    ".....7.39.1.....659.3.6.8....2.9...61....2......4.....3.6.8..5..2......84..7.....",
    ".....7.39.1.....659.3.5.8....2.9...61..5........4.2.....6.8..5..2......84..7.....",
    ".......12....2...3..23..4....48....1.6..7.8..8....9.....85...3.9.....5...7...6..4",
    ".3.....52.......13..23..4....14....5.6..7.8.......91....85...4.9...1.....7...6...",
    "...1...39.......6...3.5.8....8.9...67..8..5.....4.2.8...6.8..5..2...1...4....7...",
    ".....7.39.......65..395.8....8.9...6.....2...1..4.......638..5....1....8.4.7.....",
    "........2.......53..23..4....14....5.6..7.8..8....91....85...4.9...1.....7...6..1",
    ".....7.39.......65..3.5.8....8.7...6.7...2...1..4.......9.8..5..2.1....84..7.....",
    "........2.....8.53..23..4....14....5.6..7.8.......91....85...4.9........47...6..1",
    ".......39.....1.65..3.5.8....85....6.7..62...1..4.......9.8..5..2.1.....4..7.....",
    "........2.......13..23..4....18....5.6..7.8..8....91....85...4.9...3.5...7...6...",
    ".1.....39.....1..5..3.5.8....8.1...6.7...2......4.8.....1.8..9..2...56..4..7.....",
    ".......12.4.....53..23..4....14.8..5.6..7.8.......9.....85...4.9.........7...6..1",
    "...1...39.......65..3.598....8.9...6.7...2...1..4...8...9.8..5..2.......4....7...",
    ".....7.236....2..8..23..4....48....5.6..7.........9.....81...3..9...31........5.4",
    "...1...39.......65..3.5.8....8.9...6.7...2...1..4.......9.8..5..2...7..84.....6..",
)
"""Puzzles from earlier searches that began at the published ones: 23 to 26 givens, 22 to 40 survivors.

Near the published ones, a search needs thousands of steps to find the first puzzles with as many.
"""

BEGINNINGS = np.array([[int(c) for c in puzzle.replace(".", "0")] for puzzle in _PUBLISHED + _FOUND], np.uint8)

LEAST = 205
"""The minimum resistance of a kept puzzle; 98 % of the benchmark's hard puzzles reach it."""

SOLUTIONS = 2_500
"""The maximum number of solutions left after a removal; the step is skipped if there are more."""

_COMPLETIONS = 20_000
"""The maximum number of replacements that are listed."""

TRIALS = 600
"""The maximum number of replacements tried in one step."""

PER_STEP = 3
"""The maximum number of puzzles from one step."""

RIVALS = 10
"""The next step starts at the most promising of this many randomly chosen puzzles."""

SURVIVE = 4
"""The minimum number of survivors of a kept puzzle (see `probing.survivors`); 99 % of the benchmark's have as many."""

HOPELESS = 80
"""A puzzle is dropped if none of this many random candidates survives."""

ALL = 729
"""More than the number of candidates of any puzzle."""

FEWEST = 5
"""The minimum number of guesses of a kept puzzle; 98 % of the benchmark's hard puzzles need as many."""

SURVIVORS, RESISTANCE, GUESSES, PLAIN, PROMISE, BEGINNING, DEPTH = range(7)
"""Columns of `found`: measures of difficulty (`probing.survivors`, `probing.resistance`, the guesses of our solver and
of a plain one), how hard its neighbours may be, the index of its beginning, and the number of steps from it."""

MEASURES, COLUMNS = 4, 7
"""The number of columns that measure difficulty, and of all columns."""

_GIVEN = 5
"""Survivors that promise as much as one more given does: with more givens, more changes leave a puzzle hard."""

_SLACK = 20
"""An upper bound on the resistance that a puzzle gains when its redundant givens are removed."""


@njit(cache=True, nogil=True)
def _thin_out(state: np.ndarray, stack: np.ndarray, puzzle: np.ndarray, many: np.ndarray, removed: np.ndarray) -> int:
    """Removes one or two random givens.

    Args:
        state: random numbers.
        stack: scratch space of the solver.
        puzzle: changed in place, shape (81,).
        many: gets the solutions.
        removed: gets the removed digits in their cells, shape (81,), and blanks elsewhere.

    Returns:
        The number of solutions that are left; 0 if there are too many.
    """
    removed[:] = 0
    for _ in range(1 + below(state, 2)):
        cell = below(state, 81)
        while not puzzle[cell]:
            cell = below(state, 81)
        removed[cell] = puzzle[cell]
        puzzle[cell] = 0
    start(stack[0], 3, 3, puzzle)
    found = search(stack, 3, 3, many)[0]
    return found if found < len(many) else 0


@njit(cache=True, nogil=True)
def _narrow(state: np.ndarray, puzzle: np.ndarray, many: np.ndarray, removed: np.ndarray) -> int:
    """Adds a random digit of one of the solutions, and moves those that have it to the front; returns their number."""
    solution = many[below(state, len(many))]
    cell = below(state, 81)
    if puzzle[cell] or removed[cell] == solution[cell]:
        return len(many)
    digit = solution[cell]
    num = 0
    for i in range(len(many)):
        num += many[i, cell] == digit
    if num == len(many) or num < 2:
        return len(many)
    num = 0
    for i in range(len(many)):
        if many[i, cell] == digit:
            many[num] = many[i]
            num += 1
    puzzle[cell] = digit
    return num


@njit(cache=True, nogil=True)
def _completions(many: np.ndarray, removed: np.ndarray, counts: np.ndarray, choices: np.ndarray) -> tuple[int, int]:
    """Lists the digits, and the pairs of other digits, that occur in exactly one of the solutions.

    Args:
        many: solutions, shape (N, 81).
        removed: digits that are not listed, by cell, shape (81,).
        counts: scratch space: the number of solutions with each pair, shape (729, 729).
        choices: gets pairs of codes 9 * cell + digit - 1, single digits first with -1 as their second code,
            shape (C, 2).

    Returns:
        The number of single digits, and the number of all choices.
    """
    single = np.zeros(729, np.int64)
    for solution in many:
        for cell in range(81):
            single[9 * cell + solution[cell] - 1] += 1
    num = 0
    for cell in range(81):
        if removed[cell]:
            single[9 * cell + removed[cell] - 1] = 0
    of_all = len(many)
    used = np.zeros(729, np.int64)
    dense = np.full(729, -1)
    size = 0
    for code in range(729):
        if single[code] == 1 and num < len(choices):
            choices[num, 0], choices[num, 1] = code, -1
            num += 1
        elif 1 < single[code] < of_all:
            dense[code] = size
            used[size] = code
            size += 1
    alone = num
    counts[:size, :size] = 0
    there = np.zeros(81, np.int64)
    for solution in many:
        length = 0
        for cell in range(81):
            code = dense[9 * cell + solution[cell] - 1]
            if code >= 0:
                there[length] = code
                length += 1
        for i in range(length):
            row = counts[there[i]]
            for j in range(i + 1, length):
                row[there[j]] += 1
    for i in range(size):
        for j in range(i + 1, size):
            if counts[i, j] == 1 and num < len(choices):
                choices[num, 0], choices[num, 1] = used[i], used[j]
                num += 1
    return alone, num


@njit(cache=True, nogil=True)
def _parent(state: np.ndarray, found: np.ndarray, num: int) -> int:
    """The first of `RIVALS` puzzles found so far, by promise or by a measure; every other time from one lineage."""
    best = -1
    kin = below(state, 2 * len(BEGINNINGS))
    measure = PROMISE if below(state, 5) else below(state, MEASURES)
    for _ in range(RIVALS):
        i = below(state, num)
        while kin < len(BEGINNINGS) and found[i, BEGINNING] != kin:
            i = below(state, num)
        if best < 0 or found[i, measure] > found[best, measure]:
            best = i
    return best


@njit(cache=True, nogil=True)
def grow(state: np.ndarray, draws: int, num: int, puzzles: np.ndarray, grids: np.ndarray, found: np.ndarray) -> int:
    """Writes puzzles from the vicinity of the published ones; no two solution grids are equal up to symmetry.

    Args:
        state: random numbers.
        draws: number of steps.
        num: number of puzzles from earlier calls; 0 to begin.
        puzzles: gets the puzzles, shape (N, 81), the published ones first.
        grids: gets the canonical forms of their solution grids, shape (N, 81).
        found: gets what is known about them, int64 of shape (N, 7); see `SURVIVORS`.

    Returns:
        The number of puzzles.
    """
    stack, order, images = new_stack(3, 3), np.arange(81), np.zeros((0, 0), np.uint8)
    many, counts = np.zeros((SOLUTIONS, 81), np.uint8), np.zeros((729, 729), np.int16)
    one = many[:1]
    choices = np.zeros((_COMPLETIONS, 2), np.int64)
    base, trial = np.zeros(81, np.uint8), np.zeros(81, np.uint8)
    removed, form = np.zeros(81, np.uint8), np.zeros(81, np.uint8)
    if num == 0:
        num = len(BEGINNINGS)
        puzzles[:num] = BEGINNINGS
        found[:num] = 0
        for i in range(num):
            found[i, RESISTANCE] = probe(state, stack, order, puzzles[i], 0, SEQUENTIAL)
            found[i, GUESSES], found[i, BEGINNING] = count_guesses(stack, puzzles[i], one), i
            found[i, PLAIN] = plain_guesses(state, puzzles[i])
            found[i, SURVIVORS] = survivors(state, stack, order, puzzles[i], ALL)
            found[i, PROMISE] = found[i, SURVIVORS] + _GIVEN * np.count_nonzero(puzzles[i])
            canonical_into(puzzles[i], one[0], images, 9, grids[i])
    for _ in range(draws):
        parent = _parent(state, found, num)
        base[:] = puzzles[parent]
        left = _thin_out(state, stack, base, many, removed)
        if left < 2:
            continue
        if below(state, 2):
            left = _narrow(state, base, many[:left], removed)
        alone, possible = _completions(many[:left], removed, counts, choices)
        met, first = 0, alone * below(state, 2)
        # Every other time only pairs, after which there may be one given more.
        for i in range(first, min(possible, first + TRIALS)):
            other = i + below(state, (alone if i < alone else possible) - i)
            choices[i], choices[other] = choices[other].copy(), choices[i].copy()
            trial[:] = base
            for code in choices[i]:
                if code >= 0:
                    trial[code // 9] = code % 9 + 1
            resistance = probe(state, stack, order, trial, LEAST - _SLACK, SEQUENTIAL)
            if resistance == NONE:
                continue
            givens = np.count_nonzero(trial)
            minimize(state, stack, 3, 3, order, trial, one)
            if np.count_nonzero(trial) < givens:
                resistance = probe(state, stack, order, trial, LEAST, SEQUENTIAL)
            guesses = count_guesses(stack, trial, one)
            if resistance < LEAST or guesses < FEWEST:
                continue
            canonical_into(trial, one[0], images, 9, form)
            if not is_new(form, grids[:num]) or not closure(stack, trial):
                continue
            survived = survivors(state, stack, order, trial, HOPELESS)
            if survived < SURVIVE:
                continue
            puzzles[num] = trial
            grids[num] = form
            found[num, RESISTANCE], found[num, GUESSES] = resistance, guesses
            found[num, SURVIVORS], found[num, PLAIN] = survived, plain_guesses(state, trial)
            found[num, PROMISE] = survived + _GIVEN * np.count_nonzero(trial)
            found[num, BEGINNING], found[num, DEPTH] = found[parent, BEGINNING], found[parent, DEPTH] + 1
            num += 1
            met += 1
            if num == len(puzzles):
                return num
            if met == PER_STEP:
                break
    return num
