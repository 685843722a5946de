"""Puzzles as environments: a step is one segment, and halting ends the episode and pays 1 for a correct answer."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from hrm_gym.envs.task import Puzzles, Task
from hrm_gym.linked import link

__all__ = ["PuzzleEnv", "PuzzleVectorEnv", "Puzzles", "Task"]

if TYPE_CHECKING:
    from hrm_gym.envs.puzzle_env import PuzzleEnv
    from hrm_gym.envs.vector_env import PuzzleVectorEnv
else:  # loaded on first use, because they import numba; type checkers would take any name for known
    _MODULES = {"PuzzleEnv": "puzzle_env", "PuzzleVectorEnv": "vector_env"}

    def __getattr__(name: str) -> Any:
        if name not in _MODULES:
            raise AttributeError(f"module 'hrm_gym.envs' has no attribute {name!r}")
        return getattr(importlib.import_module(f"hrm_gym.envs.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


if __name__ == "envs":  # imported through the link at the repository's root
    link(__name__)
