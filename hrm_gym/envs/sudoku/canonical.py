"""Canonical forms of Sudokus under their symmetries (see `symmetry`), and the split into training and test by them.

A fixed function of the canonical form decides whether a puzzle is for training or for testing. All images of a puzzle
share the form, so the two splits share nothing up to symmetry, however many puzzles are generated. For 16x16 grids an
invariant hash replaces the canonical form.

A 16x16 grid has about 10^27 images, too many to find the least one. But two rows define a permutation of the columns,
from the place of a digit in one row to its place in the other. Relabelling digits keeps this permutation, and permuting
columns keeps its cycle lengths. So the hash combines the cycle lengths of all pairs of rows and of all pairs of
columns, and whether the two lines share a box. Sums of hashes make it independent of their order.

Images have equal hashes. Two grids that are not images of each other may share one by chance; they then fall into the
same split, which does no harm.
"""

from __future__ import annotations

import functools
import itertools

import numpy as np

from hrm_gym.envs.jit import njit
from hrm_gym.envs.splitmix import is_one_in, scramble

TEST_ONE_IN = 10
"""One of this many canonical forms of 4x4 and 6x6 is for testing."""

TEST_ONE_IN_LARGE = 2
"""The same for 9x9 and 16x16: hard puzzles are expensive, and we need more for testing than for training."""


# ---- canonical forms --------------------------------------------------------------------------------


@functools.cache
def geometric_images(boxes: tuple[int, int]) -> np.ndarray:
    """Every symmetry that moves cells, as an array (G, L): cell `i` of image `g` comes from cell `[g, i]`.

    G is 128 for 4x4 and 3,456 for 6x6. It is 3,359,232 for 9x9, where `_least_grid` avoids the list.
    """
    height, width = boxes
    size = height * width
    rows = np.array(_nested_permutations(width, height))
    columns = np.array(_nested_permutations(height, width))
    cells = rows[:, None, :, None] * size + columns[None, :, None, :]
    if height == width:
        cells = np.stack([cells, cells.swapaxes(2, 3)])
    return np.ascontiguousarray(cells.reshape(-1, size * size).astype(np.uint8))


def _nested_permutations(groups: int, lines: int) -> list[list[int]]:
    within = list(itertools.permutations(range(lines)))
    return [
        [group * lines + line for group, inner in zip(order, inners, strict=True) for line in inner]
        for order in itertools.permutations(range(groups))
        for inners in itertools.product(within, repeat=groups)
    ]


@njit(cache=True, nogil=True)
def _least_image(puzzle: np.ndarray, images: np.ndarray, size: int, best: np.ndarray) -> None:
    """Writes the lexicographically least image of `puzzle`, shape (L,), into `best`."""
    label = np.empty(size + 1, np.uint8)
    best[:] = size + 1
    for image in images:
        label[:] = 0
        used = 0
        less = False
        for i, source in enumerate(image):
            token = puzzle[source]
            if token and not label[token]:
                used += 1
                label[token] = used
            token = label[token]
            if not less and token > best[i]:
                break
            less = less or token < best[i]
            if less:
                best[i] = token


