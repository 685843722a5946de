"""A decoder that writes down a search (Searchformer, Lehnert et al., arXiv 2402.14083; Stream of Search, 2404.03683).

Idea: an ordinary decoder is trained to predict, statement by statement, what a solver does with a puzzle (guess,
propagate, undo; the cells that A* closes) and then the answer. In use it writes such a text by itself, and what the
solver did in its memory the decoder does on paper. So reasoning is imitated, and its length is that of the text.

    [puzzle] BEGIN statement ... statement  answer ... answer  END          a statement: cell c holds token t
    p(cell | text) = softmax(W h);   p(token | text, cell) = softmax(MLP(h, cell))

Carried: the statements so far, (B, C, 2), and the board that they state, which is the answer at any time.

Training: a plain cross-entropy of the next statement over the solver's whole text (`Output.aux_loss`); the board is the
solver's, `chunk` statements further in each segment. In use a segment writes `chunk` statements, the likeliest each.
The rule `end_token` halts at END, in training as in use: only then are the cells certain.

Faithful: next-token prediction of traces with wrong turns, then the answer; the same with answers alone
(`--no-search`), which is the papers' control. Adapted: one position a statement where Searchformer has five tokens; a
decoder that sees the whole puzzle at each position of the puzzle, where Searchformer has an encoder; of A* the closed
cells alone; no second phase that favours short traces. The halting rule is not trained.

Known to fail: long traces (more than `context` statements are cut off); one wrong statement, unseen in training, spoils
all that follow; and there must be a solver that tells its steps (`Task.trace`): without one it says so.
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
"""Logits of the symbols on the board after END, and before it."""


@dataclasses.dataclass(frozen=True)
class SearchTraceConfig(Options):
    """Options of `search_trace`."""

    hidden_size: int = number(128, least=1)
    """Features of a position, D."""
    num_heads: int = number(4, least=1)
    """Attention heads."""
    layers: int = depth(3)
    """Blocks."""
    chunk: int = depth(16, most=1024)
    """Statements of a segment in use."""
    context: int = number(256, least=1, most=10_000)
    """C, the longest text."""
    search: bool = True
    """Whether the search is written before the answer; without it the answer alone."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.hidden_size % self.num_heads:
            raise HrmGymError(f"hidden_size {self.hidden_size} does not split into {self.num_heads} heads")


class Text(NamedTuple):
    """The state between segments."""

    statements: Tensor
    """Cell and token of each, int64 (B, C, 2); cell L is END."""
    length: Tensor
    """How many there are, int64 (B,)."""
    ended: Tensor
    """Whether END is written, bool (B,)."""
    board: Tensor
    """What they state, int64 (B, L); -1: as in the puzzle."""
    thought: Tensor
    """What the decoder held before its last statement, (B, D)."""


