"""Puzzles as environments: a step is one segment of thought, halting ends the episode and pays if right."""

from hrm_gym.envs.puzzle_env import PuzzleEnv
from hrm_gym.envs.task import Puzzles, Task
from hrm_gym.envs.vector_env import PuzzleVectorEnv

__all__ = ["PuzzleEnv", "PuzzleVectorEnv", "Puzzles", "Task"]
