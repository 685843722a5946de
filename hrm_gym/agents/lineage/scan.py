"""A controller that reads a board cell by cell and has a memory beside it: what `ntm` and `dnc` have in common.

An LSTM gets a cell and what was read from the memory at the step before; what it says moves the heads. A segment
goes over the board twice: once to read it, once to write the answer of each cell. With `read_first=False` it
answers while it reads, which is how the papers' sequence tasks are set, and suffices where an answer depends on
earlier cells alone.
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
"""What an empty memory holds: a small constant makes learning fast and steady (Collier and Beel, arXiv 1807.08518)."""


@dataclasses.dataclass(frozen=True)
class ScanConfig(Options):
    """Options of agents with a memory."""

    width: int = number(32, least=1)
    """Features of a cell that is read."""
    controller: int = number(96, least=1)
    """Features of the LSTM."""
    slots: int = number(32, least=3, most=512)
    """Places of the memory, N."""
    word: int = number(24, least=1)
    """Features of a place, M."""
    read_heads: int = number(1, least=1)
    """Places that are read at every step."""
    read_first: bool = True
    """Whether the board is read to its end before the first answer."""


class Memory(nn.Module):
    """A differentiable memory and its heads.

    Args:
        config: sizes.
        num_signals: features that the controller tells the heads by.
    """

    def __init__(self, config: Any, num_signals: int) -> None:
        super().__init__()
        self.config = config
        self.heads = nn.Linear(config.controller, num_signals)

    def initial_state(self, num: int) -> dict[str, Tensor]:
        """An empty memory of `num` slots of the batch."""
        return {"words": self.heads.weight.new_full((num, self.config.slots, self.config.word), EMPTY)}

    def forward(self, state: dict[str, Tensor], controller: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """Write and read: the next state and what was read, (B, heads, M), from the controller's output, (B, C)."""
        raise NotImplementedError


class ScanAgent(Agent):
    """An LSTM with a memory that goes over the board cell by cell. See `Agent`."""

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
        self.answering = nn.Parameter(0.1 * torch.randn(config.width))  # added to cells that are to be answered
        self.lstm = nn.LSTMCell(config.width + read, config.controller)
        self.answer = nn.Linear(self.num_features, spec.num_tokens)

    @classmethod
    def fits(cls, trained: TaskSpec, now: TaskSpec) -> bool:
        """On boards of every size with the same symbols."""
        return same_symbols(trained, now)

    def initial_state(self, num: int) -> dict[str, Any]:
        """Of the controller, hidden state and memory (num, C) and what was read (num, heads, M); and the memory."""
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
    """Weights over the places by the similarity of their words with a key: (B, N, M), (B, H, M), (B, H) -> (B, H, N).

    The softmax of `strength` times the cosine.
    """
    words = words / (words.square().sum(-1, keepdim=True) + EMPTY).sqrt()
    keys = keys / (keys.square().sum(-1, keepdim=True) + EMPTY).sqrt()
    return (strength[..., None] * keys @ words.transpose(1, 2)).softmax(-1)
