"""Shortest paths: their length, and the one that is the solution.

Tokens: 0 wall, 1 free, 2 start, 3 goal, 4 path. A path goes from cell to cell up, down, left and right.

The compiled functions work on a flattened board with a frame of walls, so every cell has four neighbours. `stride`, the
length of its rows, is `columns + 2`.
"""

from __future__ import annotations

import numpy as np

from hrm_gym.envs.arrays import as_bytes
from hrm_gym.envs.jit import njit
from hrm_gym.errors import HrmGymError

WALL, FREE, START, GOAL, PATH = range(5)


@njit(cache=True, nogil=True)
def steps(stride: int) -> tuple[int, int, int, int]:
    """Offsets from a cell to its neighbours, in the order of the search that made the benchmark's labels."""
    return stride, -1, 1, -stride


@njit(cache=True, nogil=True)
def measure(free: np.ndarray, stride: int, start: int, goal: int, queue: np.ndarray, distance: np.ndarray) -> int:
    """The number of steps of the shortest path from `start` to `goal`, -1 if there is none.

    Args:
        free: 1 for each cell of the framed board that is not a wall.
        stride: length of its rows.
        start: a cell.
        goal: a cell; -1 measures all distances.
        queue: scratch space for the cells.
        distance: gets the steps from `start` to each cell; -1 for cells that the search did not reach, -2 for walls.
    """
    if start < 0:
        return -1
    for cell in range(len(free)):
        distance[cell] = np.int16(free[cell]) - 2
    distance[start] = 0
    queue[0] = start
    head, tail = 0, 1
    while head < tail:
        cell = int(queue[head])
        head += 1
        beyond = distance[cell] + 1
        for step in steps(stride):
            neighbour = cell + step
            if distance[neighbour] == -1:
                distance[neighbour] = beyond
                if neighbour == goal:
                    return beyond
                queue[tail] = neighbour
                tail += 1
    return -1


@njit(cache=True, nogil=True)
def enter(puzzle: np.ndarray, columns: int, free: np.ndarray) -> tuple[int, int]:
    """Writes a puzzle, shape (L,), into the framed board; returns start and goal, -1 if missing."""
    start = goal = -1
    free[:] = 0
    for row in range(len(puzzle) // columns):
        for column in range(columns):
            token = puzzle[row * columns + column]
            cell = (row + 1) * (columns + 2) + column + 1
            free[cell] = token != WALL
            if token == START:
                start = cell
            elif token == GOAL:
                goal = cell
    return start, goal


@njit(cache=True, nogil=True)
def _solve_all(puzzles: np.ndarray, columns: int) -> tuple[np.ndarray, np.ndarray]:
    """Solutions, shape (N, L), and the steps of their paths, shape (N,), -1 if there is none."""
    stride = columns + 2
    size = (puzzles.shape[1] // columns + 2) * stride
    free, distance, queue = np.zeros(size, np.uint8), np.zeros(size, np.int16), np.zeros(size, np.int16)
    solutions, lengths = puzzles.copy(), np.zeros(len(puzzles), np.int64)
    for i in range(len(puzzles)):
        start, goal = enter(puzzles[i], columns, free)
        # In the benchmark's search, the first discoverer of a cell becomes its parent. So its path always takes the
        # first step, in the order of `steps`, that comes nearer to the goal.
        lengths[i] = measure(free, stride, goal, start, queue, distance)
        cell = start
        for left in range(lengths[i] - 1, 0, -1):
            for step in steps(stride):
                if distance[cell + step] == left:
                    cell += step
                    break
            solutions[i, (cell // stride - 1) * columns + cell % stride - 1] = PATH
    return solutions, lengths


def solve(puzzles: np.ndarray, columns: int) -> np.ndarray:
    """The solutions, uint8 of shape (N, L), of solvable puzzles, shape (N, L), by the benchmark's rule.

    Breadth-first search from the start, neighbours in the order down, left, right, up; the first discoverer
    of a cell is its parent.
    """
    return _solve_all(as_bytes(puzzles), columns)[0]


def path_cells(puzzles: np.ndarray, columns: int) -> np.ndarray:
    """The number of cells of a shortest path, including start and goal, int64 of shape (N,); 0 for no path."""
    return _solve_all(as_bytes(puzzles), columns)[1] + 1


def solve_one(puzzle: np.ndarray, columns: int) -> np.ndarray:
    """The solution, uint8 of shape (L,), of one puzzle, shape (L,).

    Raises:
        HrmGymError: if the puzzle already contains a path, if start or goal is missing or repeated, or if no path
            connects them.
    """
    puzzle = as_bytes(puzzle)
    check_ends(puzzle, columns)
    if (puzzle == PATH).any():
        row, column = divmod(int(np.argmax(puzzle == PATH)), columns)
        raise HrmGymError(f"the puzzle has an 'o' at row {row + 1}, column {column + 1}: leave the path to be found")
    solutions, lengths = _solve_all(puzzle[None], columns)
    if lengths[0] < 0:
        raise HrmGymError("the maze has no solution: no path leads from S to G; take a wall away")
    return solutions[0]


def check_ends(board: np.ndarray, columns: int) -> None:
    """Reject a board, shape (L,), without exactly one start and one goal.

    Raises:
        HrmGymError: naming the missing or repeated one.
    """
    for token, name in ((START, "S"), (GOAL, "G")):
        cells = np.flatnonzero(board == token)
        if len(cells) == 0:
            raise HrmGymError(f"the maze has no {name}: it needs one S, the start, and one G, the goal")
        if len(cells) > 1:
            places = [f"row {cell // columns + 1}, column {cell % columns + 1}" for cell in cells[:2]]
            raise HrmGymError(f"the maze has {len(cells)} {name}, at {' and at '.join(places)}: one is needed")
