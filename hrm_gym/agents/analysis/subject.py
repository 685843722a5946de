"""The subject of analyses: a trained agent, its untrained twin, and the puzzles for both."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hrm_gym.agents import state as nests
from hrm_gym.agents.analysis.recording import Recording, record
from hrm_gym.agents.analysis.settings import Settings
from hrm_gym.agents.inference.think import boards_of, observation
from hrm_gym.agents.policy import Policy
from hrm_gym.agents.saved import checkpoint as checkpoints
from hrm_gym.agents.saved.build import build
from hrm_gym.agents.saved.config import Config
from hrm_gym.agents.saved.load import load_both
from hrm_gym.agents.saved.sources import find, named, pretrained_path
from hrm_gym.agents.state import State
from hrm_gym.envs.task import Puzzles, Task
from hrm_gym.errors import HrmGymError


@dataclasses.dataclass(frozen=True)
class Thoughts:
    """Results for N puzzles after each of T segments, without halting."""

    right: np.ndarray
    """Whether the answer is right, judged by the rules if they decide, bool (N, T)."""
    changed: np.ndarray
    """Whether the answer differs from the previous segment's, bool (N, T); true in the first segment."""
    halt: np.ndarray
    """Whether the halting rule would stop, bool (N, T)."""
    residual: np.ndarray
    """How far the state moved in the segment, |new - old| / (|new| + |old|), float32 (N, T)."""


@dataclasses.dataclass(frozen=True)
class Beside:
    """Another agent, plotted for comparison."""

    policy: Policy
    trained_segments: int
    """Maximum number of segments in its training."""
    checkpoint: str = ""
    """Its source."""


@dataclasses.dataclass(frozen=True, eq=False)
class Subject:
    """A trained agent under analysis; all analyses share its recordings."""

    policy: Policy
    twin: Policy
    """The same network with random weights."""
    task: Task
    puzzles: Puzzles
    """N puzzles as NumPy arrays (N, L)."""
    settings: Settings
    trained_segments: int
    """Maximum number of segments in training."""
    env: str = ""
    beside: tuple[Beside, ...] = ()
    """Other agents for the same puzzles, for comparison."""

    @property
    def max_segments(self) -> int:
        """Number of segments."""
        return self.settings.max_segments or 4 * self.trained_segments

    @property
    def traced(self) -> Puzzles:
        """The puzzles whose states are recorded."""
        return self.puzzles.map(lambda array: array[: self.settings.traced])

    @property
    def changed(self) -> Puzzles:
        """The puzzles that are solved again under changes."""
        return self.puzzles.map(lambda array: array[: self.settings.changed])

    @functools.cached_property
    def long(self) -> Thoughts:
        """Results for all puzzles over all segments."""
        return think_through(self.policy, self.task, self.puzzles, self.max_segments)

    @functools.cached_property
    def trained(self) -> Recording:
        """The states of the traced puzzles over the segments of training."""
        return record(self.policy, self.traced, self.trained_segments)

    @functools.cached_property
    def untrained(self) -> Recording:
        """Those of the twin."""
        return record(self.twin, self.traced, self.trained_segments)

    def rng(self) -> np.random.Generator:
        """A new generator with the same seed for every analysis."""
        return np.random.default_rng(self.settings.seed)


def open_subject(
    env: str,
    checkpoint: str | Path = "pretrained",
    split: str = "validation",
    device: str = "auto",
    beside: Sequence[str | Path] = (),
    **settings: Any,
) -> Subject:
    """Open the agent of a checkpoint, with its untrained twin, puzzles of a split, and agents for comparison.

    Raises:
        HrmGymError: as `load_agent`, and on a setting that is unknown or out of range.
    """
    chosen = Settings.from_dict(settings)
    policy, task, config = _opened(env, checkpoint, device)
    others = []
    for one in beside:
        other, _, trained = _opened(env, one, device)
        others.append(Beside(other, trained.max_segments, str(one)))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(chosen.seed)
        twin = build(config, policy.agent.spec).to(policy.device).eval()
    if 0 < chosen.max_segments < config.max_segments:
        raise HrmGymError(
            f"max_segments is {chosen.max_segments}: the agent was trained in episodes of {config.max_segments}, "
            f"give at least {config.max_segments}, or 0"
        )
    for looked_at in (policy, twin, *(other.policy for other in others)):
        looked_at.agent.dtype = torch.float32  # bfloat16 is too coarse for small residuals
    puzzles = task.dataset(split).map(lambda array: array[: chosen.puzzles])
    if len(puzzles.puzzle) < 2:
        raise HrmGymError(f"the {split} split of {env} has {len(puzzles.puzzle)} puzzles: at least 2 are needed")
    return Subject(policy, twin, task, puzzles, chosen, config.max_segments, env, tuple(others))


