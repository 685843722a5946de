"""Objects on a grid: connected cells."""

from __future__ import annotations

import numpy as np

from hrm_gym.envs.jit import njit


@njit(cache=True)
def label_objects(board: np.ndarray, edges_only: bool) -> tuple[np.ndarray, int]:
    """Label connected components of equal values; return labels, int64 (rows, columns), and their number.

    Args:
        board: values, int64 (rows, columns); the background is 0 or below.
        edges_only: whether cells are connected only by edges and not by corners, as the background always is.
    """
    rows, columns = board.shape
    label = np.full((rows, columns), -1, np.int64)
    line = np.empty(rows * columns, np.int64)
    num = 0
    for first in range(rows * columns):
        if label[first // columns, first % columns] >= 0:
            continue
        value = board[first // columns, first % columns]
        label[first // columns, first % columns] = num
        line[0], filled, done = first, 1, 0
        while done < filled:
            r, c = line[done] // columns, line[done] % columns
            done += 1
            for dr in range(-1, 2):
                for dc in range(-1, 2):
                    if dr != 0 and dc != 0 and (edges_only or value <= 0):
                        continue
                    nr, nc = r + dr, c + dc
                    inside = 0 <= nr < rows and 0 <= nc < columns
                    if inside and label[nr, nc] < 0 and board[nr, nc] == value:
                        label[nr, nc] = num
                        line[filled] = nr * columns + nc
                        filled += 1
        num += 1
    return label, num
