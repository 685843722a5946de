"""Counting the errors of a proposed path: compiled on the host, in torch operations on a device.

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
    """Return the number of steps from the cell `bit` of row `begin` to the cell `goal` of row `end`; 0 without a path.

    `free` has one word per row and one bit per cell, with a border of zeros, so a step is a few operations per row.
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
    """Count missing and surplus neighbours of the cells of a path and of its ends: bordered rows, one word each.

    The neighbours of all cells of a row are counted at once; the three bits of the counts are in three words.
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
        # A cell of the path needs two neighbours: 1 or 3 are off by one, 0 or 4 by two.
        broken += count_bits(here & ones) + 2 * count_bits(here & ~ones & ~twos)
        # An end needs one neighbour: 0 or 2 are off by one, 3 by two, 4 by three.
        broken += count_bits(end & ~ones) + 2 * count_bits(end & (ones & twos | fours))
    return broken


@njit(cache=True, nogil=True)
def _count(puzzles: np.ndarray, answers: np.ndarray, lengths: np.ndarray, columns: int) -> np.ndarray:
    """Return the violations of answers, int64 (N,), given the length of a shortest path in steps."""
    num, cells = puzzles.shape
    kinds = np.zeros(cells, np.uint8)  # 1: a cell of the path, 2: an end
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
    """Return the number of steps of a shortest path, int64 (N,); 0 if there is no path from start to goal."""
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
    """Compute `violations` on the host without a search, given solutions, uint8 (N, L)."""
    return _count(puzzle, answer, (solution == PATH).sum(1) + 1, columns)


def _searched(puzzle: np.ndarray, answer: np.ndarray, columns: int) -> np.ndarray:
    puzzle = as_bytes(puzzle)
    return _count(puzzle, as_bytes(answer), _search(puzzle, columns), columns)


def violations(puzzle: Array, answer: Array, shape: tuple[int, int]) -> Array:
    """Return `MazeTask.violations`, int64 of shape (N,).

    On the host this is compiled; on a device it is `violations_on_device`, which does not synchronize.

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
    """Return which answers are shortest paths, bool (N,), given the solutions; all tokens have shape (N, L).

    No search is needed, because the solution gives the length. Suppose an answer keeps the givens, marks as many cells
    as the solution, and each marked cell has two marked neighbours (start and goal: one). Then it is a path, possibly
    with separate closed rings. A ring is impossible, because the path would be shorter than the shortest path.
    """
    altered, broken, length = _path(puzzle, answer, shape)
    return (altered == 0) & (broken == 0) & (length == (solution == PATH).sum(1))


def _path(puzzle: Array, answer: Array, shape: tuple[int, int]) -> tuple[Array, Array, Array]:
    """Count altered cells, broken links and cells marked as path, each (N,), for NumPy arrays or tensors."""
    puzzle, answer = puzzle.reshape(-1, *shape), answer.reshape(-1, *shape)
    path = (puzzle == FREE) & (answer == PATH)
    altered = ((puzzle != answer) & ~path).sum((1, 2))
    ends = (puzzle == START) | (puzzle == GOAL)
    way = as_int64(path | ends)
    around = way * 0  # number of each cell's neighbours on the path
    around[:, 1:] += way[:, :-1]
    around[:, :-1] += way[:, 1:]
    around[:, :, 1:] += way[:, :, :-1]
    around[:, :, :-1] += way[:, :, 1:]
    broken = (path * abs(around - 2) + ends * abs(around - 1)).sum((1, 2))
    return altered, broken, path.sum((1, 2))


def violations_on_device(puzzle: Array, answer: Array, shape: tuple[int, int]) -> Array:
    """Compute `violations` in torch operations whose number depends only on `shape`.

    Most of the time goes to the length of the shortest path. Each row is an integer with one bit per cell, and the
    sets of cells reachable from both ends grow by one step per round until they meet. The number of rounds is half the
    length of the longest shortest path on any board of this shape.
    """
    import torch

    rows, columns = shape
    altered, broken, marked = _path(puzzle, answer, shape)
    puzzle = puzzle.reshape(-1, rows, columns)
    bits = 1 << torch.arange(columns, device=puzzle.device)
    free = ((puzzle != WALL) * bits).sum(-1)
    reached = torch.stack([((puzzle == end) * bits).sum(-1) for end in (START, GOAL)])
    reached = torch.nn.functional.pad(reached, (1, 1))
    # A shortest path contains at most three of any 2x2 cells; otherwise there would be a shortcut.
    longest = 3 * ((rows + 1) // 2) * ((columns + 1) // 2) - 1
    rounds = (longest + 1) // 2
    met = torch.zeros_like(altered)  # number of path lengths up to 2 * rounds at which both ends meet
    for _ in range(rounds):
        inner = reached[:, :, 1:-1]
        grown = (inner | inner << 1 | inner >> 1 | reached[:, :, 2:] | reached[:, :, :-2]) & free
        met += (grown[0] & inner[1]).any(-1)  # odd length: the start makes the last step
        met += (grown[0] & grown[1]).any(-1)
        inner.copy_(grown)
    length = (2 * rounds + 1 - met) * (met > 0)
    return altered + broken + (marked - length + 1).abs()
