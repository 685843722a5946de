"""What `act` and `pondernet` share: a distribution over the segments at which an episode could have been halted.

A head reads from the features of segment n how much of the probability that is left goes to halting there, p_n. The
two papers train the weighted loss

    sum over n of  P(halt at n) * L_n  +  what thinking costs

by a gradient through the whole episode. Here the graph ends with each segment, so the rule remembers features and
errors and computes this loss once the episode has ended, at every step until the slot's next episode has ended, too:
then the head learns as often as the network. Three things follow, and are all that differs from the papers:

- The gradient reaches the rule's head alone; the network under it learns from every segment equally (deep supervision)
  and not in proportion to P(halt at n).
- The answer is that of the segment at which the rule halts, no weighted mean of several answers.
- L_n is what the environment says of the answer, 1 - right, so that mazes with several shortest paths and boards with
  padding are judged by their own rules, and a cost has the same meaning as `segment_cost`.
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

    # ---- what a rule must give -------------------------------------------------------------------

    @abc.abstractmethod
    def left_after(self, left: Tensor, p: Tensor) -> Tensor:
        """The probability of not having halted after a segment, from that before it and p_n, each (B,)."""

    @abc.abstractmethod
    def weights(self, p: Tensor, thought: Tensor, last: Tensor) -> Tensor:
        """P(halt at n), (B, T), from p_n; `thought`, bool (B, T), are an episode's segments, `last` the last."""

    @abc.abstractmethod
    def cost(self, weights: Tensor, thought: Tensor, last: Tensor) -> Tensor:
        """What thinking costs an episode, (B,), from what `weights` gave."""

    # ---- what follows from it --------------------------------------------------------------------

    def read(self, output: Output) -> Signals:
        """See `HaltingRule`; `halted_by` comes with `follow`."""
        return {"halt": self.head(output.features.float())[:, 0]}

    def belief(self, signals: Signals) -> Tensor:
        """See `HaltingRule`: p_n is high where thinking on is not expected to mend the answer."""
        return signals["halt"]

    def carried(self, num: int, device: torch.device) -> dict[str, Tensor]:
        """See `HaltingRule`: what is left of the probability, and the number of segments."""
        return {"left": torch.ones(num, device=device), "thought": torch.zeros(num, dtype=torch.long, device=device)}

    def follow(self, signals: Signals, carried: dict[str, Tensor]) -> tuple[Signals, dict[str, Tensor]]:
        """See `HaltingRule`."""
        # Where nothing has been thought, all is left, whatever noise was put on the initial state.
        before = torch.where(carried["thought"] == 0, 1.0, carried["left"])
        left = self.left_after(before, signals["halt"].detach().sigmoid())
        halted_by = torch.logit(1 - left, eps=1e-6)
        return {**signals, "halted_by": halted_by}, {"left": left, "thought": carried["thought"] + 1}

    def begin(self, num: int, max_segments: int, device: torch.device) -> None:
        """See `HaltingRule`: the episode that goes on, and the last one that ended with its number of segments."""
        super().begin(num, max_segments, device)
        shapes = {"features": (num, max_segments, self.num_features), "error": (num, max_segments)}
        empty = {name: torch.zeros(shape, device=device) for name, shape in shapes.items()}
        ended = {f"ended_{name}": tensor.clone() for name, tensor in empty.items()}
        self.memory = {**empty, **ended, "length": torch.zeros(num, dtype=torch.long, device=device)}

    def loss(self, experience: Experience) -> Tensor:
        """The expected error plus the cost of each slot's last episode that has ended, (B,); 0 before the first."""
        self._remember(experience)
        length = self.memory["length"][:, None]
        place = torch.arange(self.max_segments, device=length.device)
        thought, last = place < length, place == length - 1  # (B, T); later entries are of an older episode
        p = self.head(self.memory["ended_features"])[..., 0].sigmoid()
        weights = self.weights(p, thought, last)
        total = (weights * self.memory["ended_error"]).sum(1) + self.cost(weights, thought, last)
        return torch.where(length[:, 0] > 0, total, 0.0)

    def _remember(self, experience: Experience) -> None:
        """Add this segment to the episode of its slot; an episode that ends now takes the last one's place."""
        memory = {name: tensor.clone() for name, tensor in self.memory.items()}
        here = torch.arange(len(experience.segment), device=experience.segment.device), experience.segment - 1
        memory["features"][here] = experience.output.features.detach().float()
        memory["error"][here] = 1 - halting_label(experience)
        ended = experience.ended
        memory["length"] = torch.where(ended, experience.segment, memory["length"])
        for name in ("features", "error"):
            memory[f"ended_{name}"][ended] = memory[name][ended]
        self.memory = memory
