"""The baseline without recurrence: a stack of blocks that answers in one pass.

It shares blocks, embeddings, heads and losses with `hrm` and `trm`, and has as many blocks as both modules of HRM
together. It carries no state between segments, so every segment gives the same answer.
HRM (arXiv 2506.21734, section "Results", "Direct pred") reports that such a transformer solves none of the hard
Sudokus.
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
    """Number of blocks."""


class Direct(BoardAgent):
    """One pass through a stack of blocks: the baseline without recurrence."""

    Config = DirectConfig
    # A second segment would repeat the answer of the first, so slots take new puzzles instead.
    run_defaults = {"max_segments": 1}  # noqa: RUF012 (as in Agent)

    def __init__(self, config: Any, spec: TaskSpec) -> None:
        super().__init__(config, spec)
        self.net = self.module(config.layers)

    def think(self, z_h: Tensor, z_l: Tensor, x: Tensor, context: Any) -> tuple[Tensor, Tensor]:
        """See `TwoStates.think`. Both carried states are ignored; the slow state becomes the input of the heads."""
        # The initial state replaces the carried one. Without it the prefix positions would be zero, and a gate
        # maps zero to zero.
        return self.net(self.h_init.to(x.dtype), x, context), z_l

    def layers(self) -> Sequence[nn.Module]:
        """See `Agent`."""
        return list(self.net.layers)
