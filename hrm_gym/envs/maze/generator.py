"""Random mazes with a long path from start to goal, distributed as in the Maze-Hard benchmark.

The distribution is defined by rejection: draw a density of walls uniformly, make every cell a wall with that
probability, pick two random free cells as start and goal, and keep the maze if its shortest path has enough cells. Of
30x30 mazes this would keep 2 in 100,000 for a path of 110 cells. Instead, a Markov chain moves within the accepted
mazes: it adds and removes single walls, and redraws start and goal in between. Each maze comes from its own chain, so
mazes are independent. The required length of a chain was measured (see `SWEEPS`).

Maze number `i` of a seed and split depends on these alone.
"""

from __future__ import annotations

import numpy as np

from hrm_gym.envs.jit import njit
from hrm_gym.envs.maze import solver
from hrm_gym.envs.maze.solver import FREE, GOAL, START, WALL, measure, steps
from hrm_gym.envs.maze.symmetry import canonical_forms, form_is_test, images, least_image
from hrm_gym.envs.splitmix import below, seed_stream
from hrm_gym.envs.task import Puzzles
from hrm_gym.errors import HrmGymError

LARGEST = 60
"""Rows and columns of the largest maze: rows must fit into the bits of an integer (see `solver`)."""

SWEEPS = 60
"""Passes over the board after the chain has reached a path that is long enough.

We compared boards of 400 chains of 30x30 that are 10 sweeps apart. The correlation of their walls is 0.004. The
correlations of the number of walls and of the length of the path do not differ from 0 by more than chance. Chains of
120 sweeps have the same percentiles. Only the side of the start persists (0.2 after 30 sweeps), so a random symmetry
is applied in the end.
"""


@njit(cache=True, nogil=True)
def _trace(distance: np.ndarray, stride: int, goal: int, path: np.ndarray) -> None:
    """Marks in `path` the cells of a shortest path to `goal`, given the distances from its start."""
    path[:] = 0
    path[goal] = 1
    cell = goal
    while distance[cell]:
        for step in steps(stride):
            if distance[cell + step] == distance[cell] - 1:
                cell += step
                break
        path[cell] = 1


