"""PonderNet (Banino, Balaguer and Blundell, arXiv 2107.05407) as a halting rule for any recurrent agent.

Idea: lambda_n is the probability of halting at step n given no earlier halt, so

    P(halt at n) = lambda_n * (1 - lambda_1) * ... * (1 - lambda_(n-1))

is a proper distribution. The loss is the expected error under it plus beta * KL(P, geometric). The KL term keeps it
exploring, and the prior's parameter lambda_p sets the preferred length, 1 / lambda_p steps.

Here a step is a segment, so the rule works with every agent.

Faithful: the distribution, the truncation at the last segment (which gets the remainder), the truncated geometric
prior, the KL term, and training on all segments. Adapted: the gradient reaches only the head of lambda (see
`distribution`). In inference the paper samples whether to halt. This rule halts once the probability of having halted
reaches `halt_quantile` (by default the median), so halting is deterministic.

Known failures: with a large beta every puzzle gets the depth of the prior; with beta 0 the rule halts too early, after
its first lucky answers.
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
    """lambda_p of the geometric prior, whose mean is 1 / prior segments."""
    beta: float = number(0.05, least=0)
    """Weight of the KL divergence from the prior, relative to an error of 1. The paper uses 0.01 with a cross-entropy.
    Here 0.01 recovers slowly from the late halting that an untrained network teaches: 12.4 segments on average on 4x4
    Sudokus after 700 steps, against 5.8 with 0.05, all solved in both cases."""
    halt_quantile: float = number(0.5, above=0, below=1)
    """In inference, halt once the probability of having halted reaches this."""
    halt_bias: float = number(-1.4)
    """Initial logit of lambda_n; the default matches the prior."""


class PonderNet(HaltingDistribution):
    """PonderNet: a learned distribution of the halting segment, kept near a geometric prior."""

    Config = PonderNetConfig

    def lead(self, signals: Signals, segment: Tensor) -> Tensor:
        """See `HaltingRule`."""
        q = self.config.halt_quantile
        return signals["halted_by"] - math.log(q / (1 - q))

    def explore(self, signals: Signals, segment: Tensor, uniforms: Tensor) -> Tensor:
        """See `HaltingRule`: it never halts in training, because the loss weights the errors of all segments."""
        return torch.zeros_like(segment, dtype=torch.bool)

    def left_after(self, left: Tensor, p: Tensor) -> Tensor:
        """See `HaltingDistribution`."""
        return left * (1 - p)

    def weights(self, p: Tensor, thought: Tensor, last: Tensor) -> Tensor:
        """See `HaltingDistribution`: lambda_n times the probability left before n; the last segment gets the rest."""
        going_on = torch.where(thought, 1 - p, 1.0)
        before = torch.cat((torch.ones_like(p[:, :1]), going_on.cumprod(1)[:, :-1]), dim=1)
        return torch.where(thought, torch.where(last, before, p * before), 0.0)

    def cost(self, weights: Tensor, thought: Tensor, last: Tensor) -> Tensor:
        """See `HaltingDistribution`: beta * KL(weights, geometric), with the prior truncated at the last segment."""
        steps = torch.arange(weights.shape[1], device=weights.device)
        log_prior = math.log(self.config.prior) + steps * math.log(1 - self.config.prior)
        log_prior = log_prior.expand_as(weights).masked_fill(~thought, -math.inf).log_softmax(1)
        log_ratio = weights.clamp_min(1e-8).log() - log_prior
        return self.config.beta * torch.where(thought, weights * log_ratio, 0.0).sum(1)
