"""The forward loops of `planes_mixing`: the features that every node reads, board by board and plane by plane."""

from __future__ import annotations

import numpy as np

from hrm_gym.envs.jit import njit

WIDTH = 8
"""Features in a block, and the number of keys of each kind."""

KEYS = 5
"""Kinds of keys: of rays, pools, mirrors and beams, and the gates of beams."""

# Row and column offsets of the eight neighbours, edges first, and the index of the opposite neighbour.
DR = (-1, 0, 0, 1, -1, -1, 1, 1)
DC = (0, -1, 1, 0, -1, 1, -1, 1)
OPPOSITE = (3, 2, 1, 0, 7, 6, 5, 4)
# The steps of the eight beams, in pairs of opposite ones: along rows, columns and both diagonals.
BEAM_R = (0, 0, 1, -1, 1, -1, 1, -1)
BEAM_C = (1, -1, 0, 0, 1, -1, -1, 1)
BEAMS = len(BEAM_R)
# The inverse of each of the seven images, and which images are summed in the symmetric form.
UNDO = (0, 1, 2, 3, 4, 6, 5)
ALIKE = (1, 1, 0, 2, 2, 3, 3)

ONE, HALF, QUARTER = np.float32(1), np.float32(0.5), np.float32(0.25)


@njit(cache=True)
def places(blocks: int, directional: bool) -> tuple[int, int, int, int, int, int]:
    """The first blocks of rays, colours, board, mirrors and beams among those that a node reads, and the number of all.

    Before them are `blocks` of the node itself and of its neighbours.
    """
    rays = 9 * blocks if directional else 3 * blocks
    colours = rays + (8 if directional else 4)
    board, mirrors = colours + 2, colours + 4
    beams = mirrors + (7 if directional else 4)
    return rays, colours, board, mirrors, beams, beams + (8 if directional else 6)


@njit(cache=True, fastmath=True)
def read(
    x: np.ndarray,
    keys: np.ndarray,
    boards: np.ndarray,
    directional: bool,
    out: np.ndarray,
    rays: np.ndarray,
    holds: np.ndarray,
    beams: np.ndarray,
    of_cell: np.ndarray,
    of_plane: np.ndarray,
) -> None:
    """Fill `out` with the features that every node reads; see `planes_mixing`.

    Args:
        x: states, (N, blocks, `WIDTH`).
        keys: keys of rays, pools, mirrors and beams, and the gates of beams, (N, `KEYS`, `WIDTH`).
        boards: first node and number of colours, rows and columns of each board, (B, 4).
        directional: whether the form is directional.
        out: output, (N, slots, `WIDTH`).
        rays: output, running maxima from the left, right, top and bottom, (N, 4, `WIDTH`).
        holds: output, 1 where a node itself holds the running maximum, (N, 4, `WIDTH`).
        beams: output, the beams that arrive by the steps `BEAM_R` and `BEAM_C`, (N, `BEAMS`, `WIDTH`).
        of_cell: output, the nodes that hold the maxima over colours, (N, `WIDTH`).
        of_plane: output, the nodes that hold the maxima over planes, (P, `WIDTH`).
    """
    at_rays, at_colours, at_board, at_mirror, at_beams, _ = places(x.shape[1], directional)
    plane = 0
    for board in range(len(boards)):
        start, colours, rows, columns = boards[board, 0], boards[board, 1], boards[board, 2], boards[board, 3]
        area = rows * columns
        if not area:
            plane += colours
            continue
        for base in range(start, start + colours * area, area):
            _near(x, base, rows, columns, directional, out)
            _scan(keys, base, rows, columns, rays, holds)
            _combine(rays, base, area, directional, out, at_rays)
            _pool(keys, base, 1, area, out, at_board, of_plane[plane])
            _mirror(keys, 2, base, rows, columns, directional, out, at_mirror, ALIKE)
            _beam(keys, base, rows, columns, beams)
            _combine_beams(beams, base, area, directional, out, at_beams)
            plane += 1
        for cell in range(start, start + area):
            _pool(keys, cell, area, colours, out, at_colours, of_cell[cell])


