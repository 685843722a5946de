"""Loading of trained agents that search with several boards."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hrm_gym.agents.inference.guessing import guessing
from hrm_gym.agents.policy import Policy
from hrm_gym.agents.saved.load import load_both
from hrm_gym.agents.saved.sources import GUESSES, LENT, PRETRAINED
from hrm_gym.envs.registration import canonical_id
from hrm_gym.envs.task import Task


def guessing_path(env_id: str) -> Path | None:
    """The shipped agent of an environment that can search with several boards; None if there is none."""
    name = canonical_id(env_id)
    path = PRETRAINED / f"{LENT.get(name, name)}{GUESSES}.safetensors"
    return path if path.is_file() else None


def pretrained_for(env: str, checkpoint: Any, boards: int) -> Any:
    """Resolve "pretrained": for several boards it means the shipped agent that can search, if there is one."""
    several = boards != 1 and isinstance(checkpoint, str) and checkpoint == "pretrained"
    return (guessing_path(env) if several else None) or checkpoint


def load_guessing(
    env: str, checkpoint: Any = "pretrained", device: str = "auto", boards: int = 0
) -> tuple[Policy, Task]:
    """Load an agent that thinks about this many boards in parallel, and its puzzle family.

    Args:
        env: an environment id.
        checkpoint: as for `load_agent`; "pretrained" means the agent that guesses, if one ships and `boards` is not 1.
        device: as for `load_agent`.
        boards: boards in parallel; 0: automatic, which is 1 for agents that cannot detect wrong guesses.

    Raises:
        HrmGymError: as `load_agent` and `Guessing`.
    """
    policy, task = load_both(env, pretrained_for(env, checkpoint, boards), device)
    return guessing(policy, task, boards), task
