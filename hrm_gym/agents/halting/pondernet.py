"""PonderNet (Banino, Balaguer and Blundell, arXiv 2107.05407) as a halting rule for any recurrent agent.

Idea: lambda_n is the probability of halting at step n where it has not been halted before, so

    P(halt at n) = lambda_n * (1 - lambda_1) * ... * (1 - lambda_(n-1))

is a proper distribution, and the loss is the expected error under it plus beta * KL(P, geometric), which keeps it
exploring and says by the prior's parameter, lambda_p, how long thinking should take: 1 / lambda_p steps.

Here a step is a segment, so that every agent can be halted by it.

Faithful: the distribution, the truncation at the last segment (which gets what is left), the truncated geometric prior,
the KL term, all segments thought in training. Adapted: see `distribution`: the gradient reaches the head of lambda
alone. In use the paper draws whether to halt; here it halts at the median of the distribution, once the probability of
having halted reaches `halt_quantile`, so that the same puzzle is thought about equally long each time.

Known to fail: where beta is too large, the depth is the prior's whatever the puzzle; where it is 0, the rule halts as
early as its first luck allows.
"""

from __future__ import annotations

import dataclasses
import math

import torch
from torch import Tensor

from hrm_gym.agents.halting.distribution import HaltingDistribution
from hrm_gym.agents.halting.rule import Signals
from hrm_gym.options import Options, number


@dataclasses.dataclass(frozen=True)
class PonderNetConfig(Options):
    """Options of `pondernet`."""

    prior: float = number(0.2, above=0, below=1)
    """lambda_p of the geometric prior: it halts after 1 / prior segments on average."""
    beta: float = number(0.05, least=0)
    """Weight of the divergence from the prior beside an error of 1 (the paper: 0.01 beside a cross-entropy; here that
    was slow to come back from the late halting that an untrained network teaches: 12.4 segments on average on 4x4
    Sudokus after 700 steps, with 0.05 5.8, both with all of them right)."""
    halt_quantile: float = number(0.5, above=0, below=1)
    """In use it halts once the probability of having halted reaches this."""
    halt_bias: float = number(-1.4)
    """The logit of lambda_n at first: that of the prior."""


class PonderNet(HaltingDistribution):
    """PonderNet: a learned distribution of the halting segment, kept near a geometric prior."""

    Config = PonderNetConfig

    def lead(self, signals: Signals, segment: Tensor) -> Tensor:
        """See `HaltingRule`."""
        q = self.config.halt_quantile
        return signals["halted_by"] - math.log(q / (1 - q))

    def explore(self, signals: Signals, segment: Tensor, uniforms: Tensor) -> Tensor:
        """See `HaltingRule`: it never halts in training, where the error of every segment counts by its weight."""
        return torch.zeros_like(segment, dtype=torch.bool)

    def left_after(self, left: Tensor, p: Tensor) -> Tensor:
        """See `HaltingDistribution`."""
        return left * (1 - p)

    def weights(self, p: Tensor, thought: Tensor, last: Tensor) -> Tensor:
        """See `HaltingDistribution`: lambda_n times what is left before n, all of it in the last segment."""
        going_on = torch.where(thought, 1 - p, 1.0)
        before = torch.cat((torch.ones_like(p[:, :1]), going_on.cumprod(1)[:, :-1]), dim=1)
        return torch.where(thought, torch.where(last, before, p * before), 0.0)

    def cost(self, weights: Tensor, thought: Tensor, last: Tensor) -> Tensor:
        """See `HaltingDistribution`: beta * KL(weights, geometric), the prior cut at the last segment."""
        steps = torch.arange(weights.shape[1], device=weights.device)
        log_prior = math.log(self.config.prior) + steps * math.log(1 - self.config.prior)
        log_prior = log_prior.expand_as(weights).masked_fill(~thought, -math.inf).log_softmax(1)
        log_ratio = weights.clamp_min(1e-8).log() - log_prior
        return self.config.beta * torch.where(thought, weights * log_ratio, 0.0).sum(1)
