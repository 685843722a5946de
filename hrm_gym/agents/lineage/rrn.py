"""Recurrent relational networks (Palm, Paquet and Winther, arXiv 1711.08028): cells that send messages to each other.

Idea: every cell is a node with a state; at each step it sends a message to each cell that a rule joins it with,
adds up what it receives, and changes its state by an LSTM. The network is given which cells are joined, and learns
what to say.

    message[i, j] = MLP(h_i, h_j)      for every joined pair
    received[j]   = sum of message[i, j] over the i joined with j
    h_j, c_j      = LSTM(MLP(x_j, received[j]), (h_j, c_j))
    answer[j]     = W h_j

Faithful: the graph (a Sudoku's cells that share a row, a column or a box), messages by three layers on pairs, their
sum, the LSTM with the puzzle read at every step. The last layer of the message's MLP is linear and so applied after
the sum, and the first is split into a sender's and a receiver's part, which is computed once a cell: the same
function, for a third of the work.

Adapted: the paper trains through all 32 steps, with a loss after each. Here a segment is `steps` of them, with the
gradient of these and a loss at its end, and the state is carried. The graph is what the family names: all pairs in
a group (`groups`), else neighbours (`links`). The paper gives each cell its row and column; here it knows nothing
but the graph, so that the weights run on boards of every size.

Known failure: weak on the hardest Sudokus, however many steps it thinks. On links that have no direction it cannot
tell left from right.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hrm_gym.agents.agent import Agent, Output, TaskSpec
from hrm_gym.agents.lineage.adjacency import linked, sharing
from hrm_gym.agents.models.reading import Reader, same_symbols
from hrm_gym.errors import HrmGymError
from hrm_gym.options import Options, depth, number


@dataclasses.dataclass(frozen=True)
class RRNConfig(Options):
    """Options of `rrn`."""

    width: int = number(64, least=1)
    """Features of a cell and of a message; the paper has 96."""
    steps: int = depth(4)
    """Message steps in a segment."""


class RRN(Agent):
    """Recurrent relational network: cells that a rule joins send each other messages (arXiv 1711.08028).

    Raises:
        HrmGymError: where the family names neither groups nor links.
    """

    Config = RRNConfig
    run_defaults = {"lr": 2e-3, "weight_decay": 0.01, "loss": "softmax", "clip": 1.0, "ema": 0.99}  # noqa: RUF012

    def __init__(self, config: Any, spec: TaskSpec) -> None:
        super().__init__(config, spec)
        size = config.width
        self.num_features = size
        senders, receivers = joined(spec)
        self.senders: Tensor
        self.receivers: Tensor
        self.degree: Tensor
        self.register_buffer("senders", torch.as_tensor(senders), persistent=False)  # (E,)
        self.register_buffer("receivers", torch.as_tensor(receivers), persistent=False)
        degree = np.bincount(receivers, minlength=spec.num_cells).astype(np.float32)
        self.register_buffer("degree", torch.as_tensor(degree[:, None]), persistent=False)  # (L, 1)
        self.read = nn.Sequential(Reader(spec, size), nn.Linear(size, size), nn.ReLU(), nn.Linear(size, size))
        self.from_sender = nn.Linear(size, size)
        self.from_receiver = nn.Linear(size, size, bias=False)
        self.message = nn.Linear(size, size)
        self.received = nn.Linear(size, size)
        self.update = nn.Sequential(nn.Linear(2 * size, size), nn.ReLU(), nn.Linear(size, size))
        self.lstm = nn.LSTMCell(size, size)
        self.answer = nn.Linear(size, spec.num_tokens)

    @classmethod
    def fits(cls, trained: TaskSpec, now: TaskSpec) -> bool:
        """On boards of every size with the same symbols: the weights know nothing but the graph."""
        return same_symbols(trained, now) and (len(now.groups) > 0 or now.links is not None)

    def initial_state(self, num: int) -> dict[str, Tensor]:
        """Hidden state and memory of the cells, (num, L, width) each."""
        zeros = self.answer.weight.new_zeros(num, self.spec.num_cells, self.config.width)
        return {"hidden": zeros, "memory": zeros.clone()}

    def forward(self, state: Any, obs: Mapping[str, Tensor]) -> tuple[Any, Output]:
        """See `Agent`."""
        hidden, memory = state["hidden"], state["memory"]
        x = self.read(obs)  # (B, L, width)
        for _ in range(self.config.steps):
            news = self.update(torch.cat((x, self._messages(hidden)), dim=-1))
            hidden, memory = self.lstm(news.flatten(0, 1), (hidden.flatten(0, 1), memory.flatten(0, 1)))
            hidden, memory = hidden.view_as(x), memory.view_as(x)
        return {"hidden": hidden, "memory": memory}, Output(self.answer(hidden), hidden.mean(1))

    def _messages(self, hidden: Tensor) -> Tensor:
        """What every cell receives, (B, L, width), from states of that shape."""
        pairs = self.from_sender(hidden)[:, self.senders] + self.from_receiver(hidden)[:, self.receivers]
        inner = F.relu(self.message(F.relu(pairs)))  # (B, E, width)
        total = torch.zeros_like(hidden).index_add(1, self.receivers, inner)
        # The linear last layer of each message, after the sum: its bias comes once for each of them.
        return F.linear(total, self.received.weight) + self.degree * self.received.bias


def joined(spec: TaskSpec) -> tuple[np.ndarray, np.ndarray]:
    """Senders and receivers, int64 (E,) each, of all ordered pairs of cells that share a group, or else are linked.

    Raises:
        HrmGymError: where there are none.
    """
    senders, receivers = (sharing(spec) if spec.groups else linked(spec)).nonzero()
    if not len(senders):
        raise HrmGymError(
            "agent 'rrn' sends messages between cells that a rule joins, and this puzzle names neither groups nor "
            "links: give the family `links`, or choose another agent"
        )
    return senders, receivers
