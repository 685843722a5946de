"""What is wrong with a proposed path, compiled on the host and in torch operations on a device.

Tokens are those of `solver`.
"""

from __future__ import annotations

import numpy as np

from hrm_gym.envs.arrays import Array, as_bytes, as_int64
from hrm_gym.envs.compiled import count_bits
from hrm_gym.envs.jit import njit
from hrm_gym.envs.maze.solver import FREE, GOAL, PATH, START, WALL

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
def _broken(path: np.ndarray, ends: np.ndarray) -> int:
    """Neighbours too few or too many, over the cells of a path and its ends: framed rows, a word each.

    The four neighbours of all cells of a row are added at once, as numbers of three bits that lie in three words.
    """
    broken = 0
    for row in range(1, len(path) - 1):
        here, end = path[row], ends[row]
        way = here | end
        left, right = way << ONE, way >> ONE
        above, below = path[row - 1] | ends[row - 1], path[row + 1] | ends[row + 1]
        ones = left ^ right ^ above ^ below
        twos = (left & right) ^ (above & below) ^ ((left ^ right) & (above ^ below))
        fours = left & right & above & below
        # A cell of the path wants two: 1 or 3 are one off, 0 or 4 two.
        broken += count_bits(here & ones) + 2 * count_bits(here & ~ones & ~twos)
        # An end wants one: 0 or 2 are one off, 3 two, 4 three.
        broken += count_bits(end & ~ones) + 2 * count_bits(end & (ones & twos | fours))
    return broken


@njit(cache=True, nogil=True)
def _count(puzzles: np.ndarray, answers: np.ndarray, lengths: np.ndarray, columns: int) -> np.ndarray:
    """How far answers are from a shortest path of so many steps, int64 (N,)."""
    num, cells = puzzles.shape
    kinds = np.zeros(cells, np.uint8)  # 1 for a cell of the path, 2 for an end
    path, ends = np.zeros(cells // columns + 2, np.uint64), np.zeros(cells // columns + 2, np.uint64)
    counts = np.empty(num, np.int64)
    for i in range(num):
        altered = np.int32(0)
        for j in range(cells):
            given, token = puzzles[i, j], answers[i, j]
            altered += np.int32(given != token)
            marked = np.uint8((given == FREE) & (token == PATH))
            kinds[j] = marked | np.uint8((given == START) | (given == GOAL)) << np.uint8(1)
        length = j = 0
        for row in range(1, len(path) - 1):
            path[row] = ends[row] = NONE
            for column in range(columns):
                kind = np.uint64(kinds[j])
                path[row] |= (kind & ONE) << np.uint64(column + 1)
                ends[row] |= (kind >> ONE) << np.uint64(column + 1)
                j += 1
            length += count_bits(path[row])
        counts[i] = altered - length + _broken(path, ends) + abs(length + 1 - lengths[i])
    return counts


@njit(cache=True, nogil=True)
def _search(puzzles: np.ndarray, columns: int) -> np.ndarray:
    """How many steps a shortest path has, int64 (N,); 0 where none leads from start to goal."""
    free = np.zeros(puzzles.shape[1] // columns + 2, np.uint64)
    lengths = np.zeros(len(puzzles), np.int64)
    for i in range(len(puzzles)):
        begin = end = 0
        start = goal = NONE
        for row in range(len(free) - 2):
            free[row + 1] = NONE
            for column in range(columns):
                token, bit = puzzles[i, row * columns + column], ONE << np.uint64(column + 1)
                free[row + 1] |= bit if token != WALL else NONE
                if token == START:
                    begin, start = row + 1, bit
                elif token == GOAL:
                    end, goal = row + 1, bit
        lengths[i] = _reach(free, begin, start, end, goal)
    return lengths


def count(puzzle: np.ndarray, solution: np.ndarray, answer: np.ndarray, columns: int) -> np.ndarray:
    """As `violations` on the host, without a search: a solution, uint8 (N, L), says how long a shortest path is."""
    return _count(puzzle, answer, (solution == PATH).sum(1) + 1, columns)


def _searched(puzzle: np.ndarray, answer: np.ndarray, columns: int) -> np.ndarray:
    puzzle = as_bytes(puzzle)
    return _count(puzzle, as_bytes(answer), _search(puzzle, columns), columns)


def violations(puzzle: Array, answer: Array, shape: tuple[int, int]) -> Array:
    """How far answers are from a shortest path, int64 of shape (N,): see `MazeTask.violations`.

    On the host this is compiled. On a device it is `violations_on_device`, so that nothing waits for it.

    Args:
        puzzle: tokens, integers of shape (N, L).
        answer: tokens, integers of shape (N, L).
        shape: rows and columns of the board.
    """
    if isinstance(puzzle, np.ndarray):
        return _searched(puzzle, answer, shape[1])
    import torch

    if puzzle.device.type != "cpu":
        return violations_on_device(puzzle, answer, shape)
    return torch.from_numpy(_searched(puzzle.numpy(), answer.numpy(), shape[1]))


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
