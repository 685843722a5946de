"""The Tiny Recursive Model (arXiv 2510.04871): one small network in both roles.

The same weights refine the latent state (fed the answer's state and the puzzle) and the answer's state (fed
the latent one). The gradient runs through the whole last cycle, and halting is a plain classifier of
correctness, so that no second forward pass is needed for a bootstrapped target.
"""

from __future__ import annotations

import torch
from torch import Tensor

from hrm_gym.agents.models.reasoner import Reasoner
from hrm_gym.agents.training.config import Config


class TRM(Reasoner):
    """One network for both states; `l_layers` blocks (`h_layers` is not used)."""

    def __init__(self, config: Config, num_tokens: int, shape: tuple[int, int]):
        super().__init__(config, num_tokens, shape)
        self.net = self.module(config.l_layers)

    def cycle(self, z_h: Tensor, z_l: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """Refine the latent state `l_cycles` times, then the answer's state once."""
        for _ in range(self.config.l_cycles):
            z_l = self.net(z_l, z_h + x, self.rotary)
        return self.net(z_h, z_l, self.rotary), z_l

    def think(self, z_h: Tensor, z_l: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """See `Reasoner.think`."""
        with torch.no_grad():
            for _ in range(self.config.h_cycles - 1):
                z_h, z_l = self.cycle(z_h, z_l, x)
        return self.cycle(z_h, z_l, x)
