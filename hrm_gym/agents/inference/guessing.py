"""Search by guessing: thinking about several boards in parallel, the puzzle itself and copies with guesses.

This needs a halting rule that can tell whether a puzzle has a solution (`q_learning` with `give_up`, `soundness`). The
search never checks an answer against the rules of the puzzle:

1. It thinks about the puzzle for two segments, then picks the three most ambiguous cells, where the second most
   probable symbol is most probable. Each combination of their symbols becomes a board with three guesses.
2. It thinks about the most promising boards in parallel, three segments each, and gives up boards that seem hopeless.
   On the others it guesses the most ambiguous cell next: one more board for each symbol.
3. If no board is left, it starts again from its current state on the puzzle.
4. The answer comes from the board in which it is most confident.

Boards are ranked by P(all guesses right) x P(solved given that many right guesses). The first factor is the agent's
estimate that the parent board has a solution, times the probability of the guessed symbol. This is the best-first
backtracking of a solver, with learned judgement in place of its rules.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, cast

import torch
from torch import Tensor

from hrm_gym.agents import state as nests
from hrm_gym.agents.agent import Output
from hrm_gym.agents.halting.rule import Signals
from hrm_gym.agents.halting.soundness import HOPELESS
from hrm_gym.agents.inference.search_options import BOARDS, SearchOptions
from hrm_gym.agents.policy import Policy, Search
from hrm_gym.agents.policy import probabilities as normalised
from hrm_gym.agents.state import State
from hrm_gym.envs.guesses import can_guess, possible
from hrm_gym.envs.task import Task
from hrm_gym.errors import HrmGymError

WAITING = 64
"""Maximum number of waiting boards per puzzle."""
CHUNK = 128
"""Boards in one forward pass: larger batches do not fit a CPU's caches."""


class Boards(NamedTuple):
    """The state of B slots, with K active boards and up to F waiting boards each."""

    inner: State
    """State of the agent and its rule, (B, K, ...)."""
    board: Tensor
    """The active boards, int64 (B, K, L); the first is the puzzle itself."""
    depth: Tensor
    """Number of guesses on each, int64 (B, K)."""
    age: Tensor
    """Segments spent on each, int64 (B, K)."""
    used: Tensor
    """Which places hold a board, bool (B, K)."""
    waiting: Tensor
    """Waiting boards, int64 (B, F, L), the most promising first."""
    waiting_depth: Tensor
    """Number of guesses on each, int64 (B, F)."""
    promise: Tensor
    """How promising each is, float32 (B, F); 0 in empty places."""
    logits: Tensor
    """Logits of the current answer, float32 (B, L, V)."""
    signals: Tensor
    """The halting rule's signals for it, float32 (B, number of signals)."""
    features: Tensor
    """The features for it, float32 (B, F)."""
    answered: Tensor
    """The board that gave it, int64 (B, L)."""
    given_up: Tensor
    """Number of boards given up so far, int64 (B,)."""


