"""Halting where the agent says that it has finished: for agents that write a text with an end.

Such an agent leaves its cells uncertain until it has written the end. So the rule is that of `confidence`, in training
as in use: an episode of training lasts as long as the text, and no longer.
"""

from __future__ import annotations

from torch import Tensor

from hrm_gym.agents.halting.confidence import Confidence
from hrm_gym.agents.halting.rule import Signals


class EndToken(Confidence):
    """Halts where the least certain cell is certain enough, in training as in use: at the end of a text."""

    num_uniforms = 0

    def explore(self, signals: Signals, segment: Tensor, uniforms: Tensor) -> Tensor:
        """See `HaltingRule`: nothing is tried."""
        return self.decide(signals, segment)
