"""Messages between cells that a rule joins: each pair computes one, and every cell sums what it receives.

A group is a set of cells that all send to each other: a row, column or box, or the two cells of a link. For every pair
there are as many messages as a cell has features, so on a CPU they are computed and summed in one loop, in which they
never leave the processor's registers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from hrm_gym.agents.agent import TaskSpec
from hrm_gym.envs.jit import njit
from hrm_gym.errors import HrmGymError


def is_joined(spec: TaskSpec) -> bool:
    """Whether a puzzle joins any cells, by groups or by links."""
    return len(spec.groups) > 0 or (spec.links is not None and len(spec.links) > 0)


def kinds_of_groups(spec: TaskSpec) -> list[np.ndarray]:
    """The groups of a puzzle by kind, int64 (G, n) each: its partitions (rows, columns, boxes), or else its links.

    Raises:
        HrmGymError: if it has neither.
    """
    if not is_joined(spec):
        raise HrmGymError(
            "agent 'rrn' sends messages between cells that a rule joins, and this puzzle names neither groups nor "
            "links: give the family `links`, or choose another agent"
        )
    kinds = spec.groups or (np.asarray(spec.links),)
    return [np.ascontiguousarray(groups, dtype=np.int64) for groups in kinds]


def received(sent: Tensor, asked: Tensor, kinds: Sequence[Tensor]) -> Tensor:
    """The sum of relu(sent[i] + asked[j]) over the cells i that share a group with j, for each kind of groups.

    Args:
        sent: what each cell sends, (B, L, M).
        asked: what each cell asks for, (B, L, M).
        kinds: the groups of each of the K kinds, int64 (G, n); see `kinds_of_groups`.

    Returns:
        (B, L, K * M).
    """
    if sent.device.type == "cpu" and not torch.compiler.is_compiling():
        return Received.apply(sent.float(), asked.float(), *kinds)
    return traced(sent, asked, kinds)


def traced(sent: Tensor, asked: Tensor, kinds: Sequence[Tensor]) -> Tensor:
    """`received` in tensor operations, for other devices and for export."""
    sums = []
    for groups in kinds:
        pairs = F.relu(sent[:, groups].unsqueeze(3) + asked[:, groups].unsqueeze(2))  # (B, G, n, n, M)
        itself = F.relu(sent + asked)[:, groups]
        of_members = pairs.sum(2) - itself  # (B, G, n, M)
        zeros = torch.zeros_like(asked)
        sums.append(zeros.index_add(1, groups.flatten(), of_members.flatten(1, 2)))
    return torch.cat(sums, dim=-1)


class Received(torch.autograd.Function):
    """See `received`, on a CPU in float32."""

    @staticmethod
    def forward(ctx: Any, sent: Tensor, asked: Tensor, *kinds: Tensor) -> Tensor:
        """See `received`."""
        x, y = (part.detach().contiguous().numpy() for part in (sent, asked))
        ctx.saved = x, y, [groups.numpy() for groups in kinds]
        out = np.zeros((*x.shape[:2], len(kinds), x.shape[2]), np.float32)
        for kind, groups in enumerate(ctx.saved[2]):
            _receive(x, y, groups, kind, out)
        return torch.from_numpy(out).flatten(2)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        """Gradients of what was sent and asked for."""
        x, y, kinds = ctx.saved
        of_sum = gradient.contiguous().numpy().reshape(*x.shape[:2], len(kinds), x.shape[2])
        of_x, of_y = np.zeros_like(x), np.zeros_like(y)
        for kind, groups in enumerate(kinds):
            _receive_back(x, y, groups, kind, of_sum, of_x, of_y)
        return torch.from_numpy(of_x), torch.from_numpy(of_y), *(None for _ in kinds)


@njit(cache=True, fastmath=True, nogil=True)
def _receive(x: np.ndarray, y: np.ndarray, groups: np.ndarray, kind: int, out: np.ndarray) -> None:
    """Three senders at a time, so that sums are read and written a third as often; a cell sends nothing to itself."""
    zero = np.float32(0)
    num, size = groups.shape[1], x.shape[2]
    for b in range(x.shape[0]):
        for members in groups:
            for j in members:
                ask, total, itself = y[b, j], out[b, j, kind], x[b, j]
                for f in range(size):
                    value = itself[f] + ask[f]
                    total[f] -= value if value > zero else zero
                for i in range(0, num - 2, 3):
                    first, second, third = x[b, members[i]], x[b, members[i + 1]], x[b, members[i + 2]]
                    for f in range(size):
                        one, two, three = first[f] + ask[f], second[f] + ask[f], third[f] + ask[f]
                        total[f] += (
                            (one if one > zero else zero)
                            + (two if two > zero else zero)
                            + (three if three > zero else zero)
                        )
                for i in range(num - num % 3, num):
                    send = x[b, members[i]]
                    for f in range(size):
                        value = send[f] + ask[f]
                        total[f] += value if value > zero else zero


@njit(cache=True, fastmath=True, nogil=True)
def _receive_back(
    x: np.ndarray, y: np.ndarray, groups: np.ndarray, kind: int, of_sum: np.ndarray, of_x: np.ndarray, of_y: np.ndarray
) -> None:
    """As `_receive`."""
    zero = np.float32(0)
    num, size = groups.shape[1], x.shape[2]
    for b in range(x.shape[0]):
        for members in groups:
            for j in members:
                ask, of_ask, gradient = y[b, j], of_y[b, j], of_sum[b, j, kind]
                itself, of_itself = x[b, j], of_x[b, j]
                for f in range(size):
                    flow = gradient[f] if itself[f] + ask[f] > zero else zero
                    of_ask[f] -= flow
                    of_itself[f] -= flow
                for i in range(0, num - 2, 3):
                    a, c, d = members[i], members[i + 1], members[i + 2]
                    first, second, third = x[b, a], x[b, c], x[b, d]
                    of_first, of_second, of_third = of_x[b, a], of_x[b, c], of_x[b, d]
                    for f in range(size):
                        one = gradient[f] if first[f] + ask[f] > zero else zero
                        two = gradient[f] if second[f] + ask[f] > zero else zero
                        three = gradient[f] if third[f] + ask[f] > zero else zero
                        of_first[f] += one
                        of_second[f] += two
                        of_third[f] += three
                        of_ask[f] += one + two + three
                for i in range(num - num % 3, num):
                    send, of_send = x[b, members[i]], of_x[b, members[i]]
                    for f in range(size):
                        flow = gradient[f] if send[f] + ask[f] > zero else zero
                        of_ask[f] += flow
                        of_send[f] += flow
