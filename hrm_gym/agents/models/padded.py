"""The candidate graph of `candidates` in tensors of fixed shapes.

Only the device knows how many candidates a batch has. With a list of exactly that length, the host waits for the number
in every segment, and the compiler sees a new shape in every batch. Here the list has a fixed number of slots, and
groups are padded rows of a table. The host never waits, the network is compiled once, and its kernels can be recorded
as a CUDA graph. The cost is the unused slots and the groups without candidates.

Shapes as in `candidates`, with C slots for nodes (N = C) and w members in the largest group.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from hrm_gym.agents.models.gathering import TableSums, sum_rows


class PaddedGraph(NamedTuple):
    """The candidates of a batch and their groups, with the methods of `candidates.Graph`."""

    node: Tensor
    """Index of each node among all places of the batch, int64 (C,); B * L * S for padding."""
    rank: Tensor
    """The node of each place, int64 (B * L * S,); C for places without a candidate."""
    member: Tensor
    """The nodes of each group, int32 (K * G, w), padded with C."""
    group: Tensor
    """The groups of each node, int32 (C, K); K * G for padding."""

    @property
    def incidence(self) -> tuple[Tensor, ...]:
        """The index tensors for sums over groups."""
        return self.member, self.group

    def take(self, places: Tensor) -> Tensor:
        """See `candidates.Graph`: (B, L * S, D) -> (C, D)."""
        return sum_rows(places.flatten(0, 1), self.node.unsqueeze(-1))

    def put(self, places: Tensor, nodes: Tensor) -> Tensor:
        """See `candidates.Graph`."""
        rank = self.rank.unsqueeze(-1)
        moved: Tensor = TableSums.apply(nodes, rank, self.node.unsqueeze(-1))  # type: ignore[no-untyped-call]
        return torch.where(rank < len(self.node), moved, places.flatten(0, 1)).view(places.shape)

    def weighted(self, nodes: Tensor, weights: Tensor, num_cells: int) -> Tensor:
        """See `candidates.Graph`."""
        symbols = weights.shape[1]
        rows = nodes.float() * sum_rows(weights.flatten(), self.node.unsqueeze(-1)).unsqueeze(-1)
        cell = (self.node // symbols).unsqueeze(-1)
        cells: Tensor = TableSums.apply(rows, self.rank.view(num_cells, symbols), cell)  # type: ignore[no-untyped-call]
        return cells


def unit_of_cells(groups: Tensor) -> Tensor:
    """The group of each cell in a partition, int64 (L,), from the cells of each group, (groups, n)."""
    unit = torch.arange(groups.shape[0], device=groups.device).unsqueeze(-1).expand_as(groups)
    return torch.empty_like(groups.flatten()).scatter_(0, groups.flatten(), unit.flatten())


def pad_graph(left: Tensor, partitions: list[Tensor], room: int) -> PaddedGraph:
    """The graph of the first `room` candidates of `left`, bool (B, L, S)."""
    device, flat = left.device, left.flatten()
    _, cells, symbols = left.shape
    order = flat.cumsum(0) - 1
    rank = torch.where(flat & (order < room), order, room)
    place = torch.arange(len(flat), device=device)
    # Places without a node are written to an extra last slot, which is cut off.
    node = torch.full((room + 1,), len(flat), device=device).scatter_(0, rank, place)[:room]

    shaped = rank.view(left.shape)
    members = [shaped[:, groups].transpose(2, 3).reshape(-1, groups.shape[1]) for groups in partitions]
    members.append(rank.view(-1, symbols))
    longest, widest = max(map(len, members)), max(table.shape[1] for table in members)
    member = torch.cat([F.pad(t, (0, widest - t.shape[1], 0, longest - len(t)), value=room) for t in members])

    board, cell, symbol = node // (cells * symbols), node // symbols % cells, node % symbols
    group = [(board * len(groups) + unit_of_cells(groups)[cell]) * symbols + symbol for groups in partitions]
    group.append(node // symbols)
    first = torch.arange(len(group), device=device) * longest  # of each partition
    table = torch.stack(group, dim=1) + first  # (C, K)
    table = torch.where(node.unsqueeze(-1) < len(flat), table, len(member))
    return PaddedGraph(node, rank, member.int(), table.int())
