"""The entry points of the halting environments' ids: `gym.make("hrm_gym:Sudoku6x6-Halt-v0")` comes here.

The environment itself stands in `hrm_gym.envs.halting.halting_env`.
"""

from __future__ import annotations

import functools
import os
from pathlib import Path
from typing import Any

from hrm_gym.agents.inference.live import LiveThinker, first_puzzles, record
from hrm_gym.agents.saved.checkpoint import FILE_NAME
from hrm_gym.agents.saved.load import load_both
from hrm_gym.agents.saved.sources import pretrained_path
from hrm_gym.envs.arguments import MOST_ENVS, check_integer
from hrm_gym.envs.halting.halting_env import HaltingEnv
from hrm_gym.envs.halting.halting_rules import HaltingOptions
from hrm_gym.envs.halting.halting_vector_env import HaltingVectorEnv
from hrm_gym.envs.halting.thinkers import Episodes, RecordedThinker, Thinker
from hrm_gym.envs.task import SPLITS, Puzzles, Task
from hrm_gym.errors import HrmGymError, unknown
from hrm_gym.files import is_folder, state_of

NUM_RECORDED = 1_000
"""How many puzzles are recorded where nobody says how many."""


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
    thinker, rules = _thinker(env_id, check_integer("num_envs", num_envs, 1, MOST_ENVS), **kwargs)
    return HaltingVectorEnv(thinker, autoreset_mode=autoreset_mode, **rules)


def _thinker(
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
    HaltingOptions(max_segments=max_segments, **rules).check(recorded)
    if num_examples is not None:
        num_examples = check_integer("num_examples", num_examples, 1)
    agent = os.fspath(agent)
    if recorded:
        path = pretrained_path(env_id) if agent == "pretrained" else Path(agent)
        # All environments of a process over one agent share one recording, until its file changes.
        file = state_of(path / FILE_NAME if is_folder(path) else path)
        episodes = _recorded(env_id, agent, file, split, num_examples, max_segments, features, device)
        return RecordedThinker(episodes, num_slots), {"max_segments": max_segments, **rules}
    model, task = load_both(env_id, agent, device)
    puzzles = _chosen(task, split, num_examples)
    return LiveThinker(model, task, puzzles, num_slots, features), {"max_segments": max_segments, **rules}


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
    model, task = load_both(env_id, agent, device)
    puzzles = first_puzzles(task, split, NUM_RECORDED) if num_examples is None else _chosen(task, split, num_examples)
    return record(model, task, puzzles, max_segments, features=features)


def _chosen(task: Task, split: str, num: int | None) -> Puzzles:
    puzzles = first_puzzles(task, split, num or 0)
    if num is not None and num > len(puzzles.puzzle):
        raise HrmGymError(f"num_examples={num}: the {split} split has {len(puzzles.puzzle)} puzzles")
    return puzzles
