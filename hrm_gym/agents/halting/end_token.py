"""Halting at the end of a text, for agents that write one.

Such an agent keeps its cells uncertain until it has written the end. So the rule of `confidence` applies, in training
as in inference: a training episode lasts exactly as long as the text.
"""

from __future__ import annotations

from torch import Tensor

from hrm_gym.agents.halting.confidence import Confidence
from hrm_gym.agents.halting.rule import Signals


class EndToken(Confidence):
    """Halts when the least certain cell is certain enough, in training as in inference: at the end of a text."""

    num_uniforms = 0

    def explore(self, signals: Signals, segment: Tensor, uniforms: Tensor) -> Tensor:
        """See `HaltingRule`: no exploration."""
        return self.decide(signals, segment)
