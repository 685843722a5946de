"""A search for hard 9x9 Sudokus whose difficulties are distributed as in the Sudoku-Extreme benchmark.

About a quarter of the benchmark are random minimal puzzles, which take a few guesses; the others were searched for and
take dozens. We take a random puzzle for the first kind. For the second kind, a walk that prefers hard puzzles changes a
random puzzle step by step until its hardness meets a target drawn from the benchmark's distribution. A step replaces
one given by another that also leaves one solution.

Hardness is the number of guesses to find the solution *and* to exclude any other, averaged over the puzzle and a mirror
image. The guesses to find the solution depend on luck, so a search by them would collect unlucky puzzles, not hard
ones.

Two puzzles with as many guesses can still differ in difficulty: see `deep`. Half of the searched puzzles for training
are deep instead; for testing all of them are, if asked for.
"""

from __future__ import annotations

import numpy as np

from hrm_gym.envs.jit import njit
from hrm_gym.envs.splitmix import below, seed_stream, shuffle
from hrm_gym.envs.sudoku.canonical import canonical_into, form_is_test
from hrm_gym.envs.sudoku.making.climbing import APART, SOLUTIONS, TRIALS, count_guesses, is_new, replacements
from hrm_gym.envs.sudoku.making.deep import DEEP, hunt_deep
from hrm_gym.envs.sudoku.making.generator import SPLIT_CODES, generate, minimize, random_grid
from hrm_gym.envs.sudoku.propagation import start
from hrm_gym.envs.sudoku.solver import new_stack, search
from hrm_gym.envs.task import Puzzles

EASY_SHARE = 0.2686
"""The share of random minimal puzzles in the benchmark."""

DEEP_SHARE = 0.5
"""The share of deep puzzles among the searched ones for training; they replace those with the fewest guesses.

Without deep puzzles in training, a network does not learn to look further ahead.
"""

_QUANTILES = np.array(
    [
        [13.0, 30.0, 34.5, 37.5, 40.5, 42.5, 45.0],
        [47.5, 50.0, 52.5, 55.5, 58.5, 61.5, 65.5],
        [69.5, 72.0, 72.0, 72.0, 72.0, 72.0, 72.0],
    ]
).ravel()
"""Measured hardness of the searched puzzles at every 5 % of their distribution, cut at 72 to save time."""

POOLS = {"guesses": 1000, "resistance": 100}
"""Puzzles that are searched together: a larger pool loses less time on its last targets."""

_PER_WALK = 32
"""The maximum number of puzzles from one walk."""

_TOLERANCE = 0.1
"""The accepted relative error of a target."""

_PATIENCE = 1500
"""A new walk begins after this many searches without a harder puzzle or a met target."""

_PROMISING = 0.5
"""A puzzle with redundant givens is examined further from this share of the required hardness."""