def _opened(env: str, checkpoint: str | Path, device: str) -> tuple[Policy, Task, Config]:
    """The policy of a checkpoint, its task and its training configuration."""
    policy, task = load_both(env, checkpoint, device)
    name = named(checkpoint)
    path = pretrained_path(env) if name == "pretrained" else Path(name)
    return policy, task, checkpoints.load(find(path)).config


REST = 2e-7
"""A state rests if a segment moves it by less than this share of its length, which is float32's rounding."""


@torch.inference_mode()
def think_through(
    policy: Policy,
    task: Task,
    puzzles: Puzzles,
    segments: int,
    change: Callable[[int, State], State] | None = None,
    batch_size: int = 256,
) -> Thoughts:
    """Run all segments on N puzzles, without halting; a puzzle whose state rests keeps what its last segment said.

    Args:
        policy: on its device.
        task: checks the rules.
        puzzles: NumPy arrays (N, L).
        segments: T.
        change: changes the state before each segment; called with the number of segments so far and the state. Then
            no puzzle rests.
        batch_size: number of puzzles in parallel.
    """
    boards = boards_of(puzzles, policy.device)
    batches = []
    for begin in range(0, len(boards.puzzle), batch_size):
        some = boards.map(lambda array, begin=begin: array[begin : begin + batch_size])  # type: ignore[misc]
        batches.append(_batch_through(policy, task, some, segments, change))
    return Thoughts(*(np.concatenate(arrays) for arrays in zip(*batches, strict=True)))


def _batch_through(
    policy: Policy, task: Task, boards: Puzzles, segments: int, change: Callable[[int, State], State] | None
) -> list[np.ndarray]:
    """The four arrays of `Thoughts` for one batch, of tensors."""
    obs, state = observation(boards.puzzle, boards.identity), policy.initial_state(len(boards.puzzle))
    going, answer = torch.arange(len(boards.puzzle), device=policy.device), torch.full_like(boards.puzzle, -1)
    shape = len(going), segments
    right, changed, halt = (torch.zeros(shape, dtype=torch.bool, device=policy.device) for _ in range(3))
    residual = torch.zeros(shape, device=policy.device)
    for thought in range(segments):
        before = state if change is None else change(thought, state)
        state, output, signals = policy(before, obs)
        previous, answer = answer, output.logits.argmax(-1)
        right[going, thought] = task.grade(boards.puzzle[going], boards.solution[going], answer).right
        changed[going, thought] = (answer != previous).any(-1)
        halt[going, thought] = policy.halting.decide(signals, torch.full_like(going, thought + 1))
        residual[going, thought] = nests.residual(policy.of_agent(before), policy.of_agent(state))
        rests = _rests(before, state) if change is None else torch.zeros_like(going, dtype=torch.bool)
        if not rests.any():
            continue
        still, last = going[rests], {name: signal[rests] for name, signal in signals.items()}
        for array in (right, residual):
            array[still, thought + 1 :] = array[still, thought, None]
        for later in range(thought + 1, segments):  # a rule may look at the number of segments
            halt[still, later] = policy.halting.decide(last, torch.full_like(still, later + 1))
        going, answer, state = going[~rests], answer[~rests], nests.take(state, ~rests)
        obs = {name: array[~rests] for name, array in obs.items()}
        if not len(going):
            break
    return [array.cpu().numpy() for array in (right, changed, halt, residual)]


def _rests(before: State, after: State) -> Tensor:
    """Whether each slot would think the same in every further segment, bool (B,)."""
    rests = nests.residual(before, after) < REST
    for (_, old), (_, new) in zip(nests.items(before), nests.items(after), strict=True):
        if not new.is_floating_point():
            rests &= (old == new).reshape(len(new), -1).all(1)
    return rests
