"""A decoder that writes a search as text (Searchformer, Lehnert et al., 2402.14083; Stream of Search, 2404.03683).

Idea: a standard decoder is trained to predict the steps of a solver, statement by statement (guess, propagate, undo;
the cells that A* closes), and then the answer. In inference it writes such a text itself. So it imitates the reasoning
of the solver, and the text takes the place of the solver's memory.

    [puzzle] BEGIN statement ... statement  answer ... answer  END          statement: cell c holds token t
    p(cell | text) = softmax(W h);   p(token | text, cell) = softmax(MLP(h, cell))

Carried: the statements so far, (B, C, 2), and the board that they state, which is the current answer.

Training: cross-entropy of the next statement over the solver's whole text (`Output.aux_loss`). The board advances by
`chunk` statements of the solver per segment. In inference a segment writes `chunk` statements greedily. The rule
`end_token` halts at END, in training as in inference: only then are the cells certain.

Faithful: next-token prediction of traces with wrong turns, then the answer; and answers only (`--no-search`), the
papers' baseline. Adapted: one position per statement (Searchformer: five tokens); a decoder with full attention among
the positions of the puzzle (Searchformer: an encoder); only the closed cells of A*; no second phase that favours short
traces. The halting rule is not trained.

Known failures: long traces (they are cut after `context` statements); one wrong statement, unseen in training, spoils
all that follow. It requires a solver that records its steps (`Task.trace`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hrm_gym.agents.agent import Agent, Output, TaskSpec
from hrm_gym.errors import HrmGymError
from hrm_gym.options import Options, depth, number

SURE, UNSURE = 10.0, 1.0
"""Logits of the symbols on the board after and before END."""


@dataclasses.dataclass(frozen=True)
class SearchTraceConfig(Options):
    """Options of `search_trace`."""

    hidden_size: int = number(128, least=1)
    """Features per position, D."""
    num_heads: int = number(4, least=1)
    """Number of attention heads."""
    layers: int = depth(3)
    """Number of blocks."""
    chunk: int = depth(16, most=1024)
    """Statements per segment."""
    context: int = number(256, least=1, most=10_000)
    """Maximum length of a text in statements, C."""
    search: bool = True
    """Write the search before the answer; without it only the answer."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.hidden_size % self.num_heads:
            raise HrmGymError(f"hidden_size {self.hidden_size} does not split into {self.num_heads} heads")


class Text(NamedTuple):
    """The state between segments."""

    statements: Tensor
    """Cell and token of each statement, int64 (B, C, 2); cell L is END."""
    length: Tensor
    """Number of statements, int64 (B,)."""
    ended: Tensor
    """Whether END is written, bool (B,)."""
    board: Tensor
    """The board that they state, int64 (B, L); -1: as in the puzzle."""
    thought: Tensor
    """The decoder's features before its last statement, (B, D)."""


