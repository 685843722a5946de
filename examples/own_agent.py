"""An agent of your own, outside the package: a convolutional GRU whose state is a dictionary.

    hrm-gym train --env MazeSmall-v0 --agent examples.own_agent:conv_gru --max-minutes 10
    hrm-gym play --env MazeSmall-v0 --agent examples.own_agent:conv_gru --checkpoint runs/MazeSmall-v0-conv_gru-seed0

Importing this file registers the name; nothing in the package knows of it. docs/own_agents.md walks through it.
"""

import dataclasses

import torch
import torch.nn.functional as F
from torch import nn

from hrm_gym.agents import Agent, Output, number, register_agent

register_agent("conv_gru", "examples.own_agent:ConvGRU")


@dataclasses.dataclass
class ConvGRUConfig:
    """Options of `conv_gru`; they appear in `hrm-gym train --agent examples.own_agent:conv_gru --help`."""

    width: int = number(32, least=1)
    """Features a cell."""
    updates: int = number(6, least=1, most=256)
    """Updates of every cell in a segment."""


class ConvGRU(Agent):
    """Every cell is a gated recurrent unit that sees its token and its eight neighbours."""

    Config = ConvGRUConfig
    run_defaults = {"lr": 1e-3, "weight_decay": 0.1, "loss": "softmax"}  # noqa: RUF012

    def __init__(self, config, spec):
        super().__init__(config, spec)
        self.num_features = config.width
        self.embed = nn.Embedding(spec.num_tokens, config.width)
        self.gates = nn.Conv2d(2 * config.width, 2 * config.width, 3, padding=1)
        self.candidate = nn.Conv2d(2 * config.width, config.width, 3, padding=1)
        self.answer = nn.Linear(config.width, spec.num_tokens)

    def initial_state(self, num):
        """Cells (num, width, rows, columns), and the number of segments thought, (num,)."""
        device = self.embed.weight.device
        cells = torch.zeros(num, self.config.width, *self.spec.shape, device=device)
        return {"cells": cells, "thought": torch.zeros(num, dtype=torch.long, device=device)}

    def forward(self, state, obs):
        """One segment."""
        cells = state["cells"]
        x = self.embed(obs["puzzle"]).unflatten(1, self.spec.shape).permute(0, 3, 1, 2)  # (B, width, rows, columns)
        for _ in range(self.config.updates):
            keep, read = self.gates(torch.cat((cells, x), dim=1)).sigmoid().chunk(2, dim=1)
            new = self.candidate(torch.cat((read * cells, x), dim=1)).tanh()
            cells = keep * cells + (1 - keep) * new
        features = cells.flatten(2).transpose(1, 2)  # (B, L, width)
        state = {"cells": cells, "thought": state["thought"] + 1}
        return state, Output(self.answer(F.relu(features)), features.mean(1))

    def tensors(self, state):
        """What analyses look at: (B, L, width), features last."""
        return {"cells": state["cells"].flatten(2).transpose(1, 2)}
