"""A controller with a memory that reads a board cell by cell: the common part of `ntm` and `dnc`.

An LSTM receives a cell and the last vectors read from memory; its output controls the heads. A segment scans the board
twice: once to read it, once to answer each cell. With `read_first=False` it answers while reading, as in the papers'
sequence tasks; this suffices if answers depend only on earlier cells.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from hrm_gym.agents.agent import Agent, Output, TaskSpec
from hrm_gym.agents.models.reading import Reader, same_symbols
from hrm_gym.options import Options, number

EMPTY = 1e-6
"""Initial memory: a small constant makes training fast and stable (Collier and Beel, arXiv 1807.08518)."""


@dataclasses.dataclass(frozen=True)
class ScanConfig(Options):
    """Options of agents with a memory."""

    width: int = number(32, least=1)
    """Features of a cell's embedding."""
    controller: int = number(96, least=1)
    """Features of the LSTM."""
    slots: int = number(32, least=3, most=512)
    """Number of places in the memory, N."""
    word: int = number(24, least=1)
    """Features per place, M."""
    read_heads: int = number(1, least=1)
    """Number of read heads."""
    read_first: bool = True
    """Read the whole board before the first answer."""


class Memory(nn.Module):
    """A differentiable memory and its heads.

    Args:
        config: sizes.
        num_signals: number of control signals from the controller to the heads.
    """

    def __init__(self, config: Any, num_signals: int) -> None:
        super().__init__()
        self.config = config
        self.heads = nn.Linear(config.controller, num_signals)

    def initial_state(self, num: int) -> dict[str, Tensor]:
        """An empty memory for `num` slots."""
        return {"words": self.heads.weight.new_full((num, self.config.slots, self.config.word), EMPTY)}

    def forward(self, state: dict[str, Tensor], controller: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """Write, then read: next state and read vectors, (B, heads, M), from the controller's output, (B, C)."""
        raise NotImplementedError


class ScanAgent(Agent):
    """An LSTM with a memory that scans the board cell by cell. See `Agent`."""

    Config = ScanConfig
    run_defaults = {  # noqa: RUF012 (as in Agent)
        **{"lr": 3e-3, "weight_decay": 0.0, "beta2": 0.99, "loss": "softmax", "clip": 1.0, "ema": 0.99},
    }

    memory: Memory

    def __init__(self, config: Any, spec: TaskSpec) -> None:
        super().__init__(config, spec)
        read = config.read_heads * config.word
        self.num_features = config.controller + read
        self.read = Reader(spec, config.width)
        self.answering = nn.Parameter(0.1 * torch.randn(config.width))  # added to cells in the answering scan
        self.lstm = nn.LSTMCell(config.width + read, config.controller)
        self.answer = nn.Linear(self.num_features, spec.num_tokens)

    @classmethod
    def fits(cls, trained: TaskSpec, now: TaskSpec) -> bool:
        """On boards of every size with the same symbols."""
        return same_symbols(trained, now)

    def initial_state(self, num: int) -> dict[str, Any]:
        """The controller's hidden and cell state (num, C), the read vectors (num, heads, M), and the memory."""
        config, weight = self.config, self.answer.weight
        return {
            "hidden": weight.new_zeros(num, config.controller),
            "cell": weight.new_zeros(num, config.controller),
            "read": weight.new_zeros(num, config.read_heads, config.word),
            "memory": self.memory.initial_state(num),
        }

    def forward(self, state: Any, obs: Mapping[str, Tensor]) -> tuple[Any, Output]:
        """See `Agent`."""
        x = self.read(obs)  # (B, L, width)
        answering = x + self.answering
        steps = [*(x.unbind(1) if self.config.read_first else ()), *answering.unbind(1)]
        hidden, cell, read, memory = state["hidden"], state["cell"], state["read"], state["memory"]
        said = []
        for x_t in steps:
            hidden, cell = self.lstm(torch.cat((x_t, read.flatten(1)), dim=1), (hidden, cell))
            memory, read = self.memory(memory, hidden)
            said.append(torch.cat((hidden, read.flatten(1)), dim=1))
        features = torch.stack(said[-self.spec.num_cells :], dim=1)  # (B, L, F)
        state = {"hidden": hidden, "cell": cell, "read": read, "memory": memory}
        return state, Output(self.answer(features), features.mean(1))


def by_content(words: Tensor, keys: Tensor, strength: Tensor) -> Tensor:
    """Attention over places by the similarity of word and key: (B, N, M), (B, H, M), (B, H) -> (B, H, N).

    The softmax of `strength` times the cosine similarity.
    """
    words = words / (words.square().sum(-1, keepdim=True) + EMPTY).sqrt()
    keys = keys / (keys.square().sum(-1, keepdim=True) + EMPTY).sqrt()
    return (strength[..., None] * keys @ words.transpose(1, 2)).softmax(-1)
