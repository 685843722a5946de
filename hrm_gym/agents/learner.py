"""What is learned in a segment: deep supervision of the answer, and Q-learning of halting.

A segment is one step of the Markov decision process whose state is (carry, puzzle), whose actions are halt and
continue, and whose only reward, 1 for an exactly right answer, is paid on halting:

    Q(halt)     -> 1 if the answer is right else 0
    Q(continue) -> gamma * max(Q'(halt), Q'(continue)) of the next segment, gamma * Q'(halt) after the last one

where Q' comes from one more forward pass of the same network without gradient: no replay buffer and no target
network (HRM, arXiv 2506.21734, section "Adaptive computational time").

The paper has gamma = 1. Then going on is never worse than halting, and whether a solved puzzle is halted on is
left to the noise of the estimates. Any gamma below 1 breaks the tie: a right answer is worth more now.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from hrm_gym.agents.reasoner import Output


class Losses(NamedTuple):
    """Losses summed over the batch, scalars."""

    answer: Tensor
    halt: Tensor
    keep_on: Tensor

    def total(self, halt_weight: float) -> Tensor:
        """The quantity that is differentiated."""
        return self.answer + halt_weight * (self.halt + self.keep_on)


def stablemax_log_probabilities(logits: Tensor) -> Tensor:
    """Log of s(x) / sum s(x), with s(x) = x + 1 for x >= 0 and 1 / (1 - x) below, in float64.

    Grows linearly where softmax grows exponentially, so that logits need not be driven to infinity
    (arXiv 2501.04697). (..., V) -> (..., V).
    """
    x = logits.double()
    s = torch.where(x < 0, 1 / (1 - x + 1e-30), x + 1)
    return torch.log(s / s.sum(dim=-1, keepdim=True))


def probabilities(logits: Tensor, kind: str) -> Tensor:
    """The distribution over symbols that the loss of that `kind` trains, float32: (..., V) -> (..., V)."""
    if kind == "stablemax":
        return stablemax_log_probabilities(logits).exp().float()
    return logits.float().softmax(-1)


def answer_loss(logits: Tensor, solution: Tensor, kind: str) -> Tensor:
    """Cross-entropy of each board, mean over its cells: logits (B, L, V), solution (B, L) -> (B,)."""
    if kind == "stablemax":
        log_p = stablemax_log_probabilities(logits)
        return -log_p.gather(-1, solution.unsqueeze(-1)).squeeze(-1).mean(-1)
    return F.cross_entropy(logits.float().transpose(1, 2), solution, reduction="none").mean(-1)


def is_right(output: Output, solution: Tensor) -> Tensor:
    """Whether the most probable symbol is right in every cell, (B,) bool."""
    return (output.logits.argmax(-1) == solution).all(-1)


def continue_target(following: Output, last: Tensor, gamma: float = 1.0) -> Tensor:
    """The bootstrapped value of continuing, (B,) in [0, 1].

    Args:
        following: the output of the segment after this one, without gradient.
        last: whether *this* segment is the last one allowed, (B,) bool; then only halting counts, as in the
            reference.
        gamma: the discount of a segment.
    """
    best = torch.maximum(following.q_halt, following.q_continue)
    return gamma * torch.sigmoid(torch.where(last, following.q_halt, best))


def segment_losses(output: Output, solution: Tensor, target: Tensor | None, loss: str) -> Losses:
    """The losses of one segment.

    Args:
        output: of the segment, with gradient.
        solution: the right tokens, int64 (B, L).
        target: `continue_target`, or None to learn the value of halting only.
        loss: "stablemax" or "softmax".
    """
    right = is_right(output, solution)
    halt = F.binary_cross_entropy_with_logits(output.q_halt, right.to(output.q_halt), reduction="sum")
    keep_on = torch.zeros((), device=solution.device)
    if target is not None:
        keep_on = F.binary_cross_entropy_with_logits(output.q_continue, target, reduction="sum")
    return Losses(answer_loss(output.logits, solution, loss).sum(), halt, keep_on)
