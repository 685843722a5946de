"""How agents read a board cell by cell: token embeddings, plus a puzzle embedding if the family has identities."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from hrm_gym.agents.agent import TaskSpec


class Reader(nn.Module):
    """Embeds tokens without positions, so it works for boards of every size.

    Args:
        spec: the puzzle family.
        width: features per cell.
    """

    def __init__(self, spec: TaskSpec, width: int) -> None:
        super().__init__()
        self.tokens = nn.Embedding(spec.num_tokens, width)
        # One row per identity (ARC tasks), initially zero; its gradient is sparse.
        self.puzzles = nn.Embedding(spec.num_identities, width, sparse=True) if spec.num_identities else None
        if self.puzzles is not None:
            nn.init.zeros_(self.puzzles.weight)

    def forward(self, obs: Mapping[str, Tensor]) -> Tensor:
        """The embedded board, (B, L, width)."""
        x: Tensor = self.tokens(obs["puzzle"])
        return x if self.puzzles is None else x + self.puzzles(obs["puzzle_id"])[:, None]


def same_symbols(trained: TaskSpec, now: TaskSpec) -> bool:
    """Whether weights without positions work with another spec: symbols and identities must be the same."""
    return (trained.num_tokens, trained.num_identities) == (now.num_tokens, now.num_identities)


def begin(started: Tensor, fresh: Tensor, carried: Tensor) -> Tensor:
    """`carried` in slots that have `started`, bool (B,), and `fresh` in the others."""
    return torch.where(started.view(-1, *[1] * (carried.ndim - 1)), carried, fresh)
