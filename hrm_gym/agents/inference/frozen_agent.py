"""The frozen agent of a halting environment, live or recorded."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from hrm_gym.agents import state as nests
from hrm_gym.agents.agent import Output
from hrm_gym.agents.halting.rule import Signals
from hrm_gym.agents.inference.think import boards_of, observation
from hrm_gym.agents.policy import Policy
from hrm_gym.agents.state import State
from hrm_gym.envs.halting.frozen_model import STATE, STATE_BOUND, Episodes, LazyEpisodes, Segment
from hrm_gym.envs.task import Puzzles, Task
from hrm_gym.errors import HrmGymError

CELLS_AT_ONCE = 2048
"""Cells of the puzzles in one batch of a recording: about a second on one CPU core."""
FEATURES = (
    "confidence_mean",  # probability of the chosen symbol, mean over the cells
    "confidence_min",  # the same in the least certain cell
    "entropy",  # of a cell's symbol, mean over the cells, relative to the maximum
    "changed",  # share of cells whose symbol differs from the segment before; 1 after the first segment
    "residual",  # how far the agent's state moved: |new - old| / (|new| + |old|) over all its numbers
    "violations",  # broken rules per cell, at most 1
)
"""Observed features of every agent after a segment, following its halting rule's signals; all in [0, 1]."""


def segment_features(
    policy: Policy,
    task: Task,
    puzzle: Tensor,
    previous: Tensor,
    before: State,
    after: State,
    output: Output,
    signals: Signals,
) -> Tensor:
    """The observation of a segment without the solution, float32 (n, F): the rule's signals, then `FEATURES`.

    Args:
        policy: the policy that ran the segment.
        task: checks the rules.
        puzzle: tokens, int64 (n, L).
        previous: the previous segment's answer, int64 (n, L); -1 everywhere before the first.
        before: the states before the segment.
        after: the states after it.
        output: the agent's.
        signals: its halting rule's.
    """
    p = policy.probabilities(output)
    answer, confidence = output.logits.argmax(-1), p.max(-1).values
    entropy = -(p * p.clamp_min(1e-12).log()).sum(-1).mean(-1) / math.log(task.num_tokens)
    columns = (
        *(signals[name].sigmoid() for name in policy.halting.signals),
        confidence.mean(-1),
        confidence.min(-1).values,
        entropy,
        (answer != previous).float().mean(-1),
        nests.residual(before, after),
        task.violations(puzzle, answer) / task.num_cells,
    )
    return torch.stack([column.float() for column in columns], dim=-1).clamp(0.0, 1.0)


