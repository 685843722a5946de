"""A halting rule of your own, outside the package: two critics of the answer, one of them pessimistic.

    hrm-gym train --env Sudoku4x4-v0 --halting examples.own_halting_rule:agreement

It reads two signals by one head of its own and halts where neither objects; docs/own_halting_rules.md walks
through it.
"""

import dataclasses

import torch.nn.functional as F

from hrm_gym.agents import LearnedRule, register_halting, share

register_halting("agreement", "examples.own_halting_rule:Agreement")


@dataclasses.dataclass
class AgreementConfig:
    """Options of `agreement`."""

    exploration: float = share(0.1)
    """Probability, a slot and segment, of demanding a random minimum number of segments."""
    certainty: float = share(0.5)
    """How sure the slower of two critics must be."""


class Agreement(LearnedRule):
    """Two critics of the answer, one of them pessimistic: it halts where both find it right."""

    Config = AgreementConfig
    signals = ("q_halt", "doubt")

    def lead(self, signals, segment):
        """Halting leads where the answer is believed to be right and is not doubted."""
        return signals["q_halt"] - F.softplus(signals["doubt"]) - self.config.certainty

    def loss(self, experience):
        """Both critics are classifiers; mistakes that were taken for right count five times for the doubtful one."""
        wrong = (~experience.right).float()
        right = F.binary_cross_entropy_with_logits(experience.signals["q_halt"], 1 - wrong, reduction="none")
        doubt = F.binary_cross_entropy_with_logits(experience.signals["doubt"], wrong, reduction="none")
        return right + doubt * (1 + 4 * wrong)