@njit(cache=True, fastmath=True)
def _near(x: np.ndarray, base: int, rows: int, columns: int, directional: bool, out: np.ndarray) -> None:
    blocks = x.shape[1]
    for r in range(rows):
        for c in range(columns):
            n = base + r * columns + c
            for b in range(blocks):
                for k in range(WIDTH):
                    out[n, b, k] = x[n, b, k]
            for b in range(blocks, (9 if directional else 3) * blocks):
                for k in range(WIDTH):
                    out[n, b, k] = 0
            for i in range(8):
                nr, nc = r + DR[i], c + DC[i]
                if 0 <= nr < rows and 0 <= nc < columns:
                    m = base + nr * columns + nc
                    at = (1 + i) * blocks if directional else (1 + i // 4) * blocks
                    for b in range(blocks):
                        for k in range(WIDTH):
                            out[n, at + b, k] += x[m, b, k]


@njit(cache=True)
def line_from(side: int, number: int, base: int, rows: int, columns: int, backwards: bool) -> tuple[int, int, int]:
    """First node, step and length of a line seen from a side (left, right, top, bottom)."""
    length, step = (columns, 1) if side < 2 else (rows, columns)
    first = base + number * (columns if side < 2 else 1)
    if (side % 2 == 1) != backwards:
        return first + (length - 1) * step, -step, length
    return first, step, length


@njit(cache=True, fastmath=True)
def _scan(keys: np.ndarray, base: int, rows: int, columns: int, rays: np.ndarray, holds: np.ndarray) -> None:
    """Running maxima of the first keys from all sides, and which nodes hold the maximum themselves."""
    for side in range(4):
        for number in range(rows if side < 2 else columns):
            n, step, length = line_from(side, number, base, rows, columns, False)
            for k in range(WIDTH):
                rays[n, side, k], holds[n, side, k] = keys[n, 0, k], 1
            for _ in range(length - 1):
                before = n
                n += step
                for k in range(WIDTH):
                    old, new = rays[before, side, k], keys[n, 0, k]
                    rays[n, side, k] = max(old, new)
                    holds[n, side, k] = new > old


@njit(cache=True, fastmath=True)
def _combine(rays: np.ndarray, base: int, area: np.ndarray, directional: bool, out: np.ndarray, at: int) -> None:
    for n in range(base, base + area):
        for k in range(WIDTH):
            left, right, up, down = rays[n, 0, k], rays[n, 1, k], rays[n, 2, k], rays[n, 3, k]
            row, column, any_row, any_column = min(left, right), min(up, down), max(left, right), max(up, down)
            if directional:
                out[n, at, k], out[n, at + 1, k], out[n, at + 2, k], out[n, at + 3, k] = left, right, up, down
                out[n, at + 4, k], out[n, at + 5, k] = row, column
                out[n, at + 6, k], out[n, at + 7, k] = any_row, any_column
            else:
                out[n, at, k] = QUARTER * ((left + right) + (up + down))
                out[n, at + 1, k], out[n, at + 2, k] = max(row, column), min(row, column)
                out[n, at + 3, k] = max(any_row, any_column)


@njit(cache=True, fastmath=True)
def _beam(keys: np.ndarray, base: int, rows: int, columns: int, beams: np.ndarray) -> None:
    """Beams in all directions. A node with an open gate lets a beam pass; one with a closed gate sends its own key."""
    area = rows * columns
    for side in range(BEAMS):
        for place in range(area):
            n, before = beam_step(side, place, base, rows, columns)
            if before < 0:
                for k in range(WIDTH):
                    beams[n, side, k] = 0
                continue
            for k in range(WIDTH):
                passes = HALF + HALF * keys[before, 4, k]
                beams[n, side, k] = passes * beams[before, side, k] + (ONE - passes) * keys[before, 3, k]


@njit(cache=True)
def beam_step(side: int, place: int, base: int, rows: int, columns: int) -> tuple[int, int]:
    """The node at a place in the order of a beam, and the node from which the beam comes; -1 at the border."""
    dr, dc = BEAM_R[side], BEAM_C[side]
    r, c = place // columns, place % columns
    r, c = r if dr >= 0 else rows - 1 - r, c if dc >= 0 else columns - 1 - c
    inside = 0 <= r - dr < rows and 0 <= c - dc < columns
    n = base + r * columns + c
    return n, n - dr * columns - dc if inside else -1


@njit(cache=True, fastmath=True)
def _combine_beams(beams: np.ndarray, base: int, area: int, directional: bool, out: np.ndarray, at: int) -> None:
    for n in range(base, base + area):
        if directional:
            for side in range(BEAMS):
                for k in range(WIDTH):
                    out[n, at + side, k] = beams[n, side, k]
            continue
        for half in range(2):  # straight beams, then diagonal ones
            s, to = 4 * half, at + 3 * half
            for k in range(WIDTH):
                left, right, up, down = beams[n, s, k], beams[n, s + 1, k], beams[n, s + 2, k], beams[n, s + 3, k]
                out[n, to, k] = QUARTER * ((left + right) + (up + down))
                out[n, to + 1, k] = max(min(left, right), min(up, down))
                out[n, to + 2, k] = max(max(left, right), max(up, down))


@njit(cache=True, fastmath=True)
def _pool(keys: np.ndarray, first: int, step: int, num: int, out: np.ndarray, at: int, holder: np.ndarray) -> None:
    """Mean and maximum of the second keys over `num` nodes; `holder` receives the nodes that hold the maxima."""
    total, best = np.zeros(WIDTH, np.float32), np.full(WIDTH, -9, np.float32)
    for n in range(first, first + num * step, step):
        for k in range(WIDTH):
            value = keys[n, 1, k]
            total[k] += value
            holder[k] = n if value > best[k] else holder[k]
            best[k] = max(best[k], value)
    for k in range(WIDTH):
        total[k] /= np.float32(num)
    for n in range(first, first + num * step, step):
        for k in range(WIDTH):
            out[n, at, k], out[n, at + 1, k] = total[k], best[k]


@njit(cache=True, fastmath=True)
def _mirror(
    source: np.ndarray,
    from_: int,
    base: int,
    rows: int,
    columns: int,
    directional: bool,
    out: np.ndarray,
    at: int,
    slots: tuple[int, ...],
) -> None:
    """The images of block `from_` of each node: one slot per image (directional), or summed by kind (symmetric)."""
    num = 7 if directional else 4
    for r in range(rows):
        for c in range(columns):
            n = base + r * columns + c
            for b in range(at, at + num):
                for k in range(WIDTH):
                    out[n, b, k] = 0
            for kind in range(7 if rows == columns else 3):
                m = base + image(kind, r, c, rows, columns)
                b = at + (kind if directional else slots[kind])
                for k in range(WIDTH):
                    out[n, b, k] += source[m, from_, k]


@njit(cache=True)
def image(kind: int, r: int, c: int, rows: int, columns: int) -> int:
    """Index, row by row, of the cell that a rotation or reflection moves to row r and column c.

    The kinds: columns flipped, rows flipped, half turn, transposition along either diagonal, quarter turns.
    """
    last_row, last_column = rows - 1 - r, columns - 1 - c
    if kind < 3:
        return (r if kind == 0 else last_row) * columns + (c if kind == 1 else last_column)
    return (last_column if kind == 4 or kind == 6 else c) * columns + (last_row if kind == 4 or kind == 5 else r)
