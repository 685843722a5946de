"""Q-learning of halt and continue (HRM, arXiv 2506.21734, section "Adaptive computational time").

A segment is one step of a Markov decision process. The state is the agent's state and the puzzle, the actions are halt
and continue, and the reward is for the answer at the end of the episode. With a discount gamma,

    Q(halt)     = 1 if the answer is right else 0
    Q(continue) = r + gamma * max(Q'(halt), Q'(continue))

where r is the reward for continuing (0, or minus `segment_cost`) and Q' are the values after the next segment. The
paper uses gamma = 1 and r = 0. Continuing is then never worse than halting, and when the agent halts on a solved puzzle
depends on noise in the estimates. With gamma below 1 or a cost, a right answer is worth more now.

Both values are sigmoids of logits, so they lie in [0, 1] and are learned by cross-entropy. The bootstrap target of
Q(continue) is one of three (`--halt-target`):

    extra_pass    values after one more forward pass of the same network, without gradient, replay buffer or target
                  network (the paper's choice). It doubles the forward passes
    next_segment  values after the slot's actual next segment: one-step temporal-difference learning
    monte_carlo   the discounted return of the episode, known when it ends

For puzzles with guesses (`--guesses`) there is a third action, give up (`--give-up`). It pays 1 if a guess is wrong, so
that the puzzle has no solution, and costs 7 if the puzzle has one,

    Q(give up)  = p - 7 * (1 - p),   p = the probability that there is no solution

and the maximum above runs over three values. A search by guesses reads p (`agents/inference/guessing.py`).

The last two targets are known only after the segment's graph is gone. Their gradient reaches only the rule's head; the
network learns from the answer and the value of halting. They train on segments after which the slot continued.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hrm_gym.agents.halting.rule import Experience, LearnedRule, Signals, halting_errors, halting_label
from hrm_gym.envs.guesses import HASTE
from hrm_gym.errors import HrmGymError
from hrm_gym.options import Options, share


@dataclasses.dataclass(frozen=True)
class QLearningConfig(Options):
    """Options of `q_learning`."""

    gamma: float = share(1.0)
    """Discount per segment. Below 1 the agent learns to halt on solved puzzles."""
    halt_target: Literal["extra_pass", "next_segment", "monte_carlo"] = "extra_pass"
    """Target of the value of continuing. `extra_pass`: one more forward pass (HRM). `next_segment`: the slot's next
    segment. `monte_carlo`: the return of the episode. The last two save the extra pass and train only the head."""
    target_network: bool = False
    """Use the averaged weights for the extra pass."""
    horizon: Literal["reward", "look_ahead"] = "reward"
    """Value of continuing in the last segment. `reward`: the reward for the answer. `look_ahead`: the value of halting
    one segment later, as in HRM's reference implementation."""
    exploration: float = share(0.1)
    """Probability, per slot and segment, of requiring a random minimum number of segments before halting."""
    give_up: bool = False
    """Learn to give up puzzles without a solution; requires training with `--guesses`."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.target_network and self.halt_target != "extra_pass":
            raise HrmGymError(
                f"target_network needs halt_target 'extra_pass': {self.halt_target!r} has no forward pass"
            )


class QLearning(LearnedRule):
    """Q-learning of halting and continuing: halts where `q_halt` is above `q_continue`.

    With `give_up` the signal `q_give_up` is the probability that the puzzle has no solution. A user's puzzle has a
    solution, so the agent continues even if there seems to be none; only training and search give up.
    """

    Config = QLearningConfig
    signals: tuple[str, ...] = ("q_halt", "q_continue")  # type: ignore[misc]
    words: ClassVar[Mapping[str, str]] = {
        "q_halt": "is it right?",
        "q_continue": "is more thought worth it?",
        "q_give_up": "is it hopeless?",
    }

    def __init__(self, config: Any, num_features: int) -> None:
        if config.give_up:
            self.signals = (*type(self).signals, "q_give_up")
        super().__init__(config, num_features)
        self.gives_up = config.give_up
        if config.give_up:
            nn.init.constant_(self.head.bias[2:], -1.0)  # most puzzles have a solution

    def begin(self, num: int, max_segments: int, device: torch.device) -> None:
        """See `HaltingRule`."""
        super().begin(num, max_segments, device)
        shapes: dict[str, tuple[int, ...]] = {}
        if self.config.halt_target == "next_segment":  # of the previous segment
            shapes = {"features": (num, self.num_features), "reward": (num,), "went_on": (num,)}
        elif self.config.halt_target == "monte_carlo":  # of all segments of the episode so far
            shapes = {"features": (num, max_segments, self.num_features), "reward": (num, max_segments)}
        self.memory = {name: torch.zeros(shape, device=device) for name, shape in shapes.items()}

    def lead(self, signals: Signals, segment: Tensor) -> Tensor:
        """See `HaltingRule`."""
        return signals["q_halt"] - signals["q_continue"]

    def loss(self, experience: Experience) -> Tensor:
        """The two Bellman errors as cross-entropies, (B,)."""
        losses = {"extra_pass": self._extra_pass, "next_segment": self._next_segment, "monte_carlo": self._monte_carlo}
        errors = halting_errors(experience) + losses[self.config.halt_target](experience)
        if self.config.give_up and experience.sound is not None:
            hopeless = (~experience.sound).float()
            errors = errors + F.binary_cross_entropy_with_logits(
                experience.signals["q_give_up"], hopeless, reduction="none"
            )
        return errors

    def explore(self, signals: Signals, segment: Tensor, uniforms: Tensor) -> Tensor:
        """See `HaltingRule`: the action with the largest value, once exploration allows halting."""
        ends = self.is_free(segment, uniforms)
        halts = ends & self.decide(signals, segment)
        if not self.config.give_up:
            return halts
        others = torch.maximum(signals["q_halt"], signals["q_continue"]).sigmoid()
        return torch.where(ends & (self._worth(signals) > others), 2, halts.long())

    def solvable(self, signals: Signals) -> Tensor | None:
        """See `HaltingRule`."""
        return -signals["q_give_up"] if self.config.give_up else None

    def _worth(self, signals: Signals) -> Tensor:
        """The value of giving up, (B,)."""
        hopeless = signals["q_give_up"].sigmoid()
        return hopeless - HASTE * (1 - hopeless)

    def forward_passes(self) -> int:
        """See `HaltingRule`."""
        return int(self.config.halt_target == "extra_pass")

    # ---- targets of the value of continuing ------------------------------------------------------

    def continue_target(self, experience: Experience) -> Tensor:
        """The target of `extra_pass`, in [0, 1], (B,)."""
        following = experience.look_ahead(self.config.target_network)
        last = experience.segment >= self.max_segments
        target = self._bootstrapped(following, last, _paid_for_continuing(experience))
        return torch.where(last, halting_label(experience), target) if self.config.horizon == "reward" else target

    def _bootstrapped(self, following: Signals, last: Tensor, paid: Tensor) -> Tensor:
        """R + gamma * max Q' in [0, 1], (B,); after the `last` segment the maximum excludes continuing.

        Values below 0 count as 0, the value of halting on a wrong answer.
        """
        q_halt, q_continue = following["q_halt"], following["q_continue"]
        best = torch.where(last, q_halt, torch.maximum(q_halt, q_continue)).sigmoid()
        if self.config.give_up:
            best = torch.maximum(best, self._worth(following))
        return (paid + self.config.gamma * best).clamp(0.0, 1.0)

    def _extra_pass(self, experience: Experience) -> Tensor:
        target = self.continue_target(experience)
        return F.binary_cross_entropy_with_logits(experience.signals["q_continue"], target, reduction="none")

    def _next_segment(self, experience: Experience) -> Tensor:
        """The error of the previous segment, whose target is known now."""
        following = {name: value.detach() for name, value in experience.signals.items()}
        # In the last segment both actions are equivalent, and the value of halting is the better estimate.
        target = self._bootstrapped(following, experience.segment >= self.max_segments, self.memory["reward"])
        errors = self._head_errors(self.memory["features"], target) * self.memory["went_on"]
        self.memory = {
            "features": experience.output.features.detach().float(),
            "reward": experience.reward.float(),
            "went_on": (~experience.ended).float(),
        }
        return errors

    def _monte_carlo(self, experience: Experience) -> Tensor:
        """The errors of the episodes that end now, over all segments except the last."""
        slots = torch.arange(len(experience.segment), device=experience.segment.device)
        here = slots, experience.segment - 1
        features, reward = self.memory["features"].clone(), self.memory["reward"].clone()
        features[here] = experience.output.features.detach().float()
        reward[here] = experience.reward.float()
        self.memory = {"features": features, "reward": reward}
        places = torch.arange(self.max_segments, device=reward.device)
        power = places[:, None] - places  # (T, T): segment k counts for segment s with gamma^(k - s)
        discounts = torch.where(power >= 0, self.config.gamma ** power.clamp_min(0).float(), 0.0)
        thought = places < experience.segment[:, None]  # (B, T): later entries belong to an older episode
        returns = ((reward * thought) @ discounts).clamp(0.0, 1.0)
        known = experience.ended[:, None] & (places < experience.segment[:, None] - 1)
        return (self._head_errors(features, returns) * known).sum(1)

    def _head_errors(self, features: Tensor, target: Tensor) -> Tensor:
        """The error for stored features, shaped like `target`; its gradient reaches only the head."""
        return F.binary_cross_entropy_with_logits(self.values(features)["q_continue"], target, reduction="none")


def _paid_for_continuing(experience: Experience) -> Tensor:
    """The reward of each slot for continuing, (B,).

    For slots whose episode ended it is estimated by the mean over the others.
    """
    went_on = ~experience.ended
    mean = (experience.reward * went_on).sum() / went_on.sum().clamp_min(1)
    return torch.where(went_on, experience.reward, mean).float()
