"""The backward loops of `planes_mixing`: the gradient of each node from all its readers."""

from __future__ import annotations

from typing import Any

import numpy as np

from hrm_gym.agents.models.planes_loops import (
    ALIKE,
    BEAMS,
    DC,
    DR,
    HALF,
    ONE,
    OPPOSITE,
    QUARTER,
    UNDO,
    WIDTH,
    beam_step,
    image,
    line_from,
    places,
)
from hrm_gym.envs.jit import njit


@njit(cache=True, fastmath=True)
def read_back(
    g: np.ndarray,
    keys: np.ndarray,
    boards: np.ndarray,
    directional: bool,
    rays: np.ndarray,
    holds: np.ndarray,
    beams: np.ndarray,
    of_cell: np.ndarray,
    of_plane: np.ndarray,
    g_rays: np.ndarray,
    gx: np.ndarray,
    gk: np.ndarray,
) -> None:
    """Fill `gx` and `gk`, the gradients of states and keys, from `g`, the gradient of the output of `read`.

    `g_rays`, (N, `BEAMS`, `WIDTH`), is a work array, for rays and then for beams.
    """
    at_rays, at_colours, at_board, at_mirror, at_beams, _ = places(gx.shape[1], directional)
    plane = 0
    for board in range(len(boards)):
        start, colours, rows, columns = boards[board, 0], boards[board, 1], boards[board, 2], boards[board, 3]
        area = rows * columns
        if not area:
            plane += colours
            continue
        for base in range(start, start + colours * area, area):
            for n in range(base, base + area):
                for b in range(2):
                    for k in range(WIDTH):
                        gk[n, b, k] = 0
            _near_back(g, base, rows, columns, directional, gx)
            _combine_back(g, rays, base, area, directional, g_rays, at_rays)
            _scan_back(g_rays, holds, base, rows, columns, gk)
            _pool_back(g, base, 1, area, gk, at_board, of_plane[plane])
            _mirror_back(g, base, rows, columns, directional, gk, at_mirror)
            _combine_beams_back(g, beams, base, area, directional, g_rays, at_beams)
            _beam_back(g_rays, keys, beams, base, rows, columns, gk)
            plane += 1
        for cell in range(start, start + area):
            _pool_back(g, cell, area, colours, gk, at_colours, of_cell[cell])


