"""Trained agents ready for use: shipped ones, those of a run, those of a file."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import torch

from hrm_gym.agents.agent import TaskSpec
from hrm_gym.agents.policy import Policy
from hrm_gym.agents.registry import agent_class
from hrm_gym.agents.saved import checkpoint as checkpoints
from hrm_gym.agents.saved.checkpoint import Checkpoint
from hrm_gym.agents.saved.devices import choose_device, choose_dtype
from hrm_gym.agents.saved.sources import find, named, pretrained_path
from hrm_gym.agents.surroundings import undisturbed
from hrm_gym.envs.registration import canonical_id, make_task, task_arguments, task_ids
from hrm_gym.envs.task import Task
from hrm_gym.errors import HrmGymError


def trained_env(checkpoint: Any) -> str:
    """The id of the environment that the agent of a checkpoint was trained on.

    Raises:
        HrmGymError: where there is no checkpoint, or nobody has registered the environment: a file never chooses which
            module is imported.
    """
    env_id = checkpoints.load(find(named(checkpoint))).config.env
    if env_id not in task_ids():
        raise HrmGymError(f"{checkpoint} was trained on {env_id}, which is not registered: give --env MODULE:{env_id}")
    return env_id


def load_agent(env: str, checkpoint: Any = "pretrained", device: str = "auto") -> Policy:
    """The agent of a checkpoint with its averaged weights and its halting rule.

    Args:
        env: an environment id; its board must be one that the agent can think about.
        checkpoint: "pretrained", a run or its folder, a file, or a policy, which is given back.
        device: where the agent is to live: "auto", "cpu" or "cuda".

    Returns:
        A `Policy`: `policy(state, obs)` thinks for one segment.

    Raises:
        HrmGymError: on a missing or foreign file, an agent for another board, or one that knows its puzzles by
            numbers where the data set is not what it was.
    """
    return load_both(env, checkpoint, device)[0]


def load_task(env: str, checkpoint: Any) -> Task:
    """The puzzle family of an environment, as the agent of a checkpoint was trained on it.

    An agent that learned embeddings of puzzles knows those of its training set by their numbers, so the family
    is built with the data set and the arguments of the run.

    Raises:
        HrmGymError: as `load_agent`.
    """
    return make_task(env) if isinstance(checkpoint, Policy) else _open(env, checkpoint)[2]


@undisturbed()
def load_both(env: str, checkpoint: Any = "pretrained", device: str = "auto") -> tuple[Policy, Task]:
    """What `load_agent` and `load_task` give, reading the file once.

    Raises:
        HrmGymError: as `load_agent`.
    """
    if isinstance(checkpoint, Policy):
        return _in_hand(env, checkpoint, device), make_task(env)
    device = choose_device(device)
    path, saved, task = _open(env, checkpoint)
    # An agent that was trained in bfloat16 runs in float32 where the device has no native bfloat16.
    dtype = "float32" if choose_dtype(device) == "float32" else saved.config.dtype
    return checkpoints.restore_policy(saved, path, TaskSpec.of(task), dtype).to(device).eval(), task


def _in_hand(env_id: str, policy: Policy, device: str) -> Policy:
    """A policy as it is; where it must live elsewhere, or is in training, a copy of it."""
    spec = TaskSpec.of(make_task(env_id))
    if not type(policy.agent).fits(policy.agent.spec, spec):
        ours, theirs = (f"{s.rows}x{s.columns}, {s.num_tokens} symbols" for s in (spec, policy.agent.spec))
        raise HrmGymError(f"the policy is for boards of {theirs}, and {env_id} has boards of {ours}: give another one")
    place = policy.device if device == "auto" else torch.device(choose_device(device))
    if policy.training or place.type != policy.device.type:
        policy = copy.deepcopy(policy).to(place).eval()
    return policy


def _open(env_id: str, checkpoint: Any) -> tuple[Path, Checkpoint, Task]:
    task = make_task(env_id)  # first, so that the error names a misspelt id
    name = named(checkpoint)
    path = pretrained_path(env_id) if name == "pretrained" else Path(name)
    saved = checkpoints.load(find(path))
    config = saved.config
    same = config.env == canonical_id(env_id)
    if same:
        task = make_task(env_id, config.dataset or None, **task_arguments(config.task_args))
    spec = TaskSpec.of(task)
    if not agent_class(config.agent).fits(saved.spec, spec):
        theirs, ours = (f"{s.rows}x{s.columns}, {s.num_tokens} symbols" for s in (saved.spec, spec))
        raise HrmGymError(
            f"{path} was trained on {config.env} (boards of {theirs}), and {env_id} has boards of {ours}: "
            "give a checkpoint trained on it"
        )
    if same:
        checkpoints.refuse_other_puzzles(saved, task, str(path))
    elif saved.counters.get("identities"):
        raise HrmGymError(f"{path} knows the puzzles of {config.env} only: evaluate it with --env {config.env}")
    return path, saved, task
