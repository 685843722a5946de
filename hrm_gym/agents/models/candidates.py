"""The graph of the candidates of a batch of puzzles: which (cell, symbol) pairs share a group.

A *candidate* is a symbol in a blank cell that no given rules out: a given strikes its symbol from every group that it
is in. Two candidates share a *group* where at most one of them is true: the cells of a row (column, box) with one
symbol, or the symbols of one cell. A hard 9x9 Sudoku has some 225 candidates of 729 pairs, so a batch is kept as one
ragged list of N nodes.

Shapes: B puzzles, L cells, S symbols, N nodes of the whole batch, K partitions (those that the family names, and at
last the cells), G groups of a partition in the whole batch, padded to the longest partition with empty ones.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from hrm_gym.agents.models.gathering import rounded


class Graph(NamedTuple):
    """The candidates of a batch and their groups, with indices and offsets as `F.embedding_bag` takes them."""

    node: Tensor
    """Where each candidate stands among all pairs of the batch, int64 (n,), in [0, B * L * S). They are the first of
    the N nodes; the others fill the list up to a rounded number (see `rounded`) and are in empty groups."""
    member: Tensor
    """The nodes of the first group of the first partition, then of the next group, ..., int32 (K * n,)."""
    member_offsets: Tensor
    """Where the nodes of each group begin in `member`, int32 (K * G + 1,)."""
    group: Tensor
    """The groups of the first node, then of the next, ..., int32 (N * K,)."""
    group_offsets: Tensor
    """0, K, 2 K, ..., int32 (N + 1,)."""

    @property
    def incidence(self) -> tuple[Tensor, ...]:
        """What sums over groups need."""
        return self[1:]

    def take(self, places: Tensor) -> Tensor:
        """The nodes' rows of all places of a batch: (B, L * S, D) -> (N, D); those that are no candidates are zero."""
        num = len(self.node)
        return F.pad(places.flatten(0, 1)[self.node], (0, 0, 0, len(self.group_offsets) - 1 - num))

    def put(self, places: Tensor, nodes: Tensor) -> Tensor:
        """All places of a batch with those of candidates replaced by the nodes' rows: both as in `take`."""
        return places.flatten(0, 1).index_copy(0, self.node, nodes[: len(self.node)]).view(places.shape)

    def weighted(self, nodes: Tensor, weights: Tensor, num_cells: int) -> Tensor:
        """Sums over the candidates of each cell, float32 (B * L, D).

        Args:
            nodes: (N, D).
            weights: of all places, float32 (B * L, S).
            num_cells: B * L.
        """
        chosen = weights.flatten()[self.node]
        rows = nodes[: len(chosen)].float() * chosen.unsqueeze(-1)
        return rows.new_zeros(num_cells, rows.shape[1]).index_add(0, self.node // weights.shape[1], rows)


def candidates(given: Tensor, blank: Tensor, partitions: list[Tensor]) -> Tensor:
    """Which symbols the givens leave in each blank cell, bool (B, L, S).

    Args:
        given: which symbol is given in each cell, bool (B, L, S).
        blank: which cells are blank, bool (B, L).
        partitions: the cells of each group, int64 (groups, n) each.
    """
    left = blank.unsqueeze(-1).expand_as(given)
    for groups in partitions:
        used = given[:, groups].any(2)  # (B, groups, S): the symbols that a group has already
        struck = torch.zeros_like(given)
        struck[:, groups.flatten()] = used.repeat_interleave(groups.shape[1], dim=1)
        left = left & ~struck
    return left


def build_graph(left: Tensor, partitions: list[Tensor]) -> Graph:
    """The graph of the candidates `left`, bool (B, L, S)."""
    device = left.device
    node = left.flatten().nonzero()[:, 0]
    num = len(node)
    rank = torch.full((left.numel(),), num, device=device)  # the number of each node; `num` for what is no candidate
    rank[node] = torch.arange(num, device=device)
    rank = rank.view(left.shape)
    symbols = left.shape[2]
    # The nodes of every group of every partition, padded with `num`: (groups, n) each.
    members = [rank[:, groups].transpose(2, 3).reshape(-1, groups.shape[1]) for groups in partitions]
    members.append(rank.view(-1, symbols))
    counts = [(nodes < num).sum(1) for nodes in members]
    counts = [count[count > 0] for count in counts]  # groups without candidates are left out
    longest = rounded(max(len(count) for count in counts) + 1)  # the last group of each partition is empty
    sizes = torch.cat([F.pad(count, (0, longest - len(count))) for count in counts])  # (K * G,)
    member = torch.cat([nodes[nodes < num] for nodes in members])
    owner = torch.arange(len(sizes), device=device).repeat_interleave(sizes).view(len(members), num)
    group = torch.empty_like(owner).scatter_(1, member.view(len(members), num), owner)
    group = F.pad(group, (0, rounded(num) - num), value=longest - 1)  # (K, N)
    steps = torch.arange(0, group.numel() + 1, len(members), device=device)
    offsets = F.pad(sizes.cumsum(0), (1, 0))
    return Graph(node, *(index.int() for index in (member, offsets, group.T.flatten(), steps)))
