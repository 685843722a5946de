"""Sums of rows by an index, both ways by gathering alone: nothing is scattered, so nothing waits.

There are two forms. *Lists* have a sum's rows one after the other and say where each sum begins. Their kernels are
operators of their own, which `torch.compile` leaves alone: on a processor, `embedding_bag` for bfloat16 is a hundred
times as fast as the gather that the compiler writes in its place. *Tables* have a row of indices for every sum, filled
up with an index that stands for zero. Their shapes say nothing of what is in them, so they suit a GPU: the compiler
joins such a sum with what comes before and after it into one kernel.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


def rounded(num: int) -> int:
    """`num` rounded up, by at most a sixteenth where it is large: how many rows a list of `num` nodes is padded to.

    The processor's kernels for products in bfloat16 keep something for every shape that they meet, and do not give it
    back: with as many shapes as batches, an overnight run would take all memory.
    """
    step = max(16, 2 ** (num.bit_length() - 5))
    return -(-num // step) * step


@torch.library.custom_op("hrm_gym::bag", mutates_args=())
def bag(x: Tensor, index: Tensor, offsets: Tensor) -> Tensor:
    """Sums of the rows index[offsets[i]:offsets[i + 1]] of `x`: (R, M) -> (len(offsets) - 1, M)."""
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


def sum_rows(x: Tensor, table: Tensor) -> Tensor:
    """Sums of the rows table[i] of `x`: (R, ...), (n, w) -> (n, ...); the index R stands for zero.

    They are added in float32, column by column of the table: so the compiler has no reduction to schedule.
    """
    last = len(x) - 1
    absent = (table > last).view(*table.shape, *[1] * (x.ndim - 1))  # (n, w, 1, ...)
    total = x.new_zeros(len(table), *x.shape[1:], dtype=torch.float)
    for column in range(table.shape[1]):
        rows = x[table[:, column].clamp(max=last)].float()
        total = total + rows.masked_fill(absent[:, column], 0.0)
    return total.to(x.dtype)


class TableSums(torch.autograd.Function):
    """The sum of rows by one table, whose gradient is the sum by the transposed one."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, table: Tensor, back: Tensor) -> Tensor:
        """(R, ...) -> (len(table), ...)."""
        ctx.save_for_backward(back)
        return sum_rows(x, table)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        """The other way."""
        return sum_rows(gradient, *ctx.saved_tensors), None, None


def pooled(x: Tensor, incidence: tuple[Tensor, ...]) -> Tensor:
    """Sums of nodes over every group, (N, M) -> (K * G, M), by lists (four tensors) or tables (two)."""
    if len(incidence) == 2:
        return TableSums.apply(x, *incidence)
    member, member_offsets, group, group_offsets = incidence
    return Sums.apply(x, member, member_offsets, group, group_offsets)


def spread(x: Tensor, incidence: tuple[Tensor, ...]) -> Tensor:
    """Sums of groups over every node, (K * G, M) -> (N, M): the other way."""
    if len(incidence) == 2:
        member, group = incidence
        return TableSums.apply(x, group, member)
    member, member_offsets, group, group_offsets = incidence
    return Sums.apply(x, group, group_offsets, member, member_offsets)