class Decoder(nn.Module):
    """A pre-norm transformer block with a cache of keys and values."""

    def __init__(self, size: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.norm, self.norm_mlp = nn.LayerNorm(size), nn.LayerNorm(size)
        self.qkv, self.out = nn.Linear(size, 3 * size), nn.Linear(size, size)
        self.mlp = nn.Sequential(nn.Linear(size, 4 * size), nn.GELU(), nn.Linear(4 * size, size))

    def forward(self, x: Tensor, mask: Tensor, past: Tensor | None, place: Tensor | None) -> tuple[Tensor, Tensor]:
        """The output features of S positions, (B, S, D), and keys and values of all S', (2, B, heads, S', D / heads).

        Args:
            x: features of the S positions.
            mask: which positions each of them attends to, bool (B or 1, 1, S, S').
            past: cache of keys and values, updated for these positions; None if S is all positions.
            place: index of the position in the cache, int64 (B,), for S = 1.
        """
        qkv = self.qkv(self.norm(x)).unflatten(-1, (3, self.num_heads, -1)).permute(2, 0, 3, 1, 4)
        query, memory = qkv[0], qkv[1:]
        if past is not None and place is not None:
            index = place.view(1, -1, 1, 1, 1).expand_as(memory)
            memory = past.scatter(3, index, memory)
        mixed = F.scaled_dot_product_attention(query, memory[0], memory[1], attn_mask=mask)
        x = x + self.out(mixed.transpose(1, 2).flatten(2))
        return x + self.mlp(self.norm_mlp(x)), memory


class SearchTrace(Agent):
    """A decoder trained on the steps of a solver, which writes its own search (Searchformer, arXiv 2402.14083).

    Raises:
        HrmGymError: if the family has no solver that records its steps.
    """

    Config = SearchTraceConfig
    halting = "end_token"
    run_defaults = {  # noqa: RUF012 (as in Agent)
        **{"lr": 1e-3, "weight_decay": 0.01, "beta2": 0.99, "loss": "softmax", "clip": 1.0},
    }

    def __init__(self, config: Any, spec: TaskSpec) -> None:
        super().__init__(config, spec)
        if spec.trace is None:
            raise HrmGymError(
                "agent 'search_trace' imitates a solver, and this puzzle has none that records its steps: give its "
                "Task `trace`, or choose another --agent"
            )
        size = self.num_features = config.hidden_size
        num_words = spec.num_tokens + spec.num_notes
        self.cells, self.words = nn.Embedding(spec.num_cells + 1, size), nn.Embedding(num_words, size)
        self.places = nn.Embedding(config.context + 1, size)  # the last one is for cells of the puzzle
        self.begin = nn.Parameter(torch.zeros(size))
        for table in (self.cells, self.words, self.places, self.begin):
            nn.init.normal_(table if isinstance(table, nn.Parameter) else table.weight, std=0.3)
        self.blocks = nn.ModuleList(Decoder(size, config.num_heads) for _ in range(config.layers))
        self.norm = nn.LayerNorm(size)
        self.cell_head = nn.Linear(size, spec.num_cells + 1)
        self.word_head = nn.Sequential(nn.Linear(2 * size, size), nn.GELU(), nn.Linear(size, num_words))

    def initial_state(self, num: int) -> Text:
        """See `Agent`: an empty text."""
        device, config = self.begin.device, self.config
        length = torch.zeros(num, dtype=torch.long, device=device)
        statements = length.new_zeros(num, config.context, 2)
        board = length.new_full((num, self.spec.num_cells), -1)
        return Text(statements, length, length > 0, board, self.begin.new_zeros(num, config.hidden_size))

    def tensors(self, state: Text) -> dict[str, Tensor]:
        """See `Agent`: only the features; the rest of the state is text."""
        return {"thought": state.thought}

    def forward(self, state: Text, obs: Mapping[str, Tensor]) -> tuple[Text, Output]:
        """See `Agent`. The loss is over the solver's statements in training, and over its own in inference."""
        puzzle = obs["puzzle"]
        learns = self.training and torch.is_grad_enabled()
        state, loss = self._learn(state, puzzle) if learns else self._write(state, puzzle)
        board = torch.where(state.board < 0, puzzle, state.board)
        sure = torch.where(state.ended, SURE, UNSURE)[:, None, None]
        return state, Output(sure * F.one_hot(board, self.spec.num_tokens), state.thought, loss)

    # ---- in training -----------------------------------------------------------------------------

    def _learn(self, state: Text, puzzle: Tensor) -> tuple[Text, Tensor]:
        """Advance by `chunk` of the solver's statements; returns the state and the loss of the whole text, (B,)."""
        text, length, complete = (torch.as_tensor(a, device=puzzle.device) for a in self._solve(puzzle))
        num = text.shape[1]
        x, mask = self._read(puzzle, text[:, :-1])
        for block in self.blocks:
            x, _ = block(x, mask, None, None)
        hidden = self.norm(x[:, -num:])  # (B, T, D): before each statement
        cell, word = text.unbind(-1)
        losses = F.cross_entropy(self.cell_head(hidden).transpose(1, 2), cell, reduction="none")
        says = cell < self.spec.num_cells  # END has no token
        words = F.cross_entropy(self._words(hidden, cell).transpose(1, 2), word, reduction="none")
        counts = torch.arange(num, device=text.device) < length[:, None]
        loss = ((losses + words * says) * counts).sum(1) / length
        now = torch.minimum(state.length + self.config.chunk, length)
        board = state.board
        for i in range(int(state.length.min()), int(now.max())):
            new = (i >= state.length) & (i < now)
            board = self._state(board, text[:, i], new)
        statements = F.pad(text, (0, 0, 0, self.config.context - num))
        thought = hidden.detach().gather(1, (now - 1).view(-1, 1, 1).expand(-1, 1, hidden.shape[2]))[:, 0]
        return Text(statements, now, complete & (now == length), board, thought), loss

    def _solve(self, puzzle: Tensor) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The solver's texts, int64 (B, T, 2), their lengths, int64 (B,), and whether they are complete, bool (B,)."""
        room, end = self.config.context, self.spec.num_cells
        assert self.spec.trace is not None
        traces = self.spec.trace(puzzle.cpu().numpy(), room)
        if not self.config.search:
            traces = traces._replace(num_search=np.zeros_like(traces.num_search))
        total = traces.num_search + traces.num_answer + 1
        length = np.minimum(total, room)
        step = np.arange(length.max())[None]  # (1, T)
        text = traces.at(step)
        text[step >= (total - 1)[:, None]] = end, 0
        return text, length, total <= room

    # ---- in inference ----------------------------------------------------------------------------

    def _write(self, state: Text, puzzle: Tensor) -> tuple[Text, Tensor]:
        """Write `chunk` more statements; returns the state and their loss, (B,)."""
        statements, length, ended, board, thought = state
        begun, most = length, int(length.max())
        x, mask = self._read(puzzle, statements[:, : max(0, most - 1)])
        room = self.spec.num_cells + min(self.config.context, most + self.config.chunk)
        memories = []
        for block in self.blocks:
            x, memory = block(x, mask, None, None)
            memories.append(F.pad(memory, (0, 0, 0, room - memory.shape[3])))
        total = thought.new_zeros(len(length))
        for _ in range(min(self.config.chunk, self.config.context)):
            place = length.clamp_max(self.config.context - 1)
            goes_on = ~ended & (length < self.config.context)
            x, mask = self._next(statements, place, room)
            for i, block in enumerate(self.blocks):
                x, memories[i] = block(x, mask, memories[i], self.spec.num_cells + place)
            hidden = self.norm(x[:, 0])
            cells = self.cell_head(hidden).log_softmax(-1)
            p_cell, cell = cells.max(-1)
            p_word, word = self._words(hidden, cell).log_softmax(-1).max(-1)
            is_end = cell == self.spec.num_cells
            new = torch.stack((cell, torch.where(is_end, 0, word)), dim=1)
            index = place.view(-1, 1, 1).expand(-1, 1, 2)
            old = statements.gather(1, index)[:, 0]
            statements = statements.scatter(1, index, torch.where(goes_on[:, None], new, old)[:, None])
            board = self._state(board, new, goes_on)
            thought = torch.where(goes_on[:, None], hidden, thought)
            total = total - torch.where(goes_on, p_cell + torch.where(is_end, 0.0, p_word), 0.0)
            length = length + goes_on
            ended = ended | (goes_on & is_end)
        return Text(statements, length, ended, board, thought), total / (length - begun).clamp_min(1)

    def _next(self, statements: Tensor, place: Tensor, room: int) -> tuple[Tensor, Tensor]:
        """The position before statement `place`, (B, 1, D), and which of `room` positions it attends to."""
        last = statements.gather(1, (place - 1).clamp_min(0).view(-1, 1, 1).expand(-1, 1, 2))
        x = self._embed(last, place[:, None])
        x = torch.where((place == 0).view(-1, 1, 1), self.begin, x)
        sees = torch.arange(room, device=x.device) <= (self.spec.num_cells + place)[:, None]
        return x, sees[:, None, None]

    # ---- both ------------------------------------------------------------------------------------

    def _read(self, puzzle: Tensor, text: Tensor) -> tuple[Tensor, Tensor]:
        """Positions of puzzle, BEGIN and text, (B, L + 1 + T, D), and which of them each attends to."""
        num, length = puzzle.shape[1], text.shape[1] + 1
        cells = torch.arange(num, device=puzzle.device).expand_as(puzzle)
        given = self._embed(torch.stack((cells, puzzle), dim=-1), torch.full_like(puzzle, self.config.context))
        places = torch.arange(1, length, device=puzzle.device)
        written = self._embed(text, places.expand(len(puzzle), -1))
        x = torch.cat((given, self.begin.expand(len(puzzle), 1, -1), written), dim=1)
        sees = torch.ones(num + length, num + length, dtype=torch.bool, device=x.device).tril()
        sees[:num, :num] = True
        return x, sees[None, None]

    def _embed(self, statements: Tensor, places: Tensor) -> Tensor:
        """Embed statements, (..., 2), at places, (...): (..., D)."""
        return self.cells(statements[..., 0]) + self.words(statements[..., 1]) + self.places(places)

    def _words(self, hidden: Tensor, cell: Tensor) -> Tensor:
        """Logits of the token or note stated for a cell, (..., V + notes)."""
        return self.word_head(torch.cat((hidden, self.cells(cell)), dim=-1))

    def _state(self, board: Tensor, statement: Tensor, new: Tensor) -> Tensor:
        """The board, (B, L), after applying a statement, (B, 2), in the slots where `new`."""
        cell, word = statement[:, :1].clamp_max(self.spec.num_cells - 1), statement[:, 1:]
        counts = new[:, None] & (statement[:, :1] < self.spec.num_cells) & (word < self.spec.num_tokens)
        return board.scatter(1, cell, torch.where(counts, word, board.gather(1, cell)))
