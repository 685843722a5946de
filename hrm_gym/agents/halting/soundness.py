"""Halting by a classifier of right answers that can tell a hopeless puzzle, too: halt, go on, or give up.

Beside the probability that the answer is right it learns the one that the puzzle, as it is shown, has a solution. For
that it must be shown some that have none (`--guesses`): puzzles with a wrong guess among their givens. In training it
gives up on those that it is sure about, so that none of them takes the time of a whole episode. In use a search by
guesses gives up (`agents/inference/guessing.py`); by itself a policy with this rule halts as `classifier` does.
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
"""The logit of soundness below which a puzzle is given up, in training as in a search."""
LEAST = 4
"""Segments that a puzzle is thought about in training before it can be given up."""
WEIGHT = 0.6
"""Weight of the loss of soundness beside that of rightness."""


class Soundness(Classifier):
    """A classifier of right answers and of puzzles that have a solution."""

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
