"""The entry points of the halting environments' ids: `gym.make("hrm_gym:Sudoku6x6-Halt-v0")` comes here.

The environment itself is in `hrm_gym.envs.halting.halting_env`.
"""

from __future__ import annotations

import functools
import os
from pathlib import Path
from typing import Any

from hrm_gym.agents.inference.frozen_agent import FrozenAgent, first_puzzles, record_lazily
from hrm_gym.agents.inference.replays import Replays
from hrm_gym.agents.saved.checkpoint import FILE_NAME
from hrm_gym.agents.saved.load import load_both
from hrm_gym.agents.saved.sources import PRETRAINED, pretrained_path
from hrm_gym.envs.arguments import MOST_ENVS, check_integer
from hrm_gym.envs.halting.frozen_model import Episodes, FrozenModel, RecordedModel
from hrm_gym.envs.halting.halting_env import HaltingEnv
from hrm_gym.envs.halting.halting_rules import NUM_SEGMENTS, HaltingOptions
from hrm_gym.envs.halting.halting_vector_env import HaltingVectorEnv
from hrm_gym.envs.halting.recorded_solvers import RESULTS, recorded_episodes
from hrm_gym.envs.registration import canonical_id
from hrm_gym.envs.task import SPLITS, Puzzles, Task
from hrm_gym.errors import HrmGymError, unknown
from hrm_gym.files import is_folder, state_of

NUM_RECORDED = 1_000
"""Default number of recorded puzzles."""


def make_halting_env(env_id: str, **kwargs: Any) -> HaltingEnv:
    """The halting environment of a puzzle id; `HaltingEnv` lists the arguments.

    Raises:
        HrmGymError: if an argument is unknown or out of range, no agent ships for the id, or the checkpoint is for
            another board.
    """
    model, options = _frozen_model(env_id, 1, **kwargs)
    return HaltingEnv(model, **options)


def make_halting_vec(
    env_id: str, *, num_envs: int = 1, autoreset_mode: Any = "NextStep", **kwargs: Any
) -> HaltingVectorEnv:
    """N halting environments of a puzzle id in one batch; `HaltingVectorEnv` lists the arguments.

    Raises:
        HrmGymError: as `make_halting_env`.
    """
    model, options = _frozen_model(env_id, check_integer("num_envs", num_envs, 1, MOST_ENVS), **kwargs)
    return HaltingVectorEnv(model, autoreset_mode=autoreset_mode, **options)


def recording_for(env_id: str, agent: str) -> Path | None:
    """The recorded solvers that an agent argument names: "pretrained", where they ship, or a results file."""
    shipped = PRETRAINED / f"{canonical_id(env_id)}-halting.npz"
    if agent == "pretrained":
        return shipped if shipped.is_file() else None
    return Path(agent) if agent.endswith(RESULTS) else None


def _frozen_model(
    env_id: str,
    num_slots: int,
    *,
    agent: str | os.PathLike[str] = "pretrained",
    split: str = "train",
    num_examples: int | None = None,
    max_segments: int | None = NUM_SEGMENTS,
    recorded: bool = True,
    features: bool = False,
    device: str = "cpu",
    render_mode: str | None = None,
    max_episode_steps: int | None = None,
    **rules: Any,
) -> tuple[FrozenModel, dict[str, Any]]:
    """The frozen model for the arguments of an id, and the arguments of the environment."""
    known = ("reward", "segment_cost")
    for name in rules:
        if name not in known:
            own = ("agent", "split", "num_examples", "max_segments", "recorded", "features", "device")
            raise unknown("argument", name, (*own, *known))
    if max_episode_steps not in (None, -1):
        raise HrmGymError(f"max_episode_steps={max_episode_steps}: give max_segments instead")
    if split not in SPLITS:
        raise unknown("split", split, SPLITS)
    checked = HaltingOptions(max_segments=max_segments, **rules)
    checked.check(recorded)
    max_segments = checked.max_segments or NUM_SEGMENTS
    if num_examples is not None:
        num_examples = check_integer("num_examples", num_examples, 1)
    if not isinstance(agent, str | os.PathLike):
        raise HrmGymError(f"agent={agent!r}: give 'pretrained', or the path of a run or checkpoint")
    agent = os.fsdecode(agent)
    options = {"max_segments": max_segments, "render_mode": render_mode, "pictures": None, **rules}
    if (source := recording_for(env_id, agent)) is not None:
        if not recorded or features:
            raise HrmGymError("solvers of ARC tasks are only replayed: leave out recorded=False and features=True")
        return RecordedModel(_replayed(source, split, num_examples, max_segments), num_slots), options
    which = env_id, agent, split, num_examples, max_segments, device
    options["pictures"] = functools.partial(_pictures, *which, recorded)
    if recorded:
        path = pretrained_path(env_id) if agent == "pretrained" else Path(agent)
        # All environments of one agent in a process share a recording until the agent's file changes.
        file = state_of(path / FILE_NAME if is_folder(path) else path)
        return RecordedModel(_recorded(*which, features, file), num_slots), options
    policy, task = load_both(env_id, agent, device)
    puzzles = _chosen(task, split, num_examples, recorded)
    return FrozenAgent(policy, task, puzzles, num_slots, features), options


def _replayed(source: Path, split: str, num: int | None, max_segments: int) -> Episodes:
    """Recorded solvers of ARC tasks."""
    episodes = recorded_episodes(source, split, max_segments)
    if num is not None and num > len(episodes):
        raise HrmGymError(f"num_examples={num}: the {split} split has {len(episodes)} recorded tasks")
    return episodes.first(num)


@functools.lru_cache(maxsize=8)
def _recorded(
    env_id: str,
    agent: str,
    split: str,
    num_examples: int | None,
    max_segments: int,
    device: str,
    features: bool,
    file: tuple[Any, ...],
) -> Episodes:
    policy, task = load_both(env_id, agent, device)
    return record_lazily(policy, task, _chosen(task, split, num_examples, True), max_segments, features)


def _pictures(
    env_id: str, agent: str, split: str, num_examples: int | None, max_segments: int, device: str, recorded: bool
) -> Replays:
    policy, task = load_both(env_id, agent, device)
    return Replays(policy, task, _chosen(task, split, num_examples, recorded), max_segments)


def _chosen(task: Task, split: str, num: int | None, recorded: bool) -> Puzzles:
    if num is None:
        return first_puzzles(task, split, NUM_RECORDED if recorded else 0)
    puzzles = first_puzzles(task, split, num)
    if num > len(puzzles.puzzle):
        raise HrmGymError(f"num_examples={num}: the {split} split has {len(puzzles.puzzle)} puzzles")
    return puzzles
