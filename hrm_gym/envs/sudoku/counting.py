"""Violations and random symmetries of Sudokus, compiled. `SudokuTask` implements the same for tensors."""

from __future__ import annotations

import numpy as np

from hrm_gym.envs.compiled import count_bits
from hrm_gym.envs.jit import njit

LANE = np.uint64(16)
"""Bits per column in a word: one word holds the digits of all columns of a box, at most four."""


@njit(cache=True, nogil=True)
def _digits(lanes: np.uint64) -> int:
    """Return the number of different digits in all columns of a word."""
    lanes |= lanes >> np.uint64(32)
    return count_bits((lanes | lanes >> LANE) & np.uint64(0xFFFF))


@njit(cache=True, nogil=True)
def _bits(height: int, width: int) -> np.ndarray:
    """Return the bit of each token in each column of a box, uint64 (width, size + 1); the blank has no bit."""
    bits = np.zeros((width, height * width + 1), np.uint64)
    for column in range(width):
        for digit in range(height * width):
            bits[column, digit + 1] = np.uint64(1) << (LANE * np.uint64(column) + np.uint64(digit))
    return bits


@njit(cache=True, nogil=True)
def _count(puzzle: np.ndarray, answer: np.ndarray, height: int, width: int, bits: np.ndarray) -> int:
    """Return the violations of one answer, (L,)."""
    size = height * width
    altered = held = cell = 0
    columns, boxes = np.zeros(4, np.uint64), np.zeros(4, np.uint64)
    for j in range(len(puzzle)):
        altered += (puzzle[j] != 0) & (puzzle[j] != answer[j])
    for _ in range(width):
        boxes[:] = 0
        for _ in range(height):
            row = np.uint64(0)
            for stack in range(height):
                part = np.uint64(0)
                for column in range(width):
                    part |= bits[column, answer[cell]]
                    cell += 1
                columns[stack] |= part
                boxes[stack] |= part
                row |= part
            held += _digits(row)
        for stack in range(height):
            held += _digits(boxes[stack])
    for stack in range(height):
        held += count_bits(columns[stack])
    return 3 * size * size - held + altered


@njit(cache=True, nogil=True)
def _gain(puzzle: np.ndarray, answer: np.ndarray, before: np.ndarray, cell: int, height: int, width: int) -> int:
    """Return the increase of the violations by the change of one cell."""
    size = height * width
    row, column = cell // size, cell % size
    # Digits of the other cells in its row, column and box.
    in_row = in_column = in_box = np.int64(0)
    corner = row // height * height * size + column // width * width
    for place in range(size):
        beside, below = row * size + place, place * size + column
        near = corner + place // width * size + place % width
        in_row |= (beside != cell) << np.int64(answer[beside])
        in_column |= (below != cell) << np.int64(answer[below])
        in_box |= (near != cell) << np.int64(answer[near])
    new, old, given = np.int64(answer[cell]), np.int64(before[cell]), np.int64(puzzle[cell])
    gain = 0
    if given != 0:
        gain += (given != new) - (given != old)
    for held in (in_row, in_column, in_box):
        held |= 1  # the blank does not count as a digit
        gain += int((held >> new & 1) - (held >> old & 1))
    return gain


@njit(cache=True, nogil=True)
def count_violations(puzzle: np.ndarray, answer: np.ndarray, height: int, width: int) -> np.ndarray:
    """Return the number of digits missing in rows, columns and boxes plus altered givens, int64 (N,).

    Args:
        puzzle: tokens, uint8 (N, L).
        answer: tokens, uint8 (N, L).
        height: rows of a box.
        width: columns of a box.
    """
    bits, counts = _bits(height, width), np.empty(len(puzzle), np.int64)
    for i in range(len(puzzle)):
        counts[i] = _count(puzzle[i], answer[i], height, width, bits)
    return counts


@njit(cache=True, nogil=True)
def recount_violations(
    puzzle: np.ndarray, answer: np.ndarray, before: np.ndarray, counts: np.ndarray, height: int, width: int
) -> np.ndarray:
    """As `count_violations`, given earlier answers `before` and their violations `counts`, int64 (N,), -1: unknown."""
    bits, new = _bits(height, width), np.empty(len(puzzle), np.int64)
    for i in range(len(puzzle)):
        changed, sum_of_places = np.int32(0), np.int32(0)
        for j in range(puzzle.shape[1]):
            differs = np.int32(answer[i, j] != before[i, j])
            changed += differs
            sum_of_places += differs * np.int32(j)
        if counts[i] < 0 or changed > 1:
            new[i] = _count(puzzle[i], answer[i], height, width, bits)
        elif changed == 0:
            new[i] = counts[i]
        else:
            new[i] = counts[i] + _gain(puzzle[i], answer[i], before[i], int(sum_of_places), height, width)
    return new


@njit(cache=True, nogil=True)
def _order(numbers: np.ndarray, order: np.ndarray) -> None:
    """Write the indices that sort `numbers` to `order`."""
    for i in range(len(numbers)):
        place = i
        while place > 0 and numbers[order[place - 1]] > numbers[i]:
            order[place] = order[place - 1]
            place -= 1
        order[place] = i


@njit(cache=True, nogil=True)
def _lines(outer: np.ndarray, inner: np.ndarray, length: int, lines: np.ndarray, order: np.ndarray) -> None:
    """Write the sources of lines that are permuted within and as groups of `length`: see `symmetry._nested`."""
    groups = order[: len(outer)]
    _order(outer, groups)
    within = order[len(outer) : len(outer) + length]
    for group in range(len(outer)):
        _order(inner[group * length : (group + 1) * length], within)
        for line in range(length):
            lines[group * length + line] = groups[group] * length + within[line]


@njit(cache=True, nogil=True)
def symmetries(uniforms: np.ndarray, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the source of each cell, uint8 (N, L), and the new value of each token, uint8 (N, size + 1).

    Args:
        uniforms: numbers in [0, 1), float64 (N, `symmetry.num_uniforms`).
        height: rows of a box.
        width: columns of a box.
    """
    size, num = height * width, len(uniforms)
    source, label = np.empty((num, size * size), np.uint8), np.zeros((num, size + 1), np.uint8)
    rows, columns, order = np.empty(size, np.int64), np.empty(size, np.int64), np.empty(2 * size, np.int64)
    # First indices of the numbers of bands, rows, stacks and columns, which follow those of the digits.
    bands, row = size, size + width
    stacks, column = row + size, row + size + height
    for i in range(num):
        numbers = uniforms[i]
        _order(numbers[:bands], order)
        for digit in range(size):
            label[i, digit + 1] = order[digit] + 1
        _lines(numbers[bands:row], numbers[row:stacks], height, rows, order)
        _lines(numbers[stacks:column], numbers[column : column + size], width, columns, order)
        flip = height == width and numbers[len(numbers) - 1] < 0.5
        for r in range(size):
            for c in range(size):
                source[i, r * size + c] = rows[c] * size + columns[r] if flip else rows[r] * size + columns[c]
    return source, label


@njit(cache=True, nogil=True)
def images(tokens: np.ndarray, source: np.ndarray, label: np.ndarray) -> np.ndarray:
    """Apply `symmetries` to boards, uint8 (N, L)."""
    image = np.empty_like(tokens)
    for i in range(tokens.shape[0]):
        for j in range(tokens.shape[1]):
            image[i, j] = label[i, tokens[i, source[i, j]]]
    return image