@njit(cache=True, nogil=True)
def _least_grid(grid: np.ndarray, best: np.ndarray) -> None:
    """Writes the canonical form of a full 9x9 grid, shape (81,), into `best`.

    The form is the lexicographically least of the normal images. A normal image is determined by a first row, a second
    row of the same band, a first stack and the order of its columns. Its first row is 123456789. Its second row is the
    least possible: each digit takes the first free place in the stack that has the digit in the first row. In the least
    image, the second row begins with two or three digits of the second stack; otherwise exchanging the second and the
    third stack would give a smaller row. So every place is decided before it is needed. The other two bands are sorted
    by the least digit above 3 in their first column, and the rows within each band by their digit there.
    """
    lines = np.empty((9, 9), np.int64)
    label = np.empty(10, np.int64)
    place = np.empty(9, np.int64)
    free = np.empty(3, np.int64)
    orders = np.array([[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]])
    where_first = np.empty(10, np.int64)
    image = np.empty((9, 9), np.uint8)
    sequence = np.empty(9, np.int64)
    best[:] = 10
    for transposed in range(2):
        for i in range(81):
            if transposed:
                lines[i % 9, i // 9] = grid[i]
            else:
                lines[i // 9, i % 9] = grid[i]
        for first in range(9):
            top = first - first % 3
            for column in range(9):
                where_first[lines[first, column]] = column
            for turn in range(1, 3):
                second = top + (first + turn) % 3
                third = top + (first + 3 - turn) % 3
                for stacks in orders:
                    in_second = 0
                    for column in range(3):
                        in_second += where_first[lines[second, 3 * stacks[0] + column]] // 3 == stacks[1]
                    if in_second < 2:
                        continue
                    for inner in orders:
                        # Columns of the image: the first stack in the order `inner`, the others in order of occurrence.
                        label[:] = 0
                        for j in range(3):
                            place[j] = 3 * stacks[0] + inner[j]
                            label[lines[first, place[j]]] = j + 1
                            free[j] = 3 * j
                        for j in range(6):
                            column = where_first[lines[second, place[j]]]
                            stack = 1 if column // 3 == stacks[1] else 2
                            if column // 3 != stacks[0]:
                                place[free[stack]] = column
                                free[stack] += 1
                                label[lines[first, column]] = free[stack]
                            if j == 2 and free[1] == 5:
                                # Two columns of three are placed, which decides the third.
                                for k in range(3):
                                    if not label[lines[first, 3 * stacks[1] + k]]:
                                        place[5] = 3 * stacks[1] + k
                                        label[lines[first, place[5]]] = 6
                                free[1] = 6
                        _compare(lines, label, place, first, second, third, sequence, image, best)


@njit(cache=True, nogil=True)
def _compare(
    lines: np.ndarray,
    label: np.ndarray,
    place: np.ndarray,
    first: int,
    second: int,
    third: int,
    sequence: np.ndarray,
    image: np.ndarray,
    best: np.ndarray,
) -> None:
    """Sorts the other bands and rows of one image, and writes it to `best` if it is less."""
    sequence[0], sequence[1], sequence[2] = first, second, third
    less = False
    for row in range(9):
        if row == 3:
            # Each of the other bands has a digit above 3 in its first column, which decides their order.
            filled = 3
            for digit in range(4, 10):
                for line in range(9):
                    if line // 3 != first // 3 and label[lines[line, place[0]]] == digit:
                        seen = False
                        for k in range(3, filled):
                            seen = seen or sequence[k] // 3 == line // 3
                        if not seen:
                            filled = _append_band(lines, label, place[0], line // 3, sequence, filled)
        for column in range(9):
            token = label[lines[sequence[row], place[column]]]
            if not less:
                if token > best[9 * row + column]:
                    return
                less = token < best[9 * row + column]
            image[row, column] = token
    if less:
        best[:] = image.ravel()


@njit(cache=True, nogil=True)
def _append_band(
    lines: np.ndarray, label: np.ndarray, column: int, band: int, sequence: np.ndarray, filled: int
) -> int:
    """Appends the three rows of a band to `sequence` in the order of their first labels."""
    for digit in range(1, 10):
        for line in range(3 * band, 3 * band + 3):
            if label[lines[line, column]] == digit:
                sequence[filled] = line
                filled += 1
    return filled


# ---- invariant hash of 16x16 grids -------------------------------------------------------------------


@njit(cache=True, nogil=True)
def _cycles(one: np.ndarray, place: np.ndarray) -> np.uint64:
    """A hash of the cycle lengths of the permutation from line `one` to the line with digit `d` at `place[d]`."""
    code = np.uint64(0)
    seen = 0
    for first in range(len(one)):
        length = 0
        at = first
        while not seen >> at & 1:
            seen |= 1 << at
            at = place[one[at]]
            length += 1
        if length:
            code += scramble(np.uint64(length))
    return code


@njit(cache=True, nogil=True)
def _code_of_lines(lines: np.ndarray, height: int) -> np.uint64:
    """The hash of all pairs of rows of `lines`, shape (size, size), in bands of `height` rows."""
    size = len(lines)
    place = np.empty((size, size + 1), np.int64)
    for line in range(size):
        for at in range(size):
            place[line, lines[line, at]] = at
    of_grid = np.uint64(0)
    for top in range(0, size, height):
        of_band = np.uint64(0)
        for line in range(top, top + height):
            of_line = np.uint64(0)
            for other in range(size):
                if other != line:
                    together = np.uint64(top <= other < top + height)
                    of_line += scramble(_cycles(lines[line], place[other]) + together)
            of_band += scramble(of_line)
        of_grid += scramble(of_band)
    return scramble(of_grid)


@njit(cache=True, nogil=True)
def grid_code(grid: np.ndarray, side: int) -> np.uint64:
    """The hash of a full grid, shape (side ** 4,), with boxes of `side` rows and columns."""
    size = side * side
    lines = grid.reshape(size, size).astype(np.int64)
    return _code_of_lines(lines, side) + _code_of_lines(lines.T.copy(), side)


@njit(cache=True, nogil=True)
def write_code(grid: np.ndarray, side: int, form: np.ndarray) -> None:
    """Writes the hash into the first eight bytes of `form`, uint8 of the shape of `grid`, and 0 into the rest."""
    code = grid_code(grid, side)
    form[:] = 0
    for i in range(8):
        form[i] = code >> np.uint64(8 * i) & np.uint64(255)


# ---- the split ----------------------------------------------------------------------------------------


@njit(cache=True, nogil=True)
def canonical_into(puzzle: np.ndarray, solution: np.ndarray, images: np.ndarray, size: int, form: np.ndarray) -> None:
    """Writes the form that decides the split into `form`, shape (L,): see `canonical_forms`."""
    if size == 16:
        write_code(solution, 4, form)
    elif size == 9:
        _least_grid(solution, form)
    elif size == 6:
        _least_image(puzzle, images, size, form)
    else:
        form[:] = puzzle


@njit(cache=True, nogil=True)
def form_is_test(form: np.ndarray) -> bool:
    """Whether a canonical form belongs to the test split."""
    return is_one_in(form, TEST_ONE_IN_LARGE if len(form) >= 81 else TEST_ONE_IN)


@njit(cache=True, nogil=True)
def _all_forms(puzzles: np.ndarray, solutions: np.ndarray, images: np.ndarray, size: int) -> np.ndarray:
    forms = np.empty_like(puzzles)
    for i in range(len(puzzles)):
        canonical_into(puzzles[i], solutions[i], images, size, forms[i])
    return forms


def images_for_split(boxes: tuple[int, int]) -> np.ndarray:
    """The images that `canonical_forms` compares: all for 6x6, none for other boards."""
    return geometric_images(boxes) if boxes == (2, 3) else np.empty((0, 0), np.uint8)


def canonical_forms(puzzle: np.ndarray, solution: np.ndarray, boxes: tuple[int, int]) -> np.ndarray:
    """The form that decides the split of each puzzle, uint8 of shape (N, L).

    For 16x16, where canonical forms are out of reach, it is an invariant hash of the solution. For 9x9 it
    is the least normal image of the solution. For 6x6 it is the least image of the puzzle, as there are only 49 grids
    up to symmetry. For 4x4, with 2 grids up to symmetry, it is the puzzle itself.

    Args:
        puzzle: tokens, shape (N, L).
        solution: tokens, shape (N, L).
        boxes: rows and columns of a box.
    """
    puzzle, solution = (np.ascontiguousarray(array, np.uint8) for array in (puzzle, solution))
    return _all_forms(puzzle, solution, images_for_split(boxes), boxes[0] * boxes[1])
