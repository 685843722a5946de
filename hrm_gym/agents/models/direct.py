"""The baseline that does not think: a plain stack of blocks that answers in one pass.

It has the blocks, embeddings, heads and losses of the others, and as many blocks as both modules of HRM together;
only the recurrence is gone. Nothing is carried from segment to segment, so every segment gives the same answer.
HRM (arXiv 2506.21734, section "Results", "Direct pred") compares itself with such a transformer, which solves none
of the hard Sudokus.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from hrm_gym.agents.agent import TaskSpec
from hrm_gym.agents.models.board import BoardAgent
from hrm_gym.agents.models.layers import Blocks
from hrm_gym.options import depth


@dataclasses.dataclass(frozen=True)
class DirectConfig(Blocks):
    """Options of `direct`."""

    layers: int = depth(4)
    """Blocks."""


class Direct(BoardAgent):
    """One pass through a stack of blocks: the baseline without recurrence."""

    Config = DirectConfig
    # A second segment would give the first one's answer again; the slots rather take fresh puzzles.
    run_defaults = {"max_segments": 1}  # noqa: RUF012 (as in Agent)

    def __init__(self, config: Any, spec: TaskSpec) -> None:
        super().__init__(config, spec)
        self.net = self.module(config.layers)

    def think(self, z_h: Tensor, z_l: Tensor, x: Tensor, context: Any) -> tuple[Tensor, Tensor]:
        """See `TwoStates.think`. Neither carried state is read; the slow one becomes what the heads read."""
        # The initial state stands where the others have the carried one: without it, the positions before the
        # board would be zero, and a gate keeps zero at zero.
        return self.net(self.h_init.to(x.dtype), x, context), z_l

    def layers(self) -> Sequence[nn.Module]:
        """See `Agent`."""
        return list(self.net.layers)
