"""How agents read a board cell by cell: an embedding of each token, and of the puzzle where it has an identity."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from hrm_gym.agents.agent import TaskSpec


class Reader(nn.Module):
    """Tokens to vectors; it knows no positions, so it reads boards of every size.

    Args:
        spec: the board.
        width: features a cell.
    """

    def __init__(self, spec: TaskSpec, width: int) -> None:
        super().__init__()
        self.tokens = nn.Embedding(spec.num_tokens, width)
        # One row an identity (ARC tasks), zero at first; its gradient is sparse.
        self.puzzles = nn.Embedding(spec.num_identities, width, sparse=True) if spec.num_identities else None
        if self.puzzles is not None:
            nn.init.zeros_(self.puzzles.weight)

    def forward(self, obs: Mapping[str, Tensor]) -> Tensor:
        """(B, L, width)."""
        x: Tensor = self.tokens(obs["puzzle"])
        return x if self.puzzles is None else x + self.puzzles(obs["puzzle_id"])[:, None]


def same_symbols(trained: TaskSpec, now: TaskSpec) -> bool:
    """Whether weights that know no positions run on another board: the symbols and identities are the same."""
    return (trained.num_tokens, trained.num_identities) == (now.num_tokens, now.num_identities)


def begin(started: Tensor, fresh: Tensor, carried: Tensor) -> Tensor:
    """`fresh` in the slots that have thought nothing yet, `carried` in the others; `started` is bool, (B,)."""
    return torch.where(started.view(-1, *[1] * (carried.ndim - 1)), carried, fresh)
