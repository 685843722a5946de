"""From logits to probabilities: softmax, and stablemax."""

from __future__ import annotations

import torch
from torch import Tensor


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
