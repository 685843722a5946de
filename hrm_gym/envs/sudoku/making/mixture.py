"""A set of 9x9 Sudokus with the joint distribution of guesses and resistance of the Sudoku-Extreme benchmark.

A quarter of the benchmark are random puzzles. The others were searched for; here, the search in `vicinity` makes them.
It finds more than needed, and we choose those that follow the benchmark's joint histogram of guesses and resistance.
"""

from __future__ import annotations

import hashlib
from collections.abc import Set
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from hrm_gym.envs.splitmix import seed_stream
from hrm_gym.envs.sudoku.canonical import form_is_test
from hrm_gym.envs.sudoku.making.extreme import EASY_SHARE, places
from hrm_gym.envs.sudoku.making.generator import SPLIT_CODES, generate
from hrm_gym.envs.sudoku.making.vicinity import BEGINNINGS, FEWEST, LEAST, grow
from hrm_gym.envs.sudoku.solver import search_all
from hrm_gym.envs.task import Puzzles
from hrm_gym.errors import HrmGymError

_RESISTANCE = np.array([205, 215, 222, 229, 236, 243, 252])
_GUESSES = np.array([5, 10, 15, 20, 25, 30, 35, 40, 50, 60, 80, 115])
_HISTOGRAM = np.array(
    [
        [141, 194, 301, 214, 70, 22],
        [86, 171, 232, 166, 78, 19],
        [111, 168, 223, 165, 71, 13],
        [100, 159, 218, 133, 61, 13],
        [78, 139, 201, 152, 47, 21],
        [72, 153, 192, 143, 73, 13],
        [70, 135, 160, 113, 50, 12],
        [79, 201, 230, 230, 95, 22],
        [44, 131, 166, 146, 93, 25],
        [45, 84, 158, 153, 70, 30],
        [14, 34, 76, 118, 75, 42],
    ]
)
"""Measured histogram of 7,314 hard puzzles of the benchmark: a row per bin of guesses, a column per bin of resistance.
The few outside the edges are counted in the nearest bin."""

DRAWS = 1_500
"""Steps of each population: with more steps it moves further from the published puzzles."""

DRAWS_PER_PUZZLE = 40
"""Steps for each requested puzzle: they find about twice as many as needed, half of them in the other split."""

LEFT_OUT = frozenset(
    ["2012d505aa76beac", "5dc4d9fdf9972385", "cb874eef0265bc94", "d23855524bf284ef", "eed2a4970e6fa9fa"]
)
"""Grids of published test puzzles that the search for the shipped sets found, by `_digest` of the canonical form.

Agents are compared on those published puzzles, so our sets exclude their grids. The lists are not in the package.
"""

_ROUND = 250
"""Steps per call of the compiled search."""

_ROOM = 6_000
"""The maximum number of puzzles in one population."""


def aims(num: int, seed: int) -> np.ndarray:
    """`num` targets (guesses, resistance) distributed as the benchmark's hard puzzles, float64 of shape (num, 2)."""
    share = _HISTOGRAM.ravel() * (num / _HISTOGRAM.sum())
    counts = np.floor(share).astype(np.int64)
    counts[np.argsort(counts - share, kind="stable")[: num - counts.sum()]] += 1
    rows, columns = np.divmod(np.repeat(np.arange(_HISTOGRAM.size), counts), _HISTOGRAM.shape[1])
    within = np.random.default_rng([seed, 1]).random((2, num))
    guesses = _GUESSES[rows] + within[0] * np.diff(_GUESSES)[rows]
    resistance = _RESISTANCE[columns] + within[1] * np.diff(_RESISTANCE)[columns]
    return np.stack((guesses, resistance), axis=1)


def choose(found: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """The nearest unused puzzle for each target, starting with the most guesses; indices of shape (num,).

    Args:
        found: resistance and guesses of the puzzles in its first two columns, shape (N, 2 or more).
        wanted: targets (guesses, resistance), shape (num, 2) with num <= N.
    """
    # Ten guesses and eight units of resistance weigh the same: a third of the standard deviation of each.
    guesses, resistance = found[:, 1] / 10, found[:, 0] / 8
    free = np.ones(len(found), bool)
    chosen = np.empty(len(wanted), np.int64)
    for i in np.argsort(-wanted[:, 0], kind="stable"):
        distance = np.abs(guesses - wanted[i, 0] / 10) + np.abs(resistance - wanted[i, 1] / 8)
        chosen[i] = np.argmin(np.where(free, distance, np.inf))
        free[chosen[i]] = False
    return chosen


def _digest(form: bytes) -> str:
    return hashlib.blake2b(form, digest_size=8).hexdigest()


def _is_published(form: bytes) -> bool:
    return _digest(form) in LEFT_OUT


def population(seed: int, number: int, split: str | None, draws: int = DRAWS) -> tuple[np.ndarray, ...]:
    """Puzzles of the split from one population, the canonical forms of their grids, and their measures (see `grow`)."""
    state = np.zeros(1, np.uint64)
    seed_stream(state, seed, 3 * number + 1 + SPLIT_CODES[split])
    puzzles, grids = np.zeros((_ROOM, 81), np.uint8), np.zeros((_ROOM, 81), np.uint8)
    found = np.zeros((_ROOM, 5), np.int64)
    num = 0
    for done in range(0, draws, _ROUND):  # in rounds, so that Ctrl-C can interrupt
        num = grow(state, min(_ROUND, draws - done), num, puzzles, grids, found)
    kept = np.arange(len(BEGINNINGS), num)
    kept = kept[(found[kept, 0] >= LEAST) & (found[kept, 1] >= FEWEST)]
    if split is not None:
        kept = kept[[form_is_test(grids[i]) == (split == "test") for i in kept]]
    return puzzles[kept], grids[kept], found[kept]


def generate_mixture(
    num: int, seed: int, split: str | None = None, known: Set[bytes] = frozenset(), draws: int = DRAWS
) -> Puzzles:
    """Random puzzles (a quarter) and puzzles as hard as the benchmark's, uint8 arrays of shape (num, 81).

    They depend on the arguments alone. Each puzzle takes one second of a core.

    Args:
        num: number of puzzles.
        seed: which sequence.
        split: only puzzles of that split ("train" or "test"); None for both.
        known: canonical forms of solution grids to exclude from the searched puzzles.
        draws: steps of each population.

    Raises:
        HrmGymError: if the search finds too few puzzles.
    """
    hard = places(0, num, seed) >= EASY_SHARE
    wanted = int(hard.sum())
    puzzles = generate((3, 3), num, seed, split)
    if not wanted:
        return puzzles
    populations = -(-wanted * DRAWS_PER_PUZZLE // draws)
    with ThreadPoolExecutor() as pool:  # the compiled search releases the lock; `map` keeps the order
        parts = list(pool.map(lambda number: population(seed, number, split, draws), range(populations)))
    found_puzzles, grids, found = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    first = np.sort(np.unique(grids, axis=0, return_index=True)[1])
    first = first[[not (form in known or _is_published(form)) for form in map(bytes, grids[first])]]
    if len(first) < wanted:
        raise HrmGymError(f"{len(first)} hard puzzles found, but {wanted} are needed: give more than {draws} draws")
    chosen = first[choose(found[first], aims(wanted, seed))]
    puzzles.puzzle[hard] = found_puzzles[chosen]
    puzzles.solution[hard] = search_all(found_puzzles[chosen], 3, 3, 1)[0]
    return puzzles
