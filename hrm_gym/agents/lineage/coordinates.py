"""Where positions are on a board, and rotary embedding by it (RoFormer, 2104.09864), also of values (GTA, 2310.10375).

Each position is turned by its own coordinates. Two positions then know only how far apart they are, and in what
direction. A rule learned in one corner of a board therefore holds in all corners.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from hrm_gym.agents.agent import TaskSpec
from hrm_gym.agents.models.layers import rotate

BASE = 100.0
"""Base of the frequencies of rotary embedding: low, since boards have few rows and columns."""


def coordinates(spec: TaskSpec) -> Tensor:
    """Coordinates of the cells and, beyond the board, of BEGIN and END, float (L + 1, A).

    They are the index of the cell's group in each partition, such as row, column and box of a Sudoku, or else row and
    column.
    """
    cells = np.arange(spec.num_cells).reshape(spec.shape)
    partitions = spec.groups or (cells, cells.T)
    places = np.full((spec.num_cells + 1, len(partitions)), -1.0, np.float32)
    for axis, partition in enumerate(partitions):
        places[partition, axis] = np.arange(len(partition))[:, None]
    return torch.as_tensor(places)


class Turn(NamedTuple):
    """How rotary embedding turns the features of S positions: cosines and sines, (B, 1, S, size) each."""

    cos: Tensor
    sin: Tensor

    @staticmethod
    def at(coordinates: Tensor, size: int) -> Turn:
        """The turn of `size` features at coordinates, float (B, S, A), which share the pairs of features evenly."""
        pair, axes = torch.arange(size // 2, device=coordinates.device), coordinates.shape[-1]
        frequency = BASE ** -((pair // axes) / math.ceil(size / 2 / axes))
        angle = (coordinates[..., pair % axes] * frequency)[:, None].repeat(1, 1, 1, 2)
        return Turn(angle.cos(), angle.sin())

    def back(self, x: Tensor) -> Tensor:
        """Features turned the other way."""
        return Turn(self.cos, -self.sin)(x)

    def __call__(self, x: Tensor) -> Tensor:
        """Features, (B, heads, S, size), turned."""
        return rotate(x, self.cos, self.sin)
