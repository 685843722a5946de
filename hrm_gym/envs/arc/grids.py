"""Grids of colours and the canvas of tokens that they stand on.

A grid is a uint8 array of colours 0 to 9, at most 30x30. A canvas is the board of the task, a square of 30x30
tokens (or of another side, where all grids are small) row by row: 0 is padding, 1 the end marker, 2 to 11 the
colours. The markers stand right below the grid and right beside it, so that an answer says how large it is; what
it has beyond them does not count. The conventions are those of HRM (arXiv 2506.21734, section 3.1, and its
published data pipeline).
"""

from __future__ import annotations

import math

import numpy as np

from hrm_gym.envs.arrays import Array, as_int64, like, where

SIDE = 30
"""Rows and columns of ARC's canvas, the most that a grid may have."""

PADDING, END, FIRST_COLOUR = 0, 1, 2

COLOURS = tuple(range(FIRST_COLOUR, FIRST_COLOUR + 10))
"""The tokens of the colours, black first."""


def side_of(canvas: Array) -> int:
    """Rows and columns of canvases, (N, L) or (L,)."""
    return math.isqrt(canvas.shape[-1])


def encode(grid: np.ndarray, row: int = 0, column: int = 0, side: int = SIDE) -> np.ndarray:
    """The canvas, uint8 of shape (side * side,), with `grid` at the given offset; it must fit.

    End markers fall away where they would stand outside the canvas.
    """
    bottom, right = row + grid.shape[0], column + grid.shape[1]
    canvas = np.full((side, side), PADDING, np.uint8)
    canvas[bottom : bottom + 1, column:right] = END
    canvas[row:bottom, right : right + 1] = END
    canvas[row:bottom, column:right] = grid + FIRST_COLOUR
    return canvas.reshape(-1)


def origin(puzzle: Array) -> tuple[Array, Array]:
    """Row and column, (N,) each, of the upper left corner of the grids on canvases of shape (N, L).

    An input and its output begin in the same cell.
    """
    side = side_of(puzzle)
    coloured = puzzle.reshape(-1, side, side) >= FIRST_COLOUR
    return tuple(as_int64(coloured.sum(axis).cumsum(-1) == 0).sum(-1) for axis in (2, 1))  # type: ignore[return-value]


def extent(answer: Array, top: Array, left: Array) -> tuple[Array, Array]:
    """Rows and columns, (N,) each, of the grids that answers, (N, L), give; 0 and 0 where they give none.

    A grid is the largest rectangle with its upper left corner in the given cell that holds nothing but colours;
    among equals that of the fewest rows. So markers and padding only bound it, and what stands beyond them does
    not count, as in the published evaluation of HRM.
    """
    side = side_of(answer)
    line = like(np.arange(side), answer)
    coloured = answer.reshape(-1, side, side) >= FIRST_COLOUR
    # Whether all is colour from the corner to the cell; lines before the corner do not count.
    free = (line < top[:, None])[:, :, None] | (line < left[:, None])[:, None, :]
    whole = as_int64(coloured | free).cumprod(2).cumprod(1)  # (N, side, side)
    rows = line + 1 - top[:, None]  # (N, side): of the rectangle that ends in this line
    columns = whole.sum(2) - left[:, None]
    area = where((rows > 0) & (columns > 0), rows * columns, line * 0)
    best = (area * side - line).argmax(-1)  # the first of equals
    some = as_int64(area.sum(-1) > 0)
    return (best + 1 - top) * some, _pick(columns, best) * some


def decode(answer: np.ndarray, top: int = 0, left: int = 0) -> np.ndarray:
    """The grid, a uint8 array, that an answer of shape (L,) gives from that cell on; see `extent`."""
    rows, columns = (int(size[0]) for size in extent(np.asarray(answer)[None], np.array([top]), np.array([left])))
    canvas = np.asarray(answer).reshape(side_of(np.asarray(answer)), -1)
    return (canvas[top : top + rows, left : left + columns] - FIRST_COLOUR).astype(np.uint8)


def _pick(array: Array, index: Array) -> Array:
    """`array[i, index[i]]` of an array of shape (N, M)."""
    return (array * (like(np.arange(array.shape[1]), array) == index[:, None])).sum(-1)
