"""Trained agents that think about several boards side by side, ready for use."""

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
    """The agent that ships for an environment and can think about several boards side by side; None where none does."""
    name = canonical_id(env_id)
    path = PRETRAINED / f"{LENT.get(name, name)}{GUESSES}.safetensors"
    return path if path.is_file() else None


def pretrained_for(env: str, checkpoint: Any, boards: int) -> Any:
    """The checkpoint; "pretrained" is for several boards the agent that can think about them, where one ships."""
    several = boards != 1 and isinstance(checkpoint, str) and checkpoint == "pretrained"
    return (guessing_path(env) if several else None) or checkpoint


def load_guessing(
    env: str, checkpoint: Any = "pretrained", device: str = "auto", boards: int = 0
) -> tuple[Policy, Task]:
    """The agent of a checkpoint that thinks about so many boards side by side, and its family.

    Args:
        env: an environment id.
        checkpoint: as for `load_agent`; "pretrained" is the agent that guesses, if one ships and `boards` is not 1.
        device: as there.
        boards: 0: as many as suit the agent, which is one where it cannot tell wrong guesses.

    Raises:
        HrmGymError: as `load_agent` and `Guessing`.
    """
    policy, task = load_both(env, pretrained_for(env, checkpoint, boards), device)
    return guessing(policy, task, boards), task
