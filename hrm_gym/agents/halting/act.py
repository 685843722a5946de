"""Adaptive computation time (Graves, arXiv 1603.08983) as a halting rule for any recurrent agent.

Idea: at each step n the network emits a halting probability p_n, and stops at the first step N at which their sum
reaches 1 - epsilon. The last step gets the remainder R = 1 - (p_1 + ... + p_(N-1)). The ponder cost N + R, with the
gradient of R, is added to the loss with weight tau.

Here a step is a segment, so the rule works with every agent.

Faithful: the sum, epsilon, the remainder, the hard stop in training and inference, the cost and its gradient, the
sigmoid unit. Adapted (see `distribution`): the expected error under (p_1, ..., p_(N-1), R) replaces the error of the
mean output, and the gradient reaches only the unit. The cost of a segment, tau, is then in units of the reward. The
first segment is free: the cost is tau * (N - 1 + R).

Known failures: it is sensitive to tau, and a unit that initially halts early never learns that further segments would
have helped (with a bias of 0 or +1, 70 % of the runs of arXiv 2604.21999 stopped at two to seven steps). Hence the bias
of -3. The number of segments is at least 1 / max p, so even easy puzzles need p near 1 to halt at once.
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
class ACTConfig(Options):
    """Options of `act`."""

    ponder_cost: float = number(0.01, least=0)
    """Cost of a segment, tau, relative to an error of 1."""
    epsilon: float = number(0.01, above=0, below=1)
    """It stops once the sum of halting probabilities reaches 1 minus this."""
    halt_bias: float = number(-3.0)
    """Initial logit of p_n."""


class ACT(HaltingDistribution):
    """Adaptive computation time (Graves): halts once the halting probabilities sum to 1."""

    Config = ACTConfig

    def lead(self, signals: Signals, segment: Tensor) -> Tensor:
        """See `HaltingRule`."""
        return signals["halted_by"] - math.log((1 - self.config.epsilon) / self.config.epsilon)

    def left_after(self, left: Tensor, p: Tensor) -> Tensor:
        """See `HaltingDistribution`."""
        return (left - p).clamp_min(0.0)

    def weights(self, p: Tensor, thought: Tensor, last: Tensor) -> Tensor:
        """See `HaltingDistribution`: p_n, and the remainder in the last segment."""
        spent = torch.where(thought & ~last, p, 0.0)
        # The head has changed since the episode: its sum may now exceed 1 before the last segment.
        remainder = (1 - spent.sum(1, keepdim=True)).clamp_min(0.0)
        return torch.where(last, remainder, spent)

    def cost(self, weights: Tensor, thought: Tensor, last: Tensor) -> Tensor:
        """See `HaltingDistribution`: tau * (N - 1 + R)."""
        return self.config.ponder_cost * (thought.sum(1) - 1 + (weights * last).sum(1))