@njit(cache=True, nogil=True)
def _hardness(stack: np.ndarray, puzzle: np.ndarray, mirror: np.ndarray, solutions: np.ndarray) -> float:
    """Guesses to prove that the solution is unique, averaged over the puzzle and a mirror image."""
    for i in range(81):
        token = puzzle[80 - (i % 9 * 9 + i // 9)]
        mirror[i] = 10 - token if token else 0
    return (count_guesses(stack, mirror, solutions) + count_guesses(stack, puzzle, solutions)) / 2


@njit(cache=True, nogil=True)
def _scattered(
    state: np.ndarray,
    stack: np.ndarray,
    order: np.ndarray,
    grid: np.ndarray,
    puzzle: np.ndarray,
    two: np.ndarray,
) -> None:
    """Writes a minimal puzzle with one solution whose givens are spread out, as in hard puzzles.

    It begins with one given in each row and each column of every box.
    """
    random_grid(state, stack, 3, 3, order, grid)
    puzzle[:] = 0
    columns = np.arange(3)
    for box in range(9):
        shuffle(state, columns)
        for i in range(3):
            cell = (box // 3 * 3 + i) * 9 + box % 3 * 3 + columns[i]
            puzzle[cell] = grid[cell]
    start(stack[0], 3, 3, puzzle)
    while search(stack, 3, 3, two)[0] == 2:
        shuffle(state, order)
        for cell in order:
            if two[0, cell] != two[1, cell]:
                puzzle[cell] = grid[cell]
                break
        start(stack[0], 3, 3, puzzle)
    minimize(state, stack, 3, 3, order, puzzle, two[:1])


@njit(cache=True, nogil=True)
def _nearest(targets: np.ndarray, hardness: float) -> int:
    """The index of the open target nearest to a hardness, or -1 if none is near; met targets are negative."""
    best = -1
    for i in range(len(targets)):
        near = targets[i] >= 0 and abs(targets[i] - hardness) <= 1 + _TOLERANCE * targets[i]
        if near and (best < 0 or abs(targets[i] - hardness) < abs(targets[best] - hardness)):
            best = i
    return best


@njit(cache=True, nogil=True)
def _hunt(
    state: np.ndarray, targets: np.ndarray, split: int, puzzles: np.ndarray, solutions: np.ndarray, walks: int
) -> None:
    """Writes a puzzle of the split and its solution for each target; all solutions differ.

    A Metropolis walk begins at a random puzzle. It accepts an easier puzzle with the probability
    (new hardness / old hardness) ** 8. It ends when it has produced enough puzzles, is harder than all open targets,
    or has made no progress for long.
    """
    stack = new_stack(3, 3)
    many = np.zeros((SOLUTIONS, 81), np.uint8)
    two = many[:2]
    puzzle, grid = np.zeros(81, np.uint8), np.zeros(81, np.uint8)
    base, trial, form = np.zeros(81, np.uint8), np.zeros(81, np.uint8), np.zeros(81, np.uint8)
    images = np.zeros((0, 0), np.uint8)
    order = np.arange(81)
    choices = np.zeros(729, np.int64)
    left = len(targets)
    met = _PER_WALK
    vain = steps = 0
    hardness = 0.0
    while left:
        ceiling = targets.max() * (1 + _TOLERANCE) + 1
        if met == _PER_WALK or vain >= _PATIENCE or hardness > ceiling:
            _scattered(state, stack, order, grid, puzzle, two)
            hardness = _hardness(stack, puzzle, form, two)
            if walks == 0:
                return
            walks -= 1
            met = vain = 0
            steps = APART
        base[:] = puzzle
        num, searches = replacements(state, stack, base, many, choices)
        vain += searches
        for choice in choices[: min(num, TRIALS)]:
            trial[:] = base
            trial[choice // 9] = choice % 9 + 1
            # Square roots are exact to the last bit on every machine; powers need not be.
            floor = (hardness + 1) * np.sqrt(np.sqrt(np.sqrt((1 + below(state, 1 << 20)) / (1 << 20)))) - 1
            if count_guesses(stack, trial, two) < _PROMISING * floor:
                continue
            minimize(state, stack, 3, 3, order, trial, two[:1])
            if not 0.8 * floor <= count_guesses(stack, trial, two) <= 1.2 * ceiling:
                continue
            new = _hardness(stack, trial, form, two)
            if not floor <= new <= ceiling:
                continue
            puzzle[:] = trial
            grid[:] = two[0]
            if new > hardness:
                vain = 0
            hardness = new
            steps += 1
            break
        i = _nearest(targets, hardness) if steps >= APART else -1
        if i >= 0 and is_new(grid, solutions):
            canonical_into(puzzle, grid, images, 9, form)
            if split < 0 or form_is_test(form) == (split == 1):
                puzzles[i] = puzzle
                solutions[i] = grid
                targets[i] = -1.0
                left -= 1
                met += 1
                steps = vain = 0


def _hunt_pool(seed: int, pool: int, targets: np.ndarray, split: int, walks: int) -> tuple[np.ndarray, np.ndarray]:
    """A puzzle and a solution for each target."""
    puzzles, solutions = np.zeros((len(targets), 81), np.uint8), np.zeros((len(targets), 81), np.uint8)
    _hunt(_stream(seed, pool, split), targets, split, puzzles, solutions, walks)
    return puzzles, solutions


def _hunt_deep_pool(
    seed: int, pool: int, num: int, split: int, least: int, walks: int
) -> tuple[np.ndarray, np.ndarray]:
    """`num` deep puzzles and their solutions."""
    puzzles, solutions = np.zeros((num, 81), np.uint8), np.zeros((num, 81), np.uint8)
    hunt_deep(_stream(seed, pool + (1 << 32), split), split, least, puzzles, solutions, walks)
    return puzzles, solutions


def _stream(seed: int, pool: int, split: int) -> np.ndarray:
    """Random numbers, a separate stream for each split, because puzzles of one walk resemble each other."""
    state = np.zeros(1, np.uint64)
    seed_stream(state, seed, 3 * pool + 1 + split)
    return state


def places(first: int, num: int, seed: int) -> np.ndarray:
    """The quantile of difficulty of puzzles `first` to `first + num - 1`, (num,) in [0, 1); easy ones are low.

    Multiples of the golden ratio spread any range evenly, so a few puzzles are distributed as well as many.
    """
    return (np.random.default_rng([seed, 0]).random() + (first + np.arange(num)) * 0.6180339887498949) % 1.0


def generate_pool(
    num: int, seed: int, split: str | None, pool: int, walks: int = 1 << 62, hard_by: str = "guesses"
) -> Puzzles:
    """Pool number `pool`, of `num` puzzles; see `generate_extreme`.

    Args:
        num: number of puzzles.
        seed: which sequence.
        split: "train", "test" or None.
        pool: the index of the pool in the sequence.
        walks: the maximum number of walks; puzzles not found by then stay blank (for tests).
        hard_by: a value of `shipped.HARD_BY`, other than "vicinity".
    """
    first = pool * _pool_size(split, hard_by)
    place = places(first, num, seed)
    puzzles = generate((3, 3), num, seed, split, first)
    quantile = (place - EASY_SHARE) / (1 - EASY_SHARE)
    train = split == "train"
    share = DEEP_SHARE if train else float(hard_by == "resistance")
    deep = (quantile >= 0) & (quantile < share)
    hard = (quantile >= 0) & ~deep
    targets = np.interp(quantile[hard], np.linspace(0, 1, len(_QUANTILES)), _QUANTILES)
    code, least = SPLIT_CODES[split], DEEP["train" if train else "test"]
    puzzles.puzzle[hard], puzzles.solution[hard] = _hunt_pool(seed, pool, targets, code, walks)
    puzzles.puzzle[deep], puzzles.solution[deep] = _hunt_deep_pool(seed, pool, int(deep.sum()), code, least, walks)
    return puzzles


def generate_extreme(num: int, seed: int, split: str | None = None, hard_by: str = "guesses") -> Puzzles:
    """Minimal 9x9 puzzles as hard as the benchmark's, uint8 arrays of shape (num, 81).

    A training puzzle takes 1.5 seconds; others take 0.5 seconds by guesses and 5 by resistance.

    Args:
        num: number of puzzles.
        seed: which sequence; the result depends on the arguments alone.
        split: only puzzles of that split ("train" or "test"); None for both.
        hard_by: a value of `shipped.HARD_BY`, other than "vicinity"; ignored for training, where half of the searched
            puzzles are of each kind.
    """
    size = _pool_size(split, hard_by)
    pools = [
        generate_pool(min(size, num - begin), seed, split, begin // size, hard_by=hard_by)
        for begin in range(0, num, size)
    ]
    return Puzzles(np.concatenate([p.puzzle for p in pools]), np.concatenate([p.solution for p in pools]))


def _pool_size(split: str | None, hard_by: str) -> int:
    return POOLS["guesses" if split == "train" else hard_by]
