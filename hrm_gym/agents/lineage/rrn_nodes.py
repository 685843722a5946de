"""What sends messages in `rrn`: the cells of a board, or the candidates (cell, symbol) of a puzzle with groups."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from hrm_gym.agents.agent import TaskSpec
from hrm_gym.agents.lineage.messages import kinds_of_groups
from hrm_gym.agents.models.reading import Reader
from hrm_gym.agents.models.symbols import IMPOSSIBLE
from hrm_gym.errors import HrmGymError

OPEN, GIVEN, EXCLUDED = range(3)
"""What a puzzle says of a candidate: nothing, that it is given, or that another symbol is given in its cell."""


class Cells(nn.Module):
    """A node for each cell: the form of the paper.

    Raises:
        HrmGymError: if the family has neither groups nor links.
    """

    num: int
    """N, the number of nodes."""
    groups: list[np.ndarray]
    """The groups of nodes that send to each other, int64 (G, n) for each kind; see `messages`."""

    def __init__(self, spec: TaskSpec, width: int) -> None:
        super().__init__()
        self.num, self.groups = spec.num_cells, kinds_of_groups(spec)
        self.reader = Reader(spec, width)
        self.head = nn.Linear(width, spec.num_tokens)

    def forward(self, obs: Mapping[str, Tensor]) -> Tensor:
        """The puzzle as the nodes read it, (B, N, width)."""
        return self.reader(obs)

    def answer(self, hidden: Tensor) -> Tensor:
        """Logits of the cells, (B, L, V), from the states of the nodes, (B, N, width)."""
        return self.head(hidden)


class Candidates(nn.Module):
    """A node for each candidate (cell, symbol): symbols share all weights, so none has to be learned by itself.

    A candidate is joined with the same symbol in its row, column and box, and with the other symbols of its cell. The
    attributes and methods are those of `Cells`.

    Raises:
        HrmGymError: if the family has no groups.
    """

    def __init__(self, spec: TaskSpec, width: int) -> None:
        super().__init__()
        if not spec.groups:
            raise HrmGymError(
                "nodes='candidates' needs a puzzle whose groups hold each symbol once, and this one names none: give "
                "--nodes cells, or give the family `groups` and `group_symbols`"
            )
        self.num_tokens, self.blank, self.num_symbols = spec.num_tokens, spec.blank, len(spec.group_symbols)
        self.num = spec.num_cells * self.num_symbols
        places = np.arange(self.num).reshape(spec.num_cells, self.num_symbols)
        of_symbols = [places[np.asarray(groups)].swapaxes(1, 2).reshape(-1, groups.shape[1]) for groups in spec.groups]
        self.groups = [np.ascontiguousarray(groups) for groups in (*of_symbols, places)]
        self.symbols: Tensor
        self.register_buffer("symbols", torch.tensor(spec.group_symbols), persistent=False)
        self.reader = nn.Embedding(3, width)
        self.head = nn.Linear(width, 1)

    def forward(self, obs: Mapping[str, Tensor]) -> Tensor:
        """As `Cells`."""
        puzzle = obs["puzzle"].unsqueeze(-1)
        says = torch.where(puzzle == self.symbols, GIVEN, torch.where(puzzle == self.blank, OPEN, EXCLUDED))
        return self.reader(says.flatten(1))  # (B, L * S, width)

    def answer(self, hidden: Tensor) -> Tensor:
        """As `Cells`; symbols that are in no group are impossible."""
        of_symbols = self.head(hidden).unflatten(1, (-1, self.num_symbols)).squeeze(-1)  # (B, L, S)
        logits = of_symbols.new_full((*of_symbols.shape[:2], self.num_tokens), IMPOSSIBLE)
        return logits.index_copy(2, self.symbols, of_symbols)


NODES: dict[str, type[Cells] | type[Candidates]] = {"cells": Cells, "candidates": Candidates}
