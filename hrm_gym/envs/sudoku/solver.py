"""A compiled Sudoku solver: counts solutions, finds one, and rates how much guessing a puzzle takes.

The search is depth-first: propagate, then guess the digit with the fewest arrangements in a band or stack, one
arrangement after the other. The tdoku solver, whose guesses are the rating of the Sudoku-Extreme benchmark, does the
same. Over a set of puzzles our average agrees with the rating; for a single puzzle the two may differ.
"""

from __future__ import annotations

import numpy as np

from hrm_gym.envs.jit import njit
from hrm_gym.envs.sudoku import SYMBOLS
from hrm_gym.envs.sudoku.arrangements import ARRANGEMENTS
from hrm_gym.envs.sudoku.propagation import keep, places_of, propagate, read, start
from hrm_gym.errors import HrmGymError

# ---- search -----------------------------------------------------------------------------------------


@njit(cache=True, nogil=True)
def new_stack(height: int, width: int) -> np.ndarray:
    """Scratch space for one `search`: a board of masks for every level that it can reach."""
    size = height * width
    # A guess settles one digit in one band or stack, and at most `waiting` alternatives stay on the stack.
    waiting = 23 if size == 16 else 5
    levels = waiting * size * (height + width) + 1
    return np.zeros((levels, size + 2, size), np.int32)


@njit(cache=True, nogil=True)
def search(stack: np.ndarray, height: int, width: int, solutions: np.ndarray) -> tuple[int, int]:
    """Depth-first search from the masks in `stack[0]` for as many solutions as `solutions` has rows.

    Args:
        stack: masks, one board a level, from `new_stack`; overwritten.
        height: rows of a box.
        width: columns of a box.
        solutions: gets the solutions found, shape (limit, L).

    Returns:
        The number of solutions found and the number of guesses. The last alternative of a digit is not a guess.
    """
    size = height * width
    found = guesses = 0
    depth = 0
    while depth >= 0:
        masks = stack[depth]
        guesses += masks[size + 1, 0]
        consistent, digit, line, count = propagate(masks, height, width)
        if not consistent:
            depth -= 1
            continue
        if count == 0:
            read(masks, height, width, solutions[found])
            found += 1
            if found == len(solutions):
                break
            depth -= 1
            continue
        # Push the alternatives, the first on top; the bottom one remains when all others have failed.
        places = places_of(masks, height, width, digit, line)
        kind = (height if line < width else width) - 2
        level = depth + count - 1
        for arrangement in ARRANGEMENTS[kind]:
            if not arrangement:
                break
            if not arrangement & ~places:
                if level > depth:
                    stack[level] = masks
                alternative = stack[level]
                keep(alternative, height, width, digit, line, arrangement)
                alternative[size + 1, 0] = level > depth
                level -= 1
        depth += count - 1
    return found, guesses


# ---- whole puzzles ----------------------------------------------------------------------------------


@njit(cache=True, nogil=True)
def search_all(puzzles: np.ndarray, height: int, width: int, limit: int) -> tuple[np.ndarray, np.ndarray]:
    """First solutions, shape (N, L), and counts of solutions and guesses, shape (N, 2)."""
    stack = new_stack(height, width)
    solutions = np.zeros_like(puzzles)
    counts = np.zeros((len(puzzles), 2), np.int64)
    found = np.zeros((limit, puzzles.shape[1]), np.uint8)
    for i in range(len(puzzles)):
        if start(stack[0], height, width, puzzles[i]):
            counts[i] = search(stack, height, width, found)
            solutions[i] = found[0]
    return solutions, counts


def _tokens(puzzles: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(puzzles, dtype=np.uint8)


def rate(puzzles: np.ndarray, boxes: tuple[int, int]) -> np.ndarray:
    """The difficulty of each puzzle, shape (N, L): guesses to find the solution, int64 of shape (N,)."""
    return search_all(_tokens(puzzles), *boxes, 1)[1][:, 1]


def solve(puzzle: np.ndarray, boxes: tuple[int, int]) -> np.ndarray:
    """The only solution, uint8 of shape (L,), of one puzzle, shape (L,).

    Raises:
        HrmGymError: if two givens contradict each other, or there is no solution, or more than one.
    """
    height, width = boxes
    puzzle = _tokens(puzzle)
    _refuse_contradiction(puzzle, height, width)
    solutions, counts = search_all(puzzle[None], height, width, 2)
    if counts[0, 0] == 0:
        raise HrmGymError("the puzzle has no solution: its givens exclude each other; check them for a mistake")
    if counts[0, 0] > 1:
        raise HrmGymError(
            f"the puzzle has several solutions with its {np.count_nonzero(puzzle)} givens, "
            "where exactly one is allowed: add givens"
        )
    return solutions[0]


def _refuse_contradiction(puzzle: np.ndarray, height: int, width: int) -> None:
    size = height * width
    seen: dict[tuple[str, int, int], int] = {}
    for cell in np.flatnonzero(puzzle).tolist():
        row, column = divmod(cell, size)
        box = row // height * height + column // width
        digit = int(puzzle[cell])
        for unit, index in (("row", row), ("column", column), ("box", box)):
            other = seen.setdefault((unit, index, digit), cell)
            if other != cell:
                raise HrmGymError(
                    f"the puzzle contradicts itself: digit {SYMBOLS[digit]} appears twice in {unit} {index + 1}: at "
                    f"row {other // size + 1}, column {other % size + 1}, and at row {row + 1}, column {column + 1}. "
                    "Correct one of them"
                )
