"""What the nodes of `planes` read of one another: one pass over all boards forwards, one back.

A board has a *plane* of cells for each of its colours. The nodes of a batch stand one after the other, board by board,
plane by plane, row by row, so that boards of any size and number of colours need no padding. A node reads

    near     its neighbours: the sums of edges and of corners, or (directional) each of the eight
    rays     running maxima along its row and column from all four sides, and their minima and maxima
    colours  mean and maximum over the planes of the board at its cell
    board    mean and maximum over its plane
    mirror   its images under the turns and reflections of the board; under transpositions on squares alone

In the symmetric form what is read is the same for all eight turns and reflections of a board. Whatever stands beyond
the board reads as zero, and no ray goes there. The loops are compiled by Numba: as tensor operations they would be a
hundred small ones, and take longer than the products of matrices between them. Features come in blocks of `WIDTH`, a
number that the compiler knows.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from hrm_gym.agents.models.planes_gradients import read_back
from hrm_gym.agents.models.planes_loops import WIDTH, read


def num_read(size: int, directional: bool) -> int:
    """How many numbers a node reads, of nodes with `size` features."""
    return 9 * size + 19 * WIDTH if directional else 3 * size + 12 * WIDTH


class Reading(torch.autograd.Function):
    """What every node reads; see the module."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, keys: Tensor, boards: np.ndarray, directional: bool) -> Tensor:
        """(N, D) and keys (N, 3 * WIDTH) in [-1, 1], float32, to (N, `num_read`).

        Args:
            ctx: of autograd.
            x: the states of the nodes; D is a multiple of `WIDTH`.
            keys: what rays, pools and mirrors read of them.
            boards: first node, colours, rows and columns of each board, int64 (B, 4).
            directional: the form.
        """
        num, size = x.shape
        out = np.empty((num, num_read(size, directional) // WIDTH, WIDTH), np.float32)
        rays, holds = np.empty((num, 4, WIDTH), np.float32), np.empty((num, 4, WIDTH), np.int32)
        of_cell, of_plane = (np.empty((rows, WIDTH), np.int32) for rows in (num, int(boards[:, 1].sum())))
        states, of_states = (_blocks(part) for part in (x, keys))
        read(states, of_states, boards, directional, out, rays, holds, of_cell, of_plane)
        ctx.saved = boards, directional, rays, holds, of_cell, of_plane
        ctx.blocks = size // WIDTH
        return torch.from_numpy(out.reshape(num, -1)).to(x.device)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        """Of the states and of the keys."""
        num, (boards, directional, rays, holds, of_cell, of_plane) = len(gradient), ctx.saved
        g_rays = np.empty((num, 4, WIDTH), np.float32)
        gx, gk = (np.empty((num, blocks, WIDTH), np.float32) for blocks in (ctx.blocks, 3))
        read_back(_blocks(gradient), boards, directional, rays, holds, of_cell, of_plane, g_rays, gx, gk)
        return *(torch.from_numpy(part.reshape(num, -1)).to(gradient.device) for part in (gx, gk)), None, None


def _blocks(x: Tensor) -> np.ndarray:
    return np.ascontiguousarray(x.detach().cpu().numpy()).reshape(len(x), -1, WIDTH)
