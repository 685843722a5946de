"""A preset: options known to work together, its agent, and the boards for which it is the default."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from hrm_gym.envs.task import Task

ANY_SIZE = 1 << 20


@dataclasses.dataclass(frozen=True)
class Preset:
    """A named set of options for a run, its agent and its halting rule."""

    about: str
    """Its purpose, in one line."""
    agent: str
    """The agent for `--agent auto`."""
    options: Mapping[str, Any]
    """Options by name."""
    halting: str = ""
    """The halting rule for `--halting auto`; empty: the agent's default."""
    board: str = "SudokuExtreme-v0"
    """A typical environment for it."""
    envs: tuple[str, ...] = ()
    """Environments for which it is the default, with precedence; empty: chosen by board."""
    steps: int = 0
    """Optimizer steps after which most of the learning is done; 0: unknown."""
    most_cells: int = 0
    """The largest board for which it is a default; 0: only `envs`."""
    on_gpu: bool = False
    """Whether it is for GPUs or for other devices; presets for small boards serve both."""
    joins_neighbours: bool = False
    """Whether it is for puzzles whose rules join only neighbours."""

    def suits(self, task: Task, env: str, on_gpu: bool) -> bool:
        """Whether it is the default for this id, unless an earlier preset is."""
        if env in self.envs:
            return on_gpu == self.on_gpu
        if task.num_cells > self.most_cells or (self.joins_neighbours and not task.local):
            return False
        return self.most_cells < ANY_SIZE or on_gpu == self.on_gpu
