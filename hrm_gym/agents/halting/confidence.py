"""Halting without a head: at random in training, by confidence in inference.

In training every segment is the last with equal probability, so the agent learns to answer after any number of
segments. In inference it stops when the smallest probability of a chosen symbol exceeds a threshold (SE-RRM, arXiv
2603.02193, and others use such training-free criteria).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor

from hrm_gym.agents.agent import Output
from hrm_gym.agents.halting.rule import HaltingRule, Signals
from hrm_gym.options import Options, number


@dataclasses.dataclass(frozen=True)
class ConfidenceConfig(Options):
    """Options of `confidence`."""

    confidence: float = number(0.95, above=0, below=1)
    """Stop when the symbol of the least certain cell has a probability above this."""


class Confidence(HaltingRule):
    """Stops at random in training; in inference it halts when the least certain cell is certain enough."""

    Config = ConfidenceConfig
    signals = ("confidence",)
    words: ClassVar[Mapping[str, str]] = {"confidence": "its least sure cell"}
    num_uniforms = 1

    def read(self, output: Output) -> Signals:
        """See `HaltingRule`. Probabilities are those of a softmax over the logits."""
        least = output.logits.detach().float().softmax(-1).amax(-1).amin(-1)  # (B,)
        return {"confidence": torch.logit(least, eps=1e-6)}

    def lead(self, signals: Signals, segment: Tensor) -> Tensor:
        """See `HaltingRule`."""
        p = self.config.confidence
        return signals["confidence"] - math.log(p / (1 - p))

    def belief(self, signals: Signals) -> Tensor:
        """See `HaltingRule`."""
        return signals["confidence"]

    def explore(self, signals: Signals, segment: Tensor, uniforms: Tensor) -> Tensor:
        """See `HaltingRule`: uniform over the segments of an episode."""
        left = (self.max_segments - segment + 1).clamp_min(1)  # segments that may be the last, including this one
        return uniforms[:, 0] * left < 1
