"""Where the value of continuing learns from: three exchangeable targets, each the loss of one Bellman equation.

An episode of thinking has the actions halt and continue. With discount gamma and a cost c a segment,

    Q(halt)     = 1 if the answer is right else 0
    Q(continue) = gamma * max(Q'(halt), Q'(continue)) - c

with Q' of the next segment, and gamma * Q'(halt) - c where the next segment is the last one. What stands for the
right side is

    extra_pass    Q' of one more forward pass of the same network without gradient: no replay and no target network
                  (HRM, arXiv 2506.21734, section "Adaptive computational time"); it doubles the forward passes
    next_segment  Q' of the segment that the slot thinks next anyway: one-step temporal-difference learning
    monte_carlo   the discounted return of the episode, known when its slot halts

The last two speak when the graph of the segment is gone. Their gradient reaches the head of the Q values alone; the
network under it is shaped by the answer and by the value of halting. They also learn from what the slot went through,
and so leave out the segments after which it did not go on.
"""

from __future__ import annotations

import abc
from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hrm_gym.agents.models.reasoner import Carry, Output
from hrm_gym.agents.training.config import Config

Forward = Callable[[Carry, Mapping[str, Any]], tuple[Carry, Output]]


def bellman(q_halt: Tensor, q_continue: Tensor, last: Tensor, gamma: float = 1.0, cost: float = 0.0) -> Tensor:
    """The bootstrapped value of continuing, (B,), from the values after the next segment, (B,) logits.

    Args:
        q_halt: logits.
        q_continue: logits.
        last: where only halting counts, (B,) bool.
        gamma: the discount of a segment.
        cost: of a segment. A value below 0 counts as 0: that much is had by halting on a wrong answer.
    """
    best = torch.where(last, q_halt, torch.maximum(q_halt, q_continue))
    return (gamma * torch.sigmoid(best) - cost).clamp_min(0.0)


