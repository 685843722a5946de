"""The forms in which a task is shown: turned, mirrored and recoloured, one numbered sequence for all tasks.

Form 0 is the task as it is. A form transposes, then flips the rows' order, then that of the columns, each or
not (the 8 symmetries of the square), and permutes the colours 1 to 9; black, 0, stays (HRM, arXiv 2506.21734,
section 3.1). Agents learn an embedding of each form, so the sequence must never change: it comes from SHA-256.
"""

from __future__ import annotations

import functools
import hashlib
import math
from typing import NamedTuple

import numpy as np

from hrm_gym.envs.arc.grids import END, FIRST_COLOUR, PADDING, side_of
from hrm_gym.envs.arrays import Array, as_int64, gather, like, where

NUM_FORMS = 8 * math.factorial(9)
"""How many forms there are at all."""


class Table(NamedTuple):
    """The first forms of the sequence, int64 arrays."""

    moves: np.ndarray
    """Shape (count, 3), 0 or 1: transpose, flip the rows, flip the columns."""
    colours: np.ndarray
    """Shape (count, 10): what each colour becomes."""


def table(count: int) -> Table:
    """The first `count` forms, at most NUM_FORMS; the same ones however many are asked for."""
    # Made in powers of two, so that asking for one form after the other does not make as many tables.
    whole = _table(min(1 << max(count - 1, 0).bit_length(), NUM_FORMS))
    return Table(whole.moves[:count], whole.colours[:count])


@functools.cache
def _table(count: int) -> Table:
    codes = {0: None}  # a dict keeps the order
    draw = 0
    while len(codes) < count:
        digest = hashlib.sha256(f"hrm-gym ARC form {draw}".encode()).digest()
        codes.setdefault(int.from_bytes(digest, "big") % NUM_FORMS)
        draw += 1
    moves = [[code >> bit & 1 for bit in range(3)] for code in codes]
    return Table(np.array(moves), np.array([_colours(code >> 3) for code in codes]))


def _colours(code: int) -> list[int]:
    """The permutation of number `code`; number 0 leaves all colours as they are."""
    left, colours = list(range(1, 10)), [0]
    while left:
        code, place = divmod(code, len(left))
        colours.append(left.pop(place))
    return colours


# ---- one grid ----------------------------------------------------------------------------------------


def transform(grid: np.ndarray, number: int) -> np.ndarray:
    """`grid` in form `number`."""
    moves, colours = (part[number] for part in table(number + 1))
    moved = grid.T if moves[0] else grid
    moved = moved[:: -1 if moves[1] else 1, :: -1 if moves[2] else 1]
    return colours[moved].astype(grid.dtype)


def undo(grid: np.ndarray, number: int) -> np.ndarray:
    """The grid whose form `number` is `grid`."""
    moves, colours = (part[number] for part in table(number + 1))
    moved = grid[:: -1 if moves[1] else 1, :: -1 if moves[2] else 1]
    moved = moved.T if moves[0] else moved
    return np.argsort(colours)[moved].astype(grid.dtype)


# ---- batches of canvases -----------------------------------------------------------------------------


def images(
    puzzle: Array, solution: Array, number: Array, count: int, shift: Array | None = None
) -> tuple[Array, Array]:
    """Pairs of canvases, each in its form and at its place.

    Args:
        puzzle: canvases of shape (N, L), their grids in the upper left corner.
        solution: likewise.
        number: of the form, int64 of shape (N,), each below `count`.
        count: how many forms there are to choose from.
        shift: numbers in [0, 1) of shape (N, 2), which say how far both grids move down and to the right, of
            the places where the larger one fits; None leaves them in the corner.

    Returns:
        Canvases of the same shapes and types.
    """
    forms = table(count)
    moves = like(forms.moves, puzzle)[number]
    fixed = np.tile([PADDING, END], (count, 1))
    tokens = like(np.concatenate([fixed, forms.colours + FIRST_COLOUR], 1), puzzle)[number]
    side = side_of(puzzle)
    sizes = [_turned(_size(canvas, side), moves) for canvas in (puzzle, solution)]
    top = left = number * 0
    if shift is not None:
        top, left = (_place(shift[:, i], side - _larger(sizes[0][i], sizes[1][i])) for i in range(2))
    return (
        _image(puzzle, side, sizes[0], moves, tokens, top, left),
        _image(solution, side, sizes[1], moves, tokens, top, left),
    )


def _size(canvas: Array, side: int) -> tuple[Array, Array]:
    """Rows and columns of the grids, each of shape (N,); 0 where a canvas is empty."""
    coloured = canvas.reshape(-1, side, side) >= FIRST_COLOUR
    return (coloured.sum(2) > 0).sum(-1), (coloured.sum(1) > 0).sum(-1)


def _turned(size: tuple[Array, Array], moves: Array) -> tuple[Array, Array]:
    rows, columns = size
    turned = moves[:, 0] == 1
    return where(turned, columns, rows), where(turned, rows, columns)


def _larger(a: Array, b: Array) -> Array:
    return where(a > b, a, b)


def _place(uniform: Array, room: Array) -> Array:
    place = as_int64(uniform * (room + 1))
    # In single precision a number just below 1 can round up.
    return where(place > room, room, place)


def _image(
    canvas: Array, side: int, size: tuple[Array, Array], moves: Array, tokens: Array, top: Array, left: Array
) -> Array:
    line = like(np.arange(side), canvas)
    rows, in_rows = _lines(line, size[0], top, moves[:, 1])
    columns, in_columns = _lines(line, size[1], left, moves[:, 2])
    # Where each cell of the image comes from; cells outside the grid are written over.
    turned = moves[:, :1]
    source = (rows * (side - (side - 1) * turned))[:, :, None] + (columns * (1 + (side - 1) * turned))[:, None, :]
    colours = gather(tokens, as_int64(gather(canvas, source.reshape(-1, side * side))))
    kinds = (in_rows[:, :, None] * in_columns[:, None, :]).reshape(-1, side * side)
    image = colours * (kinds == 1) + END * (kinds == 2)
    return image.astype(canvas.dtype) if isinstance(canvas, np.ndarray) else image.to(canvas.dtype)


def _lines(line: Array, length: Array, start: Array, flipped: Array) -> tuple[Array, Array]:
    """For each `line` of the image the grid's line that it shows, 0 if none; and 1 inside, 2 right after, else 0.

    So the product of a row's and a column's number is 1 inside the grid and 2 where the end markers stand.
    """
    start, length = start[:, None], length[:, None]
    inside = (line >= start) & (line < start + length)
    shown = where(flipped[:, None] == 1, length - 1 - line + start, line - start)
    return shown * inside, inside + 2 * (line == start + length)
