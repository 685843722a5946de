"""Halting by a classifier of right answers, as the Tiny Recursive Model has it (arXiv 2510.04871).

It learns the probability that the answer is right and halts above 1/2. No value of continuing is learned, which saves
the second forward pass of Q-learning's target.
"""

from __future__ import annotations

import dataclasses

import torch.nn.functional as F
from torch import Tensor

from hrm_gym.agents.halting.rule import Experience, LearnedRule, Signals, halting_label
from hrm_gym.options import Options, share


@dataclasses.dataclass(frozen=True)
class ClassifierConfig(Options):
    """Options of `classifier`."""

    exploration: float = share(0.1)
    """Probability, a slot and segment, of demanding a random minimum number of segments."""


class Classifier(LearnedRule):
    """A classifier of right answers: halts where `q_halt`, that probability, is above 1/2."""

    Config = ClassifierConfig
    signals = ("q_halt",)

    def lead(self, signals: Signals, segment: Tensor) -> Tensor:
        """See `HaltingRule`."""
        return signals["q_halt"]

    def loss(self, experience: Experience) -> Tensor:
        """Binary cross-entropy, (B,)."""
        label = halting_label(experience)
        return F.binary_cross_entropy_with_logits(experience.signals["q_halt"], label, reduction="none")
