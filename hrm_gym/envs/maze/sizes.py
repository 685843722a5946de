"""Mazes of several sizes and path lengths on one board, and training mazes reused with another start and goal."""

from __future__ import annotations

import functools
from collections.abc import Iterator

import numpy as np

from hrm_gym.envs.jit import njit
from hrm_gym.envs.maze import generator, solver
from hrm_gym.envs.maze.generator import pick
from hrm_gym.envs.maze.solver import FREE, GOAL, START, WALL, enter, measure
from hrm_gym.envs.maze.symmetry import is_test
from hrm_gym.envs.splitmix import seed_stream
from hrm_gym.envs.task import Puzzles
from hrm_gym.errors import HrmGymError

NUM_TEST = 1_000
"""The number of test mazes, over all sizes and path lengths."""

LEVELS = 4
"""The number of different minimum path lengths for mazes of one size."""


def check_sizes(size: int, min_path: int, smallest: int | None, shortest: int | None) -> None:
    """Reject sizes out of range, and path lengths that are impossible at a size.

    Raises:
        HrmGymError: with the allowed range.
    """
    generator.check_size(size, min_path)
    if smallest is not None:
        if not (isinstance(smallest, int) and 4 <= smallest <= size):
            raise HrmGymError(f"smallest={smallest!r}: choose 4 to size={size}, or leave it out")
        for side in range(smallest, size):
            generator.check_size(side, path_of(side, size, min_path))
    if shortest is not None and not (isinstance(shortest, int) and 2 <= shortest <= min_path):
        raise HrmGymError(f"shortest={shortest!r}: choose 2 to min_path={min_path}, or leave it out")


