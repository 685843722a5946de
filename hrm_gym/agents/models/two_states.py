"""The state of the recursive models: two vectors per position (HRM, arXiv 2506.21734).

The answer is read from the slow state, z_H; the fast state is z_L. How they are refined (`hrm`, `trm`) is independent
of what a position is (a cell, or a symbol in a cell).
"""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor
from torch._higher_order_ops import while_loop

from hrm_gym.agents.agent import Agent, TaskSpec
from hrm_gym.agents.models.layers import truncated_normal_
from hrm_gym.options import Options, share

STAGES = 3
"""Number of stages in which recursion grows."""

Gradient = Literal["one_step", "last_cycle"]
"""How far the gradient reaches back: through the last call of each module, or through the last cycle of H."""


@dataclasses.dataclass(frozen=True)
class Growing(Options):
    """How recursion grows in training."""

    growth: float = share(0.0)
    """Share of the budget during which recursion grows, in equal stages: one third of the cycles, two thirds, all (as
    in CGAR, arXiv 2511.08653). 0: all cycles from the start. A loaded agent always has all."""


class Carry(NamedTuple):
    """The state between segments: both of shape (B, S, D), with S positions."""

    z_h: Tensor
    z_l: Tensor


class TwoStates(Agent, abc.ABC):
    """An agent with two states of `config.hidden_size` features per position."""

    h_init: Tensor
    l_init: Tensor

    def __init__(self, config: Any, spec: TaskSpec) -> None:
        super().__init__(config, spec)
        size = self.num_features = config.hidden_size
        # Initial states are random but fixed: buffers, not parameters.
        self.register_buffer("h_init", truncated_normal_(torch.empty(size), 1.0))
        self.register_buffer("l_init", truncated_normal_(torch.empty(size), 1.0))

    @property
    @abc.abstractmethod
    def num_positions(self) -> int:
        """S, the number of positions."""

    @abc.abstractmethod
    def module(self, num_layers: int) -> Any:
        """A recurrent network with this many blocks, called with a state, the injected input and the context."""

    @abc.abstractmethod
    def think(self, z_h: Tensor, z_l: Tensor, x: Tensor, context: Any) -> tuple[Tensor, Tensor]:
        """One segment: the new states from the old ones and the embedded puzzle, each (B, S, D).

        The architecture defines how far the gradient reaches back; the rest runs without a graph. `context` holds
        further inputs of the networks.
        """

    def initial_state(self, num: int) -> Carry:
        """See `Agent`."""
        shape = (num, self.num_positions, self.config.hidden_size)
        return Carry(*(init.to(self.dtype).expand(shape).contiguous() for init in (self.h_init, self.l_init)))


def looped(
    times: int, step: Callable[..., tuple[Tensor, Tensor]], states: tuple[Tensor, Tensor]
) -> tuple[Tensor, Tensor]:
    """Apply `step(number, *states)` this many times, as a loop of the exported graph instead of copies."""
    if times == 1:
        return step(torch.tensor(0), *states)

    def body(number: Tensor, *now: Tensor) -> tuple[Tensor, ...]:
        return number + 1, *step(number, *now)

    _, z_h, z_l = while_loop(lambda number, *now: number < times, body, (torch.tensor(0), *states))
    return z_h, z_l


class Cyclic(TwoStates, abc.ABC):
    """Two states refined in `h_cycles` times `l_cycles` cycles; training may start with fewer."""

    growth_option = "growth"

    def __init__(self, config: Any, spec: TaskSpec) -> None:
        super().__init__(config, spec)
        self.cycles: tuple[int, int] = config.h_cycles, config.l_cycles
        """Current number of refinements of the slow state per segment, and of the fast state for each of them."""

    def grow(self, progress: float) -> bool:
        """See `Agent`."""
        c, before = self.config, self.cycles
        stage = min(STAGES, 1 + int((STAGES - 1) * progress / c.growth)) if c.growth else STAGES
        self.cycles = -(-c.h_cycles * stage // STAGES), -(-c.l_cycles * stage // STAGES)
        return self.cycles != before

    @abc.abstractmethod
    def slow_and_fast(self) -> tuple[Any, Any]:
        """The slow module H and the fast module L, which may be one."""

    def think(self, z_h: Tensor, z_l: Tensor, x: Tensor, context: Any) -> tuple[Tensor, Tensor]:
        """See `TwoStates.think`."""
        if torch.compiler.is_exporting():
            return self._think_in_a_loop(z_h, z_l, x, context)
        slow, fast = self.slow_and_fast()
        h_cycles, l_cycles = self.cycles
        with_gradient = 1 if self.config.gradient == "one_step" else l_cycles  # calls of L in the last cycle of H
        with torch.no_grad():
            for cycle in range(h_cycles):
                last = cycle == h_cycles - 1
                for _ in range(l_cycles - with_gradient if last else l_cycles):
                    z_l = fast(z_l, z_h + x, context)
                if not last:
                    z_h = slow(z_h, z_l, context)
        for _ in range(with_gradient):
            z_l = fast(z_l, z_h + x, context)
        z_h = slow(z_h, z_l, context)
        return z_h, z_l

    def _think_in_a_loop(self, z_h: Tensor, z_l: Tensor, x: Tensor, context: Any) -> tuple[Tensor, Tensor]:
        """The same for an exported graph, with one copy of a shared network, or one of H and `l_cycles` of L."""
        slow, fast = self.slow_and_fast()
        h_cycles, l_cycles = self.cycles

        def call(number: Tensor, z_h: Tensor, z_l: Tensor) -> tuple[Tensor, Tensor]:
            last = number % (l_cycles + 1) == l_cycles
            new = fast(torch.where(last, z_h, z_l), torch.where(last, z_l, z_h + x), context)
            return torch.where(last, new, z_h), torch.where(last, z_l, new)

        def cycle(number: Tensor, z_h: Tensor, z_l: Tensor) -> tuple[Tensor, Tensor]:
            for _ in range(l_cycles):
                z_l = fast(z_l, z_h + x, context)
            return slow(z_h, z_l, context), z_l

        if slow is fast:
            return looped(h_cycles * (l_cycles + 1), call, (z_h, z_l))
        return looped(h_cycles, cycle, (z_h, z_l))