@njit(cache=True, fastmath=True)
def _near_back(g: np.ndarray, base: int, rows: int, columns: int, directional: bool, gx: np.ndarray) -> None:
    blocks = gx.shape[1]
    for r in range(rows):
        for c in range(columns):
            n = base + r * columns + c
            for b in range(blocks):
                for k in range(WIDTH):
                    gx[n, b, k] = g[n, b, k]
            for i in range(8):
                nr, nc = r + DR[i], c + DC[i]
                if 0 <= nr < rows and 0 <= nc < columns:
                    m = base + nr * columns + nc
                    at = (1 + OPPOSITE[i]) * blocks if directional else (1 + i // 4) * blocks
                    for b in range(blocks):
                        for k in range(WIDTH):
                            gx[n, b, k] += g[m, at + b, k]


@njit(cache=True, fastmath=True)
def _combine_back(
    g: np.ndarray, rays: np.ndarray, base: int, area: np.ndarray, directional: bool, g_rays: np.ndarray, at: int
) -> None:
    for n in range(base, base + area):
        for k in range(WIDTH):
            left, right, up, down = rays[n, 0, k], rays[n, 1, k], rays[n, 2, k], rays[n, 3, k]
            if directional:
                of_left, of_right, of_up, of_down = g[n, at, k], g[n, at + 1, k], g[n, at + 2, k], g[n, at + 3, k]
                row, column = g[n, at + 4, k], g[n, at + 5, k]
                any_row, any_column = g[n, at + 6, k], g[n, at + 7, k]
            else:
                of_left = of_right = of_up = of_down = QUARTER * g[n, at, k]
                row, column, any_row, any_column = _lines_back(
                    left, right, up, down, g[n, at + 1, k], g[n, at + 2, k], g[n, at + 3, k]
                )
            to_left, to_right = _pair_back(left, right, row, any_row)
            to_up, to_down = _pair_back(up, down, column, any_column)
            g_rays[n, 0, k], g_rays[n, 1, k] = of_left + to_left, of_right + to_right
            g_rays[n, 2, k], g_rays[n, 3, k] = of_up + to_up, of_down + to_down


@njit(cache=True, fastmath=True)
def _lines_back(
    left: Any, right: Any, up: Any, down: Any, more: Any, less: Any, most: Any
) -> tuple[Any, Any, Any, Any]:
    """Gradients of row and column, the minima of their two sides, and of their maxima.

    `more` and `less` are those of the greater and the smaller minimum, `most` that of the greater maximum.
    """
    leads = np.float32(min(left, right) >= min(up, down))
    row, column = more * leads + less * (ONE - leads), more * (ONE - leads) + less * leads
    leads = np.float32(max(left, right) >= max(up, down))
    return row, column, most * leads, most * (ONE - leads)


@njit(cache=True, fastmath=True)
def _pair_back(first: Any, second: Any, least: Any, most: Any) -> tuple[Any, Any]:
    """Gradients of two values from those of their minimum and maximum."""
    smaller, greater = np.float32(first <= second), np.float32(first >= second)
    return least * smaller + most * greater, least * (ONE - smaller) + most * (ONE - greater)


@njit(cache=True, fastmath=True)
def _scan_back(g_rays: np.ndarray, holds: np.ndarray, base: int, rows: int, columns: int, gk: np.ndarray) -> None:
    """Pass the gradient of each running maximum back along its line to the node that holds the maximum."""
    owed = np.empty(WIDTH, np.float32)
    for side in range(4):
        for number in range(rows if side < 2 else columns):
            n, step, length = line_from(side, number, base, rows, columns, True)
            owed[:] = 0
            for _ in range(length):
                for k in range(WIDTH):
                    total, mine = owed[k] + g_rays[n, side, k], np.float32(holds[n, side, k])
                    gk[n, 0, k] += total * mine
                    owed[k] = total * (ONE - mine)
                n += step


@njit(cache=True, fastmath=True)
def _combine_beams_back(
    g: np.ndarray, beams: np.ndarray, base: int, area: int, directional: bool, g_beams: np.ndarray, at: int
) -> None:
    for n in range(base, base + area):
        if directional:
            for side in range(BEAMS):
                for k in range(WIDTH):
                    g_beams[n, side, k] = g[n, at + side, k]
            continue
        for half in range(2):
            s, of = 4 * half, at + 3 * half
            for k in range(WIDTH):
                left, right, up, down = beams[n, s, k], beams[n, s + 1, k], beams[n, s + 2, k], beams[n, s + 3, k]
                mean = QUARTER * g[n, of, k]
                row, column, any_row, any_column = _lines_back(
                    left, right, up, down, g[n, of + 1, k], np.float32(0), g[n, of + 2, k]
                )
                to_left, to_right = _pair_back(left, right, row, any_row)
                to_up, to_down = _pair_back(up, down, column, any_column)
                g_beams[n, s, k], g_beams[n, s + 1, k] = mean + to_left, mean + to_right
                g_beams[n, s + 2, k], g_beams[n, s + 3, k] = mean + to_up, mean + to_down


@njit(cache=True, fastmath=True)
def _beam_back(
    g_beams: np.ndarray, keys: np.ndarray, beams: np.ndarray, base: int, rows: int, columns: int, gk: np.ndarray
) -> None:
    """Pass the gradient of each beam back along its line, to the keys that it carries and the gates that it passed."""
    area = rows * columns
    for n in range(base, base + area):
        for k in range(WIDTH):
            gk[n, 3, k] = gk[n, 4, k] = 0
    for side in range(BEAMS):
        for place in range(area - 1, -1, -1):  # a node has received all its gradient before it passes it on
            n, before = beam_step(side, place, base, rows, columns)
            if before < 0:
                continue
            for k in range(WIDTH):
                owed, passes = g_beams[n, side, k], HALF + HALF * keys[before, 4, k]
                gk[before, 3, k] += owed * (ONE - passes)
                gk[before, 4, k] += owed * HALF * (beams[before, side, k] - keys[before, 3, k])
                g_beams[before, side, k] += owed * passes


@njit(cache=True, fastmath=True)
def _pool_back(g: np.ndarray, first: int, step: int, num: int, gk: np.ndarray, at: int, holder: np.ndarray) -> None:
    mean, most = np.zeros(WIDTH, np.float32), np.zeros(WIDTH, np.float32)
    for n in range(first, first + num * step, step):
        for k in range(WIDTH):
            mean[k] += g[n, at, k]
            most[k] += g[n, at + 1, k]
    for k in range(WIDTH):
        mean[k] /= np.float32(num)
    for n in range(first, first + num * step, step):
        for k in range(WIDTH):
            gk[n, 1, k] += mean[k]
    for k in range(WIDTH):
        gk[holder[k], 1, k] += most[k]


@njit(cache=True, fastmath=True)
def _mirror_back(g: np.ndarray, base: int, rows: int, columns: int, directional: bool, gk: np.ndarray, at: int) -> None:
    for r in range(rows):
        for c in range(columns):
            n = base + r * columns + c
            for k in range(WIDTH):
                gk[n, 2, k] = 0
            for kind in range(7 if rows == columns else 3):
                m = base + image(kind, r, c, rows, columns)
                b = at + (UNDO[kind] if directional else ALIKE[kind])
                for k in range(WIDTH):
                    gk[n, 2, k] += g[m, b, k]
