"""Reasoning as reinforcement learning: puzzles as Gymnasium environments, and agents that think until done.

`import hrm_gym` registers the environments; `gymnasium.make("hrm_gym:SudokuExtreme-v0")` imports it itself.
"""

from importlib import metadata

from hrm_gym.envs.registration import make_task, register_envs, register_task, task_ids
from hrm_gym.errors import HrmGymError

try:
    __version__ = metadata.version("hrm-gym")
except metadata.PackageNotFoundError:  # A source tree that nobody installed.
    __version__ = "0.0.0"

__all__ = ["HrmGymError", "__version__", "make_task", "register_task", "task_ids"]

register_envs()
