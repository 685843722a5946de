"""When to stop thinking: the policies of adaptive computation time over an agent's Q values."""

from __future__ import annotations

import torch
from torch import Tensor

from hrm_gym.agents.models.reasoner import Output
from hrm_gym.agents.training.config import Config


def learned(output: Output, kind: str, margin: float = 0.0) -> Tensor:
    """The greedy policy, (B,) bool: halt where its value is the greater one by more than `margin`, in logits.

    With `kind="halt_only"` the value of halting is the probability of being right, and 1/2 decides.
    """
    if kind == "halt_only":
        return output.q_halt > margin
    return output.q_halt > output.q_continue + margin


def minimum_segments(config: Config, num: int, generator: torch.Generator, device: torch.device) -> Tensor:
    """Exploration: segments that must have been thought before halting counts, (num,) int64.

    With probability `exploration` uniform in {2, ..., max_segments}, else 0; drawn anew at each segment, as in
    the reference. Where there is but one segment, it is 1.
    """
    explore = torch.rand(num, generator=generator, device=device) < config.exploration
    least = min(2, config.max_segments)
    minimum = torch.randint(least, config.max_segments + 1, (num,), generator=generator, device=device)
    return torch.where(explore, minimum, 0)
