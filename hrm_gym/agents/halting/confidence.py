"""Halting without a head of its own: a random stop in training, confidence in use.

In training every segment may be the last one, with equal probability, so that the agent learns to answer after any
number of them. In use it stops once it is sure of every cell: the smallest probability of a chosen symbol decides
(SE-RRM, arXiv 2603.02193, and others halt by such training-free criteria).
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
    """Probability of the least certain cell's symbol above which it stops."""


class Confidence(HaltingRule):
    """A random stop in training; in use it halts where the least certain cell is certain enough."""

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
        left = (self.max_segments - segment + 1).clamp_min(1)  # segments that may be the last one, this included
        return uniforms[:, 0] * left < 1
