"""Algorithms on boards for training a graph network on their steps, built only from the structure of a family.

`Propagation` removes candidates, for families with groups. `Spreading` is breadth-first search, for families with
links. Both compute the next of a sequence of bit tables, bool (B, L, C).
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from hrm_gym.agents.agent import TaskSpec
from hrm_gym.agents.lineage.adjacency import linked, sharing
from hrm_gym.agents.models.candidates import candidates
from hrm_gym.errors import HrmGymError


class Algorithm(Protocol):
    """A step-by-step algorithm on a batch of boards."""

    num_bits: int
    """C, bits per cell."""

    def start(self, puzzle: Tensor) -> Tensor:
        """The initial table, bool (B, L, C), for puzzles, int64 (B, L)."""

    def step(self, puzzle: Tensor, table: Tensor) -> Tensor:
        """The table after one more step."""


class Propagation(nn.Module):
    """The candidates of each cell; a cell with a single candidate removes it from its groups (naked singles)."""

    def __init__(self, spec: TaskSpec) -> None:
        super().__init__()
        self.num_bits = len(spec.group_symbols)
        self.blank = spec.blank
        self.partitions = len(spec.groups)
        for i, groups in enumerate(spec.groups):
            self.register_buffer(f"groups_{i}", torch.as_tensor(groups).long(), persistent=False)
        self.tokens: Tensor
        self.register_buffer("tokens", torch.tensor(spec.group_symbols), persistent=False)

    def start(self, puzzle: Tensor) -> Tensor:
        """See `Algorithm`: blank cells have all candidates."""
        given = torch.eq(puzzle.unsqueeze(-1), self.tokens)
        return given | torch.eq(puzzle, self.blank).unsqueeze(-1)

    def step(self, puzzle: Tensor, table: Tensor) -> Tensor:
        """See `Algorithm`."""
        known = table & (table.sum(-1, keepdim=True) == 1)
        groups = [getattr(self, f"groups_{i}") for i in range(self.partitions)]
        left = candidates(known, torch.ones_like(puzzle, dtype=torch.bool), groups)  # also removes known cells' own
        return torch.where(known, table, table & left)


class Spreading(nn.Module):
    """Breadth-first search through blank cells, from every token that appears once on its board."""

    def __init__(self, spec: TaskSpec, neighbours: Tensor) -> None:
        super().__init__()
        self.num_bits, self.blank = spec.num_tokens, spec.blank
        self.neighbours: Tensor
        self.register_buffer("neighbours", neighbours, persistent=False)

    def start(self, puzzle: Tensor) -> Tensor:
        """See `Algorithm`: the cells of the starting tokens."""
        here = torch.eq(puzzle.unsqueeze(-1), torch.arange(self.num_bits, device=puzzle.device))
        return here & (here.sum(1, keepdim=True) == 1)

    def step(self, puzzle: Tensor, table: Tensor) -> Tensor:
        """See `Algorithm`."""
        padded = torch.cat((table, torch.zeros_like(table[:, :1])), dim=1)  # dummy cell for padding
        beside = padded[:, self.neighbours].any(2)  # (B, L, C)
        return table | (beside & torch.eq(puzzle, self.blank).unsqueeze(-1))


def neighbours_of(spec: TaskSpec) -> Tensor:
    """The cells that share a group with each cell, or are linked with it: int64 (L, K), padded with L.

    Raises:
        HrmGymError: if the family has neither groups nor links.
    """
    num = spec.num_cells
    lists = [np.flatnonzero(row).tolist() for row in sharing(spec) | linked(spec)]
    if not any(lists):
        raise HrmGymError(
            "this agent reasons on the graph of a puzzle, and this one names none: choose another --agent, or give its "
            "Task `groups` and `group_symbols`, or `links`"
        )
    width = max(map(len, lists))
    return torch.tensor([cells + [num] * (width - len(cells)) for cells in lists])