def path_of(side: int, size: int, min_path: int) -> int:
    """The minimum path of a maze of `side`: `min_path`, which holds for `size`, scaled by the area."""
    return max(2, min_path * side**2 // size**2)


def levels(min_path: int, shortest: int | None) -> list[int]:
    """The minimum path lengths from `shortest` to `min_path` in equal steps, without duplicates."""
    if shortest is None:
        return [min_path]
    return sorted({shortest + (min_path - shortest) * step // (LEVELS - 1) for step in range(LEVELS)})


def generate(
    size: int,
    min_path: int,
    smallest: int | None,
    shortest: int | None,
    num: int,
    seed: int,
    split: str | None = None,
) -> Puzzles:
    """Random mazes of the sizes `smallest` to `size`, uint8 (num, size * size); they depend on the arguments alone.

    `generator` makes the mazes of each size, so the splits share none.
    """
    puzzle = np.full((num, size, size), WALL, np.uint8)
    solution = puzzle.copy()
    for some, side, path, paths, corners in _kinds(size, min_path, smallest, shortest, num, seed):
        mazes = _of_one_kind(side, path, paths, len(some), seed, split)
        for slot, (top, left), board, answer in zip(some, corners, mazes.puzzle, mazes.solution, strict=True):
            place = slot, slice(top, top + side), slice(left, left + side)
            puzzle[place], solution[place] = board.reshape(side, side), answer.reshape(side, side)
    return Puzzles(puzzle.reshape(num, -1), solution.reshape(num, -1))


def places_of(size: int, min_path: int, smallest: int | None, shortest: int | None, num: int, seed: int) -> np.ndarray:
    """Where the mazes of `generate` stand on the board: rows and columns, first row, first column; int64 (num, 3)."""
    places = np.zeros((num, 3), np.int64)
    for some, side, _, _, corners in _kinds(size, min_path, smallest, shortest, num, seed):
        places[some, 0], places[some, 1:] = side, corners
    return places


def _kinds(
    size: int, min_path: int, smallest: int | None, shortest: int | None, num: int, seed: int
) -> Iterator[tuple[np.ndarray, int, int, list[int], np.ndarray]]:
    """The kinds of mazes in a set: slots (n,), size, minimum path, all paths of that size, and corners (n, 2)."""
    sides = [size] if smallest is None else list(range(smallest, size + 1))
    wanted = levels(min_path, shortest)
    rng = np.random.default_rng([seed, len(sides)])
    order = rng.permutation(num) if len(sides) * len(wanted) > 1 else np.arange(num)
    for slots, side in zip(np.array_split(order, len(sides)), sides, strict=True):
        paths = sorted({path_of(side, size, least) for least in wanted})
        for some, path in zip(np.array_split(slots, len(paths)), paths, strict=True):
            yield some, side, path, paths, rng.integers(0, size - side + 1, (len(some), 2))


def _of_one_kind(side: int, path: int, paths: list[int], num: int, seed: int, split: str | None) -> Puzzles:
    """Mazes of one size and minimum path; validation mazes differ from the test mazes of all `paths`."""
    if split == "validation":
        test = np.concatenate([_test(side, other, seed).puzzle for other in paths])
        return generator.generate_validation(side, path, num, seed, test)
    if split == "test" and num <= NUM_TEST:  # the first mazes of a sequence do not depend on its length
        return _test(side, path, seed).map(lambda array: array[:num])
    return generator.generate(side, path, num, seed, split)


@functools.lru_cache(maxsize=64)
def _test(side: int, min_path: int, seed: int) -> Puzzles:
    """Test mazes of one size and minimum path, cached because the validation split needs them too."""
    return generator.generate(side, min_path, NUM_TEST, seed, "test")


def with_other_ends(puzzles: Puzzles, size: int, times: int, places: np.ndarray) -> Puzzles:
    """The mazes, followed by `times` as many with the same walls and another start and goal.

    The new paths are at least as long as the shortest old one. Mazes of the test split are left out.

    Args:
        puzzles: N training mazes.
        size: rows and columns of the board.
        times: number of new mazes per maze.
        places: where each maze stands, (N, 3): see `places_of`.
    """
    shortest = int(solver.path_cells(puzzles.puzzle, size).min())
    drawn = _redraw(np.ascontiguousarray(puzzles.puzzle, np.uint8), size, shortest, times)
    drawn = drawn[~_are_test(drawn.reshape(-1, size, size), np.tile(places, (times, 1)))]
    return Puzzles(
        np.concatenate((puzzles.puzzle, drawn)), np.concatenate((puzzles.solution, solver.solve(drawn, size)))
    )


def _are_test(boards: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Whether each maze, (N, size, size), belongs to the test split: its own square decides, not the walls around."""
    found = np.zeros(len(boards), bool)
    for side in np.unique(places[:, 0]):
        (those,) = np.nonzero(places[:, 0] == side)
        mazes = [
            boards[i, top : top + side, left : left + side].ravel()
            for i, (_, top, left) in zip(those, places[those], strict=True)
        ]
        found[those] = is_test(np.stack(mazes), int(side))
    return found


@njit(cache=True, nogil=True)
def _redraw(puzzles: np.ndarray, size: int, min_path: int, times: int) -> np.ndarray:
    stride = size + 2
    drawn = np.zeros((times * len(puzzles), size * size), np.uint8)
    state = np.zeros(1, np.uint64)
    free = np.zeros(stride * stride, np.uint8)
    queue, distance = np.zeros(stride * stride, np.int16), np.zeros(stride * stride, np.int16)
    for i in range(len(drawn)):
        puzzle, board = puzzles[i % len(puzzles)], drawn[i]
        seed_stream(state, 0, i)
        start, _ = enter(puzzle, size, free)
        for cell in range(size * size):
            board[cell] = WALL if puzzle[cell] == WALL else FREE
        # Draw a new goal far enough from the old start, then a new start far enough from it, if there is such a cell.
        for _ in range(2):
            measure(free, stride, start, -1, queue, distance)
            start, goal = pick(state, distance, min(min_path - 1, distance.max()), False), start
        for framed, token in ((start, START), (goal, GOAL)):
            board[(framed // stride - 1) * size + framed % stride - 1] = token
    return drawn