class Target(abc.ABC):
    """The loss of the value of continuing, and what must be remembered for it.

    Args:
        config: gamma, cost, number of slots and segments.
        device: of the slots.
    """

    def __init__(self, config: Config, device: torch.device) -> None:
        self._config, self._device = config, device
        self._memory: dict[str, Tensor] = {}

    @abc.abstractmethod
    def loss(self, carry: Carry, obs: Mapping[str, Any], out: Output, segment: Tensor) -> Tensor:
        """The Bellman error as a cross-entropy, summed over slots, after a segment and before the slots move on.

        Args:
            carry: after the segment, detached.
            obs: the puzzles that were thought about.
            out: of the segment, with gradient.
            segment: segments thought, this one included, (B,).
        """

    def moved_on(self, carry: Carry, segment: Tensor, right: Tensor, done: Tensor) -> None:  # noqa: B027
        """What became of the slots after that segment: `right` and `done`, (B,) bool. Default: forgotten."""

    def state_dict(self) -> dict[str, Tensor]:
        """What is remembered, for a checkpoint."""
        return self._memory

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Go on from it."""
        self._memory = {name: state[name].to(self._device) for name in self._memory}


class ExtraPass(Target):
    """Bootstrapped from one more forward pass, of the network itself or of a target network.

    Args:
        forward: the network that gives Q'.
    """

    def __init__(self, config: Config, device: torch.device, forward: Forward) -> None:
        super().__init__(config, device)
        self._forward = forward

    def loss(self, carry: Carry, obs: Mapping[str, Any], out: Output, segment: Tensor) -> Tensor:
        """See `Target`. The last segment looks one further, as in the reference."""
        c = self._config
        with torch.no_grad():
            _, following = self._forward(carry, obs)
            # As in the reference, this segment's being the last one decides, not the next one's.
            target = bellman(following.q_halt, following.q_continue, segment >= c.max_segments, c.gamma, c.segment_cost)
        return F.binary_cross_entropy_with_logits(out.q_continue, target, reduction="sum")


class HeadOnly(Target):
    """Speaks of segments that have passed: what is remembered of them trains the head of the Q values.

    Args:
        head: reads the Q values off the first position of z_H, (..., D) -> (..., 2).
    """

    def __init__(self, config: Config, device: torch.device, head: nn.Module) -> None:
        super().__init__(config, device)
        self._head = head

    def _errors(self, target: Tensor, counts: Tensor) -> Tensor:
        """The error of the remembered features, summed where it counts."""
        q_continue = self._head(self._memory["features"])[..., 1]
        errors = F.binary_cross_entropy_with_logits(q_continue, target, reduction="none")
        return (errors * counts).sum()


class NextSegment(HeadOnly):
    """Bootstrapped from the segment that follows in the slot."""

    def __init__(self, config: Config, device: torch.device, head: nn.Module) -> None:
        super().__init__(config, device, head)
        self._memory = {
            "features": torch.zeros(config.num_envs, config.hidden_size, device=device),
            "went_on": torch.zeros(config.num_envs, dtype=torch.bool, device=device),
        }

    def loss(self, carry: Carry, obs: Mapping[str, Any], out: Output, segment: Tensor) -> Tensor:
        """See `Target`: the error of the segment before."""
        c = self._config
        values = out.q_halt.detach(), out.q_continue.detach()
        target = bellman(*values, segment >= c.max_segments, c.gamma, c.segment_cost)
        return self._errors(target, self._memory["went_on"])

    def moved_on(self, carry: Carry, segment: Tensor, right: Tensor, done: Tensor) -> None:
        """See `Target`."""
        self._memory = {"features": carry.z_h[:, 0].float(), "went_on": ~done}


class MonteCarlo(HeadOnly):
    """The return of the episode, for each of its segments but the last once it has ended."""

    def __init__(self, config: Config, device: torch.device, head: nn.Module) -> None:
        super().__init__(config, device, head)
        shape = (config.num_envs, config.max_segments)
        self._memory = {
            "features": torch.zeros(*shape, config.hidden_size, device=device),
            "returns": torch.zeros(shape, device=device),
            "known": torch.zeros(shape, dtype=torch.bool, device=device),
        }

    def loss(self, carry: Carry, obs: Mapping[str, Any], out: Output, segment: Tensor) -> Tensor:
        """See `Target`: the errors of the episodes that ended with the segment before."""
        return self._errors(self._memory["returns"], self._memory["known"])

    def moved_on(self, carry: Carry, segment: Tensor, right: Tensor, done: Tensor) -> None:
        """See `Target`."""
        c = self._config
        slots = torch.arange(c.num_envs, device=self._device)
        features = self._memory["features"].clone()  # the graph of the last loss may still hold it
        features[slots, segment - 1] = carry.z_h[:, 0].float()
        # From segment s to the halting on segment T: gamma^(T - s) of the reward, and the cost of each step.
        left = segment[:, None] - torch.arange(1, c.max_segments + 1, device=self._device)  # (B, M)
        steps = left.clamp_min(0)
        paid = c.segment_cost * (steps if c.gamma == 1 else (1 - c.gamma**steps) / (1 - c.gamma))
        returns = (right[:, None] * c.gamma**steps - paid).clamp_min(0.0)
        self._memory = {"features": features, "returns": returns, "known": done[:, None] & (left > 0)}


def make_target(config: Config, head: nn.Module, forward: Forward, averaged: Forward) -> Target | None:
    """What `config` asks for; None where the value of continuing is not learned.

    Args:
        config: the run's.
        head: of the network that learns.
        forward: that network.
        averaged: the target network, where one is asked for.
    """
    device = torch.device(config.device)
    if config.halting != "q_learning":
        return None
    if config.halt_target == "extra_pass":
        return ExtraPass(config, device, averaged if config.target_network else forward)
    return (NextSegment if config.halt_target == "next_segment" else MonteCarlo)(config, device, head)
