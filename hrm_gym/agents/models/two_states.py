"""What the recursive models carry: two states of one vector a position (HRM, arXiv 2506.21734).

The answer is read from the slow state, z_H; the fast one is z_L. How they are refined (`hrm`, `trm`) and what a
position is (a cell, or a symbol in a cell) are chosen apart.
"""

from __future__ import annotations

import abc
import dataclasses
from typing import Any, NamedTuple

import torch
from torch import Tensor

from hrm_gym.agents.agent import Agent, TaskSpec
from hrm_gym.agents.models.layers import truncated_normal_
from hrm_gym.options import Options, share

STAGES = 3
"""In which recursion grows."""


@dataclasses.dataclass(frozen=True)
class Growing(Options):
    """How recursion grows in training."""

    growth: float = share(0.0)
    """Share of the budget during which recursion grows, in equal times from a third of the cycles of each kind over
    two thirds to all of them (as in CGAR, arXiv 2511.08653); 0: all from the beginning. A loaded agent has them all."""


class Carry(NamedTuple):
    """The state between segments: both of shape (B, S, D), with S positions."""

    z_h: Tensor
    z_l: Tensor


class TwoStates(Agent, abc.ABC):
    """An agent with two states of `config.hidden_size` features a position."""

    h_init: Tensor
    l_init: Tensor

    def __init__(self, config: Any, spec: TaskSpec) -> None:
        super().__init__(config, spec)
        size = self.num_features = config.hidden_size
        # The initial states are random, but fixed for the model's life: they are buffers, not parameters.
        self.register_buffer("h_init", truncated_normal_(torch.empty(size), 1.0))
        self.register_buffer("l_init", truncated_normal_(torch.empty(size), 1.0))

    @property
    @abc.abstractmethod
    def num_positions(self) -> int:
        """S, the number of positions."""

    @abc.abstractmethod
    def module(self, num_layers: int) -> Any:
        """A recurrent network of so many blocks: called with a state, what is injected into it, and the context."""

    @abc.abstractmethod
    def think(self, z_h: Tensor, z_l: Tensor, x: Tensor, context: Any) -> tuple[Tensor, Tensor]:
        """One segment: the states after all cycles from those before and the embedded puzzle, each (B, S, D).

        The gradient reaches only as far back as the architecture says; the rest runs without a graph. `context` is
        what the networks need beside them.
        """

    def initial_state(self, num: int) -> Carry:
        """See `Agent`."""
        shape = (num, self.num_positions, self.config.hidden_size)
        return Carry(*(init.to(self.dtype).expand(shape).contiguous() for init in (self.h_init, self.l_init)))


class Cyclic(TwoStates, abc.ABC):
    """Two states that are refined in cycles, `h_cycles` times `l_cycles`, of which training may begin with fewer."""

    growth_option = "growth"

    def __init__(self, config: Any, spec: TaskSpec) -> None:
        super().__init__(config, spec)
        self.cycles: tuple[int, int] = config.h_cycles, config.l_cycles
        """Refinements of the slow state a segment, and of the fast one for each of them, as they are now."""

    def grow(self, progress: float) -> bool:
        """See `Agent`."""
        c, before = self.config, self.cycles
        stage = min(STAGES, 1 + int((STAGES - 1) * progress / c.growth)) if c.growth else STAGES
        self.cycles = -(-c.h_cycles * stage // STAGES), -(-c.l_cycles * stage // STAGES)
        return self.cycles != before
