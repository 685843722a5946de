"""Optimizers, learning-rate schedule and weight averaging of a run, set up from its configuration."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from hrm_gym.agents.policy import Policy
from hrm_gym.agents.saved.config import RunOptions
from hrm_gym.errors import HrmGymError, extra


def make_optimizer(config: RunOptions, policy: Policy) -> Optimizer:
    """The optimizer of all parameters of `policy` except sparse embeddings, with decoupled weight decay."""
    tables = set(policy.agent.tables())
    dense = [p for p in policy.parameters() if p not in tables]
    betas = (0.9, config.beta2)
    if config.optimizer == "muon":
        matrices = policy.agent.matrices()
        if not matrices:
            raise HrmGymError("optimizer is 'muon', and this agent has no matrices for it: give --optimizer adamw")
        return MuonAdamW(config, matrices, dense)
    if config.optimizer == "adam_atan2":
        atan2 = extra("adam_atan2_pytorch.foreach", "train", "optimizer 'adam_atan2'", "give --optimizer muon or adamw")
        return atan2.AdamAtan2(dense, lr=config.lr, betas=betas, weight_decay=config.weight_decay)
    return torch.optim.AdamW(dense, lr=config.lr, betas=betas, weight_decay=config.weight_decay, fused=True)


class MuonAdamW(Optimizer):
    """One optimizer: Muon for an agent's matrices, AdamW for embeddings, heads and everything that is not a matrix.

    Muon (Jordan, 2024; `torch.optim.Muon`) steps along the orthogonal matrix nearest to the averaged gradient, so that
    every direction of a matrix learns equally fast. Its learning rate is `muon_lr` / `lr` times that of AdamW, and its
    weight decay is smaller by the same factor. All weights then decay by `lr * weight_decay` per step, as in the recipe
    of "Speed is Confidence" (arXiv 2601.19085).

    The parameter group of the matrices has the key `lr_scale`: its rate relative to the schedule.

    Args:
        config: rates, momentum and decay.
        matrices: the parameters for Muon.
        parameters: all parameters, including the matrices.
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
        """The steps of both optimizers."""
        # This optimizer owns, saves and restores groups and state; Muon and AdamW borrow them.
        for part, group in zip((self.muon, self.adamw), self.param_groups, strict=True):
            part.param_groups, part.state = [group], self.state
            part.step()


class SignSGD(Optimizer):
    """Sign gradient descent for embeddings with sparse gradients: it changes only the rows in the batch.

    row <- row * (1 - lr * weight_decay) - lr * sign(gradient), with the gradient summed over the batch. HRM (arXiv
    2506.21734, reference implementation) trains its puzzle embedding like this. The optimizer has no state.

    Args:
        parameters: weights of `nn.Embedding(..., sparse=True)`.
        lr: learning rate.
        weight_decay: decoupled weight decay.
    """

    def __init__(self, parameters: Iterable[Tensor], lr: float, weight_decay: float):
        super().__init__(parameters, {"lr": lr, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Update the rows of the last batch."""
        for group in self.param_groups:
            for table in group["params"]:
                if table.grad is None:
                    continue
                # Coalescing would make the host wait for the number of distinct rows. Instead every example of
                # a puzzle writes the same new row.
                rows, gradient = table.grad._indices()[0], table.grad._values()  # (B,), (B, D)
                summed = (rows[:, None] == rows).to(gradient) @ gradient
                decayed = table[rows] * (1 - group["lr"] * group["weight_decay"])
                table.index_copy_(0, rows, decayed - group["lr"] * summed.sign())


def learning_rate(config: RunOptions, step: int, progress: float) -> float:
    """The learning rate of a step: linear warm-up, constant, then linear decay.

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
    """An exponential moving average of the weights whose decay rises with the steps up to `decay`.

    A constant decay would keep the random initial weights alive for thousands of steps. The host counts the updates;
    `torch.optim.swa_utils.AveragedModel` waits for the device's count at each update.

    Args:
        decay: the final decay per step.
        policy: gives the initial weights. Buffers, such as a count of steps, are copied unchanged. Sparse embeddings
            are shared and not averaged, because their rows change too rarely.
    """

    def __init__(self, decay: float, policy: Policy) -> None:
        memory, policy.halting.memory = policy.halting.memory, {}  # per slot; the average has no slots
        shared = {id(table): table for table in policy.agent.tables()}
        self.policy = copy.deepcopy(policy, shared).eval()
        policy.halting.memory = memory
        self.count = 0
        self._decay = decay

    @torch.no_grad()
    def update(self, policy: Policy) -> None:
        """Average in the weights after one more step; the first step replaces the initial weights."""
        decay = min(self._decay, (1 + self.count) / (10 + self.count)) if self.count else 0.0
        pairs = zip(self.policy.parameters(), policy.parameters(), strict=True)
        averages, current = zip(*((a, b) for a, b in pairs if a is not b), strict=True)
        torch._foreach_lerp_(averages, current, 1 - decay)
        for copied, buffer in zip(self.policy.buffers(), policy.buffers(), strict=True):
            copied.copy_(buffer)
        self.count += 1
