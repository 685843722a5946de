"""A compiled Sudoku solver: counts solutions, finds one, and rates how much guessing a puzzle takes.

A board of `size` digits is an array of bit masks, `masks[d, r]`: in which columns of row `r` digit `d` may still
stand (bit `c` for column `c`); one more line, `masks[size]`, marks the cells that are settled. Whole rows,
columns and boxes are then looked at with a few bit operations. Singles and locked candidates are settled until
nothing changes; after that a guess splits the puzzle in two.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from hrm_gym.errors import HrmGymError


# ---- propagation ------------------------------------------------------------------------------------


@njit(cache=True, nogil=True)
def place(masks: np.ndarray, height: int, width: int, digit: int, row: int, bit: int) -> bool:
    """Settles `digit` in one cell and removes it from its peers; False where it could not stand there."""
    size = height * width
    if not masks[digit, row] & bit:
        return False
    box = (1 << width) - 1
    while not box & bit:
        box <<= width
    for i in range(size):
        masks[i, row] &= ~bit
        masks[digit, i] &= ~bit
    top = row - row % height
    for i in range(top, top + height):
        masks[digit, i] &= ~box
    masks[digit, row] = bit
    masks[size, row] |= bit
    return True


@njit(cache=True, nogil=True)
def _naked_singles(masks: np.ndarray, height: int, width: int) -> int:
    """Settles cells with one candidate. 1 where something changed, 0 where not, -1 for a contradiction."""
    size = height * width
    full = (1 << size) - 1
    changed = 0
    for row in range(size):
        once = twice = 0
        for digit in range(size):
            mask = masks[digit, row]
            twice |= once & mask
            once |= mask
        if once != full:
            return -1
        single = once & ~twice & ~masks[size, row]
        while single:
            bit = single & -single
            single ^= bit
            changed = 1
            for digit in range(size):
                if masks[digit, row] & bit:
                    place(masks, height, width, digit, row, bit)
                    break
            else:
                return -1
    return changed


@njit(cache=True, nogil=True)
def _hidden_singles(masks: np.ndarray, height: int, width: int) -> int:
    """Settles digits with one place in a row, column or box; returns as `_naked_singles`."""
    size = height * width
    full = (1 << size) - 1
    changed = 0
    for digit in range(size):
        once = twice = 0
        for row in range(size):
            mask = masks[digit, row]
            if not mask:
                return -1
            if not mask & (mask - 1) and not mask & masks[size, row]:
                place(masks, height, width, digit, row, mask)
                changed = 1
            mask = masks[digit, row]
            twice |= once & mask
            once |= mask
        if once != full:
            return -1
        single = once & ~twice
        for row in range(size):
            found = masks[digit, row] & single & ~masks[size, row]
            if found:
                if found & (found - 1):
                    return -1
                place(masks, height, width, digit, row, found)
                changed = 1
        for top in range(0, size, height):
            box = (1 << width) - 1
            for _ in range(height):
                where = -1
                several = False
                for row in range(top, top + height):
                    found = masks[digit, row] & box
                    if found:
                        several = several or where >= 0 or (found & (found - 1)) != 0
                        where = row
                if where < 0:
                    return -1
                found = masks[digit, where] & box
                if not several and not found & masks[size, where]:
                    place(masks, height, width, digit, where, found)
                    changed = 1
                box <<= width
    return changed


@njit(cache=True, nogil=True)
def _locked_candidates(masks: np.ndarray, height: int, width: int) -> int:
    """Where box and line meet, what is bound to the one is removed from the rest of the other."""
    size = height * width
    changed = 0
    for digit in range(size):
        line = masks[digit]
        # Rows of a band against its boxes.
        for top in range(0, size, height):
            box = (1 << width) - 1
            for _ in range(height):
                inside = -1
                rows = 0
                for row in range(top, top + height):
                    if line[row] & box:
                        rows += 1
                        inside = row
                if rows == 1 and line[inside] & ~box:
                    line[inside] &= box
                    changed = 1
                for row in range(top, top + height):
                    if not line[row] & ~box:
                        for other in range(top, top + height):
                            if other != row and line[other] & box:
                                line[other] &= ~box
                                changed = 1
                box <<= width
        # Columns of a stack against its boxes.
        once = twice = 0
        for top in range(0, size, height):
            columns = 0
            for row in range(top, top + height):
                columns |= line[row]
            twice |= once & columns
            once |= columns
        for top in range(0, size, height):
            columns = 0
            for row in range(top, top + height):
                columns |= line[row]
            box = (1 << width) - 1
            for _ in range(height):
                found = columns & box
                claimed = found & ~twice
                if claimed and found != claimed:
                    for row in range(top, top + height):
                        line[row] &= ~(found & ~claimed)
                    found = claimed
                    changed = 1
                if found and not found & (found - 1):
                    for row in range(size):
                        if (row < top or row >= top + height) and line[row] & found:
                            line[row] &= ~found
                            changed = 1
                box <<= width
    return changed


@njit(cache=True, nogil=True)
def propagate(masks: np.ndarray, height: int, width: int) -> bool:
    """Draws all consequences of `masks`, in place; False for a contradiction."""
    while True:
        change = _naked_singles(masks, height, width)
        if change == 0:
            change = _hidden_singles(masks, height, width)
        if change == 0:
            change = _locked_candidates(masks, height, width)
        if change == 0:
            return True
        if change < 0:
            return False


# ---- search -----------------------------------------------------------------------------------------


@njit(cache=True, nogil=True)
def start(masks: np.ndarray, height: int, width: int, puzzle: np.ndarray) -> bool:
    """Sets `masks`, shape (size + 1, size), to the givens of `puzzle`; False where two of them collide."""
    size = height * width
    masks[:size] = (1 << size) - 1
    masks[size] = 0
    for i in range(size * size):
        if puzzle[i] and not place(masks, height, width, puzzle[i] - 1, i // size, 1 << (i % size)):
            return False
    return True


@njit(cache=True, nogil=True)
def _branch(masks: np.ndarray, height: int, width: int) -> tuple[int, int, int]:
    """The guess (digit, row, bit) in an open cell of fewest candidates; digit -1 where all is settled."""
    size = height * width
    fewest = size + 1
    guess = (-1, 0, 0)
    for row in range(size):
        once = twice = thrice = 0
        for digit in range(size):
            mask = masks[digit, row]
            thrice |= twice & mask
            twice |= once & mask
            once |= mask
        single = twice & ~thrice
        bits = single if single else twice
        while bits:
            bit = bits & -bits
            bits ^= bit
            count = 0
            lowest = -1
            for digit in range(size):
                if masks[digit, row] & bit:
                    count += 1
                    if lowest < 0:
                        lowest = digit
            if count < fewest:
                fewest = count
                guess = (lowest, row, bit)
                if count == 2:
                    return guess
    return guess


@njit(cache=True, nogil=True)
def search(stack: np.ndarray, height: int, width: int, limit: int, solution: np.ndarray) -> tuple[int, int]:
    """Depth-first search from the masks in `stack[0]`, up to `limit` solutions.

    Args:
        stack: masks, one board a level, shape (size * size + 1, size + 1, size); overwritten.
        height: rows of a box.
        width: columns of a box.
        limit: at how many solutions to stop.
        solution: gets the last solution found, shape (L,).

    Returns:
        The number of solutions found and the number of guesses made.
    """
    size = height * width
    solutions = guesses = 0
    depth = 0
    while depth >= 0:
        masks = stack[depth]
        if not propagate(masks, height, width):
            depth -= 1
            continue
        digit, row, bit = _branch(masks, height, width)
        if digit < 0:
            solutions += 1
            for d in range(size):
                for r in range(size):
                    for c in range(size):
                        if masks[d, r] >> c & 1:
                            solution[r * size + c] = d + 1
            if solutions >= limit:
                break
            depth -= 1
            continue
        guesses += 1
        # The same board twice: below without the guess, on top with it.
        stack[depth + 1] = masks
        masks[digit, row] &= ~bit
        place(stack[depth + 1], height, width, digit, row, bit)
        depth += 1
    return solutions, guesses


# ---- whole puzzles ----------------------------------------------------------------------------------


@njit(cache=True, nogil=True)
def new_stack(height: int, width: int) -> np.ndarray:
    """Room for one `search`: a board of masks for every level that it can reach."""
    size = height * width
    return np.zeros((size * size + 1, size + 1, size), np.int32)


@njit(cache=True, nogil=True)
def _search_all(puzzles: np.ndarray, height: int, width: int, limit: int) -> tuple[np.ndarray, np.ndarray]:
    """Solutions, shape (N, L), and counts of solutions and guesses, shape (N, 2)."""
    stack = new_stack(height, width)
    solutions = np.zeros_like(puzzles)
    counts = np.zeros((len(puzzles), 2), np.int64)
    for i in range(len(puzzles)):
        if start(stack[0], height, width, puzzles[i]):
            counts[i] = search(stack, height, width, limit, solutions[i])
    return solutions, counts


def _tokens(puzzles: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(puzzles, dtype=np.uint8)


def count_solutions(puzzles: np.ndarray, boxes: tuple[int, int], limit: int = 2) -> np.ndarray:
    """How many solutions each puzzle, shape (N, L), has, counted up to `limit`; int64 of shape (N,)."""
    return _search_all(_tokens(puzzles), *boxes, limit)[1][:, 0]


def rate(puzzles: np.ndarray, boxes: tuple[int, int]) -> np.ndarray:
    """The difficulty of each puzzle, shape (N, L): guesses until the solution is found; int64 of shape (N,)."""
    return _search_all(_tokens(puzzles), *boxes, 1)[1][:, 1]


def solve(puzzle: np.ndarray, boxes: tuple[int, int]) -> np.ndarray:
    """The only solution, uint8 of shape (L,), of one puzzle, shape (L,).

    Raises:
        HrmGymError: where two givens contradict each other, or there is no solution or more than one.
    """
    height, width = boxes
    puzzle = _tokens(puzzle)
    _refuse_contradiction(puzzle, height, width)
    solutions, counts = _search_all(puzzle[None], height, width, 2)
    if counts[0, 0] == 0:
        raise HrmGymError("the puzzle has no solution: its givens exclude each other; check them for a slip")
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
                    f"the puzzle contradicts itself: digit {digit} stands twice in {unit} {index + 1}, at row "
                    f"{other // size + 1}, column {other % size + 1} and at row {row + 1}, column "
                    f"{column + 1}, where once is allowed: correct one of them"
                )
