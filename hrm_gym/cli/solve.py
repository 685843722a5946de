"""`hrm-gym solve`: one puzzle, or a file of puzzles."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro

from hrm_gym.envs.datasets import load_puzzles
from hrm_gym.envs.registration import make_task
from hrm_gym.envs.task import Task
from hrm_gym.errors import HrmGymError


@dataclasses.dataclass(frozen=True)
class Arguments:
    """Solve a puzzle, or a file of puzzles. Exit status: 0 all answers valid, 1 some not, 2 bad input."""

    env: str
    """Environment id."""
    puzzle: Annotated[str, tyro.conf.Positional]
    """The puzzle, row by row, line breaks allowed; a file (CSV, or a puzzle a line); `-`: standard input."""
    checkpoint: str = "pretrained"
    """`pretrained` for the shipped agent, a run's folder, or a file."""
    exact: bool = False
    """Use the family's own solver instead of the network."""
    max_segments: int = 64
    """Segments that the network may think before it gives up on the rules."""
    device: str = "auto"
    """`auto`, `cpu` or `cuda`."""


def run(argv: Sequence[str]) -> int:
    """Solve as the arguments say."""
    args = tyro.cli(Arguments, args=list(argv), prog="hrm-gym solve")
    if args.max_segments < 1:
        raise HrmGymError(f"--max-segments {args.max_segments}: give at least 1")
    task = make_task(args.env)
    puzzles, many = _read(args.puzzle, task)
    for puzzle in puzzles:
        task.check(puzzle)
    answers = np.stack([task.solve(p) for p in puzzles]) if args.exact else _think(puzzles, task, args)
    valid = task.violations(puzzles.astype(np.int64), answers.astype(np.int64)) == 0
    columns = task.shape[1]
    for answer in answers:
        text = task.format(answer)
        print(text if many else "\n".join(text[i : i + columns] for i in range(0, len(text), columns)))
    if not valid.all():
        of = f"{np.count_nonzero(~valid)} of {len(valid)} answers break" if many else "the answer breaks"
        print(
            f"{of} the rules after {args.max_segments} segments: try --exact, or more --max-segments",
            file=sys.stderr,
        )
    return 0 if valid.all() else 1


def _read(source: str, task: Task) -> tuple[np.ndarray, bool]:
    """The puzzles, (N, L), and whether they came as a list."""
    if source == "-":
        return task.parse(sys.stdin.read())[None], False
    # A puzzle can be longer than a path may be.
    path = Path(source)
    try:
        is_file = path.is_file() or path.is_dir()
    except OSError:
        is_file = False
    if not is_file:
        if any(c in source for c in "/\\") or path.suffix in (".csv", ".gz", ".txt", ".npy"):
            raise HrmGymError(f"no file at {source}: give a file of puzzles, or a puzzle of {task.num_cells} cells")
        return task.parse(source)[None], False
    if path.is_file() and path.suffix not in (".gz", ".csv"):
        text = path.read_text(errors="replace")
        if len("".join(text.split())) == task.num_cells:  # one puzzle, perhaps row by row
            return task.parse(text)[None], False
    return np.asarray(load_puzzles(source, task).puzzle), True


def _think(puzzles: np.ndarray, task: Task, args: Arguments) -> np.ndarray:
    """The first answer of the network that satisfies the rules, else its last one: (N, L)."""
    import torch

    from hrm_gym.agents import load_agent, think
    from hrm_gym.agents.registry import choose_device

    agent = load_agent(args.env, args.checkpoint, choose_device(args.device))
    answers = np.zeros(puzzles.shape, dtype=np.int64)
    for start in range(0, len(puzzles), 256):
        chunk = puzzles[start : start + 256].astype(np.int64)
        part = answers[start : start + 256]
        todo = np.ones(len(chunk), dtype=bool)
        for thought in think(agent, torch.from_numpy(chunk).to(agent.h_init.device), args.max_segments):
            part[todo] = thought.answer.cpu().numpy()[todo]
            todo &= task.violations(chunk, part) > 0
            if not todo.any():
                break
    return answers
