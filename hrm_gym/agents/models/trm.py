"""The Tiny Recursive Model (arXiv 2510.04871): one small network in both roles.

The same weights refine the latent state (from the answer's state and the puzzle) and the answer's state (from the
latent state). The gradient runs through the whole last cycle. Halting is a classifier of correctness, so training needs
no second forward pass for a bootstrap target.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import torch
from torch import Tensor

from hrm_gym.agents.agent import TaskSpec
from hrm_gym.agents.models.board import BoardAgent
from hrm_gym.agents.models.layers import Blocks
from hrm_gym.agents.models.two_states import Cyclic, Growing
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


@dataclasses.dataclass(frozen=True)
class TRMConfig(Recursion, Blocks):
    """Options of `trm`."""


class OneNetwork(Cyclic):
    """A segment of TRM, for any kind of position. List it before the base class that reads the board."""

    def __init__(self, config: Any, spec: TaskSpec) -> None:
        super().__init__(config, spec)
        self.net = self.module(config.layers)

    def cycle(self, z_h: Tensor, z_l: Tensor, x: Tensor, context: Any) -> tuple[Tensor, Tensor]:
        """Refine the latent state `l_cycles` times, then the answer's state once."""
        for _ in range(self.cycles[1]):
            z_l = self.net(z_l, z_h + x, context)
        return self.net(z_h, z_l, context), z_l

    def think(self, z_h: Tensor, z_l: Tensor, x: Tensor, context: Any) -> tuple[Tensor, Tensor]:
        """See `TwoStates.think`."""
        with torch.no_grad():
            for _ in range(self.cycles[0] - 1):
                z_h, z_l = self.cycle(z_h, z_l, x, context)
        return self.cycle(z_h, z_l, x, context)


class TRM(OneNetwork, BoardAgent):
    """Tiny Recursive Model: one network for both states (arXiv 2510.04871)."""

    Config = TRMConfig
