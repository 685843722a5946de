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

from hrm_gym.agents.inference.think import moved, observation
from hrm_gym.agents.models.reasoner import Carry, Output, Reasoner
from hrm_gym.agents.training.checkpoint import FILE_NAME, load_both, pretrained_path
from hrm_gym.agents.training.losses import probabilities
from hrm_gym.envs.halting.halting_env import HaltingEnv
from hrm_gym.envs.halting.halting_rules import check_arguments
from hrm_gym.envs.halting.halting_vector_env import HaltingVectorEnv
from hrm_gym.envs.halting.thinkers import STATE_BOUND, Episodes, RecordedThinker, Segment, Thinker
from hrm_gym.envs.task import SPLITS, Puzzles, Task
from hrm_gym.errors import HrmGymError, unknown

FEATURES = (
    "q_halt",
    "q_continue",
    "confidence_mean",
    "confidence_min",
    "entropy",
    "changed",
    "moved_h",
    "moved_l",
    "violations",
)
NUM_RECORDED = 1_000
"""How many puzzles are recorded where nobody says how many."""


def segment_features(
    agent: Reasoner, task: Task, puzzle: Tensor, previous: Tensor, before: Carry, after: Carry, out: Output
) -> Tensor:
    """What can be seen of a segment without the solution, float32 (n, 9), in the order of `FEATURES`.

    Args:
        agent: that thought it.
        task: for the rules.
        puzzle: tokens, int64 (n, L).
        previous: the answer of the segment before, int64 (n, L); -1 everywhere before the first.
        before: the states before the segment, (n, P + L, D).
        after: the states after it.
        out: its output.
    """
    p = probabilities(out.logits, agent.config.loss)
    answer, confidence = out.logits.argmax(-1), p.max(-1).values
    entropy = -(p * p.clamp_min(1e-12).log()).sum(-1).mean(-1) / math.log(agent.num_tokens)
    keeps_on = agent.config.halting != "halt_only"
    columns = (
        out.q_halt.sigmoid(),
        out.q_continue.sigmoid() if keeps_on else torch.full_like(out.q_halt, 0.5),
        confidence.mean(-1),
        confidence.min(-1).values,
        entropy,
        (answer != previous).float().mean(-1),
        moved(before.z_h, after.z_h),
        moved(before.z_l, after.z_l),
        task.violations(puzzle, answer) / task.num_cells,
    )
    return torch.stack([column.float() for column in columns], dim=-1).clamp(0.0, 1.0)


class LiveThinker:
    """A frozen agent that thinks about puzzles in slots: a `hrm_gym.envs.halting.thinkers.Thinker`.

    Args:
        agent: on its device.
        task: for the rules.
        puzzles: NumPy arrays of N puzzles, (N, L), with their solutions.
        num_slots: how many puzzles at once.
        pooled_states: add the mean of z_H over all positions, D features.

    Raises:
        HrmGymError: where there are no puzzles or slots.
    """

    episodes: Episodes | None = None

    def __init__(
        self, agent: Reasoner, task: Task, puzzles: Puzzles, num_slots: int = 1, pooled_states: bool = False
    ) -> None:
        self.num_slots = num_slots
        self.num_puzzles = len(puzzles.puzzle)
        if num_slots < 1 or not self.num_puzzles:
            raise HrmGymError(f"{num_slots} slots for {self.num_puzzles} puzzles: give at least 1 of both")
        pooled = [f"state_{i}" for i in range(agent.config.hidden_size)] if pooled_states else []
        self.names = (*FEATURES, *pooled)
        self._agent, self._task, self._pooled = agent, task, pooled_states
        self._device = agent.h_init.device
        self._puzzles = puzzles.map(lambda array: self._put(np.ascontiguousarray(array)))
        self._index = torch.zeros(num_slots, dtype=torch.long, device=self._device)
        self._answer = torch.full((num_slots, task.num_cells), -1, device=self._device)
        with torch.inference_mode():
            self._carry = agent.initial_carry(num_slots)

    @torch.inference_mode()
    def start(self, slots: np.ndarray, index: np.ndarray) -> None:
        """See `Thinker`."""
        where = self._put(slots)
        self._index[where] = self._put(index)
        self._answer[where] = -1
        for state, fresh in zip(self._carry, self._agent.initial_carry(len(slots)), strict=True):
            state[where] = fresh

    @torch.inference_mode()
    def think(self, slots: np.ndarray) -> Segment:
        """See `Thinker`."""
        where = self._put(slots)
        puzzle, solution, identity = self._puzzles.map(lambda array: array[self._index[where]])
        before = Carry(*(state[where] for state in self._carry))
        after, out = self._agent(before, observation(puzzle, identity))
        features = segment_features(self._agent, self._task, puzzle, self._answer[where], before, after, out)
        if self._pooled:
            pooled = after.z_h.float().mean(1).clamp(-STATE_BOUND, STATE_BOUND)
            features = torch.cat((features, pooled), dim=-1)
        answer = out.logits.argmax(-1)
        self._answer[where] = answer
        for state, new in zip(self._carry, after, strict=True):
            state[where] = new
        match = self._task.match(solution.cpu().numpy(), answer.cpu().numpy())
        return Segment(features.cpu().numpy(), match.right, match.cell_accuracy)

    def _put(self, array: np.ndarray) -> Tensor:
        return torch.as_tensor(array, device=self._device).long()


