"""The numbered forms of a task: rotations, reflections and colour permutations, the same sequence for all tasks.

Form 0 is the unchanged task. A form optionally transposes, then optionally reverses the rows and the columns (the 8
symmetries of the square), and permutes the colours 1 to 9; black, 0, is unchanged (HRM, arXiv 2506.21734, section
3.1). Agents learn an embedding of each form, so the sequence must never change and is derived from SHA-256.
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
"""Total number of forms."""


class Table(NamedTuple):
    """The first forms of the sequence, int64 arrays."""

    moves: np.ndarray
    """Shape (count, 3), 0 or 1: transpose, flip the rows, flip the columns."""
    colours: np.ndarray
    """Shape (count, 10): the new value of each colour."""


def table(count: int) -> Table:
    """Return the first `count` forms, at most NUM_FORMS; the sequence does not depend on `count`."""
    # Sizes are powers of two, so that increasing counts do not build a new table each time.
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
    """Return permutation number `code`; number 0 is the identity."""
    left, colours = list(range(1, 10)), [0]
    while left:
        code, place = divmod(code, len(left))
        colours.append(left.pop(place))
    return colours


# ---- one grid ----------------------------------------------------------------------------------------


def transform(grid: np.ndarray, number: int) -> np.ndarray:
    """Return `grid` in form `number`."""
    moves, colours = (part[number] for part in table(number + 1))
    moved = grid.T if moves[0] else grid
    moved = moved[:: -1 if moves[1] else 1, :: -1 if moves[2] else 1]
    return colours[moved].astype(grid.dtype)


def undo(grid: np.ndarray, number: int) -> np.ndarray:
    """Return the grid whose form `number` is `grid`."""
    moves, colours = (part[number] for part in table(number + 1))
    moved = grid[:: -1 if moves[1] else 1, :: -1 if moves[2] else 1]
    moved = moved.T if moves[0] else moved
    return np.argsort(colours)[moved].astype(grid.dtype)


# ---- batches of canvases -----------------------------------------------------------------------------


def images(
    puzzle: Array, solution: Array, number: Array, count: int, shift: Array | None = None
) -> tuple[Array, Array]:
    """Transform and shift pairs of canvases.

    Args:
        puzzle: canvases of shape (N, L), their grids in the upper left corner.
        solution: the same for the solutions.
        number: number of the form, int64 of shape (N,), each below `count`.
        count: number of forms to choose from.
        shift: numbers in [0, 1) of shape (N, 2) that choose how far both grids move down and to the right, among the
            offsets at which the larger one fits; None leaves them in the corner.

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
    """Return rows and columns of the grids, each of shape (N,); 0 for an empty canvas."""
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
    # Source of each cell of the transformed canvas; cells outside the grid are overwritten below.
    turned = moves[:, :1]
    source = (rows * (side - (side - 1) * turned))[:, :, None] + (columns * (1 + (side - 1) * turned))[:, None, :]
    colours = gather(tokens, as_int64(gather(canvas, source.reshape(-1, side * side))))
    kinds = (in_rows[:, :, None] * in_columns[:, None, :]).reshape(-1, side * side)
    image = colours * (kinds == 1) + END * (kinds == 2)
    return image.astype(canvas.dtype) if isinstance(canvas, np.ndarray) else image.to(canvas.dtype)


def _lines(line: Array, length: Array, start: Array, flipped: Array) -> tuple[Array, Array]:
    """Return the grid's line for each `line` of the canvas (0 if none), and 1 inside, 2 directly after it, else 0.

    The product of a row's and a column's number is then 1 inside the grid and 2 at end markers.
    """
    start, length = start[:, None], length[:, None]
    inside = (line >= start) & (line < start + length)
    shown = where(flipped[:, None] == 1, length - 1 - line + start, line - start)
    return shown * inside, inside + 2 * (line == start + length)
