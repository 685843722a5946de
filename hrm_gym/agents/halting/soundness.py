"""Halting by two classifiers, of right answers and of hopeless puzzles: halt, continue, or give up.

Besides the probability of a right answer it learns the probability that the puzzle has a solution. This requires
training puzzles without a solution (`--guesses`): some with a wrong guess among their givens. In training it gives up
puzzles that seem clearly hopeless, so that they do not take a whole episode. In inference only a search by guesses
gives up (`agents/inference/guessing.py`); otherwise the rule halts like `classifier`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hrm_gym.agents.halting.classifier import Classifier
from hrm_gym.agents.halting.rule import Experience, Signals

HOPELESS = -2.0
"""Give up a puzzle when its logit of soundness is below this, in training and in search."""
LEAST = 4
"""Minimum number of segments before a puzzle is given up in training."""
WEIGHT = 0.6
"""Weight of the loss of soundness, relative to that of rightness."""


class Soundness(Classifier):
    """A classifier of right answers, and one of puzzles with a solution."""

    gives_up = True
    signals = ("q_halt", "q_sound")
    words: ClassVar[Mapping[str, str]] = {"q_halt": "is it right?", "q_sound": "can it be solved?"}

    def __init__(self, config: Any, num_features: int) -> None:
        super().__init__(config, num_features)
        nn.init.constant_(self.head.bias[1:], 1.0)  # most puzzles have a solution

    def solvable(self, signals: Signals) -> Tensor:
        """See `HaltingRule`."""
        return signals["q_sound"]

    def explore(self, signals: Signals, segment: Tensor, uniforms: Tensor) -> Tensor:
        """See `HaltingRule`."""
        given_up = (signals["q_sound"] < HOPELESS) & (segment >= LEAST)
        return torch.where(given_up, 2, super().explore(signals, segment, uniforms).long())

    def loss(self, experience: Experience) -> Tensor:
        """Two binary cross-entropies, (B,)."""
        q_sound = experience.signals["q_sound"]
        sound = torch.ones_like(q_sound) if experience.sound is None else experience.sound.float()
        errors = F.binary_cross_entropy_with_logits(q_sound, sound, reduction="none")
        return super().loss(experience) + WEIGHT * errors
