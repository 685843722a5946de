"""The Hierarchical Reasoning Model (arXiv 2506.21734): a slow module H and a fast module L.

In a segment, L runs `l_cycles` times for each of the `h_cycles` steps of H. L receives H's state and the puzzle, H
receives L's state, both by addition. There is no backpropagation through time. `gradient="one_step"` differentiates
only the last call of each module (the paper's one-step approximation of the gradient at the fixed point).
`gradient="last_cycle"` differentiates the whole last cycle of H: a step costs more and teaches far more.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import torch
from torch import Tensor, nn

from hrm_gym.agents.agent import TaskSpec
from hrm_gym.agents.models.board import BoardAgent
from hrm_gym.agents.models.layers import Blocks
from hrm_gym.agents.models.two_states import Cyclic, Gradient, Growing
from hrm_gym.errors import HrmGymError
from hrm_gym.options import CYCLES, depth, number


@dataclasses.dataclass(frozen=True)
class Cycles(Growing):
    """Depth of the recursion of two modules."""

    h_layers: int = depth(2)
    """Number of blocks in the slow module H."""
    l_layers: int = depth(2)
    """Number of blocks in the fast module L."""
    h_cycles: int = depth(2, most=CYCLES)
    """Steps of H per segment."""
    l_cycles: int = depth(2, most=CYCLES)
    """Steps of L per step of H."""
    gradient: Gradient = "one_step"
    """How far to backpropagate. `one_step`: through the last call of each module (as in the paper). `last_cycle`:
    through the last cycle of H."""


@dataclasses.dataclass(frozen=True)
class HRMConfig(Cycles, Blocks):
    """Options of `hrm`."""

    h_dimensions: int = number(0, least=0)
    """Project the state of H onto a random subspace with this many dimensions, at every position; 0: no projection.
    An experiment that the paper leaves open."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.h_dimensions > self.hidden_size:
            raise HrmGymError(
                f"h_dimensions is {self.h_dimensions}: the state has {self.hidden_size} (hidden_size), give no more"
            )


class Held(nn.Module):
    """A recurrent module whose state stays in a subspace: each new state is projected onto it.

    The subspace is drawn once at random and saved with the weights. It is not learned, so it adds no parameters. It
    favours no single feature, which matters if positions are mixed feature by feature. The module and its readers learn
    to use it.

    Args:
        net: the module; maps a state (B, S, D) and further arguments to the next state.
        size: D.
        dimensions: dimension of the subspace, at most D.
    """

    basis: Tensor

    def __init__(self, net: nn.Module, size: int, dimensions: int) -> None:
        super().__init__()
        self.net = net
        self.register_buffer("basis", torch.linalg.qr(torch.randn(size, dimensions)).Q.contiguous())

    def hold(self, state: Tensor) -> Tensor:
        """Project onto the subspace, (..., D)."""
        basis = self.basis.to(state.dtype)
        return state @ basis @ basis.T

    def forward(self, state: Tensor, *rest: Any) -> Tensor:
        """The next state, projected, (B, S, D)."""
        return self.hold(self.net(state, *rest))


class TwoModules(Cyclic):
    """A segment of HRM, for any kind of position. List it before the base class that reads the board."""

    halting = "q_learning"

    def __init__(self, config: Any, spec: TaskSpec) -> None:
        super().__init__(config, spec)
        self.h_net = self.module(config.h_layers)
        self.l_net = self.module(config.l_layers)

    def slow_and_fast(self) -> tuple[Any, Any]:
        """See `Cyclic`."""
        return self.h_net, self.l_net


class HRM(TwoModules, BoardAgent):
    """Hierarchical Reasoning Model: a slow and a fast module, each with its own weights (arXiv 2506.21734)."""

    Config = HRMConfig

    def __init__(self, config: HRMConfig, spec: TaskSpec) -> None:
        super().__init__(config, spec)
        if config.h_dimensions:
            self.h_net = Held(self.h_net, config.hidden_size, config.h_dimensions)
            self.h_init.copy_(self.h_net.hold(self.h_init))
