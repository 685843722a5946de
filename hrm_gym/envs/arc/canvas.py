"""Grids of colours and the canvas of tokens that they stand on.

A grid is a uint8 array of colours 0 to 9, at most 30x30. A canvas is the board of the task, 900 tokens row by
row: 0 is padding, 1 the end marker, 2 to 11 the colours. The markers stand right below the grid and right
beside it, so that an answer says how large it is. The conventions are those of HRM (arXiv 2506.21734, section
3.1, and its published data pipeline).
"""

from __future__ import annotations

import numpy as np

SIDE = 30
"""Rows and columns of a canvas, the most that a grid may have."""

PADDING, END, FIRST_COLOUR = 0, 1, 2


def encode(grid: np.ndarray, row: int = 0, column: int = 0) -> np.ndarray:
    """The canvas, uint8 of shape (900,), with `grid` at the given offset; it must fit.

    End markers fall away where they would stand outside the canvas.
    """
    bottom, right = row + grid.shape[0], column + grid.shape[1]
    canvas = np.full((SIDE, SIDE), PADDING, np.uint8)
    canvas[bottom : bottom + 1, column:right] = END
    canvas[row:bottom, right : right + 1] = END
    canvas[row:bottom, column:right] = grid + FIRST_COLOUR
    return canvas.reshape(-1)


def decode(answer: np.ndarray) -> np.ndarray:
    """The grid, a uint8 array, that an answer of shape (900,) gives: possibly without any cell.

    It is the largest rectangle in the upper left corner that holds nothing but colours; among equals that of
    the fewest rows. So markers and padding only bound it, as in the published evaluation of HRM.
    """
    canvas = np.asarray(answer).reshape(SIDE, SIDE)
    # How far each row is all colour from its left end, and the rows above it too.
    width = np.minimum.accumulate(np.cumprod(canvas >= FIRST_COLOUR, axis=1).sum(1))
    rows = int(np.argmax(width * np.arange(1, SIDE + 1))) + 1
    columns = int(width[rows - 1])
    if columns == 0:
        return np.zeros((0, 0), np.uint8)
    return (canvas[:rows, :columns] - FIRST_COLOUR).astype(np.uint8)
