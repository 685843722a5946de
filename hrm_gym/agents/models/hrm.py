"""The Hierarchical Reasoning Model (arXiv 2506.21734): a slow module H and a fast module L.

In a segment, L runs `l_cycles` times for each of the `h_cycles` steps of H. L is fed H's state and the puzzle,
H is fed L's state, both by addition. No backpropagation through time: with `gradient="one_step"` only the last
call of each module is differentiated (the paper's one-step approximation of the gradient at the fixed point);
with `"last_cycle"` the whole last cycle of H is, which costs more a step and learns far more from it.
"""

from __future__ import annotations

import torch
from torch import Tensor

from hrm_gym.agents.models.reasoner import Reasoner
from hrm_gym.agents.training.config import Config


class HRM(Reasoner):
    """Two recurrent modules with weights of their own (section "Hierarchical Reasoning Model")."""

    def __init__(self, config: Config, num_tokens: int, shape: tuple[int, int]):
        super().__init__(config, num_tokens, shape)
        self.h_net = self.module(config.h_layers)
        self.l_net = self.module(config.l_layers)

    def think(self, z_h: Tensor, z_l: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """See `Reasoner.think`."""
        c = self.config
        with_gradient = 1 if c.gradient == "one_step" else c.l_cycles  # calls of L in the last cycle of H
        with torch.no_grad():
            for cycle in range(c.h_cycles):
                last = cycle == c.h_cycles - 1
                for _ in range(c.l_cycles - with_gradient if last else c.l_cycles):
                    z_l = self.l_net(z_l, z_h + x, self.rotary)
                if not last:
                    z_h = self.h_net(z_h, z_l, self.rotary)
        for _ in range(with_gradient):
            z_l = self.l_net(z_l, z_h + x, self.rotary)
        z_h = self.h_net(z_h, z_l, self.rotary)
        return z_h, z_l
