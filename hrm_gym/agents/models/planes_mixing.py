"""How the nodes of `planes` read each other: one pass over all boards forwards, one backwards.

A board has a *plane* of cells for each of its colours. The nodes of a batch are concatenated board by board, plane by
plane, row by row, so that boards of any size and number of colours need no padding. A node reads

    near     its neighbours: the sums of edges and of corners, or (directional) each of the eight
    rays     running maxima along its row and column from all four sides, and their minima and maxima
    colours  mean and maximum over the planes of the board at its cell
    board    mean and maximum over its plane
    mirror   its images under rotations and reflections of the board; transpositions and quarter turns only on squares
    beams    the key of the nearest node whose gate is closed, in each of the eight directions

In the symmetric form the features are invariant under all eight rotations and reflections of a board. Cells outside the
board read as zero, and rays and beams end at its border. The loops are compiled by Numba: as a hundred small tensor
operations they would take longer than the matrix products between them. Features come in blocks of `WIDTH`, a
compile-time constant.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from hrm_gym.agents.models.planes_gradients import read_back
from hrm_gym.agents.models.planes_loops import BEAMS, KEYS, WIDTH, places, read


def num_read(size: int, directional: bool) -> int:
    """Number of features that a node reads, for nodes with `size` features."""
    return WIDTH * places.py_func(size // WIDTH, directional)[-1]


class Reading(torch.autograd.Function):
    """The features that every node reads; see the module."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, keys: Tensor, boards: np.ndarray, directional: bool) -> Tensor:
        """(N, D) and keys (N, `KEYS` * WIDTH) in [-1, 1], float32, to (N, `num_read`).

        Args:
            ctx: autograd's context.
            x: the states of the nodes; D is a multiple of `WIDTH`.
            keys: the input of rays, pools, mirrors and beams, and the gates of beams: 1 is open, -1 is closed.
            boards: first node and number of colours, rows and columns of each board, int64 (B, 4).
            directional: whether the form is directional.
        """
        num, size = x.shape
        out = np.empty((num, num_read(size, directional) // WIDTH, WIDTH), np.float32)
        rays, beams = (np.empty((num, ways, WIDTH), np.float32) for ways in (4, BEAMS))
        holds = np.empty((num, 4, WIDTH), np.int32)
        of_cell, of_plane = (np.empty((rows, WIDTH), np.int32) for rows in (num, int(boards[:, 1].sum())))
        states, of_states = (blocks_of(part) for part in (x, keys))
        read(states, of_states, boards, directional, out, rays, holds, beams, of_cell, of_plane)
        ctx.saved = of_states, boards, directional, rays, holds, beams, of_cell, of_plane
        ctx.blocks = size // WIDTH
        return torch.from_numpy(out.reshape(num, -1)).to(x.device)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        """Gradients of the states and the keys."""
        num = len(gradient)
        g_lines = np.empty((num, BEAMS, WIDTH), np.float32)
        gx, gk = (np.empty((num, blocks, WIDTH), np.float32) for blocks in (ctx.blocks, KEYS))
        read_back(blocks_of(gradient), *ctx.saved, g_lines, gx, gk)
        return *(torch.from_numpy(part.reshape(num, -1)).to(gradient.device) for part in (gx, gk)), None, None


def blocks_of(x: Tensor) -> np.ndarray:
    """Features (N, D) in blocks, contiguous on the CPU, (N, D / WIDTH, WIDTH)."""
    return np.ascontiguousarray(x.detach().cpu().numpy()).reshape(len(x), -1, WIDTH)
