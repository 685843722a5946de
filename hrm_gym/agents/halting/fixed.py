"""Halting after a fixed number of segments."""

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
    """Stop after this many segments."""


class Fixed(HaltingRule):
    """Stops after a fixed number of segments. It has no belief, so it cannot rank attempts."""

    Config = FixedConfig

    def read(self, output: Output) -> Signals:
        """See `HaltingRule`."""
        return {}

    def lead(self, signals: Signals, segment: Tensor) -> Tensor:
        """See `HaltingRule`."""
        return torch.where(segment >= self.config.segments, torch.inf, -torch.inf)
