"""A preset: options that are known to work together, its agent, and the boards for which it is the default."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from hrm_gym.envs.task import Task

ANY_SIZE = 1 << 20


@dataclasses.dataclass(frozen=True)
class Preset:
    """A named set of options of a run, an agent and a halting rule."""

    about: str
    """What it is for, in one line."""
    agent: str
    """What `--agent auto` stands for."""
    options: Mapping[str, Any]
    """By name."""
    halting: str = ""
    """What `--halting auto` stands for; empty: the agent's own rule."""
    board: str = "SudokuExtreme-v0"
    """An environment of the kind that it is for."""
    envs: tuple[str, ...] = ()
    """The environments for which it is the default, before any other; empty: it is chosen by the board."""
    steps: int = 0
    """Optimizer steps in which it has learned most of what it learns; 0: unknown."""
    most_cells: int = 0
    """The largest board for which it is a default; 0: for none but `envs`."""
    on_gpu: bool = False
    """Whether larger boards than small ones have it on GPUs, or elsewhere."""
    joins_neighbours: bool = False
    """Whether it is for puzzles whose rules join neighbours alone."""

    def suits(self, task: Task, env: str, on_gpu: bool) -> bool:
        """Whether it is the default of a family with this id, if no preset before it is."""
        if env in self.envs:
            return on_gpu == self.on_gpu
        if task.num_cells > self.most_cells or (self.joins_neighbours and not task.local):
            return False
        return self.most_cells < ANY_SIZE or on_gpu == self.on_gpu
