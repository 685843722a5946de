"""What the user gives as puzzles: one as text, or a file of them."""

from __future__ import annotations

import sys
from pathlib import Path

from hrm_gym.envs.datasets import read_puzzles
from hrm_gym.envs.task import Puzzles, Task
from hrm_gym.errors import HrmGymError
from hrm_gym.hugging_face import HUB


def read_given(source: str, task: Task) -> tuple[Puzzles, bool]:
    """The puzzles, whose solutions nobody looks at, and whether they came as a list.

    Args:
        source: a puzzle, row by row; a file as `read_puzzles` takes it; or "-" for a puzzle on standard input.
        task: whose puzzles they are.

    Raises:
        HrmGymError: where there is no such file, or a puzzle is malformed.
    """
    if source == "-":
        return _one(sys.stdin.read(), task), False
    if not source.strip():
        raise HrmGymError(f"the puzzle is empty: give {task.num_cells} cells, or a file of puzzles")
    path = Path(source)
    try:
        exists = path.exists()
    except OSError:  # a puzzle can be longer than a path may be
        exists = False
    if not exists and not source.startswith(HUB):
        if any(c in source for c in "/\\") or path.suffix in (".csv", ".gz", ".txt", ".npy", ".json"):
            raise HrmGymError(f"no file at {source}: give a file of puzzles, or a puzzle of {task.num_cells} cells")
        return _one(source, task), False
    puzzles = read_puzzles(source, task, solved=False)
    return puzzles, len(puzzles.puzzle) > 1 or path.suffix in (".csv", ".gz")


def _one(text: str, task: Task) -> Puzzles:
    puzzle = task.parse(text)[None]
    return Puzzles(puzzle, puzzle)
