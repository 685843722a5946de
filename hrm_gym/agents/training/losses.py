"""Cross-entropies of the answer: deep supervision, one loss a segment (HRM, arXiv 2506.21734)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from hrm_gym.agents.policy import stablemax_log_probabilities


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
