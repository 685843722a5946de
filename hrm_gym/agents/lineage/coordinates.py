"""Where positions are on a board, and rotary embedding by it (RoFormer, 2104.09864), also of values (GTA, 2310.10375).

Turned by its own coordinates, a position sees others by the way that leads to them: what is learned in one corner of a
board holds in all.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from hrm_gym.agents.agent import TaskSpec

BASE = 100.0
"""Base of the frequencies of rotary embedding: low, since boards have few rows and columns."""


def coordinates(spec: TaskSpec) -> Tensor:
    """Coordinates of the cells and, beyond the board, of BEGIN and END, float (L + 1, A).

    They are the index of the cell's group in each partition, such as row, column and box of a Sudoku, or else row and
    column.
    """
    cells = np.arange(spec.num_cells)
    axes = [cells // spec.columns, cells % spec.columns]
    if spec.groups:
        axes = [np.zeros(spec.num_cells, np.int64) for _ in spec.groups]
        for axis, partition in zip(axes, spec.groups, strict=True):
            axis[partition] = np.arange(len(partition))[:, None]
    return F.pad(torch.as_tensor(np.stack(axes, axis=-1), dtype=torch.float32), (0, 0, 0, 1), value=-1.0)


class Turn(NamedTuple):
    """How rotary embedding turns the features of S positions: cosines and sines, (B, 1, S, size / 2) each."""

    cos: Tensor
    sin: Tensor

    @staticmethod
    def at(coordinates: Tensor, size: int) -> Turn:
        """The turn of `size` features at coordinates, float (B, S, A), which share the pairs of features evenly."""
        pair, axes = torch.arange(size // 2, device=coordinates.device), coordinates.shape[-1]
        frequency = BASE ** -((pair // axes) / math.ceil(size / 2 / axes))
        angle = (coordinates[..., pair % axes] * frequency)[:, None]
        return Turn(angle.cos(), angle.sin())

    def back(self, x: Tensor) -> Tensor:
        """Features turned the other way."""
        return Turn(self.cos, -self.sin)(x)

    def __call__(self, x: Tensor) -> Tensor:
        """Features, (B, heads, S, size), turned."""
        first, second = x.chunk(2, dim=-1)
        return torch.cat((first * self.cos - second * self.sin, first * self.sin + second * self.cos), dim=-1)
