"""The common part of `act` and `pondernet`: a learned distribution of the halting segment of an episode.

A head computes from the features of segment n the probability p_n of halting there. Both papers train the weighted loss

    sum over n of  P(halt at n) * L_n  +  cost of thinking

by a gradient through the whole episode. Here the graph ends with each segment. So the rule stores features and errors,
and computes the loss of a slot's last finished episode at every step, so that the head learns as often as the network.
There are three differences from the papers:

- The gradient reaches only the rule's head. The network learns from every segment equally (deep supervision), not in
  proportion to P(halt at n).
- The answer is that of the halting segment, not a weighted mean of several answers.
- L_n is the environment's grade, 1 - right. So puzzles with several right answers or padding are graded by their own
  rules, and a cost has the same meaning as `segment_cost`.
"""

from __future__ import annotations

import abc
from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from hrm_gym.agents.agent import Output
from hrm_gym.agents.halting.rule import Experience, HaltingRule, Signals, halting_label


class HaltingDistribution(HaltingRule, abc.ABC):
    """Signals: `halt`, the logit of p_n, and `halted_by`, the logit of the probability of having halted by now."""

    signals = ("halt", "halted_by")
    words: ClassVar[Mapping[str, str]] = {"halt": "stop now?", "halted_by": "stopped by now?"}

    def __init__(self, config: Any, num_features: int) -> None:
        super().__init__(config, num_features)
        self.head = nn.Linear(num_features, 1)
        nn.init.zeros_(self.head.weight)
        nn.init.constant_(self.head.bias, self.config.halt_bias)

    # ---- a subclass must implement ---------------------------------------------------------------

    @abc.abstractmethod
    def left_after(self, left: Tensor, p: Tensor) -> Tensor:
        """The probability of not having halted after a segment, from the one before it and p_n, each (B,)."""

    @abc.abstractmethod
    def weights(self, p: Tensor, thought: Tensor, last: Tensor) -> Tensor:
        """P(halt at n), (B, T), from p_n; `thought`, bool (B, T), marks an episode's segments, `last` its last."""

    @abc.abstractmethod
    def cost(self, weights: Tensor, thought: Tensor, last: Tensor) -> Tensor:
        """The cost of thinking in an episode, (B,), from its `weights`."""

    # ---- provided --------------------------------------------------------------------------------

    def read(self, output: Output) -> Signals:
        """See `HaltingRule`; `follow` adds `halted_by`."""
        return {"halt": self.head(output.features.float())[:, 0]}

    def belief(self, signals: Signals) -> Tensor:
        """See `HaltingRule`: p_n is high if further thinking is not expected to improve the answer."""
        return signals["halt"]

    def carried(self, num: int, device: torch.device) -> dict[str, Tensor]:
        """See `HaltingRule`: the probability of not having halted, and the number of segments."""
        return {"left": torch.ones(num, device=device), "thought": torch.zeros(num, dtype=torch.long, device=device)}

    def follow(self, signals: Signals, carried: dict[str, Tensor]) -> tuple[Signals, dict[str, Tensor]]:
        """See `HaltingRule`."""
        # Before the first segment the probability is 1, even if the initial state has noise.
        before = torch.where(carried["thought"] == 0, 1.0, carried["left"])
        left = self.left_after(before, signals["halt"].detach().sigmoid())
        halted_by = torch.logit(1 - left, eps=1e-6)
        return {**signals, "halted_by": halted_by}, {"left": left, "thought": carried["thought"] + 1}

    def begin(self, num: int, max_segments: int, device: torch.device) -> None:
        """See `HaltingRule`: the current episode, and the last finished one with its length."""
        super().begin(num, max_segments, device)
        shapes = {"features": (num, max_segments, self.num_features), "error": (num, max_segments)}
        empty = {name: torch.zeros(shape, device=device) for name, shape in shapes.items()}
        ended = {f"ended_{name}": tensor.clone() for name, tensor in empty.items()}
        self.memory = {**empty, **ended, "length": torch.zeros(num, dtype=torch.long, device=device)}

    def loss(self, experience: Experience) -> Tensor:
        """The expected error plus the cost of each slot's last finished episode, (B,); 0 before the first."""
        self._remember(experience)
        length = self.memory["length"][:, None]
        place = torch.arange(self.max_segments, device=length.device)
        thought, last = place < length, place == length - 1  # (B, T); later entries belong to an older episode
        p = self.head(self.memory["ended_features"])[..., 0].sigmoid()
        weights = self.weights(p, thought, last)
        total = (weights * self.memory["ended_error"]).sum(1) + self.cost(weights, thought, last)
        return torch.where(length[:, 0] > 0, total, 0.0)

    def _remember(self, experience: Experience) -> None:
        """Append this segment to its slot's episode; an episode that ends now replaces the last finished one."""
        memory = {name: tensor.clone() for name, tensor in self.memory.items()}
        here = torch.arange(len(experience.segment), device=experience.segment.device), experience.segment - 1
        memory["features"][here] = experience.output.features.detach().float()
        memory["error"][here] = 1 - halting_label(experience)
        ended = experience.ended
        memory["length"] = torch.where(ended, experience.segment, memory["length"])
        for name in ("features", "error"):
            memory[f"ended_{name}"][ended] = memory[name][ended]
        self.memory = memory
