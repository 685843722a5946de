"""The candidate graph of `candidates` in operations that `torch.export` can trace and ONNX has.

Nodes are listed without padding, as in `candidates.Graph`. A sum over a group first writes the nodes into the places of
the whole board, so that the members of a group are found by indices that do not depend on the puzzle.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from hrm_gym.agents.models.padded import unit_of_cells


class TracedGraph(NamedTuple):
    """The candidates of a batch and their groups, with the methods of `candidates.Graph`; shapes as there."""

    left: Tensor
    """The candidates, bool (B, L, S)."""
    node: Tensor
    """Index of each candidate among all places of the batch, int64 (N,)."""
    partitions: list[Tensor]
    """The cells of each group, int64 (G, n) each; n is S, because a group holds each symbol once."""

    @property
    def incidence(self) -> tuple[TracedGraph]:
        """The structure for sums over groups: the graph itself."""
        return (self,)

    def take(self, places: Tensor) -> Tensor:
        """See `candidates.Graph`: (B, L * S, D) -> (N, D)."""
        return places.flatten(0, 1)[self.node]

    def put(self, places: Tensor, nodes: Tensor) -> Tensor:
        """See `candidates.Graph`."""
        return places.flatten(0, 1).index_copy(0, self.node, nodes).view(places.shape)

    def weighted(self, nodes: Tensor, weights: Tensor, num_cells: int) -> Tensor:
        """See `candidates.Graph`."""
        rows = nodes.float() * weights.flatten()[self.node].unsqueeze(-1)
        return self._board(rows).flatten(0, 1).sum(1)

    def pooled(self, nodes: Tensor) -> Tensor:
        """Sum nodes over each group, (N, M) -> (K * B * L, M), partition by partition, the cells last."""
        board = self._board(nodes)  # (B, L, S, M)
        sums = [board[:, groups].sum(2).flatten(0, 2) for groups in self.partitions]
        return torch.cat((*sums, board.sum(2).flatten(0, 1)))

    def spread(self, groups: Tensor) -> Tensor:
        """Sum groups over each node, (K * B * L, M) -> (N, M): the transpose of `pooled`."""
        batch, cells, symbols = self.left.shape
        num = batch * cells
        board = groups[len(self.partitions) * num :].view(batch, cells, 1, groups.shape[1])
        for k, members in enumerate(self.partitions):
            of_groups = groups[k * num : (k + 1) * num].view(batch, cells // symbols, symbols, groups.shape[1])
            board = board + of_groups[:, unit_of_cells(members)]
        return board.flatten(0, 2)[self.node]

    def _board(self, nodes: Tensor) -> Tensor:
        """The nodes in their places and zero elsewhere, (B, L, S, M)."""
        places = nodes.new_zeros(self.left.numel(), nodes.shape[1])
        return places.index_copy(0, self.node, nodes).view(*self.left.shape, nodes.shape[1])


def trace_graph(left: Tensor, partitions: list[Tensor]) -> TracedGraph:
    """The graph of the candidates `left`, bool (B, L, S)."""
    return TracedGraph(left, left.flatten().nonzero().squeeze(1), partitions)
