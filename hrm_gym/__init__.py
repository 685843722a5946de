"""Reasoning as reinforcement learning: puzzles as Gymnasium environments, and agents that think until done.

`import hrm_gym` registers the environments; `gymnasium.make("hrm_gym:SudokuExtreme-v0")` imports it itself.
"""

from importlib import metadata
from typing import Any

import gymnasium

from hrm_gym.envs import registration
from hrm_gym.envs.registration import halting_id, make_task, task_ids
from hrm_gym.errors import HrmGymError

try:
    __version__ = metadata.version("hrm-gym")
except metadata.PackageNotFoundError:  # A source tree that nobody installed.
    __version__ = "0.0.0"

__all__ = ["HrmGymError", "__version__", "make_task", "register_task", "task_ids"]


def register_task(env_id: str, entry: str, **kwargs: Any) -> None:
    """As `hrm_gym.envs.registration.register_task`, with the halting environment of the puzzle."""
    registration.register_task(env_id, entry, **kwargs)
    _register_halting(env_id)


def _register_halting(env_id: str) -> None:
    for name in (env_id, f"{registration.NAMESPACE}/{env_id}"):
        if halting_id(name) not in gymnasium.registry:
            gymnasium.register(
                id=halting_id(name),
                entry_point="hrm_gym.agents.inference.live:make_halting_env",
                vector_entry_point="hrm_gym.agents.inference.live:make_halting_vec",
                kwargs={"env_id": env_id},
            )


registration.register_envs()
for _env_id in task_ids():
    _register_halting(_env_id)
