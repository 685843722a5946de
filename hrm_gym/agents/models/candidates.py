"""The graph of the candidates of a batch of puzzles: which (cell, symbol) pairs share a group.

A *candidate* is a symbol in a blank cell that no given rules out: a given strikes its symbol from every group that it
is in. Two candidates share a *group* where at most one of them is true: the cells of a row (column, box) with one
symbol, or the symbols of one cell. A hard 9x9 Sudoku has some 225 candidates of 729 pairs, so a batch is kept as one
ragged list of N nodes.

Shapes: B puzzles, L cells, S symbols, N nodes of the whole batch, K partitions (those that the family names, and at
last the cells), G groups of a partition in the whole batch, padded to the longest partition with empty ones.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor


class Graph(NamedTuple):
    """The candidates of a batch and their groups, with indices and offsets as `F.embedding_bag` takes them."""

    node: Tensor
    """Where each node stands among all pairs of the batch, int64 (N,), in [0, B * L * S)."""
    member: Tensor
    """The nodes of the first group of the first partition, then of the next group, ..., int32 (K * N,)."""
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
    longest = max(len(count) for count in counts)
    sizes = torch.cat([F.pad(count, (0, longest - len(count))) for count in counts])  # (K * G,)
    member = torch.cat([nodes[nodes < num] for nodes in members])
    owner = torch.arange(len(sizes), device=device).repeat_interleave(sizes).view(len(members), num)
    group = torch.empty_like(owner).scatter_(1, member.view(len(members), num), owner)
    steps = torch.arange(0, len(members) * num + 1, len(members), device=device)
    offsets = F.pad(sizes.cumsum(0), (1, 0))
    return Graph(node, *(index.int() for index in (member, offsets, group.T.flatten(), steps)))


# ---- sums over groups, both ways by gathering alone --------------------------------------------------


@torch.library.custom_op("hrm_gym::bag", mutates_args=())
def bag(x: Tensor, index: Tensor, offsets: Tensor) -> Tensor:
    """Sums of the rows index[offsets[i]:offsets[i + 1]] of `x`: (R, M) -> (len(offsets) - 1, M).

    An operator of its own, so that `torch.compile` leaves it alone: on a processor, the kernel of `embedding_bag` for
    bfloat16 is a hundred times as fast as the gather that the compiler writes in its place.
    """
    return F.embedding_bag(index, x.contiguous(), offsets, mode="sum", include_last_offset=True)


@bag.register_fake
def _(x: Tensor, index: Tensor, offsets: Tensor) -> Tensor:
    return x.new_empty(offsets.shape[0] - 1, x.shape[1])


class Sums(torch.autograd.Function):
    """The sum of rows by one incidence, whose gradient is the sum by the transposed one."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, index: Tensor, offsets: Tensor, back: Tensor, back_offsets: Tensor) -> Tensor:
        """(R, M) -> (len(offsets) - 1, M)."""
        ctx.save_for_backward(back, back_offsets)
        return bag(x, index, offsets)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        """The other way."""
        return bag(gradient, *ctx.saved_tensors), None, None, None, None
