"""A fixed number of segments: nothing is read, nothing is learned."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from hrm_gym.agents.agent import Output
from hrm_gym.agents.halting.rule import HaltingRule, Signals
from hrm_gym.options import Options, number


@dataclasses.dataclass(frozen=True)
class FixedConfig(Options):
    """Options of `fixed`."""

    segments: int = number(16, least=1)
    """Segments after which it stops."""


class Fixed(HaltingRule):
    """Stops after so many segments. It has no signals, so attempts cannot be chosen by its belief."""

    Config = FixedConfig

    def read(self, output: Output) -> Signals:
        """See `HaltingRule`."""
        return {}

    def lead(self, signals: Signals, segment: Tensor) -> Tensor:
        """See `HaltingRule`."""
        return torch.where(segment >= self.config.segments, torch.inf, -torch.inf)
