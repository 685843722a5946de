"""Sums of rows by an index. Forward and backward pass only gather; they never scatter, so no write waits for another.

There are two forms. *Lists* concatenate the rows of all sums and store where each sum begins. They use custom
operators, which `torch.compile` does not replace: on a CPU, `embedding_bag` for bfloat16 is a hundred times as fast as
the gather that the compiler generates. *Tables* have one row of indices per sum, padded with an index that means zero.
Their shapes do not depend on the data, which suits a GPU: the compiler fuses a sum with the operations around it.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


def rounded(num: int) -> int:
    """Round `num` up, by at most a sixteenth if it is large: the padded length of a list of `num` nodes.

    CPU kernels for bfloat16 products cache memory for every new shape and never free it. With a new shape in every
    batch, an overnight run would use up all memory.
    """
    step = max(16, 2 ** (num.bit_length() - 5))
    return -(-num // step) * step


def bag(x: Tensor, index: Tensor, offsets: Tensor) -> Tensor:
    """Sums of the rows index[offsets[i]:offsets[i + 1]] of `x`: (R, M) -> (len(offsets) - 1, M)."""
    if torch.compiler.is_compiling():
        return _bag(x, index, offsets)
    return _sums(x, index, offsets)  # the first call of an operator imports the compiler, which takes a second


def _sums(x: Tensor, index: Tensor, offsets: Tensor) -> Tensor:
    return F.embedding_bag(index, x.contiguous(), offsets, mode="sum", include_last_offset=True)


_bag = torch.library.custom_op("hrm_gym::bag", _sums, mutates_args=())


@_bag.register_fake
def _(x: Tensor, index: Tensor, offsets: Tensor) -> Tensor:
    return x.new_empty(offsets.shape[0] - 1, x.shape[1])


class Sums(torch.autograd.Function):
    """Sums of rows by an incidence; the gradient sums by its transpose."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, index: Tensor, offsets: Tensor, back: Tensor, back_offsets: Tensor) -> Tensor:
        """(R, M) -> (len(offsets) - 1, M)."""
        ctx.save_for_backward(back, back_offsets)
        return bag(x, index, offsets)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        """The gradient: sums by the transpose."""
        return bag(gradient, *ctx.saved_tensors), None, None, None, None


def sum_rows(x: Tensor, table: Tensor) -> Tensor:
    """Sums of the rows table[i] of `x`: (R, ...), (n, w) -> (n, ...); the index R means zero.

    Rows are added in float32, column by column of the table, so that the compiler need not schedule a reduction.
    """
    last = len(x) - 1
    absent = (table > last).view(*table.shape, *[1] * (x.ndim - 1))  # (n, w, 1, ...)
    total = x.new_zeros(len(table), *x.shape[1:], dtype=torch.float)
    for column in range(table.shape[1]):
        rows = x[table[:, column].clamp(max=last)].float()
        total = total + rows.masked_fill(absent[:, column], 0.0)
    return total.to(x.dtype)


class TableSums(torch.autograd.Function):
    """Sums of rows by a table; the gradient sums by its transpose."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, table: Tensor, back: Tensor) -> Tensor:
        """(R, ...) -> (len(table), ...)."""
        ctx.save_for_backward(back)
        return sum_rows(x, table)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        """The gradient: sums by the transpose."""
        return sum_rows(gradient, *ctx.saved_tensors), None, None


def pooled(x: Tensor, incidence: tuple[Any, ...]) -> Tensor:
    """Sum nodes over each group, (N, M) -> (K * G, M), by lists (four tensors), tables (two) or a `TracedGraph`."""
    if len(incidence) == 1:
        return incidence[0].pooled(x)
    if len(incidence) == 2:
        return TableSums.apply(x, *incidence)
    member, member_offsets, group, group_offsets = incidence
    return Sums.apply(x, member, member_offsets, group, group_offsets)


def spread(x: Tensor, incidence: tuple[Any, ...]) -> Tensor:
    """Sum groups over each node, (K * G, M) -> (N, M): the transpose of `pooled`."""
    if len(incidence) == 1:
        return incidence[0].spread(x)
    if len(incidence) == 2:
        member, group = incidence
        return TableSums.apply(x, group, member)
    member, member_offsets, group, group_offsets = incidence
    return Sums.apply(x, group, group_offsets, member, member_offsets)
