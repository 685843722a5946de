"""Grids of colours, and their encoding as a canvas of tokens.

A grid is a uint8 array of colours 0 to 9, at most 30x30. A canvas is the board of the task, a square of 30x30 tokens
(or smaller, if all grids are small) row by row: 0 is padding, 1 the end marker, 2 to 11 the colours. End markers
directly below the grid and directly to its right define the size of an answer; cells beyond them are ignored. The
conventions are those of HRM (arXiv 2506.21734, section 3.1, and its published data pipeline).
"""

from __future__ import annotations

import math

import numpy as np

from hrm_gym.envs.arrays import Array, as_int64, like, where

SIDE = 30
"""Rows and columns of ARC's canvas, and the maximum size of a grid."""

PADDING, END, FIRST_COLOUR = 0, 1, 2

COLOURS = tuple(range(FIRST_COLOUR, FIRST_COLOUR + 10))
"""The tokens of the colours, black first."""


def side_of(canvas: Array) -> int:
    """Return the side of canvases of shape (N, L) or (L,)."""
    return math.isqrt(canvas.shape[-1])


def encode(grid: np.ndarray, row: int = 0, column: int = 0, side: int = SIDE) -> np.ndarray:
    """Return the canvas, uint8 of shape (side * side,), with `grid` at the given offset; it must fit.

    End markers outside the canvas are omitted.
    """
    bottom, right = row + grid.shape[0], column + grid.shape[1]
    canvas = np.full((side, side), PADDING, np.uint8)
    canvas[bottom : bottom + 1, column:right] = END
    canvas[row:bottom, right : right + 1] = END
    canvas[row:bottom, column:right] = grid + FIRST_COLOUR
    return canvas.reshape(-1)


def origin(puzzle: Array) -> tuple[Array, Array]:
    """Return row and column, (N,) each, of the upper left corner of the grids on canvases of shape (N, L).

    An input and its output have the same upper left corner.
    """
    side = side_of(puzzle)
    coloured = puzzle.reshape(-1, side, side) >= FIRST_COLOUR
    return tuple(as_int64(coloured.sum(axis).cumsum(-1) == 0).sum(-1) for axis in (2, 1))  # type: ignore[return-value]


def extent(answer: Array, top: Array, left: Array) -> tuple[Array, Array]:
    """Return rows and columns, (N,) each, of the grids in answers, (N, L); 0 and 0 if there is no grid.

    The grid is the largest rectangle of colours with its upper left corner in the given cell; ties are broken by the
    fewest rows. So markers and padding only bound it, and cells beyond them are ignored, as in the published
    evaluation of HRM.
    """
    side = side_of(answer)
    line = like(np.arange(side), answer)
    coloured = answer.reshape(-1, side, side) >= FIRST_COLOUR
    # Whether all cells from the corner to this cell are colours, ignoring lines before the corner.
    free = (line < top[:, None])[:, :, None] | (line < left[:, None])[:, None, :]
    whole = as_int64(coloured | free).cumprod(2).cumprod(1)  # (N, side, side)
    rows = line + 1 - top[:, None]  # (N, side): rows of the rectangle that ends in this line
    columns = whole.sum(2) - left[:, None]
    area = where((rows > 0) & (columns > 0), rows * columns, line * 0)
    best = (area * side - line).argmax(-1)  # the first maximum: the fewest rows
    some = as_int64(area.sum(-1) > 0)
    return (best + 1 - top) * some, _pick(columns, best) * some


def decode(answer: np.ndarray, top: int = 0, left: int = 0) -> np.ndarray:
    """Return the grid, a uint8 array, that begins at the given cell of an answer of shape (L,); see `extent`."""
    rows, columns = (int(size[0]) for size in extent(np.asarray(answer)[None], np.array([top]), np.array([left])))
    canvas = np.asarray(answer).reshape(side_of(np.asarray(answer)), -1)
    return (canvas[top : top + rows, left : left + columns] - FIRST_COLOUR).astype(np.uint8)


def _pick(array: Array, index: Array) -> Array:
    """Return `array[i, index[i]]` of an array of shape (N, M)."""
    return (array * (like(np.arange(array.shape[1]), array) == index[:, None])).sum(-1)
