"""The halting environment over a frozen agent: what it is like inside after a segment, live or recorded.

`gym.make("hrm_gym:Sudoku6x6-Halt-v0")` comes here; the environment itself stands in `hrm_gym.envs.halting.halting_env`.
"""

from __future__ import annotations

import functools
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hrm_gym.agents import state as nests
from hrm_gym.agents.agent import Output
from hrm_gym.agents.halting.rule import Signals
from hrm_gym.agents.inference.load import load_both, pretrained_path
from hrm_gym.agents.inference.think import boards_of, observation
from hrm_gym.agents.policy import Policy
from hrm_gym.agents.state import State
from hrm_gym.agents.training.checkpoint import FILE_NAME
from hrm_gym.envs.halting.halting_env import HaltingEnv
from hrm_gym.envs.halting.halting_rules import check_arguments
from hrm_gym.envs.halting.halting_vector_env import HaltingVectorEnv
from hrm_gym.envs.halting.thinkers import STATE, STATE_BOUND, Episodes, RecordedThinker, Segment, Thinker
from hrm_gym.envs.task import SPLITS, Puzzles, Task
from hrm_gym.errors import HrmGymError, unknown

FEATURES = (
    "confidence_mean",  # probability of the chosen symbol, mean over the cells
    "confidence_min",  # the same in the least certain cell
    "entropy",  # of a cell's symbol, mean over the cells, as a share of the highest possible one
    "changed",  # share of cells whose symbol differs from the segment before; 1 after the first segment
    "moved",  # how far the agent's state moved: |new - old| / (|new| + |old|) over all its numbers
    "violations",  # broken rules a cell, at most 1
)
"""What is seen of every agent after a segment, after the signals of its halting rule; all in [0, 1]."""
NUM_RECORDED = 1_000
"""How many puzzles are recorded where nobody says how many."""


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
    """What can be seen of a segment without the solution, float32 (n, F): the rule's signals, then `FEATURES`.

    Args:
        policy: that thought it.
        task: for the rules.
        puzzle: tokens, int64 (n, L).
        previous: the answer of the segment before, int64 (n, L); -1 everywhere before the first.
        before: the states before the segment.
        after: the states after it.
        output: of the agent.
        signals: of its halting rule.
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
        nests.moved(before, after),
        task.violations(puzzle, answer) / task.num_cells,
    )
    return torch.stack([column.float() for column in columns], dim=-1).clamp(0.0, 1.0)


class LiveThinker:
    """A frozen agent that thinks about puzzles in slots: a `hrm_gym.envs.halting.thinkers.Thinker`.

    Args:
        policy: on its device.
        task: for the rules.
        puzzles: NumPy arrays of N puzzles, (N, L), with their solutions.
        num_slots: how many puzzles at once.
        features: add the agent's features, what its own halting rule reads, clipped to [-10, 10].

    Raises:
        HrmGymError: where there are no puzzles or slots.
    """

    episodes: Episodes | None = None

    def __init__(
        self, policy: Policy, task: Task, puzzles: Puzzles, num_slots: int = 1, features: bool = False
    ) -> None:
        self.num_slots = num_slots
        self.num_puzzles = len(puzzles.puzzle)
        if num_slots < 1 or not self.num_puzzles:
            raise HrmGymError(f"{num_slots} slots for {self.num_puzzles} puzzles: give at least 1 of both")
        more = [f"{STATE}{i}" for i in range(policy.agent.num_features)] if features else []
        self.names = (*policy.halting.signals, *FEATURES, *more)
        self._policy, self._task, self._more = policy, task, features
        self._puzzles = boards_of(puzzles, policy.device)
        self._index = torch.zeros(num_slots, dtype=torch.long, device=policy.device)
        self._answer = torch.full((num_slots, task.num_cells), -1, device=policy.device)
        with torch.inference_mode():
            self._state = policy.initial_state(num_slots)

    @torch.inference_mode()
    def start(self, slots: np.ndarray, index: np.ndarray) -> None:
        """See `Thinker`."""
        where = self._put(slots)
        self._index[where] = self._put(index)
        self._answer[where] = -1
        self._state = nests.put(self._state, where, self._policy.initial_state(len(slots)))

    @torch.inference_mode()
    def think(self, slots: np.ndarray) -> Segment:
        """See `Thinker`."""
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
) -> Episodes:
    """Let an agent think all segments about N puzzles, (N, L) in NumPy, and keep what is seen of them.

    Raises:
        HrmGymError: where there are no puzzles, or a number is below 1.
    """
    if max_segments < 1:
        raise HrmGymError(f"max_segments={max_segments}: give at least 1")
    thinker = LiveThinker(policy, task, puzzles, min(batch_size, len(puzzles.puzzle)), features)
    batches = []
    for begin in range(0, thinker.num_puzzles, thinker.num_slots):
        index = np.arange(begin, min(begin + thinker.num_slots, thinker.num_puzzles))
        slots = np.arange(len(index))
        thinker.start(slots, index)
        segments = [thinker.think(slots) for _ in range(max_segments)]
        batches.append([np.stack(arrays, axis=1) for arrays in zip(*segments, strict=True)])
    seen, right, cell_accuracy = (np.concatenate(arrays) for arrays in zip(*batches, strict=True))
    return Episodes(seen, right, cell_accuracy, thinker.names)


# ---- the entry points of the ids ---------------------------------------------------------------------


class NoPictureError(HrmGymError, TypeError):
    """A render mode where there is nothing to render.

    Also a TypeError, as from an environment without that argument: `make_vec_env` of Stable-Baselines3 asks every
    environment for pictures and, told so, makes it without.
    """


def make_halting_env(env_id: str, **kwargs: Any) -> HaltingEnv:
    """The halting environment of a puzzle id; `HaltingEnv` lists the arguments.

    Raises:
        HrmGymError: on an argument that is unknown or out of range, where no agent is shipped, or where the
            checkpoint is for another board.
    """
    thinker, rules = _thinker(env_id, 1, **kwargs)
    return HaltingEnv(thinker, **rules)


def make_halting_vec(
    env_id: str, *, num_envs: int = 1, autoreset_mode: Any = "NextStep", **kwargs: Any
) -> HaltingVectorEnv:
    """N halting environments of a puzzle id, thinking in one batch; `HaltingVectorEnv` lists the arguments.

    Raises:
        HrmGymError: as `make_halting_env`.
    """
    if num_envs < 1:
        raise HrmGymError(f"num_envs={num_envs}: give at least 1")
    thinker, rules = _thinker(env_id, num_envs, **kwargs)
    return HaltingVectorEnv(thinker, autoreset_mode=autoreset_mode, **rules)


def _thinker(
    env_id: str,
    num_slots: int,
    *,
    agent: str = "pretrained",
    split: str = "train",
    num_examples: int | None = None,
    max_segments: int = 16,
    recorded: bool = True,
    features: bool = False,
    device: str = "cpu",
    render_mode: None = None,
    max_episode_steps: int | None = None,
    **rules: Any,
) -> tuple[Thinker, dict[str, Any]]:
    """The thinker that the arguments of an id ask for, and what is left for the rules."""
    known = ("reward", "segment_cost")
    for name in rules:
        if name not in known:
            own = ("agent", "split", "num_examples", "max_segments", "recorded", "features", "device")
            raise unknown("argument", name, (*own, *known))
    if render_mode is not None:
        raise NoPictureError(f"render_mode={render_mode!r}: halting has no picture; hrm-gym play shows the agent think")
    if max_episode_steps not in (None, -1):
        raise HrmGymError(f"max_episode_steps={max_episode_steps}: give max_segments instead")
    if split not in SPLITS:
        raise unknown("split", split, SPLITS)
    check_arguments(rules.get("reward", "success"), rules.get("segment_cost", 0.0), max_segments, recorded)
    if num_examples is not None and num_examples < 1:
        raise HrmGymError(f"num_examples={num_examples}: give at least 1, or None")
    if recorded:
        path = pretrained_path(env_id) if agent == "pretrained" else Path(agent)
        # All environments of a process over one agent share one recording, until its file changes.
        file = path / FILE_NAME if path.is_dir() else path
        written = file.stat().st_mtime_ns if file.is_file() else 0
        episodes = _recorded(env_id, agent, written, split, num_examples, max_segments, features, device)
        return RecordedThinker(episodes, num_slots), {"max_segments": max_segments, **rules}
    model, task = load_both(env_id, agent, device)
    puzzles = _chosen(task, split, num_examples)
    return LiveThinker(model, task, puzzles, num_slots, features), {"max_segments": max_segments, **rules}


@functools.lru_cache(maxsize=8)
def _recorded(
    env_id: str,
    agent: str,
    written: int,
    split: str,
    num_examples: int | None,
    max_segments: int,
    features: bool,
    device: str,
) -> Episodes:
    model, task = load_both(env_id, agent, device)
    puzzles = first_puzzles(task, split, NUM_RECORDED) if num_examples is None else _chosen(task, split, num_examples)
    return record(model, task, puzzles, max_segments, features=features)


def _chosen(task: Task, split: str, num: int | None) -> Puzzles:
    puzzles = first_puzzles(task, split, num or 0)
    if num is not None and num > len(puzzles.puzzle):
        raise HrmGymError(f"num_examples={num}: the {split} split has {len(puzzles.puzzle)} puzzles")
    return puzzles


def first_puzzles(task: Task, split: str, num: int) -> Puzzles:
    """The first `num` puzzles of a split, or as many as there are, without symmetries; 0: all."""
    return task.dataset(split).map(lambda array: array[: num or None])