@njit(cache=True, nogil=True)
def _sweep(
    state: np.ndarray,
    free: np.ndarray,
    path: np.ndarray,
    queue: np.ndarray,
    distance: np.ndarray,
    stride: int,
    start: int,
    goal: int,
    least: int,
) -> None:
    """Proposes a change of every cell once; the shortest path keeps at least `least` steps.

    With a uniform density, all numbers of walls are equally likely. So a board with k walls in n cells has the weight
    1 / binomial(n, k), and the ratio of two weights is the acceptance probability. `path` marks the cells of one path
    from start to goal.
    """
    columns, rows = stride - 2, len(free) // stride - 2
    cells = rows * columns - 2
    walls = rows * columns
    for cell in free:
        walls -= cell
    for i in range(rows * columns):
        cell = (i // columns + 1) * stride + i % columns + 1
        if cell in (start, goal):
            continue
        if free[cell]:
            if below(state, cells - walls) > walls:  # accepted with probability (walls + 1) / (cells - walls)
                continue
            free[cell] = 0
            walls += 1
            # A wall shortens no path, and outside the known path it cannot cut off the goal.
            if path[cell]:
                if measure(free, stride, start, goal, queue, distance) < 0:
                    free[cell] = 1
                    walls -= 1
                else:
                    _trace(distance, stride, goal, path)
        else:
            if below(state, walls) > cells - walls:
                continue
            free[cell] = 1
            walls -= 1
            around = 0
            for step in steps(stride):
                around += free[cell + step]
            # A cell with one free neighbour lies on no path.
            if around > 1 and measure(free, stride, start, goal, queue, distance) < least:
                free[cell] = 0
                walls += 1


@njit(cache=True, nogil=True)
def pick(state: np.ndarray, distance: np.ndarray, least: int, climb: bool) -> int:
    """A random cell at least `least` steps away; with `climb`, a random one of the farthest."""
    if climb:
        least = distance.max()
    left = below(state, (distance >= least).sum())
    for cell in range(len(distance)):
        if distance[cell] >= least:
            if left == 0:
                return cell
            left -= 1
    return -1


@njit(cache=True, nogil=True)
def _read(state: np.ndarray, free: np.ndarray, start: int, goal: int, images: np.ndarray, puzzle: np.ndarray) -> None:
    """Writes a random image of the maze, with start and goal exchanged half of the time."""
    size = int(np.sqrt(len(puzzle)))
    image = images[below(state, len(images))]
    if below(state, 2):
        start, goal = goal, start
    for i, source in enumerate(image):
        cell = (source // size + 1) * (size + 2) + source % size + 1
        puzzle[i] = START if cell == start else GOAL if cell == goal else FREE if free[cell] else WALL


@njit(cache=True, nogil=True)
def _generate(
    size: int, min_path: int, first: int, num: int, seed: int, split: int, sweeps: int, images: np.ndarray
) -> np.ndarray:
    stride = size + 2
    puzzles = np.zeros((num, size * size), np.uint8)
    form = np.zeros(size * size, np.uint8)
    state = np.zeros(1, np.uint64)
    free, path = np.zeros(stride * stride, np.uint8), np.zeros(stride * stride, np.uint8)
    queue, distance = np.zeros(stride * stride, np.int16), np.zeros(stride * stride, np.int16)
    for i in range(num):
        seed_stream(state, 3 * seed + split, first + i)
        free[:] = 0
        free.reshape(stride, stride)[1:-1, 1:-1] = 1
        start, goal = stride + 1, stride * stride - stride - 2
        done = 0
        while True:
            # Redraw start and goal: as far apart as possible while the path is still too short.
            climb = done == 0
            measure(free, stride, start, -1, queue, distance)
            goal = pick(state, distance, min_path - 1, climb)
            measure(free, stride, goal, -1, queue, distance)
            start = pick(state, distance, min_path - 1, climb)
            least = min(distance[start], min_path - 1)
            if done >= sweeps:
                # The chain continues until the maze belongs to the requested split.
                _read(state, free, start, goal, images, puzzles[i])
                least_image(puzzles[i], images, form)
                if split == 0 or form_is_test(form) == (split == 2):
                    break
            _trace(distance, stride, start, path)
            _sweep(state, free, path, queue, distance, stride, start, goal, least)
            done += least == min_path - 1
    return puzzles


SPLIT_CODES = {None: 0, "train": 1, "test": 2}

VALIDATION_SEED = 100
"""Added to the seed for validation mazes, which are drawn like test mazes."""


def generate(
    size: int, min_path: int, num: int, seed: int, split: str | None = None, first: int = 0, sweeps: int = SWEEPS
) -> Puzzles:
    """Random mazes with their solutions, uint8 arrays of shape (num, L); they depend on the arguments alone.

    Args:
        size: rows and columns.
        min_path: minimum number of cells of the shortest path, including start and goal.
        num: number of mazes.
        seed: which sequence of mazes.
        split: only mazes of that split ("train" or "test"); None for both.
        first: index of the first maze in the sequence.
        sweeps: length of the Markov chains.
    """
    code = SPLIT_CODES[split]
    puzzles = _generate(size, min_path, first, num, seed, code, sweeps, images(size))
    return Puzzles(puzzles, solver.solve(puzzles, size))


def generate_validation(size: int, min_path: int, num: int, seed: int, test: np.ndarray) -> Puzzles:
    """Mazes of the test split of which none is an image of the mazes `test`, uint8 of shape (N, L).

    As members of the test split they share nothing with the training split, either. See `generate` for the other
    arguments.
    """
    known = {form.tobytes() for form in canonical_forms(test, size)}
    drawn = num
    while True:
        puzzles = generate(size, min_path, drawn, seed + VALIDATION_SEED, "test")
        new = np.array([form.tobytes() not in known for form in canonical_forms(puzzles.puzzle, size)])
        if new.sum() >= num:
            kept = np.flatnonzero(new)[:num]
            return Puzzles(puzzles.puzzle[kept], puzzles.solution[kept])
        drawn *= 2


def check_size(size: int, min_path: int) -> None:
    """Reject a size out of range, or a path length that is rare or impossible at this size.

    Raises:
        HrmGymError: with the allowed range.
    """
    if not 4 <= size <= LARGEST:
        raise HrmGymError(f"no maze of size {size!r}: choose 4 to {LARGEST}")
    longest = max(2 * size - 1, size * size // 5)  # corner to corner, or a length that chains reach quickly
    if not 2 <= min_path <= longest:
        raise HrmGymError(f"no mazes of size {size} with min_path={min_path!r}: choose 2 to {longest}")
