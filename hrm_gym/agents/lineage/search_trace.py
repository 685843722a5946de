"""A decoder that writes a search as text (Searchformer, Lehnert et al., 2402.14083; Stream of Search, 2404.03683).

Idea: a standard decoder is trained to predict the steps of a solver, statement by statement (guess, propagate, undo;
the cells that A* closes), and then the answer. In inference it writes such a text itself. So it imitates the reasoning
of the solver, and the text takes the place of the solver's memory.

    [puzzle] BEGIN statement ... statement  answer ... answer  END          statement: cell c holds token t
    p(cell | text) = softmax(q(h) . k(cell));   p(token | text, cell) = softmax(MLP(h, way from here to the cell))

Carried: the statements so far, (B, C, 2), and the board that they state, which is the current answer.

Training: cross-entropy of the next statement over the solver's whole text (`Output.aux_loss`). The board advances by
`chunk` statements of the solver per segment. In inference a segment writes `chunk` statements greedily. The rule
`end_token` halts at END, in training as in inference: only then are the cells certain.

Faithful: next-token prediction of traces with wrong turns, then the answer; and answers only (`--no-search`), the
papers' baseline. Adapted: one position per statement (Searchformer: five tokens); a decoder with full attention among
the positions of the puzzle (Searchformer: an encoder); cells are known by how far and in what direction they are from
each other, by rotary embedding also of values (GTA, 2310.10375), and the next one is pointed at; only the closed cells
of A*; no second phase that favours short traces. The halting rule is not trained.

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
from hrm_gym.agents.lineage.coordinates import Turn, coordinates
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
        if self.hidden_size % (2 * self.num_heads):
            raise HrmGymError(
                f"hidden_size {self.hidden_size} does not split into {self.num_heads} heads of even size: give a "
                f"multiple of {2 * self.num_heads}"
            )


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

    def forward(
        self, x: Tensor, turn: Turn, mask: Tensor, past: Tensor | None = None, place: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """The output features of S positions, (B, S, D), and keys and values of all S', (2, B, heads, S', D / heads).

        Args:
            x: features of the S positions.
            turn: turns their queries, keys and values. What they receive is turned back, so that it tells where it
                comes from, seen from here.
            mask: which positions each of them attends to, bool (B or 1, 1, S, at most S').
            past: cache of keys and values, overwritten at these positions; None if S is all positions.
            place: index of the position in the cache, int64 (B,), for S = 1.
        """
        query, key, value = self.qkv(self.norm(x)).unflatten(-1, (3, self.num_heads, -1)).permute(2, 0, 3, 1, 4)
        query, memory = turn(query), torch.stack((turn(key), turn(value)))
        if past is not None:
            past[:, torch.arange(len(x), device=x.device), :, place] = memory[:, :, :, 0].transpose(0, 1)
            memory = past
        seen = memory[:, :, :, : mask.shape[-1]]
        mixed = F.scaled_dot_product_attention(query, seen[0], seen[1], attn_mask=mask)
        x = x + self.out(turn.back(mixed).transpose(1, 2).flatten(2))
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
        self.given, self.words = nn.Embedding(spec.num_tokens, size), nn.Embedding(num_words, size)
        self.begin = nn.Parameter(torch.zeros(size))
        for table in (self.given.weight, self.words.weight, self.begin):
            nn.init.normal_(table, std=0.4)
        self.blocks = nn.ModuleList(Decoder(size, config.num_heads) for _ in range(config.layers))
        self.norm = nn.LayerNorm(size)
        self.point, self.pointed, self.end = nn.Linear(size, size), nn.Linear(size, size), nn.Linear(size, 1)
        self.word_head = nn.Sequential(nn.Linear(2 * size, 2 * size), nn.GELU(), nn.Linear(2 * size, num_words))
        self.coordinates: Tensor
        self.register_buffer("coordinates", coordinates(spec), persistent=False)  # (L + 1, A)

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
        x, at, mask = self._read(puzzle, text[:, :-1])
        turn = self._turn(at)
        for block in self.blocks:
            x, _ = block(x, turn, mask)
        x = self.norm(x)
        hidden = x[:, -num:]  # (B, T, D): before each statement
        cell, word = text.unbind(-1)
        pointer, targets = self._pointer(hidden, at[:, -num:]), self._targets(x, at)
        cells = self._cells(hidden, pointer, targets)
        losses = F.cross_entropy(cells.transpose(1, 2), cell, reduction="none")
        says = cell < self.spec.num_cells  # END has no token
        words = F.cross_entropy(self._words(hidden, pointer, targets, cell).transpose(1, 2), word, reduction="none")
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

    @torch.no_grad()
    def _write(self, state: Text, puzzle: Tensor) -> tuple[Text, Tensor]:
        """Write `chunk` more statements; returns the state and their loss, (B,)."""
        statements, length, ended, board, thought = state
        statements, begun, most = statements.clone(), length, int(length.max())
        x, at, mask = self._read(puzzle, statements[:, : max(0, most - 1)])
        room = self.spec.num_cells + min(self.config.context, most + self.config.chunk)
        memories = []
        turn = self._turn(at)
        for block in self.blocks:
            x, memory = block(x, turn, mask)
            memories.append(F.pad(memory, (0, 0, 0, room - memory.shape[3])))
        targets = self._targets(self.norm(x), at)
        total, rows = thought.new_zeros(len(length)), torch.arange(len(length), device=length.device)
        for _ in range(min(self.config.chunk, self.config.context)):
            goes_on = ~ended & (length < self.config.context)
            if not goes_on.any():
                break
            place = length.clamp_max(self.config.context - 1)
            x, at, mask = self._next(statements, place)
            turn = self._turn(at)
            for block, memory in zip(self.blocks, memories, strict=True):
                x, _ = block(x, turn, mask, memory, self.spec.num_cells + place)
            hidden = self.norm(x)
            pointer = self._pointer(hidden, at)
            p_cell, cell = self._cells(hidden, pointer, targets)[:, 0].log_softmax(-1).max(-1)
            words = self._words(hidden, pointer, targets, cell[:, None])
            p_word, word = words[:, 0].log_softmax(-1).max(-1)
            is_end = cell == self.spec.num_cells
            new = torch.stack((cell, torch.where(is_end, 0, word)), dim=1)
            statements[rows, place] = torch.where(goes_on[:, None], new, statements[rows, place])
            board = self._state(board, new, goes_on)
            thought = torch.where(goes_on[:, None], hidden[:, 0], thought)
            total = total - torch.where(goes_on, p_cell + torch.where(is_end, 0.0, p_word), 0.0)
            length = length + goes_on
            ended = ended | (goes_on & is_end)
        return Text(statements, length, ended, board, thought), total / (length - begun).clamp_min(1)

    def _next(self, statements: Tensor, place: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The position before statement `place`, (B, 1, D), its coordinates, and which positions it attends to."""
        last = statements.gather(1, (place - 1).clamp_min(0).view(-1, 1, 1).expand(-1, 1, 2))
        begins = (place == 0)[:, None]
        x = torch.where(begins[..., None], self.begin, self.words(last[..., 1]))
        at = self._at(torch.where(begins, self.spec.num_cells, last[..., 0]), place[:, None])
        seen = self.spec.num_cells + place
        sees = torch.arange(int(seen.max()) + 1, device=x.device) <= seen[:, None]
        return x, at, sees[:, None, None]

    # ---- both ------------------------------------------------------------------------------------

    def _read(self, puzzle: Tensor, text: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Positions of puzzle, BEGIN and text, (B, L + 1 + T, D), their coordinates, and which of them each sees."""
        batch, num, length = *puzzle.shape, text.shape[1] + 1
        begin = self.begin.expand(batch, 1, -1)
        x = torch.cat((self.given(puzzle), begin, self.words(text[..., 1])), dim=1)
        cells = torch.arange(num + 1, device=x.device).expand(batch, -1)
        steps = (torch.arange(num + length, device=x.device) - num).clamp_min(0)
        at = self._at(torch.cat((cells, text[..., 0]), dim=1), steps.expand(batch, -1))
        sees = torch.ones(num + length, num + length, dtype=torch.bool, device=x.device).tril()
        sees[:num, :num] = True
        return x, at, sees[None, None]

    def _at(self, cells: Tensor, steps: Tensor) -> Tensor:
        """Coordinates of cells, int64 (B, S), that were written at steps, (B, S): float (B, S, A + 1)."""
        return torch.cat((self.coordinates[cells], steps[..., None]), dim=-1)

    def _turn(self, at: Tensor) -> Turn:
        """How the heads' features turn at coordinates."""
        return Turn.at(at, self.num_features // self.config.num_heads)

    def _pointer(self, hidden: Tensor, at: Tensor) -> Tensor:
        """What the next statement's cell should be like, (B, T, D), turned to its own place."""
        return Turn.at(at, self.num_features)(self.point(hidden)[:, None])[:, 0]

    def _targets(self, x: Tensor, at: Tensor) -> Tensor:
        """What the cells of the puzzle are like, (B, L, D), from all positions, turned to their places."""
        num = self.spec.num_cells
        return Turn.at(at[:, :num], self.num_features)(self.pointed(x[:, None, :num]))[:, 0]

    def _cells(self, hidden: Tensor, pointer: Tensor, targets: Tensor) -> Tensor:
        """Logits of the cell of the next statement, (B, T, L + 1)."""
        return torch.cat((pointer @ targets.mT * pointer.shape[-1] ** -0.5, self.end(hidden)), dim=-1)

    def _words(self, hidden: Tensor, pointer: Tensor, targets: Tensor, cell: Tensor) -> Tensor:
        """Logits of the token or note stated for cells, int64 (B, T): (B, T, V + notes)."""
        index = cell.clamp_max(self.spec.num_cells - 1)[..., None].expand_as(pointer)
        (p, q), (r, s) = pointer.chunk(2, dim=-1), targets.gather(1, index).chunk(2, dim=-1)
        # Products of complex numbers, which depend on the way from here to the cell but not on where both are.
        return self.word_head(torch.cat((hidden, p * r + q * s, q * r - p * s), dim=-1))

    def _state(self, board: Tensor, statement: Tensor, new: Tensor) -> Tensor:
        """The board, (B, L), after applying a statement, (B, 2), in the slots where `new`."""
        cell, word = statement[:, :1].clamp_max(self.spec.num_cells - 1), statement[:, 1:]
        counts = new[:, None] & (statement[:, :1] < self.spec.num_cells) & (word < self.spec.num_tokens)
        return board.scatter(1, cell, torch.where(counts, word, board.gather(1, cell)))
