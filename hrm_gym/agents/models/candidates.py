"""The graph of the candidates of a batch of puzzles: which (cell, symbol) pairs share a group.

A *candidate* is a symbol in a blank cell that no given rules out: a given removes its symbol from all its groups. At
most one candidate of a *group* is true: one symbol in all cells of a row (column, box), or all symbols of one cell.
A hard 9x9 Sudoku has about 225 candidates among 729 pairs, so a batch is stored as one ragged list of N nodes.

Shapes: B puzzles, L cells, S symbols, N nodes of the whole batch, K partitions (those of the family, then the cells),
G groups per partition in the whole batch, padded with empty groups to the longest partition.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from hrm_gym.agents.models.gathering import rounded


class Graph(NamedTuple):
    """The candidates of a batch and their groups, with indices and offsets in the format of `F.embedding_bag`."""

    node: Tensor
    """Index of each candidate among all pairs of the batch, int64 (n,), in [0, B * L * S). Candidates are the first n
    of the N nodes; the rest is padding to a rounded number (see `rounded`), in empty groups."""
    member: Tensor
    """The nodes of each group, concatenated over groups and partitions, int32 (K * n,)."""
    member_offsets: Tensor
    """Start of each group in `member`, int32 (K * G + 1,)."""
    group: Tensor
    """The groups of each node, concatenated over nodes, int32 (N * K,)."""
    group_offsets: Tensor
    """0, K, 2 K, ..., int32 (N + 1,)."""

    @property
    def incidence(self) -> tuple[Tensor, ...]:
        """The index tensors for sums over groups."""
        return self[1:]

    def take(self, places: Tensor) -> Tensor:
        """Gather the nodes from all places of a batch: (B, L * S, D) -> (N, D); padding is zero."""
        num = len(self.node)
        return F.pad(places.flatten(0, 1)[self.node], (0, 0, 0, len(self.group_offsets) - 1 - num))

    def put(self, places: Tensor, nodes: Tensor) -> Tensor:
        """Write the nodes into the candidates' places of a batch; shapes as in `take`."""
        return places.flatten(0, 1).index_copy(0, self.node, nodes[: len(self.node)]).view(places.shape)

    def weighted(self, nodes: Tensor, weights: Tensor, num_cells: int) -> Tensor:
        """Weighted sums over the candidates of each cell, float32 (B * L, D).

        Args:
            nodes: (N, D).
            weights: for all places, float32 (B * L, S).
            num_cells: B * L.
        """
        chosen = weights.flatten()[self.node]
        rows = nodes[: len(chosen)].float() * chosen.unsqueeze(-1)
        return rows.new_zeros(num_cells, rows.shape[1]).index_add(0, self.node // weights.shape[1], rows)


def candidates(given: Tensor, blank: Tensor, partitions: list[Tensor]) -> Tensor:
    """The symbols that the givens allow in each blank cell, bool (B, L, S).

    Args:
        given: one-hot givens, bool (B, L, S).
        blank: which cells are blank, bool (B, L).
        partitions: the cells of each group, int64 (groups, n) each.
    """
    left = blank.unsqueeze(-1).expand_as(given)
    for groups in partitions:
        used = given[:, groups].any(2)  # (B, groups, S): symbols already present in a group
        struck = torch.zeros_like(given)
        struck[:, groups.flatten()] = used.repeat_interleave(groups.shape[1], dim=1)
        left = left & ~struck
    return left


def build_graph(left: Tensor, partitions: list[Tensor]) -> Graph:
    """The graph of the candidates `left`, bool (B, L, S)."""
    device = left.device
    node = left.flatten().nonzero()[:, 0]
    num = len(node)
    rank = torch.full((left.numel(),), num, device=device)  # index of each node; `num` if not a candidate
    rank[node] = torch.arange(num, device=device)
    rank = rank.view(left.shape)
    symbols = left.shape[2]
    # The nodes of every group of every partition, padded with `num`: (groups, n) each.
    members = [rank[:, groups].transpose(2, 3).reshape(-1, groups.shape[1]) for groups in partitions]
    members.append(rank.view(-1, symbols))
    counts = [(nodes < num).sum(1) for nodes in members]
    counts = [count[count > 0] for count in counts]  # drop groups without candidates
    longest = rounded(max(len(count) for count in counts) + 1)  # the last group of each partition is empty
    sizes = torch.cat([F.pad(count, (0, longest - len(count))) for count in counts])  # (K * G,)
    member = torch.cat([nodes[nodes < num] for nodes in members])
    owner = torch.arange(len(sizes), device=device).repeat_interleave(sizes).view(len(members), num)
    group = torch.empty_like(owner).scatter_(1, member.view(len(members), num), owner)
    group = F.pad(group, (0, rounded(num) - num), value=longest - 1)  # (K, N)
    steps = torch.arange(0, group.numel() + 1, len(members), device=device)
    offsets = F.pad(sizes.cumsum(0), (1, 0))
    return Graph(node, *(index.int() for index in (member, offsets, group.T.flatten(), steps)))
