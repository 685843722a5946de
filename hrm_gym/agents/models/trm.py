"""The Tiny Recursive Model (arXiv 2510.04871): one small network in both roles.

The same weights refine the latent state (from the answer's state and the puzzle) and the answer's state (from the
latent state). By default the gradient runs through the whole last cycle. Halting is a classifier of correctness, so
training needs no second forward pass for a bootstrap target.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from hrm_gym.agents.agent import TaskSpec
from hrm_gym.agents.models.board import BoardAgent
from hrm_gym.agents.models.layers import Blocks
from hrm_gym.agents.models.two_states import Cyclic, Gradient, Growing
from hrm_gym.options import CYCLES, depth


@dataclasses.dataclass(frozen=True)
class Recursion(Growing):
    """Depth of the recursion of one network."""

    layers: int = depth(2)
    """Number of blocks in the network."""
    h_cycles: int = depth(2, most=CYCLES)
    """Refinements of the answer's state per segment."""
    l_cycles: int = depth(2, most=CYCLES)
    """Refinements of the latent state for each refinement of the answer's state."""
    gradient: Gradient = "last_cycle"
    """How far to backpropagate. `last_cycle`: through the last cycle of H (as in the paper). `one_step`: through the
    last two calls of the network, one for each state."""


@dataclasses.dataclass(frozen=True)
class TRMConfig(Recursion, Blocks):
    """Options of `trm`."""


class OneNetwork(Cyclic):
    """A segment of TRM, for any kind of position. List it before the base class that reads the board."""

    def __init__(self, config: Any, spec: TaskSpec) -> None:
        super().__init__(config, spec)
        self.net = self.module(config.layers)

    def slow_and_fast(self) -> tuple[Any, Any]:
        """See `Cyclic`."""
        return self.net, self.net


class TRM(OneNetwork, BoardAgent):
    """Tiny Recursive Model: one network for both states (arXiv 2510.04871)."""

    Config = TRMConfig
