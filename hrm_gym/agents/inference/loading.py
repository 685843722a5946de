"""Loading of trained agents that search with several boards."""

from __future__ import annotations

from typing import Any

from hrm_gym.agents.inference.guessing import guessing
from hrm_gym.agents.policy import Policy
from hrm_gym.agents.saved.load import load_both
from hrm_gym.envs.task import Task


def load_guessing(
    env: str, checkpoint: Any = "pretrained", device: str = "auto", boards: int = 0
) -> tuple[Policy, Task]:
    """Load an agent that thinks about this many boards in parallel, and its puzzle family.

    Args:
        env: an environment id.
        checkpoint: as for `load_agent`.
        device: as for `load_agent`.
        boards: as for `guessing`.

    Raises:
        HrmGymError: as `load_agent` and `guessing`.
    """
    policy, task = load_both(env, checkpoint, device)
    return guessing(policy, task, boards), task