class Decoder(nn.Module):
    """A pre-norm transformer block that keeps keys and values."""

    def __init__(self, size: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.norm, self.norm_mlp = nn.LayerNorm(size), nn.LayerNorm(size)
        self.qkv, self.out = nn.Linear(size, 3 * size), nn.Linear(size, size)
        self.mlp = nn.Sequential(nn.Linear(size, 4 * size), nn.GELU(), nn.Linear(4 * size, size))

    def forward(self, x: Tensor, mask: Tensor, past: Tensor | None, place: Tensor | None) -> tuple[Tensor, Tensor]:
        """The next features of positions, (B, S, D), and keys and values of all, (2, B, heads, S', D / heads).

        Args:
            x: of these positions.
            mask: which of all positions each of these sees, bool (B or 1, 1, S, S').
            past: keys and values of all positions, those of these to be filled in; None where these are all.
            place: where these stand among all, int64 (B,), for S = 1.
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
    """A decoder that is trained on the steps of a solver and writes its own search (Searchformer, arXiv 2402.14083).

    Raises:
        HrmGymError: where the family has no solver that tells its steps.
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
                "agent 'search_trace' imitates a solver, and this puzzle has none that tells its steps: give its Task "
                "`trace`, or choose another --agent"
            )
        size = self.num_features = config.hidden_size
        num_words = spec.num_tokens + spec.num_notes
        self.cells, self.words = nn.Embedding(spec.num_cells + 1, size), nn.Embedding(num_words, size)
        self.places = nn.Embedding(config.context + 1, size)  # the last one: in the puzzle
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
        """See `Agent`: the rest of the state is text."""
        return {"thought": state.thought}

    def forward(self, state: Text, obs: Mapping[str, Tensor]) -> tuple[Text, Output]:
        """See `Agent`. The loss is that of the statements: of the solver's in training, of its own in use."""
        puzzle = obs["puzzle"]
        learns = self.training and torch.is_grad_enabled()
        state, loss = self._learn(state, puzzle) if learns else self._write(state, puzzle)
        board = torch.where(state.board < 0, puzzle, state.board)
        sure = torch.where(state.ended, SURE, UNSURE)[:, None, None]
        return state, Output(sure * F.one_hot(board, self.spec.num_tokens), state.thought, loss)

    # ---- in training -----------------------------------------------------------------------------

    def _learn(self, state: Text, puzzle: Tensor) -> tuple[Text, Tensor]:
        """The solver's text, `chunk` statements further, and the loss of all of it, (B,)."""
        text, length, complete = (torch.as_tensor(a, device=puzzle.device) for a in self._solve(puzzle))
        num = text.shape[1]
        x, mask = self._read(puzzle, text[:, :-1])
        for block in self.blocks:
            x, _ = block(x, mask, None, None)
        hidden = self.norm(x[:, -num:])  # (B, T, D): before each statement
        cell, word = text.unbind(-1)
        losses = F.cross_entropy(self.cell_head(hidden).transpose(1, 2), cell, reduction="none")
        says = cell < self.spec.num_cells  # END says no more
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
        """The solver's texts, int64 (B, T, 2), their lengths, int64 (B,), and whether they are whole, bool (B,)."""
        room, end = self.config.context, self.spec.num_cells
        assert self.spec.trace is not None
        search, num_search, answer, num_answer = self.spec.trace(puzzle.cpu().numpy(), room)
        if not self.config.search:
            num_search = np.zeros_like(num_search)
        total = num_search + num_answer + 1
        length = np.minimum(total, room)
        step = np.arange(length.max())[None]  # (1, T)
        of_answer = (step - num_search[:, None]).clip(0, answer.shape[1] - 1)
        text = np.where(
            (step < num_search[:, None])[..., None],
            search[:, : length.max()],
            np.take_along_axis(answer, of_answer[..., None], axis=1),
        )
        text[step >= (total - 1)[:, None]] = end, 0
        return text, length, total <= room

    # ---- in use ----------------------------------------------------------------------------------

    def _write(self, state: Text, puzzle: Tensor) -> tuple[Text, Tensor]:
        """The text with `chunk` statements more, and the loss of these, (B,)."""
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
        """The position before statement `place`, (B, 1, D), and which of `room` positions it sees."""
        last = statements.gather(1, (place - 1).clamp_min(0).view(-1, 1, 1).expand(-1, 1, 2))
        x = self._embed(last, place[:, None])
        x = torch.where((place == 0).view(-1, 1, 1), self.begin, x)
        sees = torch.arange(room, device=x.device) <= (self.spec.num_cells + place)[:, None]
        return x, sees[:, None, None]

    # ---- both ------------------------------------------------------------------------------------

    def _read(self, puzzle: Tensor, text: Tensor) -> tuple[Tensor, Tensor]:
        """The positions of puzzle, BEGIN and a text, (B, L + 1 + T, D), and which of them each one sees."""
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
        """(..., 2) and (...) -> (..., D)."""
        return self.cells(statements[..., 0]) + self.words(statements[..., 1]) + self.places(places)

    def _words(self, hidden: Tensor, cell: Tensor) -> Tensor:
        """Logits of what is said of a cell, (..., V + notes)."""
        return self.word_head(torch.cat((hidden, self.cells(cell)), dim=-1))

    def _state(self, board: Tensor, statement: Tensor, new: Tensor) -> Tensor:
        """The board, (B, L), after a statement, (B, 2), in the slots that are `new`."""
        cell, word = statement[:, :1].clamp_max(self.spec.num_cells - 1), statement[:, 1:]
        counts = new[:, None] & (statement[:, :1] < self.spec.num_cells) & (word < self.spec.num_tokens)
        return board.scatter(1, cell, torch.where(counts, word, board.gather(1, cell)))
