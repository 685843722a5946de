"""A plain recurrent network as the baseline of the lineage: a gated recurrent unit per cell (Cho et al., 1406.1078).

Idea: apply a recurrent cell repeatedly and nothing else. Any gain that a system of the lineage claims for its structure
must show against this baseline under the same budget.

    message = mix(state)                       (positions exchange information, as in the blocks of `hrm` and `trm`)
    state   = GRU(input = [puzzle, message], state)          `updates` times a segment

Carried: the state of the unit at every position, (B, P + L, D).

Faithful: the textbook's unit with reset and update gates; the gradient runs through all updates of a segment. Adapted:
a unit alone sees one cell and could solve no board, so the states of all positions are mixed before each update: over
positions (the default), by attention, or with neighbours. With this mixing it is close to TRM with a single state.

Known failure: saturated units are slow to correct errors, and on boards that need many segments it falls behind the
normalised blocks.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from hrm_gym.agents.agent import Output, TaskSpec
from hrm_gym.agents.models.board import Board
from hrm_gym.agents.models.layers import Blocks, Mixing
from hrm_gym.options import depth


@dataclasses.dataclass(frozen=True)
class GRUConfig(Blocks):
    """Options of `gru`."""

    updates: int = depth(4)
    """Updates of every position in a segment."""


class GRU(Board):
    """A plain recurrent network, the baseline: one gated recurrent unit per cell, mixed over the board."""

    Config = GRUConfig
    run_defaults = {"weight_decay": 0.1}  # noqa: RUF012 (as in Agent)

    def __init__(self, config: Any, spec: TaskSpec) -> None:
        super().__init__(config, spec)
        self.mixing = Mixing(config, spec.shape)
        self.cell = nn.GRUCell(2 * config.hidden_size, config.hidden_size)

    def initial_state(self, num: int) -> Tensor:
        """See `Agent`: zeros, (num, P + L, D)."""
        return torch.zeros(num, self.num_positions, self.config.hidden_size, device=self.cell.weight_hh.device)

    def forward(self, state: Tensor, obs: Mapping[str, Tensor]) -> tuple[Tensor, Output]:
        """See `Agent`. The unit computes in float32."""
        x = self.embed(obs).float()
        for _ in range(self.config.updates):
            message = self.mixing(state + x, self.rotary)
            read = torch.cat((x, message), dim=-1).flatten(0, 1)  # (B * S, 2 D)
            state = self.cell(read, state.flatten(0, 1)).view_as(x)
        return state, self.answer(state)
