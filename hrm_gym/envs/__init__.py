"""Puzzles as environments: a step is one segment, and halting ends the episode and pays 1 for a correct answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hrm_gym.envs.task import Puzzles, Task
from hrm_gym.linked import link, on_first_use

__all__ = ["PuzzleEnv", "PuzzleVectorEnv", "Puzzles", "Task"]

if TYPE_CHECKING:
    from hrm_gym.envs.puzzle_env import PuzzleEnv
    from hrm_gym.envs.vector_env import PuzzleVectorEnv
else:  # loaded on first use, because they import numba; type checkers would take any name for known
    _MODULES = {"PuzzleEnv": "puzzle_env", "PuzzleVectorEnv": "vector_env"}
    __getattr__ = on_first_use("hrm_gym.envs", _MODULES)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


if __name__ == "envs":  # imported through the link at the repository's root
    link(__name__)
