"""The entry points of the halting environments' ids: `gym.make("hrm_gym:Sudoku6x6-Halt-v0")` comes here.

The environment itself is in `hrm_gym.envs.halting.halting_env`.
"""

from __future__ import annotations

import functools
import os
from pathlib import Path
from typing import Any

from hrm_gym.agents.inference.frozen_agent import FrozenAgent, first_puzzles, record_lazily
from hrm_gym.agents.saved.checkpoint import FILE_NAME
from hrm_gym.agents.saved.load import load_both
from hrm_gym.agents.saved.sources import pretrained_path
from hrm_gym.envs.arguments import MOST_ENVS, check_integer
from hrm_gym.envs.halting.frozen_model import Episodes, FrozenModel, RecordedModel
from hrm_gym.envs.halting.halting_env import HaltingEnv
from hrm_gym.envs.halting.halting_rules import HaltingOptions
from hrm_gym.envs.halting.halting_vector_env import HaltingVectorEnv
from hrm_gym.envs.task import SPLITS, Puzzles, Task
from hrm_gym.errors import HrmGymError, unknown
from hrm_gym.files import is_folder, state_of

NUM_RECORDED = 1_000
"""Default number of recorded puzzles."""


class NoPictureError(HrmGymError, TypeError):
    """A render mode was requested, but there is nothing to render.

    Also a TypeError, as from an environment without that argument: `make_vec_env` of Stable-Baselines3 asks every
    environment for pictures and, on a TypeError, makes it without.
    """


def make_halting_env(env_id: str, **kwargs: Any) -> HaltingEnv:
    """The halting environment of a puzzle id; `HaltingEnv` lists the arguments.

    Raises:
        HrmGymError: if an argument is unknown or out of range, no agent ships for the id, or the checkpoint is for
            another board.
    """
    model, rules = _frozen_model(env_id, 1, **kwargs)
    return HaltingEnv(model, **rules)


def make_halting_vec(
    env_id: str, *, num_envs: int = 1, autoreset_mode: Any = "NextStep", **kwargs: Any
) -> HaltingVectorEnv:
    """N halting environments of a puzzle id in one batch; `HaltingVectorEnv` lists the arguments.

    Raises:
        HrmGymError: as `make_halting_env`.
    """
    model, rules = _frozen_model(env_id, check_integer("num_envs", num_envs, 1, MOST_ENVS), **kwargs)
    return HaltingVectorEnv(model, autoreset_mode=autoreset_mode, **rules)


def _frozen_model(
    env_id: str,
    num_slots: int,
    *,
    agent: str | os.PathLike[str] = "pretrained",
    split: str = "train",
    num_examples: int | None = None,
    max_segments: int = 16,
    recorded: bool = True,
    features: bool = False,
    device: str = "cpu",
    render_mode: None = None,
    max_episode_steps: int | None = None,
    **rules: Any,
) -> tuple[FrozenModel, dict[str, Any]]:
    """The frozen model for the arguments of an id, and the remaining arguments, which are for the rules."""
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
    HaltingOptions(max_segments=max_segments, **rules).check(recorded)
    if num_examples is not None:
        num_examples = check_integer("num_examples", num_examples, 1)
    agent = os.fspath(agent)
    if recorded:
        path = pretrained_path(env_id) if agent == "pretrained" else Path(agent)
        # All environments of one agent in a process share a recording until the agent's file changes.
        file = state_of(path / FILE_NAME if is_folder(path) else path)
        episodes = _recorded(env_id, agent, file, split, num_examples, max_segments, features, device)
        return RecordedModel(episodes, num_slots), {"max_segments": max_segments, **rules}
    policy, task = load_both(env_id, agent, device)
    puzzles = _chosen(task, split, num_examples)
    return FrozenAgent(policy, task, puzzles, num_slots, features), {"max_segments": max_segments, **rules}


@functools.lru_cache(maxsize=8)
def _recorded(
    env_id: str,
    agent: str,
    file: tuple[Any, ...],
    split: str,
    num_examples: int | None,
    max_segments: int,
    features: bool,
    device: str,
) -> Episodes:
    policy, task = load_both(env_id, agent, device)
    puzzles = first_puzzles(task, split, NUM_RECORDED) if num_examples is None else _chosen(task, split, num_examples)
    return record_lazily(policy, task, puzzles, max_segments, features)


def _chosen(task: Task, split: str, num: int | None) -> Puzzles:
    puzzles = first_puzzles(task, split, num or 0)
    if num is not None and num > len(puzzles.puzzle):
        raise HrmGymError(f"num_examples={num}: the {split} split has {len(puzzles.puzzle)} puzzles")
    return puzzles
