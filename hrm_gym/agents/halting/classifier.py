"""Halting by a classifier of right answers, as in the Tiny Recursive Model (arXiv 2510.04871).

It learns the probability that the answer is right and halts above 1/2. It learns no value of continuing, which saves
the second forward pass of Q-learning's target. If a wrong halt costs more than an extra segment, give wrong answers
more weight (Elkan 2001, "The foundations of cost-sensitive learning"): with a weight of 8 it halts where the
probability is above 8/9.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import ClassVar

from torch import Tensor

from hrm_gym.agents.halting.rule import Experience, LearnedRule, Signals, halting_errors
from hrm_gym.options import Options, number, share


@dataclasses.dataclass(frozen=True)
class ClassifierConfig(Options):
    """Options of `classifier`."""

    exploration: float = share(0.1)
    """Probability, per slot and segment, of requiring a random minimum number of segments before halting."""
    wrong_halt_cost: float = number(1.0, above=0, most=1000)
    """Weight of wrong answers in the loss: the cost of halting on a wrong answer, relative to missing a right one."""


class Classifier(LearnedRule):
    """A classifier of right answers: halts where the probability `q_halt` is above 1/2."""

    Config = ClassifierConfig
    signals: ClassVar[tuple[str, ...]] = ("q_halt",)
    words: ClassVar[Mapping[str, str]] = {"q_halt": "is it right?"}

    def lead(self, signals: Signals, segment: Tensor) -> Tensor:
        """See `HaltingRule`."""
        return signals["q_halt"]

    def loss(self, experience: Experience) -> Tensor:
        """Binary cross-entropy, (B,)."""
        return halting_errors(experience, self.config.wrong_halt_cost)
