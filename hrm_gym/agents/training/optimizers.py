"""Optimizers, learning-rate schedule and weight averaging of a run: kept implementations, set up by `Config`."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from hrm_gym.agents.policy import Policy
from hrm_gym.agents.saved.config import RunOptions


def make_optimizer(config: RunOptions, policy: Policy) -> Optimizer:
    """The update rule for all parameters of `policy` but sparse embeddings, with decoupled weight decay."""
    tables = set(policy.agent.tables())
    dense = [p for p in policy.parameters() if p not in tables]
    betas = (0.9, config.beta2)
    if config.optimizer == "muon":
        return MuonAdamW(config, policy.agent.matrices(), dense)
    if config.optimizer == "adam_atan2":
        from adam_atan2_pytorch.foreach import AdamAtan2

        return AdamAtan2(dense, lr=config.lr, betas=betas, weight_decay=config.weight_decay)
    return torch.optim.AdamW(dense, lr=config.lr, betas=betas, weight_decay=config.weight_decay, fused=True)


class MuonAdamW(Optimizer):
    """Muon for an agent's matrices, AdamW for embeddings, heads and what is no matrix, as one optimizer.

    Muon (Jordan, 2024; `torch.optim.Muon`) steps along the nearest orthogonal matrix to the averaged gradient, so
    that every direction of a matrix learns equally fast. It steps further than AdamW by `muon_lr` / `lr`, and its
    weight decay is less by the same factor: all weights then decay alike, `lr * weight_decay` a step, which is how
    the recipe of "Speed is Confidence" (arXiv 2601.19085) is set.

    The group of the matrices has the key `lr_scale`: its rate relative to the schedule's.

    Args:
        config: rates, momentum and decay.
        matrices: for Muon.
        parameters: all of them, the matrices among them.
    """

    def __init__(self, config: RunOptions, matrices: Sequence[nn.Parameter], parameters: Sequence[nn.Parameter]):
        taken = set(matrices)
        others = [p for p in parameters if p not in taken]
        scale, decay = config.muon_lr / config.lr, config.weight_decay
        self.muon = torch.optim.Muon(
            matrices, lr=config.muon_lr, momentum=config.muon_momentum, weight_decay=decay / scale
        )
        self.adamw = torch.optim.AdamW(others, lr=config.lr, betas=(0.9, config.beta2), weight_decay=decay, fused=True)
        self.muon.param_groups[0]["lr_scale"] = scale
        super().__init__([*self.muon.param_groups, *self.adamw.param_groups], {})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Both steps."""
        # Groups and state belong to the whole, which saves and restores them; the parts borrow them.
        for part, group in zip((self.muon, self.adamw), self.param_groups, strict=True):
            part.param_groups, part.state = [group], self.state
            part.step()


class SignSGD(Optimizer):
    """Sign gradient descent for embeddings with sparse gradients: only the rows that a batch touched change.

    row <- row * (1 - lr * weight_decay) - lr * sign(gradient), with the gradient summed over the batch, as HRM
    (arXiv 2506.21734, reference implementation) trains its puzzle embedding. There is no state.

    Args:
        parameters: of `nn.Embedding(..., sparse=True)`.
        lr: learning rate.
        weight_decay: decoupled.
    """

    def __init__(self, parameters: Iterable[Tensor], lr: float, weight_decay: float):
        super().__init__(parameters, {"lr": lr, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Change the rows of the last batch."""
        for group in self.param_groups:
            for table in group["params"]:
                if table.grad is None:
                    continue
                # Not coalesced, since the host would have to wait for the number of different rows; instead
                # every example of a puzzle writes the same new row.
                rows, gradient = table.grad._indices()[0], table.grad._values()  # (B,), (B, D)
                summed = (rows[:, None] == rows).to(gradient) @ gradient
                decayed = table[rows] * (1 - group["lr"] * group["weight_decay"])
                table.index_copy_(0, rows, decayed - group["lr"] * summed.sign())


def learning_rate(config: RunOptions, step: int, progress: float) -> float:
    """The rate of a step: linear warm-up, a flat part, then linear decay.

    Args:
        config: the run's.
        step: optimizer steps done.
        progress: share of the budget used, of steps or time, in [0, 1].
    """
    warm = min(1.0, (step + 1) / max(1, config.warmup_steps))
    if progress <= config.decay_from or config.decay_from >= 1:
        return config.lr * warm
    left = (1 - min(progress, 1.0)) / (1 - config.decay_from)
    return config.lr * warm * (config.lr_end + (1 - config.lr_end) * left)


class Average:
    """An exponential moving average of the weights whose memory grows with the steps up to `decay`.

    A constant decay would keep the random initial weights alive for thousands of steps. The updates are counted by
    the host: `torch.optim.swa_utils.AveragedModel` asks the device for their number, and waits for it, at each.

    Args:
        decay: of a step, at last.
        policy: gives the first weights. Buffers, such as a count of steps, are copied as they are. Rows of sparse
            embeddings are touched too seldom to be averaged: both share them.
    """

    def __init__(self, decay: float, policy: Policy) -> None:
        memory, policy.halting.memory = policy.halting.memory, {}  # of the slots, which the average does not have
        shared = {id(table): table for table in policy.agent.tables()}
        self.policy = copy.deepcopy(policy, shared).eval()
        policy.halting.memory = memory
        self.count = 0
        self._decay = decay

    @torch.no_grad()
    def update(self, policy: Policy) -> None:
        """One more step of `policy`; the first one counts alone."""
        decay = min(self._decay, (1 + self.count) / (10 + self.count)) if self.count else 0.0
        pairs = zip(self.policy.parameters(), policy.parameters(), strict=True)
        averages, current = zip(*((a, b) for a, b in pairs if a is not b), strict=True)
        torch._foreach_lerp_(averages, current, 1 - decay)
        for copied, buffer in zip(self.policy.buffers(), policy.buffers(), strict=True):
            copied.copy_(buffer)
        self.count += 1
