"""The symmetry group of Sudoku: random images for augmentation, canonical forms, and the split by them.

These operations turn a Sudoku into a Sudoku: relabel the digits, permute the bands, the rows within a band, the stacks
or the columns within a stack, and, if boxes are square, transpose. A band is a row of boxes, a stack a column of boxes.

A fixed function of the canonical form decides whether a puzzle is for training or for testing. All images of a puzzle
share the form, so the two splits share nothing up to symmetry, however many puzzles are generated. For 16x16 grids an
invariant hash replaces the canonical form, see `invariant`.
"""

from __future__ import annotations

import functools
import itertools

import numpy as np

from hrm_gym.envs.arrays import Array, as_int64, gather, where
from hrm_gym.envs.jit import njit
from hrm_gym.envs.splitmix import is_one_in
from hrm_gym.envs.sudoku import counting
from hrm_gym.envs.sudoku.invariant import write_code

TEST_ONE_IN = 10
"""One of this many canonical forms of 4x4 and 6x6 is for testing."""

TEST_ONE_IN_LARGE = 2
"""The same for 9x9 and 16x16: hard puzzles are expensive, and we need more for testing than for training."""


# ---- random images ----------------------------------------------------------------------------------


def num_uniforms(boxes: tuple[int, int]) -> int:
    """The number of uniform numbers for one random symmetry, with boxes of (rows, columns)."""
    height, width = boxes
    return 3 * height * width + height + width + (height == width)


def random_image(tokens: tuple[Array, ...], uniforms: Array, boxes: tuple[int, int]) -> tuple[Array, ...]:
    """Applies one random symmetry per row to all arrays of `tokens`; the blank (0) stays blank.

    The permutations are the ranks of uniform numbers, so tensors on a GPU need no transfer. NumPy arrays take a
    compiled version.

    Args:
        tokens: arrays of shape (N, L), for instance puzzles and their solutions.
        uniforms: numbers in [0, 1), shape (N, num_uniforms(boxes)).
        boxes: rows and columns of a box.

    Returns:
        The images, of the shapes and types of `tokens`.
    """
    if isinstance(uniforms, np.ndarray):
        compiled = counting.symmetries(np.ascontiguousarray(uniforms), *boxes)
        return tuple(counting.images(np.ascontiguousarray(array), *compiled) for array in tokens)
    source, label = _symmetries(uniforms, boxes)
    return tuple(_relabel(gather(array, source), label + 1) for array in tokens)


def undo_image(tokens: Array, uniforms: Array, boxes: tuple[int, int]) -> Array:
    """The inverse of `random_image` for one array of shape (N, L)."""
    source, label = _symmetries(uniforms, boxes)
    return gather(_relabel(tokens, label.argsort(-1) + 1), source.argsort(-1))


def _symmetries(uniforms: Array, boxes: tuple[int, int]) -> tuple[Array, Array]:
    """The source of each cell, (N, L), and the image of each digit, counted from 0, (N, size)."""
    height, width = boxes
    size = height * width
    ends = np.cumsum([size, width, size, height, size])
    digits, bands, rows, stacks, columns = (
        uniforms[:, end - length : end] for end, length in zip(ends, (size, width, size, height, size), strict=True)
    )
    row = _nested(bands, rows.reshape(-1, width, height))
    column = _nested(stacks, columns.reshape(-1, height, width))
    source = row[:, :, None] * size + column[:, None, :]
    if height == width:
        flip = uniforms[:, -1, None, None] < 0.5
        source = where(flip, row[:, None, :] * size + column[:, :, None], source)
    source = source.reshape(-1, size * size)
    return source, digits.argsort(-1)


def _nested(outer: Array, inner: Array) -> Array:
    """Permutations of lines, (N, size), from ranks of groups, (N, G), and ranks within groups, (N, G, S)."""
    groups, lines = outer.argsort(-1), inner.argsort(-1)
    return (groups[:, :, None] * inner.shape[2] + lines).reshape(len(outer), -1)


def _relabel(tokens: Array, label: Array) -> Array:
    given = as_int64(tokens > 0)
    image = gather(label, as_int64(tokens) - given) * given
    return image.astype(tokens.dtype) if isinstance(tokens, np.ndarray) else image.to(tokens.dtype)


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

    For 16x16, where canonical forms are out of reach, it is an invariant hash of the solution (`invariant`). For 9x9 it
    is the least normal image of the solution. For 6x6 it is the least image of the puzzle, as there are only 49 grids
    up to symmetry. For 4x4, with 2 grids up to symmetry, it is the puzzle itself.

    Args:
        puzzle: tokens, shape (N, L).
        solution: tokens, shape (N, L).
        boxes: rows and columns of a box.
    """
    puzzle, solution = (np.ascontiguousarray(array, np.uint8) for array in (puzzle, solution))
    return _all_forms(puzzle, solution, images_for_split(boxes), boxes[0] * boxes[1])


def is_test(puzzle: np.ndarray, solution: np.ndarray, boxes: tuple[int, int]) -> np.ndarray:
    """Whether each puzzle belongs to the test split, bool of shape (N,); arguments as `canonical_forms`."""
    return np.array([form_is_test(form) for form in canonical_forms(puzzle, solution, boxes)], dtype=bool)
