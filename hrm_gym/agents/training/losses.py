"""What is learned in a segment: deep supervision of the answer, and Q-learning of halting.

A segment is one step of the Markov decision process whose state is (carry, puzzle), whose actions are halt and
continue, and whose reward, 1 for an exactly right answer, is paid on halting. The answer is learned by
cross-entropy, the value of halting as a classifier of right answers, the value of continuing as `targets` says
(HRM, arXiv 2506.21734, section "Adaptive computational time").

The paper has gamma = 1 and no cost. Then going on is never worse than halting, and whether a solved puzzle is
halted on is left to the noise of the estimates. A gamma below 1 or a cost breaks the tie: a right answer is worth
more now.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from hrm_gym.agents.models.reasoner import Output


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


def answer_loss(
    logits: Tensor, solution: Tensor, kind: str, padding: int | None = None, smoothing: float = 0.0
) -> Tensor:
    """Cross-entropy of each board, mean over its cells: logits (B, L, V), solution (B, L) -> (B,).

    Cells whose solution is `padding` do not count (see `Task.padding`). The label is the solution with weight
    1 - `smoothing`, and each of the V symbols with `smoothing` / V (label smoothing, arXiv 1512.00567).
    """
    if kind == "stablemax":
        log_p = stablemax_log_probabilities(logits)
        losses = -log_p.gather(-1, solution.unsqueeze(-1)).squeeze(-1)
        if smoothing:
            losses = (1 - smoothing) * losses - smoothing * log_p.mean(-1)
    else:
        by_symbol = logits.float().transpose(1, 2)
        losses = F.cross_entropy(by_symbol, solution, reduction="none", label_smoothing=smoothing)
    if padding is None:
        return losses.mean(-1)
    counts = solution != padding
    return (losses * counts).sum(-1) / counts.sum(-1).clamp_min(1)


def segment_losses(
    output: Output,
    solution: Tensor,
    right: Tensor,
    keep_on: Tensor | None,
    loss: str,
    padding: int | None = None,
    smoothing: float = 0.0,
) -> Losses:
    """The losses of one segment.

    Args:
        output: of the segment, with gradient.
        solution: the right tokens, int64 (B, L).
        right: whether the output's most probable tokens are the solution, (B,) bool.
        keep_on: that of the value of continuing, see `targets`; None to learn the value of halting only.
        loss: "stablemax" or "softmax".
        padding: see `answer_loss`.
        smoothing: see `answer_loss`.
    """
    halt = F.binary_cross_entropy_with_logits(output.q_halt, right.to(output.q_halt), reduction="sum")
    keep_on = torch.zeros_like(halt) if keep_on is None else keep_on
    return Losses(answer_loss(output.logits, solution, loss, padding, smoothing).sum(), halt, keep_on)
