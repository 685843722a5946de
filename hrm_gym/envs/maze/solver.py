"""Shortest paths: how long they are, the one that is the solution, and what is wrong with a proposed one.

Tokens: 0 wall, 1 free, 2 start, 3 goal, 4 path. A path goes from cell to cell up, down, left and right.

The compiled functions work on a board with a frame of walls around it, flattened, so that every cell has four
neighbours; `stride` is the length of its rows, `columns + 2`.
"""

from __future__ import annotations

import numpy as np

from hrm_gym.envs.arrays import Array, as_int64
from hrm_gym.envs.compiled import njit
from hrm_gym.errors import HrmGymError

WALL, FREE, START, GOAL, PATH = range(5)


@njit(cache=True, nogil=True)
def steps(stride: int) -> tuple[int, int, int, int]:
    """From a cell to its neighbours, in the order in which the benchmark's labels look at them."""
    return stride, -1, 1, -stride


@njit(cache=True, nogil=True)
def measure(free: np.ndarray, stride: int, start: int, goal: int, queue: np.ndarray, distance: np.ndarray) -> int:
    """How many steps the shortest path from `start` to `goal` has, -1 where there is none.

    Args:
        free: which cells are no walls, of the framed board.
        stride: length of its rows.
        start: a cell.
        goal: a cell; -1 measures all distances.
        queue: room for the cells.
        distance: gets the steps from `start` to each cell; -1 where no path leads or `goal` was found before,
            -2 for walls.
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
    """Writes a puzzle, shape (L,), into the framed board; returns its start and goal, -1 for none."""
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
    """Solutions, shape (N, L), and the steps of their paths, shape (N,), -1 where there is none."""
    stride = columns + 2
    size = (puzzles.shape[1] // columns + 2) * stride
    free, distance, queue = np.zeros(size, np.uint8), np.zeros(size, np.int16), np.zeros(size, np.int16)
    solutions, lengths = puzzles.copy(), np.zeros(len(puzzles), np.int64)
    for i in range(len(puzzles)):
        start, goal = enter(puzzles[i], columns, free)
        # The first discoverer being the parent, the benchmark's path is the first of all shortest ones in the
        # order of their steps: walk from the start and take the first step that comes nearer to the goal.
        lengths[i] = measure(free, stride, goal, start, queue, distance)
        cell = start
        for left in range(lengths[i] - 1, 0, -1):
            for step in steps(stride):
                if distance[cell + step] == left:
                    cell += step
                    break
            solutions[i, (cell // stride - 1) * columns + cell % stride - 1] = PATH
    return solutions, lengths


def tokens(array: np.ndarray) -> np.ndarray:
    """The tokens as the compiled functions take them: one contiguous byte each."""
    return np.ascontiguousarray(array, dtype=np.uint8)


def solve(puzzles: np.ndarray, columns: int) -> np.ndarray:
    """The solutions, uint8 of shape (N, L), of solvable puzzles, shape (N, L), by the benchmark's rule.

    Breadth-first search from the start, neighbours in the order down, left, right, up; the first discoverer
    of a cell is its parent.
    """
    return _solve_all(tokens(puzzles), columns)[0]


def path_cells(puzzles: np.ndarray, columns: int) -> np.ndarray:
    """How many cells a shortest path has, start and goal among them, int64 of shape (N,); 0 for no path."""
    return _solve_all(tokens(puzzles), columns)[1] + 1


def solve_one(puzzle: np.ndarray, columns: int) -> np.ndarray:
    """The solution, uint8 of shape (L,), of one puzzle, shape (L,).

    Raises:
        HrmGymError: where a path is given already, start or goal is missing or stands twice, or no path leads
            from one to the other.
    """
    puzzle = tokens(puzzle)
    check_ends(puzzle, columns)
    if (puzzle == PATH).any():
        row, column = divmod(int(np.argmax(puzzle == PATH)), columns)
        raise HrmGymError(f"the puzzle has an 'o' at row {row + 1}, column {column + 1}: leave the path to be found")
    solutions, lengths = _solve_all(puzzle[None], columns)
    if lengths[0] < 0:
        raise HrmGymError("the maze has no solution: no path leads from S to G; take a wall away")
    return solutions[0]


def check_ends(board: np.ndarray, columns: int) -> None:
    """Refuse a board, shape (L,), without exactly one start and one goal.

    Raises:
        HrmGymError: saying which of them is missing, or where it stands twice.
    """
    for token, name in ((START, "S"), (GOAL, "G")):
        cells = np.flatnonzero(board == token)
        if len(cells) == 0:
            raise HrmGymError(f"the maze has no {name}: it needs one S, the start, and one G, the goal")
        if len(cells) > 1:
            places = [f"row {cell // columns + 1}, column {cell % columns + 1}" for cell in cells[:2]]
            raise HrmGymError(f"the maze has {len(cells)} {name}, at {' and at '.join(places)}: one is needed")


# ---- violations ---------------------------------------------------------------------------------------------


ONE = np.uint64(1)
NONE = np.uint64(0)


@njit(cache=True, nogil=True)
def _reach(free: np.ndarray, begin: int, bit: np.uint64, end: int, goal: np.uint64) -> int:
    """Steps from the cell `bit` of row `begin` to the cell `goal` of row `end`, 0 where no path leads.

    `free` has a row a word and a bit a cell, with a frame of zeros: a step is a few operations a row.
    """
    reached, grown = np.zeros_like(free), np.zeros_like(free)
    reached[begin] = bit
    length = 0
    while not reached[end] & goal:
        new = NONE
        for row in range(1, len(free) - 1):
            here = reached[row]
            more = (here | here << ONE | here >> ONE | reached[row - 1] | reached[row + 1]) & free[row]
            grown[row] = more
            new |= here ^ more
        if not new:
            return 0
        reached, grown = grown, reached
        length += 1
    return length


@njit(cache=True, nogil=True)
def _count_violations(puzzles: np.ndarray, answers: np.ndarray, columns: int) -> np.ndarray:
    rows = puzzles.shape[1] // columns
    free, path = np.zeros(rows + 2, np.uint64), np.zeros(rows + 2, np.uint64)
    counts = np.zeros(len(puzzles), np.int64)
    for i in range(len(puzzles)):
        cells = altered = broken = begin = end = 0
        start = goal = NONE
        for row in range(rows):
            free_row = path_row = NONE
            for column in range(columns):
                given, token = puzzles[i, row * columns + column], answers[i, row * columns + column]
                bit = ONE << np.uint64(column + 1)
                marked = (given == FREE) & (token == PATH)
                cells += marked
                altered += (given != token) & (not marked)
                free_row |= bit if given != WALL else NONE
                path_row |= bit if marked else NONE
                if given == START:
                    begin, start = row + 1, bit
                elif given == GOAL:
                    end, goal = row + 1, bit
            free[row + 1], path[row + 1] = free_row, path_row
        path[begin] |= start
        path[end] |= goal
        for row in range(1, rows + 1):
            left = path[row]
            while left:
                bit = left & (~left + ONE)
                left ^= bit
                around = (path[row] << ONE & bit != 0) + (path[row] >> ONE & bit != 0)
                around += (path[row - 1] & bit != 0) + (path[row + 1] & bit != 0)
                is_end = (row == begin and bit == start) or (row == end and bit == goal)
                broken += abs(around - (1 if is_end else 2))
        counts[i] = altered + broken + abs(cells - _reach(free, begin, start, end, goal) + 1)
    return counts


def violations(puzzle: Array, answer: Array, shape: tuple[int, int]) -> Array:
    """How far answers are from a shortest path, int64 of shape (N,): see `MazeTask.violations`.

    On the host this is compiled. On a device it is `violations_on_device`, so that nothing waits for it.

    Args:
        puzzle: tokens, integers of shape (N, L).
        answer: tokens, integers of shape (N, L).
        shape: rows and columns of the board.
    """
    if isinstance(puzzle, np.ndarray):
        return _count_violations(tokens(puzzle), tokens(answer), shape[1])
    import torch

    if puzzle.device.type != "cpu":
        return violations_on_device(puzzle, answer, shape)
    return torch.from_numpy(_count_violations(tokens(puzzle.numpy()), tokens(answer.numpy()), shape[1]))


def is_shortest(puzzle: Array, solution: Array, answer: Array, shape: tuple[int, int]) -> Array:
    """Which answers are shortest paths, bool (N,), where the solutions are known; tokens of shape (N, L).

    No search is needed, since the solution tells the length. An answer that keeps the givens, marks as many cells as
    the solution, and whose marked cells have two marked neighbours each (start and goal, one) is a path and perhaps
    closed rings beside it; with a ring the path would be shorter than the shortest.
    """
    altered, broken, length = _path(puzzle, answer, shape)
    return (altered == 0) & (broken == 0) & (length == (solution == PATH).sum(1))


def _path(puzzle: Array, answer: Array, shape: tuple[int, int]) -> tuple[Array, Array, Array]:
    """Cells altered, links broken and cells marked as path, each (N,), of NumPy arrays and tensors alike."""
    puzzle, answer = puzzle.reshape(-1, *shape), answer.reshape(-1, *shape)
    path = (puzzle == FREE) & (answer == PATH)
    altered = ((puzzle != answer) & ~path).sum((1, 2))
    ends = (puzzle == START) | (puzzle == GOAL)
    way = as_int64(path | ends)
    around = way * 0  # how many neighbours of each cell are on the way
    around[:, 1:] += way[:, :-1]
    around[:, :-1] += way[:, 1:]
    around[:, :, 1:] += way[:, :, :-1]
    around[:, :, :-1] += way[:, :, 1:]
    broken = (path * abs(around - 2) + ends * abs(around - 1)).sum((1, 2))
    return altered, broken, path.sum((1, 2))


def violations_on_device(puzzle: Array, answer: Array, shape: tuple[int, int]) -> Array:
    """The same in torch operations alone, their number a function of `shape` alone.

    The length of the shortest path is what takes long. Here too a row is an integer with a bit a cell, and what
    can be reached from both ends grows by one step at a time until it meets. However long the way, that takes
    no more rounds than half the longest shortest path that any board of this shape has.
    """
    import torch

    rows, columns = shape
    altered, broken, marked = _path(puzzle, answer, shape)
    puzzle = puzzle.reshape(-1, rows, columns)
    bits = 1 << torch.arange(columns, device=puzzle.device)
    free = ((puzzle != WALL) * bits).sum(-1)
    reached = torch.stack([((puzzle == end) * bits).sum(-1) for end in (START, GOAL)])
    reached = torch.nn.functional.pad(reached, (1, 1))
    # Of any 2x2 cells a shortest path holds at most three, or it could take a short cut.
    longest = 3 * ((rows + 1) // 2) * ((columns + 1) // 2) - 1
    rounds = (longest + 1) // 2
    met = torch.zeros_like(altered)  # for how many lengths up to 2 * rounds the ways from both ends meet
    for _ in range(rounds):
        inner = reached[:, :, 1:-1]
        grown = (inner | inner << 1 | inner >> 1 | reached[:, :, 2:] | reached[:, :, :-2]) & free
        met += (grown[0] & inner[1]).any(-1)  # an odd length: the last step is the start's
        met += (grown[0] & grown[1]).any(-1)
        inner.copy_(grown)
    length = (2 * rounds + 1 - met) * (met > 0)
    return altered + broken + (marked - length + 1).abs()
