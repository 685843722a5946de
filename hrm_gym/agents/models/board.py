"""How agents read a board and answer: the positions are a few prefix positions, then the cells.

`Board` embeds and answers; `BoardAgent` adds the two states of `hrm`, `trm` and `direct`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from hrm_gym.agents.agent import Agent, Output, TaskSpec
from hrm_gym.agents.models.layers import Blocks, Linear, Mixing, Module, Rotary, truncated_normal_
from hrm_gym.agents.models.two_states import Carry, TwoStates
from hrm_gym.errors import HrmGymError


class Board(Agent):
    """An agent with one vector per position: embeds puzzles and reads answers from vectors. See `Agent`."""

    def __init__(self, config: Any, spec: TaskSpec) -> None:
        super().__init__(config, spec)
        if spec.num_identities and not config.prefix_tokens:
            raise HrmGymError("prefix_tokens is 0: the embedding of puzzle identities needs at least 1")
        size = self.num_features = config.hidden_size
        positions = config.prefix_tokens + spec.num_cells
        self.embed_tokens = nn.Embedding(spec.num_tokens, size)
        truncated_normal_(self.embed_tokens.weight.data, size**-0.5)
        self.embed_positions = nn.Embedding(positions, size) if config.positions == "learned" else None
        if self.embed_positions is not None:
            truncated_normal_(self.embed_positions.weight.data, size**-0.5)
        # One row per puzzle identity (ARC tasks), initially zero, placed in the first prefix position.
        # Its gradient is sparse: a batch uses few of up to a million rows.
        self.embed_puzzle = nn.Embedding(spec.num_identities, size, sparse=True) if spec.num_identities else None
        if self.embed_puzzle is not None:
            nn.init.zeros_(self.embed_puzzle.weight)
        learned = getattr(config, "learned_prefix", False) and not spec.num_identities
        self.prefix = nn.Parameter(torch.zeros(config.prefix_tokens, size)) if learned else None
        self.rotary = _rotary(config, spec.shape)
        self.lm_head = Linear(size, spec.num_tokens)

    def module(self, num_layers: int) -> Module:
        """A recurrent module of this model's width."""
        return Module(self.config, num_layers, self.spec.shape)

    @property
    def num_positions(self) -> int:
        """See `TwoStates`."""
        return self.config.prefix_tokens + self.spec.num_cells

    def embed(self, obs: Mapping[str, Tensor]) -> Tensor:
        """The embedded input, (B, P + L, D)."""
        size, prefix_tokens = self.config.hidden_size, self.config.prefix_tokens
        x = self.embed_tokens(obs["puzzle"])
        prefix = x.new_zeros(x.shape[0], prefix_tokens, size)
        if self.prefix is not None:
            prefix = self.prefix.expand(x.shape[0], -1, -1)
        if self.embed_puzzle is not None:
            row = self.embed_puzzle(obs["puzzle_id"])  # (B, D)
            prefix = torch.cat((row[:, None], prefix[:, 1:]), dim=1)
        x = torch.cat((prefix, x), dim=1)
        if self.embed_positions is not None:
            x = (x + self.embed_positions.weight) * 0.5**0.5  # keeps the variance of the sum at 1
        return (x * size**0.5).to(self.dtype)  # compensates the small initial scale of the embeddings

    def answer(self, z: Tensor, aux_loss: Tensor | None = None) -> Output:
        """The output from the vectors of all positions, (B, P + L, D)."""
        return Output(self.lm_head(z)[:, self.config.prefix_tokens :], z[:, 0], aux_loss)

    def matrices(self) -> list[nn.Parameter]:
        """See `Agent`: the matrices of the blocks."""
        blocks = [module for module in self.modules() if isinstance(module, Mixing)]
        return [p for block in blocks for p in block.parameters() if p.ndim == 2]


class BoardAgent(Board, TwoStates):
    """An agent with two states of one vector per position (HRM, arXiv 2506.21734). See `Agent`."""

    def forward(self, state: Carry, obs: Mapping[str, Tensor]) -> tuple[Carry, Output]:
        """See `Agent`."""
        z_h, z_l = self.think(*state, self.embed(obs), self.rotary)
        return Carry(z_h, z_l), self.answer(z_h)


def places(prefix: int, shape: tuple[int, int]) -> Tensor:
    """Row and column of every position, int64 (P + L, 2).

    Prefix positions lie on a diagonal outside the board, beyond its upper left corner.
    """
    board = torch.cartesian_prod(torch.arange(shape[0]), torch.arange(shape[1]))
    return torch.cat((torch.arange(-prefix, 0)[:, None].expand(prefix, 2), board))


def _rotary(config: Blocks, shape: tuple[int, int]) -> Rotary | None:
    """The rotary embedding over positions, or over rows and columns; None unless configured."""
    prefix, (rows, columns) = config.prefix_tokens, shape
    if config.positions == "rope":
        where = torch.arange(prefix + rows * columns)[:, None]
    elif config.positions == "rope2d":
        where = places(prefix, shape)
    else:
        return None
    return Rotary(where, config.hidden_size // config.num_heads)