class FrozenAgent:
    """A frozen agent that thinks about puzzles in slots: a `hrm_gym.envs.halting.frozen_model.FrozenModel`.

    Args:
        policy: on its device.
        task: for the rules.
        puzzles: NumPy arrays of N puzzles, (N, L), with their solutions.
        num_slots: number of puzzles in parallel.
        features: add the agent's features, the input of its own halting rule, clipped to [-10, 10].

    Raises:
        HrmGymError: if there are no puzzles or slots.
    """

    episodes: Episodes | None = None

    def __init__(
        self, policy: Policy, task: Task, puzzles: Puzzles, num_slots: int = 1, features: bool = False
    ) -> None:
        self.num_slots = num_slots
        self.num_puzzles = len(puzzles.puzzle)
        if num_slots < 1 or not self.num_puzzles:
            raise HrmGymError(f"{num_slots} slots for {self.num_puzzles} puzzles: give at least 1 of both")
        self.names = feature_names(policy, features)
        self._policy, self._task, self._more = policy, task, features
        self._puzzles = boards_of(puzzles, policy.device)
        self._index = torch.zeros(num_slots, dtype=torch.long, device=policy.device)
        self._answer = torch.full((num_slots, task.num_cells), -1, device=policy.device)
        with torch.inference_mode():
            self._state = policy.initial_state(num_slots)

    @torch.inference_mode()
    def start(self, slots: np.ndarray, index: np.ndarray) -> None:
        """See `FrozenModel`."""
        where = self._put(slots)
        self._index[where] = self._put(index)
        self._answer[where] = -1
        self._state = nests.put(self._state, where, self._policy.initial_state(len(slots)))

    @torch.inference_mode()
    def think(self, slots: np.ndarray) -> Segment:
        """See `FrozenModel`."""
        where = self._put(slots)
        puzzle, solution, identity = self._puzzles.map(lambda array: array[self._index[where]])
        before = nests.take(self._state, where)
        after, output, signals = self._policy(before, observation(puzzle, identity))
        seen = segment_features(self._policy, self._task, puzzle, self._answer[where], before, after, output, signals)
        if self._more:
            seen = torch.cat((seen, output.features.float().clamp(-STATE_BOUND, STATE_BOUND)), dim=-1)
        answer = output.logits.argmax(-1)
        self._answer[where] = answer
        self._state = nests.put(self._state, where, after)
        grade = self._task.grade(*(board.cpu().numpy() for board in (puzzle, solution, answer)))
        return Segment(seen.cpu().numpy(), np.asarray(grade.right), np.asarray(grade.cell_accuracy))

    def _put(self, array: np.ndarray) -> Tensor:
        return torch.as_tensor(array, device=self._policy.device).long()


def record(
    policy: Policy,
    task: Task,
    puzzles: Puzzles,
    max_segments: int = 16,
    batch_size: int = 256,
    features: bool = False,
    tell: Callable[[int, int], None] | None = None,
) -> Episodes:
    """Run an agent for all segments on N puzzles, (N, L) in NumPy, and record the observations.

    `tell` is called with the number of finished puzzles and the total.

    Raises:
        HrmGymError: if there are no puzzles, or a number is below 1.
    """
    if max_segments < 1:
        raise HrmGymError(f"max_segments={max_segments}: give at least 1")
    agent = FrozenAgent(policy, task, puzzles, min(batch_size, len(puzzles.puzzle)), features)
    batches = []
    for begin in range(0, agent.num_puzzles, agent.num_slots):
        index = np.arange(begin, min(begin + agent.num_slots, agent.num_puzzles))
        slots = np.arange(len(index))
        agent.start(slots, index)
        segments = [agent.think(slots) for _ in range(max_segments)]
        batches.append([np.stack(arrays, axis=1) for arrays in zip(*segments, strict=True)])
        if tell is not None:
            tell(begin + len(index), agent.num_puzzles)
    seen, right, cell_accuracy = (np.concatenate(arrays) for arrays in zip(*batches, strict=True))
    return Episodes(seen, right, cell_accuracy, agent.names)


def record_lazily(
    policy: Policy, task: Task, puzzles: Puzzles, max_segments: int, features: bool = False
) -> LazyEpisodes:
    """Like `record`, in chunks when an episode needs them: 128 puzzles of a 4x4 Sudoku, 2 of a 30x30 maze."""

    def between(begin: int, end: int) -> Episodes:
        return record(policy, task, puzzles.map(lambda array: array[begin:end]), max_segments, features=features)

    names = feature_names(policy, features)
    block = max(1, min(128, CELLS_AT_ONCE // task.num_cells))
    return LazyEpisodes(len(puzzles.puzzle), max_segments, names, between, block)


def feature_names(policy: Policy, features: bool) -> tuple[str, ...]:
    """Names of the observed features of an agent; with `features`, including the input of its halting rule."""
    more = [f"{STATE}{i}" for i in range(policy.agent.num_features)] if features else []
    return (*policy.halting.signals, *FEATURES, *more)


def first_puzzles(task: Task, split: str, num: int) -> Puzzles:
    """The first `num` puzzles of a split (fewer if it is smaller), without symmetries; 0: all."""
    return task.dataset(split).map(lambda array: array[: num or None])