class Guessing(Policy):
    """A policy that thinks about several boards; one segment covers every board.

    Args:
        policy: a policy whose rule detects hopeless puzzles (`HaltingRule.solvable`).
        task: the puzzle family, which must support guesses.
        boards: K, boards in parallel, at least 2.
        options: the constants of the search.

    Raises:
        HrmGymError: if the rule cannot detect hopeless puzzles, or the family has no guesses.
    """

    def __init__(self, policy: Policy, task: Task, boards: int, options: SearchOptions | None = None) -> None:
        if boards < 2:
            raise HrmGymError(f"boards is {boards}: give 2 or more, counting the puzzle itself")
        if not policy.halting.gives_up:
            raise HrmGymError(
                f"boards is {boards}: this agent cannot detect a wrong guess; give a --checkpoint trained with "
                "--guesses 0.5 --give-up, such as pretrained:SudokuExtreme-v0, or leave it out"
            )
        if not can_guess(task):
            raise HrmGymError(f"boards is {boards}: {type(task).__name__} has no guesses; leave it out")
        super().__init__(policy.name, policy.agent, policy.halting, policy.loss)
        self.task, self.boards = task, boards
        self._symbols = torch.tensor(task.group_symbols, device=self.device)
        self.options = options or SearchOptions()
        self._solved = torch.tensor(self.options.solved, device=self.device)
        self._margin = self.options.margin_for(boards)
        self._right = policy.halting.signals.index("q_halt")

    def initial_state(self, num: int) -> Boards:
        """See `Policy`."""
        spec, device = self.agent.spec, self.device
        wide = num, self.boards
        used = torch.zeros(wide, dtype=torch.bool, device=device)
        used[:, 0] = True

        def none(*shape: int, dtype: torch.dtype = torch.long) -> Tensor:
            return torch.zeros(shape, dtype=dtype, device=device)

        return Boards(
            inner=self._wide(super().initial_state(num * self.boards)),
            board=none(*wide, spec.num_cells),
            depth=none(*wide),
            age=none(*wide),
            used=used,
            waiting=none(num, WAITING, spec.num_cells),
            waiting_depth=none(num, WAITING),
            promise=none(num, WAITING, dtype=torch.float),
            logits=none(num, spec.num_cells, spec.num_tokens, dtype=torch.float),
            signals=none(num, len(self.halting.signals), dtype=torch.float),
            features=none(num, self.agent.num_features, dtype=torch.float),
            answered=none(num, spec.num_cells),
            given_up=none(num),
        )

    def perturbed(self, state: Boards, noise: float, generator: torch.Generator) -> Boards:
        """See `Policy`: on what the agent thinks about every board, not on the boards or how promising they are."""
        return state._replace(inner=super().perturbed(state.inner, noise, generator))

    def search(self, state: Boards) -> Search:
        """See `Policy`."""
        guessed = state.answered != state.board[:, 0]
        return Search(
            open=state.used.sum(1),
            waiting=(state.promise > 0).sum(1),
            given_up=state.given_up,
            guesses=state.answered.where(guessed, self.task.blank),
        )

    @torch.no_grad()
    def forward(self, state: Boards, obs: Mapping[str, Tensor]) -> tuple[Boards, Output, Signals]:
        """One segment on every board; the output is that of the most confident board. See `Policy`."""
        board = torch.cat((obs["puzzle"].unsqueeze(1), state.board[:, 1:]), 1)
        used = state.used.flatten().nonzero()[:, 0]  # (M,), indices into B * K
        flat = _flat(state.inner)
        inner, logits, signals, features = self._think(nests.take(flat, used), board.flatten(0, 1)[used])
        after = state._replace(
            inner=self._wide(nests.put(flat, used, inner)),
            board=board,
            age=state.age + state.used,
        )
        after = self._answered(after, used, logits, signals, features)
        said = self._named(after.signals)
        return self._guessed(after, used, logits, signals), Output(after.logits, after.features), said

    def _named(self, signals: Tensor) -> Signals:
        """Signals (M, number) by name."""
        return dict(zip(self.halting.signals, signals.unbind(1), strict=True))

    def _think(self, state: State, boards: Tensor) -> tuple[State, Tensor, Tensor, Tensor]:
        """One segment on M boards: states, logits (M, L, V), signals (M, number), features (M, F)."""
        parts = []
        for begin in range(0, len(boards), CHUNK):
            some = slice(begin, begin + CHUNK)
            inner, output, signals = super().forward(nests.take(state, some), {"puzzle": boards[some]})
            read = torch.stack([signals[name].float() for name in self.halting.signals], 1)
            read[:, self._right] -= self._margin
            parts.append((inner, output.logits.float(), read, output.features.float()))
        together = parts[0]
        for part in parts[1:]:
            together = nests.join(together, part)
        return together

    def _answered(self, state: Boards, used: Tensor, logits: Tensor, signals: Tensor, features: Tensor) -> Boards:
        """Update the answer to the most confident board's; keep the old one if it seemed right with more confidence."""
        batch, wide = state.used.shape
        right = signals[:, self._right]
        belief = signals.new_full((batch * wide,), -torch.inf).index_copy(0, used, right).view(batch, wide)
        place = used.new_zeros(batch * wide).index_copy(0, used, torch.arange(len(used), device=used.device))
        best, board = belief.max(1)
        new = place.view(batch, wide).gather(1, board[:, None])[:, 0]  # (B,), indices into the M boards
        before = state.signals[:, self._right]
        stays = (state.age[:, 0] > 1) & (before > 0) & (before >= best)
        return state._replace(
            logits=torch.where(stays[:, None, None], state.logits, logits[new]),
            signals=torch.where(stays[:, None], state.signals, signals[new]),
            features=torch.where(stays[:, None], state.features, features[new]),
            answered=torch.where(stays[:, None], state.answered, rows(state.board, board[:, None])[:, 0]),
        )

    def _guessed(self, state: Boards, used: Tensor, logits: Tensor, signals: Tensor) -> Boards:
        """Guess further on boards that have used their segments, and give their places to the most promising boards."""
        age, not_first = state.age.flatten()[used], used % self.boards > 0
        sound = cast(Tensor, self.halting.solvable(self._named(signals)))
        hopeless = not_first & (sound < HOPELESS)
        done = not_first & (age >= self.options.segments)
        probabilities = normalised(logits, self.loss)[..., self._symbols]  # (M, L, S)
        # If no board is left, start again from the current state on the puzzle.
        idle = (state.used.sum(1) == 1) & (state.promise.amax(1) <= 0)
        first = self.options.first
        begins = ~not_first & ((age == first) | ((age > first) & idle[used // self.boards]))
        state = self._offered(state, used, begins, self.options.at_once, probabilities, torch.ones_like(sound))
        state = self._offered(state, used, done & ~hopeless, 1, probabilities, sound.sigmoid())
        ended = torch.zeros_like(state.used).flatten().index_copy(0, used, hopeless | done)
        state = state._replace(given_up=state.given_up.index_add(0, used // self.boards, hopeless.long()))
        return self._placed(state, ended.view(state.used.shape))

    def _offered(
        self, state: Boards, used: Tensor, chosen: Tensor, cells: int, probabilities: Tensor, certainty: Tensor
    ) -> Boards:
        """Add the successors of the `chosen` boards, bool (M,), to the waiting ones.

        Args:
            state: the current state.
            used: the places of the M boards among B * K.
            chosen: the boards to guess on.
            cells: how many cells to guess at once.
            probabilities: of the symbols, (M, L, S).
            certainty: probability that each board has a solution, (M,).
        """
        if not bool(chosen.any()):
            return state
        batch, wide, length = state.board.shape
        places = used[chosen]
        found, chance = self._combinations(state.board.flatten(0, 1)[places], probabilities[chosen], cells)
        depth = state.depth.flatten()[places] + cells
        solved = self._solved[depth.clamp_max(len(self._solved) - 1)]
        chance = chance * (certainty[chosen] * solved)[:, None]  # (m, W)
        # Scatter into slots, (B, K * W); the entries of boards that were not chosen stay empty.
        slots, width = batch * wide, chance.shape[1]
        boards = found.new_zeros(slots, width, length).index_copy(0, places, found).view(batch, -1, length)
        depths = depth.new_zeros(slots, width).index_copy(0, places, depth[:, None].expand(-1, width)).view(batch, -1)
        chances = chance.new_zeros(slots, width).index_copy(0, places, chance).view(batch, -1)
        promise, order = torch.cat((state.promise, chances), 1).topk(WAITING, 1)
        return state._replace(
            waiting=rows(torch.cat((state.waiting, boards), 1), order),
            waiting_depth=torch.cat((state.waiting_depth, depths), 1).gather(1, order),
            promise=promise,
        )

    def _placed(self, state: Boards, ended: Tensor) -> Boards:
        """Fill free places, and those that `ended`, bool (B, K), with the most promising boards."""
        free = ~state.used | ended
        rank = free.cumsum(1) - 1  # the r-th free place takes the r-th board
        index = rank.clamp(0, WAITING - 1)
        filled = free & (rank < WAITING) & (state.promise.gather(1, index) > 0)
        gone = torch.arange(WAITING, device=filled.device) < filled.sum(1, keepdim=True)
        promise, order = state.promise.masked_fill(gone, 0.0).topk(WAITING, 1)  # the rest moves up
        new = filled.flatten().nonzero()[:, 0]
        return state._replace(
            inner=self._wide(nests.put(_flat(state.inner), new, super().initial_state(len(new)))),
            board=torch.where(filled[..., None], rows(state.waiting, index), state.board),
            depth=torch.where(filled, state.waiting_depth.gather(1, index), state.depth),
            age=state.age.masked_fill(filled, 0),
            used=(state.used & ~free) | filled,
            waiting=rows(state.waiting, order),
            waiting_depth=state.waiting_depth.gather(1, order),
            promise=promise,
        )

    def _combinations(self, boards: Tensor, probabilities: Tensor, cells: int) -> tuple[Tensor, Tensor]:
        """Fill all symbols into the `cells` most ambiguous cells, those with the most probable second symbol.

        Args:
            boards: int64 (m, L).
            probabilities: of the symbols, (m, L, S).
            cells: number of cells to guess together.

        Returns:
            The most probable combinations, int64 (m, W, L), and their probabilities, (m, W); 0 for unused entries.
        """
        num, length, symbols = probabilities.shape
        left = possible(self.task, boards)
        second = (probabilities * left).topk(2, -1).values[..., 1]
        guessed = second.masked_fill(left.sum(-1) < 2, -1.0).topk(cells, 1).indices  # (m, cells)
        found, chance = boards.unsqueeze(1), probabilities.new_ones(num, 1)
        puzzle = torch.arange(num, device=boards.device)
        for cell in guessed.unbind(1):
            width = found.shape[1]
            left = possible(self.task, found.flatten(0, 1)).view(num, width, length, symbols)
            allowed = left[puzzle, :, cell]  # (m, W, S)
            chance = (chance[..., None] * probabilities[puzzle, cell][:, None] * allowed).flatten(1)  # (m, W * S)
            found = found.repeat_interleave(symbols, 1)
            here = torch.arange(length, device=boards.device) == cell[:, None]  # (m, L)
            found = torch.where(here[:, None], self._symbols.repeat(width)[:, None], found)
            chance, order = chance.topk(min(WAITING, chance.shape[1]), 1)
            found = rows(found, order)
        # Discard boards with a cell that has no symbol left.
        last = possible(self.task, found.flatten(0, 1)).any(-1).view(found.shape)
        return found, chance * (last | self.task.is_given(found)).all(-1)

    def _wide(self, state: State) -> State:
        """Reshape states of B * K boards to B slots with K boards each."""
        return nests.map_tensors(lambda z: z.unflatten(0, (-1, self.boards)), state)


def _flat(state: State) -> State:
    """The inverse of `_wide`."""
    return nests.map_tensors(lambda z: z.flatten(0, 1), state)


def rows(boards: Tensor, index: Tensor) -> Tensor:
    """Index the boards (B, F, L) by (B, K): (B, K, L)."""
    return boards.gather(1, index[..., None].expand(-1, -1, boards.shape[2]))


def guessing(policy: Policy, task: Task, boards: int) -> Policy:
    """The policy with this many boards in parallel; 1: the policy itself, 0: automatic.

    Raises:
        HrmGymError: as `Guessing`, and if `boards` is negative.
    """
    if boards < 0:
        raise HrmGymError(
            f"boards is {boards}: give 1 or more, counting the puzzle itself, or 0 for the agent's default"
        )
    if boards == 0:
        boards = BOARDS if policy.halting.gives_up and can_guess(task) else 1
    return policy if boards == 1 else Guessing(policy, task, boards)
