"""Recurrent relational networks (Palm, Paquet and Winther, arXiv 1711.08028): cells that send messages to each other.

Idea: every cell is a node with a state. At each step it sends a message to each cell that shares a rule with it, sums
the messages that it receives, and updates its state with an LSTM. The graph is given; the messages are learned.

    message[i, j]    = MLP(h_i, h_j)      for every joined pair
    received[j, k]   = sum of message[i, j] over the i joined with j by a rule of kind k
    h_j, c_j         = LSTM(MLP(x_j, received[j]), (h_j, c_j))
    answer[j]        = W h_j

Faithful: the graph (cells of a Sudoku that share a row, column or box), messages from an MLP on pairs, their sum, and
an LSTM that reads the puzzle at every step. The last layer of the MLP is linear, so it is applied after the sum; the
first is split into a sender's and a receiver's part, each computed once per node. This is the same function for less
work.

Adapted: the MLP on pairs has two layers, the paper's three; the third would take most of the time. The messages of
rows, columns and boxes are summed apart, where the paper gives each cell its row and column as inputs; here the network
knows only the graph, so its weights work on boards of every size. The paper trains through all 32 steps, with a loss
after each. Here a segment has `steps` of them with one loss at its end, the gradient stays within the segment, and the
state is carried. The graph comes from the family: all pairs in a group (`groups`), else neighbours (`links`).

Added: nodes may be candidates (cell, symbol), with the same weights for each symbol (`nodes="candidates"`). The network
then need not learn the same rule for each digit, and learns Sudokus many times faster (`docs/lineage/rrn.md`).

Known failures: weak on the hardest Sudokus, with any number of steps. Links have no direction, so it cannot distinguish
left from right.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn

from hrm_gym.agents.agent import Agent, Output, TaskSpec
from hrm_gym.agents.lineage.messages import is_joined, received
from hrm_gym.agents.lineage.rrn_nodes import NODES
from hrm_gym.agents.models.reading import same_symbols
from hrm_gym.options import Options, depth, number


@dataclasses.dataclass(frozen=True)
class RRNConfig(Options):
    """Options of `rrn`."""

    width: int = number(64, least=1)
    """Features per cell and per message (the paper: 96)."""
    steps: int = depth(4)
    """Message-passing steps per segment."""
    nodes: Literal["cells", "candidates"] = "cells"
    """What exchanges messages. `cells`: the cells of the board, as in the paper. `candidates`: the pairs (cell, symbol)
    of a puzzle with groups, with the same weights for each symbol; those of one cell are a group, too."""


class RRN(Agent):
    """Recurrent relational network: cells that share a rule exchange messages (arXiv 1711.08028).

    Raises:
        HrmGymError: if the family has neither groups nor links.
    """

    Config = RRNConfig
    run_defaults = {"lr": 2e-3, "weight_decay": 0.01, "loss": "softmax", "clip": 1.0, "ema": 0.99}  # noqa: RUF012

    def __init__(self, config: Any, spec: TaskSpec) -> None:
        super().__init__(config, spec)
        size = config.width
        self.num_features = size
        self.nodes = NODES[config.nodes](spec, size)
        for kind, groups in enumerate(self.nodes.groups):
            self.register_buffer(f"groups_{kind}", torch.as_tensor(groups), persistent=False)  # (G, n)
        self.read = nn.Sequential(nn.Linear(size, size), nn.ReLU(), nn.Linear(size, size))
        self.from_sender = nn.Linear(size, size)
        self.from_receiver = nn.Linear(size, size, bias=False)
        self.received = nn.Linear(len(self.nodes.groups) * size, size)
        self.update = nn.Sequential(nn.Linear(2 * size, size), nn.ReLU(), nn.Linear(size, size))
        self.lstm = nn.LSTMCell(size, size)

    @classmethod
    def fits(cls, trained: TaskSpec, now: TaskSpec) -> bool:
        """On boards of every size with the same symbols: the weights know only the graph."""
        return same_symbols(trained, now) and is_joined(now)

    def initial_state(self, num: int) -> dict[str, Tensor]:
        """Hidden and memory state of the N nodes, (num, N, width) each."""
        zeros = self.lstm.weight_hh.new_zeros(num, self.nodes.num, self.config.width)
        return {"hidden": zeros, "memory": zeros.clone()}

    def forward(self, state: Any, obs: Mapping[str, Tensor]) -> tuple[Any, Output]:
        """See `Agent`."""
        hidden, memory = state["hidden"], state["memory"]
        x = self.read(self.nodes(obs))  # (B, N, width)
        for _ in range(self.config.steps):
            news = self.update(torch.cat((x, self._messages(hidden)), dim=-1))
            hidden, memory = self.lstm(news.flatten(0, 1), (hidden.flatten(0, 1), memory.flatten(0, 1)))
            hidden, memory = hidden.view_as(x), memory.view_as(x)
        return {"hidden": hidden, "memory": memory}, Output(self.nodes.answer(hidden), hidden.mean(1))

    def _messages(self, hidden: Tensor) -> Tensor:
        """The received messages of every node, (B, N, width), from states of the same shape."""
        kinds = [self.get_buffer(f"groups_{kind}") for kind in range(len(self.nodes.groups))]
        return cast(Tensor, self.received(received(self.from_sender(hidden), self.from_receiver(hidden), kinds)))
