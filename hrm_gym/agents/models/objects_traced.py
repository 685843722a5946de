"""`planes_objects.object_features` in torch operations alone: connected cells found by passing labels on.

Every cell begins with its own index as label. A round gives each object the least label that its cells see beside
them, then shortens the chains of labels (FastSV: Zhang, Azad and Hu, 2020). So the number of rounds grows with the
logarithm of the number of cells.
"""

from __future__ import annotations

import torch
from torch import Tensor

from hrm_gym.agents.models.planes_loops import DC, DR

OUTSIDE = -5
"""The value of cells outside the box."""


def object_features(board: Tensor, box: Tensor) -> Tensor:
    """The features of each cell's object, float32 (B, rows, columns, `NUM_FEATURES`).

    Args:
        board: colours, int64 (B, rows, columns); the background is 0, cells without colour are negative.
        box: the cells of the board, bool (B, rows, columns); the rest of the canvas is no part of it.
    """
    shape = board.shape[1:]
    near, there = _neighbours(*shape)
    value, inside = torch.where(box, board, OUTSIDE).flatten(1), box.flatten(1)
    beside = there & inside[:, near]
    edge = inside & ~beside[..., :4].all(-1)
    coarse = torch.where(inside, value.clamp_max(1), OUTSIDE)
    same = _label(value, beside, near, 4, torch.ones_like(inside))
    whole = _label(coarse, beside, near, 8, coarse > 0)
    features = [*_of(value, same, inside, edge, near, beside), *_of(coarse, whole, inside, edge, near, beside)[:3]]
    return torch.stack([feature.float() for feature in features], dim=-1).unflatten(1, shape)


def _neighbours(rows: int, columns: int) -> tuple[Tensor, Tensor]:
    """The eight neighbours of each cell, edges first, int64 (cells, 8), and which of them exist."""
    r, c = torch.arange(rows)[:, None, None] + torch.tensor(DR), torch.arange(columns)[None, :, None] + torch.tensor(DC)
    there = (r >= 0) & (r < rows) & (c >= 0) & (c < columns)
    return (r.clamp(0, rows - 1) * columns + c.clamp(0, columns - 1)).flatten(0, 1), there.flatten(0, 1)


def _label(value: Tensor, beside: Tensor, near: Tensor, ways: int, corners: Tensor) -> Tensor:
    """The least index of each cell's object, int64 (B, cells). Only cells with `corners` are joined by them."""
    cells = value.shape[1]
    joined = beside & (value[:, near] == value.unsqueeze(-1))  # (B, cells, 8)
    edges = torch.arange(8) < 4
    joined = joined & (edges | corners.unsqueeze(-1)) if ways == 8 else joined & edges
    label = torch.arange(cells).expand_as(value)
    for _ in range(2 * cells.bit_length()):
        least = torch.where(joined, label[:, near], cells).amin(-1)
        least = torch.minimum(label, least)
        hooked = label.scatter_reduce(1, label, least, "amin")
        label = torch.minimum(hooked, least)
        label = label.gather(1, label)
    return label


def _of(value: Tensor, label: Tensor, inside: Tensor, edge: Tensor, near: Tensor, beside: Tensor) -> list[Tensor]:
    """Size, largest, smallest, unique size, at the border, around a hole: of each cell's object, (B, cells) each."""
    cells = value.shape[1]

    def gathered(flags: Tensor) -> Tensor:
        """The number of flagged cells of each cell's object."""
        return torch.zeros_like(label).scatter_add(1, label, flags.long()).gather(1, label)

    size, border = gathered(inside), gathered(edge) > 0
    root = inside & (label == torch.arange(cells))
    largest, smallest, alone = (torch.zeros_like(inside) for _ in range(3))
    for group in (value > 0, value == 0):  # compare objects with objects, and rooms with rooms
        counted = torch.zeros_like(label).scatter_add(1, (size - 1).clamp_min(0), (root & group).long())
        most = torch.where(group, size, 0).amax(1, keepdim=True)
        least = torch.where(group, size, cells + 1).amin(1, keepdim=True)
        largest, smallest = largest | group & (size == most), smallest | group & (size == least)
        alone = alone | group & (counted.gather(1, (size - 1).clamp_min(0)) == 1)
    room = (value == 0) & ~border
    faces = beside[..., :4] & room[:, near[:, :4]] & (label[:, near[:, :4]] != label.unsqueeze(-1))
    around = (gathered(faces.any(-1)) > 0) & (value > 0)
    area = inside.sum(1, keepdim=True)
    return [size.float().log1p() / area.clamp_min(1).float().log1p(), largest, smallest, alone, border, around]