def record(
    agent: Reasoner,
    task: Task,
    puzzles: Puzzles,
    max_segments: int = 16,
    batch_size: int = 256,
    pooled_states: bool = False,
) -> Episodes:
    """Let an agent think all segments about N puzzles, (N, L) in NumPy, and keep what is seen of them.

    Raises:
        HrmGymError: where there are no puzzles, or a number is below 1.
    """
    if max_segments < 1:
        raise HrmGymError(f"max_segments={max_segments}: give at least 1")
    thinker = LiveThinker(agent, task, puzzles, min(batch_size, len(puzzles.puzzle)), pooled_states)
    batches = []
    for begin in range(0, thinker.num_puzzles, thinker.num_slots):
        index = np.arange(begin, min(begin + thinker.num_slots, thinker.num_puzzles))
        slots = np.arange(len(index))
        thinker.start(slots, index)
        segments = [thinker.think(slots) for _ in range(max_segments)]
        batches.append([np.stack(arrays, axis=1) for arrays in zip(*segments, strict=True)])
    features, right, cell_accuracy = (np.concatenate(arrays) for arrays in zip(*batches, strict=True))
    return Episodes(features, right, cell_accuracy, thinker.names)


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
    pooled_states: bool = False,
    device: str = "cpu",
    render_mode: None = None,
    max_episode_steps: int | None = None,
    **rules: Any,
) -> tuple[Thinker, dict[str, Any]]:
    """The thinker that the arguments of an id ask for, and what is left for the rules."""
    known = ("reward", "segment_cost")
    for name in rules:
        if name not in known:
            own = ("agent", "split", "num_examples", "max_segments", "recorded", "pooled_states", "device")
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
        episodes = _recorded(env_id, agent, written, split, num_examples, max_segments, pooled_states, device)
        return RecordedThinker(episodes, num_slots), {"max_segments": max_segments, **rules}
    model, task = load_both(env_id, agent, device)
    puzzles = _chosen(task, split, num_examples)
    return LiveThinker(model, task, puzzles, num_slots, pooled_states), {"max_segments": max_segments, **rules}


@functools.lru_cache(maxsize=8)
def _recorded(
    env_id: str,
    agent: str,
    written: int,
    split: str,
    num_examples: int | None,
    max_segments: int,
    pooled_states: bool,
    device: str,
) -> Episodes:
    model, task = load_both(env_id, agent, device)
    puzzles = first_puzzles(task, split, NUM_RECORDED) if num_examples is None else _chosen(task, split, num_examples)
    return record(model, task, puzzles, max_segments, pooled_states=pooled_states)


def _chosen(task: Task, split: str, num: int | None) -> Puzzles:
    puzzles = first_puzzles(task, split, num or 0)
    if num is not None and num > len(puzzles.puzzle):
        raise HrmGymError(f"num_examples={num}: the {split} split has {len(puzzles.puzzle)} puzzles")
    return puzzles


def first_puzzles(task: Task, split: str, num: int) -> Puzzles:
    """The first `num` puzzles of a split, or as many as there are, without symmetries; 0: all."""
    return task.dataset(split).map(lambda array: array[: num or None])
