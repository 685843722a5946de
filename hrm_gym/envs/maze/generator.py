"""Random mazes with a long way from start to goal, distributed as in the Maze-Hard benchmark.

The distribution: a density of walls is drawn uniformly, every cell is a wall with that probability, start and
goal are two random free cells; of all such mazes, those are kept whose shortest path has at least so many
cells. Of 30x30 mazes that would keep 2 in 100,000 where the path must have 110. Instead, a Markov
chain walks within the mazes that are kept: walls come and go one at a time, start and goal are drawn anew in
between. Each maze is the end of a chain of its own, so mazes are independent of each other; how long a chain
must be to forget its beginning was measured (see `SWEEPS`).

Maze number `i` of a seed and split is a function of these alone.
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
"""Passes over the board after the chain has reached mazes with a path that is long enough.

Measured on 400 chains of 30x30, two boards of a chain that are 10 sweeps apart: the correlation of their walls is
0.004, those of their numbers of walls and of the lengths of their paths scatter around 0 by what chance gives, and
chains of 120 sweeps have the same percentiles. What lasts (0.2 after 30 sweeps) is on which side the start lies; so a
random symmetry has the last word.
"""


@njit(cache=True, nogil=True)
def _trace(distance: np.ndarray, stride: int, goal: int, path: np.ndarray) -> None:
    """Marks in `path` the cells of a shortest path to `goal`, by the distances from its beginning."""
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
    """Proposes to change every cell, once each; the shortest path keeps at least `least` steps.

    A density that is uniform makes all numbers of walls equally likely: with k walls in n cells, each board
    has the weight 1 / binomial(n, k), and the ratios of the weights are the probabilities of acceptance.
    `path` marks the cells of some path from start to goal.
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
            # A wall makes no path shorter; beside the path that is known, it cannot cut the goal off either.
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
            # A cell with one free neighbour is on no way.
            if around > 1 and measure(free, stride, start, goal, queue, distance) < least:
                free[cell] = 0
                walls += 1


@njit(cache=True, nogil=True)
def pick(state: np.ndarray, distance: np.ndarray, least: int, climb: bool) -> int:
    """A random cell at least `least` steps away; a random one of the farthest where the chain is to climb."""
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
    """Writes a random image of the maze, start and goal as they are or exchanged: all are equally likely."""
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
            # Start and goal; while the path is still too short, they go as far apart as they can.
            climb = done == 0
            measure(free, stride, start, -1, queue, distance)
            goal = pick(state, distance, min_path - 1, climb)
            measure(free, stride, goal, -1, queue, distance)
            start = pick(state, distance, min_path - 1, climb)
            least = min(distance[start], min_path - 1)
            if done >= sweeps:
                # A maze of the other split: the chain goes on until it meets one of its own.
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
"""Added to a seed for validation mazes, which are drawn as the test mazes are."""


def generate(
    size: int, min_path: int, num: int, seed: int, split: str | None = None, first: int = 0, sweeps: int = SWEEPS
) -> Puzzles:
    """Random mazes with their solutions, uint8 arrays of shape (num, L); a function of the arguments alone.

    Args:
        size: rows and columns.
        min_path: cells that the shortest path has at least, start and goal among them.
        num: how many mazes.
        seed: which sequence of mazes.
        split: only mazes of that split ("train" or "test"); None for all.
        first: the number, in the sequence, of the first of them.
        sweeps: length of the Markov chains.
    """
    code = SPLIT_CODES[split]
    puzzles = _generate(size, min_path, first, num, seed, code, sweeps, images(size))
    return Puzzles(puzzles, solver.solve(puzzles, size))


def generate_validation(size: int, min_path: int, num: int, seed: int, test: np.ndarray) -> Puzzles:
    """Mazes of the test split that are no image of the mazes `test`, uint8 of shape (N, L).

    What keeps test mazes apart from training mazes keeps these apart from them, too. The other arguments are those of
    `generate`.
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
    """Refuse a size out of range, or a path length that mazes of this size seldom have or never.

    Raises:
        HrmGymError: with the range that is allowed.
    """
    if not 4 <= size <= LARGEST:
        raise HrmGymError(f"no maze of size {size!r}: choose 4 to {LARGEST}")
    longest = max(2 * size - 1, size * size // 5)  # corner to corner; what chains reach in good time
    if not 2 <= min_path <= longest:
        raise HrmGymError(f"no mazes of size {size} with min_path={min_path!r}: choose 2 to {longest}")
