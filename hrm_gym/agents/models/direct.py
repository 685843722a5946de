"""The baseline that does not think: a plain stack of blocks that answers in one pass.

It has the blocks, embeddings, heads and losses of the others, and `h_layers + l_layers` blocks with weights of
their own, which are as many parameters as HRM's; only the recurrence is gone. Nothing is carried from segment to
segment, so every segment gives the same answer, and depth is what the stack has. HRM (arXiv 2506.21734, section
"Results", "Direct pred") compares itself with such a transformer, which solves none of the hard Sudokus.
"""

from __future__ import annotations

from torch import Tensor

from hrm_gym.agents.models.reasoner import Reasoner
from hrm_gym.agents.training.config import Config


class Direct(Reasoner):
    """One feed-forward pass; cycles and `gradient` are not used."""

    def __init__(self, config: Config, num_tokens: int, shape: tuple[int, int]):
        super().__init__(config, num_tokens, shape)
        self.net = self.module(config.h_layers + config.l_layers)

    def think(self, z_h: Tensor, z_l: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """See `Reasoner.think`. Neither carried state is read; the slow one becomes what the heads read."""
        # The initial state stands where the others have the carried one: without it, the positions before the
        # board would be zero, and a gate keeps zero at zero.
        return self.net(self.h_init.to(x.dtype), x, self.rotary), z_l
