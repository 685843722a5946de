"""Loading of trained agents: shipped ones, runs and files."""

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
    """The environment id on which the agent of a checkpoint was trained.

    Raises:
        HrmGymError: if there is no checkpoint, or the environment is not registered: a file never causes an import.
    """
    env_id = checkpoints.load(find(named(checkpoint))).config.env
    if env_id not in task_ids():
        raise HrmGymError(f"{checkpoint} was trained on {env_id}, which is not registered: give --env MODULE:{env_id}")
    return env_id


def load_agent(env: str, checkpoint: Any = "pretrained", device: str = "auto") -> Policy:
    """Load the policy of a checkpoint, with its averaged weights.

    Args:
        env: an environment id whose board fits the agent.
        checkpoint: "pretrained", a run or its folder, a file, or a policy, which is returned.
        device: the agent's device: "auto", "cpu", "cuda" or "mps".

    Returns:
        A `Policy`: `policy(state, obs)` thinks for one segment.

    Raises:
        HrmGymError: on a missing or foreign file, an agent for another board, or an agent with puzzle embeddings whose
            data set has changed.
    """
    return load_both(env, checkpoint, device)[0]


def load_task(env: str, checkpoint: Any) -> Task:
    """The puzzle family of an environment, built as in the training of a checkpoint's agent.

    Puzzle embeddings are indexed by the puzzles of the training set, so the family gets the data set and arguments of
    the run.

    Raises:
        HrmGymError: as `load_agent`.
    """
    return make_task(env) if isinstance(checkpoint, Policy) else _open(env, checkpoint)[2]


@undisturbed()
def load_both(env: str, checkpoint: Any = "pretrained", device: str = "auto") -> tuple[Policy, Task]:
    """The results of `load_agent` and `load_task` from a single read of the file.

    Raises:
        HrmGymError: as `load_agent`.
    """
    if isinstance(checkpoint, Policy):
        return _in_hand(env, checkpoint, device), make_task(env)
    device = choose_device(device)
    path, saved, task = _open(env, checkpoint)
    # An agent trained in bfloat16 runs in float32 on devices without native bfloat16.
    dtype = "float32" if choose_dtype(device) == "float32" else saved.config.dtype
    policy = checkpoints.restore_policy(saved, path, TaskSpec.of(task), dtype).to(device).eval()
    policy.source = find(path)
    return policy, task


def _in_hand(env_id: str, policy: Policy, device: str) -> Policy:
    """The given policy; a copy if it is on another device, in training mode, or for another board."""
    spec = TaskSpec.of(make_task(env_id))
    if not type(policy.agent).fits(policy.agent.spec, spec):
        ours, theirs = (f"{s.rows}x{s.columns}, {s.num_tokens} symbols" for s in (spec, policy.agent.spec))
        raise HrmGymError(f"the policy is for boards of {theirs}, and {env_id} has boards of {ours}: give another one")
    place = policy.device if device == "auto" else torch.device(choose_device(device))
    if not policy.agent.spec.is_board_of(spec):
        policy = _for_board(policy, spec).to(place)
    if policy.training or place.type != policy.device.type:
        policy = copy.deepcopy(policy).to(place).eval()
    return policy


def _for_board(policy: Policy, spec: TaskSpec) -> Policy:
    """A copy of a policy for another board that its weights fit."""
    agent = type(policy.agent)(policy.agent.config, spec)
    agent.dtype = policy.agent.dtype
    agent.load_state_dict(policy.agent.state_dict())
    agent.grow(1.0)
    other = Policy(policy.name, agent, copy.deepcopy(policy.halting), policy.loss).eval()
    other.source = policy.source
    return other


def _open(env_id: str, checkpoint: Any) -> tuple[Path, Checkpoint, Task]:
    task = make_task(env_id)  # first, so that errors name a misspelt id
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
