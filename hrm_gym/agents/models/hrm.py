"""The Hierarchical Reasoning Model (arXiv 2506.21734): a slow module H and a fast module L.

In a segment, L runs `l_cycles` times for each of the `h_cycles` steps of H. L is fed H's state and the puzzle,
H is fed L's state, both by addition. No backpropagation through time: with `gradient="one_step"` only the last
call of each module is differentiated (the paper's one-step approximation of the gradient at the fixed point);
with `"last_cycle"` the whole last cycle of H is, which costs more a step and learns far more from it.
"""

from __future__ import annotations

import dataclasses
from typing import Any, Literal

import torch
from torch import Tensor, nn

from hrm_gym.agents.agent import TaskSpec
from hrm_gym.agents.models.board import BoardAgent
from hrm_gym.agents.models.layers import Blocks
from hrm_gym.agents.models.two_states import Cyclic, Growing
from hrm_gym.errors import HrmGymError
from hrm_gym.options import CYCLES, depth, number


@dataclasses.dataclass(frozen=True)
class Cycles(Growing):
    """How long two modules think."""

    h_layers: int = depth(2)
    """Blocks in the slow module H."""
    l_layers: int = depth(2)
    """Blocks in the fast module L."""
    h_cycles: int = depth(2, most=CYCLES)
    """Steps of H a segment."""
    l_cycles: int = depth(2, most=CYCLES)
    """Steps of L for each step of H."""
    gradient: Literal["one_step", "last_cycle"] = "one_step"
    """What is differentiated: the last call of each module (the paper), or the whole last cycle of H."""


@dataclasses.dataclass(frozen=True)
class HRMConfig(Cycles, Blocks):
    """Options of `hrm`."""

    h_dimensions: int = number(0, least=0)
    """Dimensions of the hidden size in which the state of H is held, at every position; 0: all of them.
    The experiment that the paper leaves open; see `Held`."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.h_dimensions > self.hidden_size:
            raise HrmGymError(
                f"h_dimensions is {self.h_dimensions}: the state has {self.hidden_size} (hidden_size), give no more"
            )


class Held(nn.Module):
    """A recurrent module whose state stays in a subspace: each state that it gives is projected onto it.

    The subspace is drawn at random once and kept with the weights. It is not learned, so holding a state adds no
    parameters, and no single feature is favoured, which matters where positions are mixed feature by feature. What the
    module and its readers make of the subspace they learn.

    Args:
        net: the module: called with a state (B, S, D) and whatever else it needs, gives the next one.
        size: D.
        dimensions: of the subspace, at most D.
    """

    basis: Tensor

    def __init__(self, net: nn.Module, size: int, dimensions: int) -> None:
        super().__init__()
        self.net = net
        self.register_buffer("basis", torch.linalg.qr(torch.randn(size, dimensions)).Q.contiguous())

    def hold(self, state: Tensor) -> Tensor:
        """The nearest point in the subspace, (..., D)."""
        basis = self.basis.to(state.dtype)
        return state @ basis @ basis.T

    def forward(self, state: Tensor, *rest: Any) -> Tensor:
        """The next state, (B, S, D), held."""
        return self.hold(self.net(state, *rest))


class TwoModules(Cyclic):
    """How HRM thinks, whatever its positions are; goes before the class that reads the board."""

    halting = "q_learning"

    def __init__(self, config: Any, spec: TaskSpec) -> None:
        super().__init__(config, spec)
        self.h_net = self.module(config.h_layers)
        self.l_net = self.module(config.l_layers)

    def think(self, z_h: Tensor, z_l: Tensor, x: Tensor, context: Any) -> tuple[Tensor, Tensor]:
        """See `TwoStates.think`."""
        h_cycles, l_cycles = self.cycles
        with_gradient = 1 if self.config.gradient == "one_step" else l_cycles  # calls of L in the last cycle of H
        with torch.no_grad():
            for cycle in range(h_cycles):
                last = cycle == h_cycles - 1
                for _ in range(l_cycles - with_gradient if last else l_cycles):
                    z_l = self.l_net(z_l, z_h + x, context)
                if not last:
                    z_h = self.h_net(z_h, z_l, context)
        for _ in range(with_gradient):
            z_l = self.l_net(z_l, z_h + x, context)
        z_h = self.h_net(z_h, z_l, context)
        return z_h, z_l


class HRM(TwoModules, BoardAgent):
    """Hierarchical Reasoning Model: a slow and a fast module, each with its own weights (arXiv 2506.21734)."""

    Config = HRMConfig

    def __init__(self, config: HRMConfig, spec: TaskSpec) -> None:
        super().__init__(config, spec)
        if config.h_dimensions:
            self.h_net = Held(self.h_net, config.hidden_size, config.h_dimensions)
            self.h_init.copy_(self.h_net.hold(self.h_init))
