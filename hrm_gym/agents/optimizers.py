"""Optimizer, learning-rate schedule and weight averaging of a run: kept implementations, set up by `Config`."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.swa_utils import AveragedModel

from hrm_gym.agents.config import Config

Weights = tuple[Tensor, ...] | list[Tensor]


def make_optimizer(config: Config, model: nn.Module) -> Optimizer:
    """The update rule for all parameters of `model`, with decoupled weight decay."""
    betas = (0.9, config.beta2)
    if config.optimizer == "adam_atan2":
        from adam_atan2_pytorch.foreach import AdamAtan2

        return AdamAtan2(model.parameters(), lr=config.lr, betas=betas, weight_decay=config.weight_decay)
    return torch.optim.AdamW(
        model.parameters(), lr=config.lr, betas=betas, weight_decay=config.weight_decay, fused=True
    )


def learning_rate(config: Config, step: int, progress: float) -> float:
    """The rate of a step: linear warm-up, a flat part, then linear decay.

    Args:
        config: the run's.
        step: optimizer steps done.
        progress: share of the budget used, of time or steps, in [0, 1].
    """
    warm = min(1.0, (step + 1) / max(1, config.warmup_steps))
    if progress <= config.decay_from or config.decay_from >= 1:
        return config.lr * warm
    left = (1 - min(progress, 1.0)) / (1 - config.decay_from)
    return config.lr * warm * (config.lr_end + (1 - config.lr_end) * left)


def make_average(config: Config, model: nn.Module) -> AveragedModel:
    """An exponential moving average of the weights whose memory grows with the steps up to `config.ema`.

    A constant decay would keep the random initial weights alive for thousands of steps.
    """

    @torch.no_grad()
    def update(averages: Weights, current: Weights, num_averaged: Tensor | int) -> None:
        count = float(num_averaged)
        torch._foreach_lerp_(averages, current, 1 - min(config.ema, (1 + count) / (10 + count)))

    return AveragedModel(model, multi_avg_fn=update)
