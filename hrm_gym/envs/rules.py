"""The rules of an episode, for batches; the environments are thin wrappers.

An episode is a pure function of `num_uniforms` uniform numbers: the first selects the puzzle, the others its random
symmetry. So equal seeds give equal episodes, alone or in a batch.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from gymnasium import Space, spaces

from hrm_gym.envs import compiled
from hrm_gym.envs.arguments import check_index
from hrm_gym.envs.arrays import Array, as_int64, concatenate, copy, is_integer, like, where, zeros
from hrm_gym.envs.datasets import puzzles_of, state_of_dataset
from hrm_gym.envs.guesses import HASTE, MOST, NUMBERS, check_guesses, check_hints, sound, with_guesses
from hrm_gym.envs.options import OPTIONS, EnvOptions
from hrm_gym.envs.puzzles import Graded, Puzzles, PuzzleState
from hrm_gym.envs.registration import make_task
from hrm_gym.envs.task import Task
from hrm_gym.errors import HrmGymError


class Rules:
    """The rules for given arguments.

    Args:
        task: an id or an entry "module:Class" (see `hrm_gym.register_task`).
        **arguments: the options of `EnvOptions`, and arguments of the family.

    Raises:
        HrmGymError: if a name is unknown, or a value has the wrong type or is out of range.
    """

    def __init__(self, task: str, **arguments: Any) -> None:
        self._rebuild = functools.partial(Rules, task, **arguments)
        options = EnvOptions(**{name: arguments.pop(name) for name in OPTIONS if name in arguments})
        split, dataset = options.split, options.dataset
        self.options = options
        self.task: Task = make_task(task, dataset, **arguments)
        self.max_segments = options.max_segments or (16 if options.action_type == "board" else 2 * self.task.num_cells)
        if options.augment and split != "train":
            raise HrmGymError(f"augment=True with split={split!r}: only training puzzles are augmented; leave it out")
        self.augment = split == "train" if options.augment is None else options.augment
        check_hints(options.hints, self.task, split)
        check_guesses(options.guesses, self.task, split)
        self._num_symmetry = self.task.num_uniforms if self.augment else 0
        self._num_hints = 2 + self.task.num_cells if options.hints else 0
        self._num_guesses = 2 + MOST * NUMBERS if options.guesses else 0
        self.num_uniforms = 1 + self._num_symmetry + self._num_hints + self._num_guesses
        source = (self.task, split, dataset, options.num_examples)
        self.puzzles = puzzles_of(*source)
        """The puzzles of the split in its order, without symmetric versions."""
        self.num_puzzles = len(self.puzzles.puzzle)
        read = (state_of_dataset(dataset), *source)
        self.data = _ranked(self.augment, *read) if options.ranked else _data(self.augment, *read)
        """The puzzles to draw episodes from, in training followed by their symmetric versions (`Task.images`); sorted
        from easy to hard if `ranked`."""
        self.easiest = 1.0
        """Episodes are drawn from this share of `data`, counted from its beginning."""
        self._tokens = np.arange(self.task.num_tokens)
        self._cells = np.arange(self.task.num_cells)
        self._offsets = np.arange(2 * self.task.num_cells) * self.task.num_tokens
        edits, cells, tokens = options.action_type == "edit", self.task.num_cells, self.task.num_tokens
        self._most = np.array([cells * tokens] if edits else [tokens - 1] * cells + [self.num_decisions - 1])
        """The highest action; for boards, in each entry."""
        self._buffers = compiled.Buffers()

    def __reduce__(self) -> tuple[Callable[..., Rules], tuple[()], dict[str, Any]]:
        """Pickle the arguments and what has changed since, not the puzzles."""
        return self._rebuild, (), {"easiest": self.easiest}

    @property
    def num_decisions(self) -> int:
        """Number of decisions after a segment: continue, halt, and give up if puzzles have guesses."""
        return 3 if self.options.guesses and self.options.action_type == "board" else 2

    # ---- spaces ----------------------------------------------------------------------------------

    @property
    def action_space(self) -> spaces.MultiDiscrete | spaces.Discrete:
        """The action space of a single environment."""
        cells, tokens = self.task.num_cells, self.task.num_tokens
        if self.options.action_type == "edit":
            return spaces.Discrete(cells * tokens + 1)
        return spaces.MultiDiscrete([tokens] * cells + [self.num_decisions])

    @property
    def observation_space(self) -> Space:
        """The observation space of a single environment."""
        cells, tokens = self.task.num_cells, self.task.num_tokens
        if self.options.obs_type == "flat":
            return spaces.Box(0.0, 1.0, (self._flat_size,), np.float32)
        board = [tokens] * cells
        parts: dict[str, Space] = {
            "puzzle": spaces.MultiDiscrete(board),
            "answer": spaces.MultiDiscrete(board),
            "segment": spaces.Discrete(self.max_segments + 1),
        }
        if self.task.num_identities:
            parts["puzzle_id"] = spaces.Discrete(self.task.num_identities)
        return spaces.Dict(parts)

    @property
    def _flat_size(self) -> int:
        return 2 * self.task.num_cells * self.task.num_tokens + 1 + (self.task.num_identities > 0)

    # ---- the beginning of an episode -------------------------------------------------------------

    def start(self, data: Puzzles, uniforms: Array) -> PuzzleState:
        """Start new episodes.

        Args:
            data: the puzzles to choose from, `self.data` or a copy of it on a device.
            uniforms: numbers in [0, 1) of shape (N, num_uniforms).
        """
        num = max(1, round(len(data.puzzle) * self.easiest))
        index = as_int64(uniforms[:, 0] * num)
        # In single precision a number just below 1 can round up to `num`.
        index = index - as_int64(index == num)
        puzzles = data.map(lambda array: array[index])
        if self.augment:
            puzzles = self.task.augment(puzzles, uniforms[:, 1 : 1 + self._num_symmetry])
        if self.options.hints:
            begin = 1 + self._num_symmetry
            puzzles = self._hinted(puzzles, uniforms[:, begin : begin + self._num_hints])
        if self.options.guesses:
            puzzles = with_guesses(self.task, puzzles, self.options.guesses, uniforms[:, -self._num_guesses :])
        return _first(puzzles)

    def _hinted(self, puzzles: Puzzles, uniforms: Array) -> Puzzles:
        """Add hints to some puzzles; `uniforms` has shape (N, 2 + L)."""
        share = 0.7 * uniforms[:, 1] ** 3 * (uniforms[:, 0] < self.options.hints)
        filled = (uniforms[:, 2:] < share[:, None]) & ~self.task.is_given(puzzles.puzzle)
        return puzzles._replace(puzzle=where(filled, puzzles.solution, puzzles.puzzle))

    def chosen(self, options: dict[str, Any], num: int) -> PuzzleState | None:
        """Return the `num` episodes that the options of `reset` select, in NumPy; None if they select none.

        Args:
            options: "puzzle", "index" or neither.
            num: number of slots.

        Raises:
            HrmGymError: if both options are given, an index is out of range, or a puzzle is malformed or unsolvable.
        """
        if len(options) > 1:
            raise HrmGymError("reset got both 'puzzle' and 'index': give one of them")
        if "puzzle" in options:
            from hrm_gym.envs.reading.objects import tokens_of

            puzzle = tokens_of(self.task, options["puzzle"], "option 'puzzle'")
            return _first(Puzzles(*(np.tile(tokens, (num, 1)) for tokens in (puzzle, self.task.solve(puzzle)))))
        if "index" in options:
            index = check_index(options["index"], num, self.num_puzzles)
            return _first(self.puzzles.map(lambda array: array[index]))
        return None

    # ---- a step ----------------------------------------------------------------------------------

    def check(self, actions: Array, num: int) -> Array:
        """Check actions and return them as int64 of shape (num, L + 1) for boards and (num,) for edits.

        NumPy actions out of range are errors. Tensors are clamped instead, because checking them would make the host
        wait for the device.

        Raises:
            HrmGymError: if a shape, type or value is invalid.
        """
        shape = (num,) if self.options.action_type == "edit" else (num, self.task.num_cells + 1)
        if tuple(actions.shape) != shape or not is_integer(actions):
            raise HrmGymError(
                f"actions have shape {tuple(actions.shape)} and type {actions.dtype}: for a batch of {num}, "
                f"action_type={self.options.action_type!r} takes integers of shape {shape}; see action_space"
            )
        if not isinstance(actions, np.ndarray):
            return as_int64(actions).clamp(min=0).minimum(like(self._most, actions))
        actions = np.ascontiguousarray(actions, np.int64)
        if not compiled.in_range(actions.reshape(num, -1), self._most):
            raise HrmGymError(f"an action is out of range: it has {actions.min()} to {actions.max()}; see action_space")
        return actions

    def act(self, state: PuzzleState, actions: Array) -> tuple[PuzzleState, Array]:
        """Return the state after one action per slot, and the decisions, int64 (N,): 0 continue, 1 halt, 2 give up."""
        num_tokens, boards = self.task.num_tokens, self.options.action_type == "board"
        if isinstance(actions, np.ndarray):
            answer, decision = compiled.submit(actions) if boards else compiled.edit(state.answer, actions, num_tokens)
        elif boards:
            answer, decision = copy(actions[:, :-1]), actions[:, -1]
        else:
            cell, token = actions // num_tokens, actions % num_tokens
            # The last action, halt, has an index after the last cell and so changes no cell.
            answer = where(like(self._cells, actions) == cell[:, None], token[:, None], state.answer)
            decision = as_int64(cell == self.task.num_cells)
        # A finished slot that is not reset stays in its last segment, so its observation stays in the space.
        segment = state.segment + (state.segment < self.max_segments)
        return state._replace(answer=answer, segment=segment), decision

    def grade(self, state: PuzzleState, before: tuple[Array, Array | None] | None = None) -> Graded:
        """Grade the current answers by `graded_by`.

        Args:
            state: the state of N slots.
            before: the answers one step earlier and their violations, -1 for slots with a new puzzle. In NumPy,
                violations are then counted only for answers that changed.
        """
        puzzle, solution, answer = state[:3]
        right, cell_accuracy = self.task.match(solution, answer)
        by_rules = self.options.graded_by == "rules" and self.task.verifiable
        counts, violations = self.options.count_violations, None
        if isinstance(answer, np.ndarray) and (counts or by_rules):
            boards = (puzzle, solution, answer)
            if before is None or before[1] is None:
                violations = self.task.count(*boards)
            else:
                violations = self.task.recount(*boards, before[0], before[1])
        elif counts:
            violations = as_int64(self.task.violations(puzzle, answer))
        if by_rules:
            right = self.task.valid(puzzle, solution, answer) if violations is None else violations == 0
        return Graded(right, cell_accuracy, violations)

    def outcome(self, state: PuzzleState, decision: Array, right: Array) -> tuple[Array, Array]:
        """Return reward and terminated, each of shape (N,), of the segment that led to `state`.

        Args:
            state: the state after the segment.
            decision: the decisions that `act` returned, int64 of shape (N,).
            right: whether each answer is correct, bool of shape (N,).
        """
        terminated = (decision > 0) | (state.segment >= self.max_segments)
        # A slot that has just been reset is in segment 0 and pays no cost.
        goes_on = ~terminated & (state.segment > 0)
        reward = (terminated & right) * 1.0 - goes_on * self.options.segment_cost
        if self.num_decisions > 2:
            worth = where(sound(self.task, state.puzzle, state.solution), -HASTE, 1.0)
            reward = where(decision == 2, worth, reward)
        return reward, terminated

    # ---- what is shown ---------------------------------------------------------------------------

    def observe(self, state: PuzzleState) -> Any:
        """Return observations of N slots: a dict of int64 arrays, or float32 of shape (N, 2 * L * V + 1).

        If the family has identities, the dict also has `puzzle_id`, and the vector one more number.
        """
        if self.options.obs_type == "dict":
            parts = {"puzzle": self._shown(state.puzzle), "answer": self._shown(state.answer)}
            parts["segment"] = copy(state.segment)
            if self.task.num_identities:
                parts["puzzle_id"] = copy(state.identity)
            return parts
        num, width = state.puzzle.shape[0], self._flat_size
        if isinstance(state.puzzle, np.ndarray):
            flat = self._buffers.empty((num, width), np.float32)
            compiled.write_one_hot(flat, state.puzzle, state.answer, self.task.num_tokens)
        else:
            # Writing ones into zeros is several times as fast as comparing every cell with every token.
            boards = concatenate([state.puzzle, state.answer])
            flat = zeros((num, width), boards)
            ones = boards + like(self._offsets, boards) + like(np.arange(num)[:, None] * width, boards)
            flat.reshape(-1)[ones] = 1.0
        flat[:, 2 * self.task.num_cells * self.task.num_tokens] = state.segment / self.max_segments
        if self.task.num_identities:
            flat[:, -1] = state.identity / self.task.num_identities
        return flat

    def info(self, state: PuzzleState, graded: Graded) -> dict[str, Array]:
        """Return the information for learners and evaluators, one array per key."""
        infos = {"is_success": graded.right, "cell_accuracy": graded.cell_accuracy}
        if self.options.count_violations:
            infos["violations"] = graded.violations
        return {**infos, "solution": self._shown(state.solution)}

    def _shown(self, boards: Array) -> Array:
        """Copy boards to int64, the dtype of observations."""
        return self._buffers.int64(boards) if isinstance(boards, np.ndarray) else copy(boards)

    def action_masks(self, state: PuzzleState) -> Array:
        """Return the mask of sensible actions, bool: (N, L * V + 2) for boards, (N, L * V + 1) for edits.

        A board must repeat the givens and may have any token elsewhere; an edit must not change a given. Halting and,
        for boards, continuing are always allowed. With guesses, boards have one more entry, giving up, always allowed.
        """
        puzzle = as_int64(state.puzzle)
        tokens = like(self._tokens, puzzle)
        cells = (~self.task.is_given(puzzle))[:, :, None] & (tokens >= 0)
        if self.options.action_type == "board":
            cells = cells | (puzzle[:, :, None] == tokens)
        cells = cells.reshape(puzzle.shape[0], -1)
        always = cells[:, :1] | True
        decisions = [always] * (self.num_decisions if self.options.action_type == "board" else 1)
        return concatenate([cells, *decisions])


def _first(puzzles: Puzzles) -> PuzzleState:
    """Return the state before the first segment, with the puzzle as the answer."""
    zero = as_int64(puzzles.puzzle[:, 0]) * 0
    identity = zero if puzzles.identity is None else puzzles.identity
    return PuzzleState.of(puzzles.puzzle, puzzles.solution, puzzles.puzzle, zero, identity)


def _data(augment: bool, state: tuple[Any, ...], *source: Any) -> Puzzles:
    """Return the puzzles to draw episodes from; `state` is the state of the files, as a cache key."""
    return _images(state, *source) if augment else puzzles_of(*source)


@functools.lru_cache(maxsize=16)
def _images(state: tuple[Any, ...], task: Task, *source: Any) -> Puzzles:
    return task.images(puzzles_of(task, *source))


@functools.lru_cache(maxsize=4)
def _ranked(augment: bool, state: tuple[Any, ...], task: Task, *source: Any) -> Puzzles:
    puzzles = _data(augment, state, task, *source)
    rating = task.rate(puzzles.puzzle)
    if (rating == rating[0]).all():
        raise HrmGymError("ranked=True, and the puzzles are all rated alike: leave it out")
    order = np.argsort(rating, kind="stable")
    return puzzles.map(lambda array: array[order])
