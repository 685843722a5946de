"""A set of 9x9 Sudokus as hard as the Sudoku-Extreme benchmark by four measures together.

A quarter of the benchmark are random puzzles. The others were searched for; here, the search in `vicinity` makes them.
It finds more than needed, and we choose those that follow the benchmark's joint distribution of the measures. One of
them, the number of survivors (`probing.survivors`), says best which puzzles an agent with one board solves.
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
from hrm_gym.envs.sudoku.making.vicinity import BEGINNINGS, COLUMNS, MEASURES, SURVIVORS, grow
from hrm_gym.envs.sudoku.solver import search_all
from hrm_gym.envs.task import Puzzles
from hrm_gym.errors import HrmGymError

_MEANS = np.array([4.96, 225.6, 5.38, 7.04])
_DEVIATIONS = np.array([1.38, 8.91, 2.10, 0.65])
_CORRELATIONS = np.array(
    [[1.0, 0.39, 0.32, 0.48], [0.39, 1.0, 0.18, 0.41], [0.32, 0.18, 1.0, 0.24], [0.48, 0.41, 0.24, 1.0]]
)
"""Of 1,200 hard puzzles of the benchmark, on the scales of `_scaled`. On these scales each measure is nearly normal."""

DRAWS_PER_PUZZLE = 200
"""Steps for each requested puzzle. They find many more puzzles than needed, since few have as many survivors as the
benchmark's, and half of them are in the other split."""

FEWEST_DRAWS, MOST_DRAWS = 2_000, 40_000
"""Limits on the steps of one population."""

LEFT_OUT = frozenset(
    [
        "8ba7e37bb64d06ee",
        "8e2e467bbded9b45",
        "bf2716830f6783fe",
        "cb874eef0265bc94",
        "d23855524bf284ef",
        "f64845e130158698",
    ]
)
"""Grids of published test puzzles that the search for the shipped sets found, by `_digest` of the canonical form.

Agents are compared on those published puzzles, so our sets exclude their grids. The lists are not in the package.
"""

_ROUND = 250
"""Steps per call of the compiled search."""

_ROOM = 6_000
"""The maximum number of puzzles in one population."""


def _scaled(found: np.ndarray) -> np.ndarray:
    """The measures in the first four columns of `grow`, in standard deviations from the benchmark's mean, (N, 4)."""
    survivors, resistance, guesses, plain = found[:, :MEASURES].T
    scales = np.stack((np.sqrt(survivors), resistance, np.sqrt(guesses), np.log(plain)), axis=1)
    return (scales - _MEANS) / _DEVIATIONS


def aims(num: int, seed: int) -> np.ndarray:
    """`num` targets distributed as the hard puzzles of the benchmark, on the scales of `_scaled`, shape (num, 4)."""
    normal = np.random.default_rng([seed, 1]).standard_normal((num, MEASURES))
    return normal @ np.linalg.cholesky(_CORRELATIONS).T


def choose(found: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """The nearest unused puzzle for each target, starting with the most survivors; indices of shape (num,).

    Args:
        found: the measures of N puzzles as `_scaled` gives them, shape (N, 4).
        wanted: targets on the same scale, shape (num, 4) with num <= N.
    """
    free = np.ones(len(found), bool)
    chosen = np.empty(len(wanted), np.int64)
    for i in np.argsort(-wanted[:, SURVIVORS], kind="stable"):
        distance = np.abs(found - wanted[i]).sum(1)
        chosen[i] = np.argmin(np.where(free, distance, np.inf))
        free[chosen[i]] = False
    return chosen


def _digest(form: bytes) -> str:
    return hashlib.blake2b(form, digest_size=8).hexdigest()


def _is_published(form: bytes) -> bool:
    return _digest(form) in LEFT_OUT


def population(seed: int, number: int, split: str | None, draws: int) -> tuple[np.ndarray, ...]:
    """Puzzles of the split from one population, the canonical forms of their grids, and their measures (see `grow`)."""
    state = np.zeros(1, np.uint64)
    seed_stream(state, seed, 3 * number + 1 + SPLIT_CODES[split])
    puzzles, grids = np.zeros((_ROOM, 81), np.uint8), np.zeros((_ROOM, 81), np.uint8)
    found = np.zeros((_ROOM, COLUMNS), np.int64)
    num = 0
    for done in range(0, draws, _ROUND):  # in rounds, so that Ctrl-C can interrupt
        num = grow(state, min(_ROUND, draws - done), num, puzzles, grids, found)
    kept = np.arange(len(BEGINNINGS), num)
    if split is not None:
        kept = kept[[form_is_test(grids[i]) == (split == "test") for i in kept]]
    return puzzles[kept], grids[kept], found[kept]


def generate_mixture(
    num: int, seed: int, split: str | None = None, known: Set[bytes] = frozenset(), draws: int = 0
) -> Puzzles:
    """Random puzzles (a quarter) and puzzles as hard as the benchmark's, uint8 arrays of shape (num, 81).

    They depend on the arguments alone. Each puzzle takes five seconds of a core, and one alone a minute.

    Args:
        num: number of puzzles.
        seed: which sequence.
        split: only puzzles of that split ("train" or "test"); None for both.
        known: canonical forms of solution grids to exclude from the searched puzzles.
        draws: steps of the search; 0: as many as `DRAWS_PER_PUZZLE` and `FEWEST_DRAWS` say.

    Raises:
        HrmGymError: if the search finds too few puzzles.
    """
    hard = places(0, num, seed) >= EASY_SHARE
    wanted = int(hard.sum())
    puzzles = generate((3, 3), num, seed, split)
    if not wanted:
        return puzzles
    draws = draws or max(wanted * DRAWS_PER_PUZZLE, FEWEST_DRAWS)
    populations = -(-draws // MOST_DRAWS)
    with ThreadPoolExecutor() as pool:  # the compiled search releases the lock; `map` keeps the order
        parts = list(pool.map(lambda number: population(seed, number, split, draws // populations), range(populations)))
    found_puzzles, grids, found = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    first = np.sort(np.unique(grids, axis=0, return_index=True)[1])
    first = first[[not (form in known or _is_published(form)) for form in map(bytes, grids[first])]]
    if len(first) < wanted:
        raise HrmGymError(f"{len(first)} hard puzzles found, but {wanted} are needed: give more than {draws} draws")
    chosen = first[choose(_scaled(found[first]), aims(wanted, seed))]
    puzzles.puzzle[hard] = found_puzzles[chosen]
    puzzles.solution[hard] = search_all(found_puzzles[chosen], 3, 3, 1)[0]
    return puzzles
