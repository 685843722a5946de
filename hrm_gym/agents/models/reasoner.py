"""The interface of every reasoning model, and what they share: embeddings, heads, and the carried state.

A reasoner is a recurrent policy over segments. `forward(carry, obs)` thinks for one segment and returns the
new, detached carry with the answer it would give now and the values of halting and of going on.
"""

from __future__ import annotations

import abc
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from hrm_gym.agents.models.layers import Linear, Module, Rotary, truncated_normal_
from hrm_gym.agents.training.config import Config

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


class Carry(NamedTuple):
    """The state between segments, detached: both of shape (B, P + L, D) with P prefix positions."""

    z_h: Tensor
    z_l: Tensor


class Output(NamedTuple):
    """What a segment says: logits (B, L, V), and the Q values of halting and continuing, (B,), as logits."""

    logits: Tensor
    q_halt: Tensor
    q_continue: Tensor


class Reasoner(nn.Module, abc.ABC):
    """A model that reads a puzzle and thinks in segments (HRM, arXiv 2506.21734).

    Args:
        config: sizes, cycles and options (`Config`).
        num_tokens: V, the size of the vocabulary.
        shape: rows and columns of the board, L cells together.
    """

    h_init: Tensor
    l_init: Tensor

    def __init__(self, config: Config, num_tokens: int, shape: tuple[int, int]):
        super().__init__()
        size = config.hidden_size
        self.config = config
        self.num_tokens = num_tokens
        self.shape = shape
        self.num_cells = shape[0] * shape[1]
        self.dtype = DTYPES[config.dtype]
        positions = config.prefix_tokens + self.num_cells
        self.embed_tokens = nn.Embedding(num_tokens, size)
        truncated_normal_(self.embed_tokens.weight.data, size**-0.5)
        self.embed_positions = nn.Embedding(positions, size) if config.positions == "learned" else None
        if self.embed_positions is not None:
            truncated_normal_(self.embed_positions.weight.data, size**-0.5)
        # One row a puzzle identity (ARC tasks), zero at first, spread over the prefix positions.
        # Its gradient is sparse: a batch touches few of what may be a million rows.
        self.embed_puzzle = nn.Embedding(config.num_puzzles, size, sparse=True) if config.num_puzzles else None
        if self.embed_puzzle is not None:
            nn.init.zeros_(self.embed_puzzle.weight)
        self.rotary = _rotary(config, shape)
        self.lm_head = Linear(size, num_tokens)
        # Both Q values start near zero probability, so that learning begins with long episodes.
        self.q_head = nn.Linear(size, 2)
        nn.init.zeros_(self.q_head.weight)
        nn.init.constant_(self.q_head.bias, -5.0)
        # The initial states are random, but fixed for the model's life: they are buffers, not parameters.
        self.register_buffer("h_init", truncated_normal_(torch.empty(size), 1.0))
        self.register_buffer("l_init", truncated_normal_(torch.empty(size), 1.0))

    @property
    def num_parameters(self) -> int:
        """Trainable numbers."""
        return sum(p.numel() for p in self.parameters())

    def module(self, num_layers: int) -> Module:
        """A recurrent module of this model's width."""
        return Module(self.config, num_layers, self.shape)

    @abc.abstractmethod
    def think(self, z_h: Tensor, z_l: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """One segment: the states after all cycles from those before and the embedded puzzle, (B, P + L, D).

        The gradient reaches only as far back as the architecture says; the rest runs without a graph.
        """

    # ---- the carried state -----------------------------------------------------------------------

    def initial_carry(self, batch_size: int, noise: float = 0.0, generator: torch.Generator | None = None) -> Carry:
        """Fresh states for `batch_size` puzzles, with normal `noise` of that deviation where asked for."""
        shape = (batch_size, self.config.prefix_tokens + self.num_cells, self.config.hidden_size)
        states = []
        for init in (self.h_init, self.l_init):
            state = init.to(self.dtype).expand(shape)
            if noise:
                random = torch.randn(shape, generator=generator, device=init.device)
                state = state + (noise * random).to(self.dtype)
            states.append(state.contiguous())
        return Carry(*states)

    def reset(self, carry: Carry, done: Tensor, fresh: Carry | None = None) -> Carry:
        """The carry with the slots marked in `done`, (B,) bool, thinking afresh, from `fresh` or the initial states."""
        initial = (self.h_init.to(self.dtype), self.l_init.to(self.dtype)) if fresh is None else fresh
        return Carry(*(torch.where(done.view(-1, 1, 1), new, old) for new, old in zip(initial, carry, strict=True)))

    # ---- one segment -----------------------------------------------------------------------------

    def embed(self, puzzle: Tensor, puzzle_id: Tensor | None = None) -> Tensor:
        """The network's input, (B, P + L, D), from puzzle tokens (B, L) and identities (B,)."""
        size, prefix_tokens = self.config.hidden_size, self.config.prefix_tokens
        x = self.embed_tokens(puzzle)
        if prefix_tokens:
            prefix = x.new_zeros(x.shape[0], prefix_tokens * size)
            if self.embed_puzzle is not None and puzzle_id is not None:
                row = self.embed_puzzle(puzzle_id)  # (B, D)
                prefix = torch.cat((row, prefix[:, size:]), dim=-1)
            x = torch.cat((prefix.view(-1, prefix_tokens, size), x), dim=1)
        if self.embed_positions is not None:
            x = (x + self.embed_positions.weight) * 0.5**0.5  # keeps the variance of the sum at one
        return (x * size**0.5).to(self.dtype)  # undoes the small initial deviation of the embeddings

    def forward(self, carry: Carry, obs: Mapping[str, Any]) -> tuple[Carry, Output]:
        """Think for one segment.

        Args:
            carry: the states after the segment before.
            obs: `puzzle`, int64 (B, L), and for models with puzzle embeddings `puzzle_id`, int64 (B,).

        Returns:
            The new carry, detached, and the output of this segment (float32 Q values).
        """
        x = self.embed(obs["puzzle"], obs.get("puzzle_id"))
        z_h, z_l = self.think(carry.z_h, carry.z_l, x)
        logits = self.lm_head(z_h)[:, self.config.prefix_tokens :]
        q = self.q_head(z_h[:, 0].float())
        return Carry(z_h.detach(), z_l.detach()), Output(logits, q[:, 0], q[:, 1])


def _rotary(config: Config, shape: tuple[int, int]) -> Rotary | None:
    """The rotary embedding over the positions in order, or over rows and columns, where one is asked for."""
    prefix, (rows, columns) = config.prefix_tokens, shape
    if config.positions == "rope":
        places = torch.arange(prefix + rows * columns)[:, None]
    elif config.positions == "rope2d":
        # The positions before the board stand on a diagonal of their own, off its upper left corner.
        board = torch.cartesian_prod(torch.arange(rows), torch.arange(columns))
        places = torch.cat((torch.arange(-prefix, 0)[:, None].expand(prefix, 2), board))
    else:
        return None
    return Rotary(places, config.hidden_size // config.num_heads)
