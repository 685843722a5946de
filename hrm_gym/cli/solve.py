"""`hrm-gym solve`: one puzzle, or a file of puzzles."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import tyro

from hrm_gym.envs.registration import make_task
from hrm_gym.envs.task import Puzzles, Task
from hrm_gym.errors import HrmGymError

if TYPE_CHECKING:  # the exact solver does without torch
    from hrm_gym.agents.models.reasoner import Reasoner


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
    rollouts: int = 1
    """Attempts a puzzle side by side, all but the first about symmetric images; the first valid answer counts."""
    device: str = "auto"
    """`auto`, `cpu` or `cuda`."""


def run(argv: Sequence[str]) -> int:
    """Solve as the arguments say."""
    args = tyro.cli(Arguments, args=list(argv), prog="hrm-gym solve")
    for name in ("max_segments", "rollouts"):
        if getattr(args, name) < 1:
            raise HrmGymError(f"--{name.replace('_', '-')} {getattr(args, name)}: give at least 1")
    if args.exact:
        task = make_task(args.env)
    else:
        from hrm_gym.agents.registry import choose_device
        from hrm_gym.agents.training.checkpoint import load_both

        agent, task = load_both(args.env, args.checkpoint, choose_device(args.device))
    given, many = _read(args.puzzle, task)
    puzzles = np.asarray(given.puzzle)
    if args.exact:
        answers = np.stack([task.solve(puzzle) for puzzle in puzzles])  # refuses what `check` would
    else:
        for puzzle in puzzles:
            task.check(puzzle)
        answers = _think(agent, given, task, args)
    valid = task.violations(puzzles.astype(np.int64), answers.astype(np.int64)) == 0
    columns = task.shape[1]
    for answer in answers:
        text = task.format(answer)
        print(text if many else "\n".join(text[i : i + columns] for i in range(0, len(text), columns)))
    if not valid.all():
        of = f"{np.count_nonzero(~valid)} of {len(valid)} answers break" if many else "the answer breaks"
        print(
            f"{of} the rules after {args.max_segments} segments: try --exact, or more --max-segments or --rollouts",
            file=sys.stderr,
        )
    return 0 if valid.all() else 1


def _read(source: str, task: Task) -> tuple[Puzzles, bool]:
    """The puzzles, whose solutions nobody looks at, and whether they came as a list."""
    if source == "-":
        return _one(sys.stdin.read(), task), False
    # A puzzle can be longer than a path may be.
    path = Path(source)
    try:
        is_file = path.is_file() or path.is_dir()
    except OSError:
        is_file = False
    if not is_file:
        if any(c in source for c in "/\\") or path.suffix in (".csv", ".gz", ".txt", ".npy"):
            raise HrmGymError(f"no file at {source}: give a file of puzzles, or a puzzle of {task.num_cells} cells")
        return _one(source, task), False
    if path.is_file() and path.suffix not in (".gz", ".csv"):
        text = path.read_text(errors="replace")
        # One puzzle, perhaps row by row, in which spaces may mean something.
        if task.num_cells in (len("".join(text.split())), len("".join(text.splitlines()))):
            return _one(text, task), False
    return task.load(source, "test"), True


def _one(text: str, task: Task) -> Puzzles:
    puzzle = task.parse(text)[None]
    return Puzzles(puzzle, puzzle)


def _think(agent: Reasoner, given: Puzzles, task: Task, args: Arguments) -> np.ndarray:
    """The first answer of the network that satisfies the rules, else its last one: (N, L).

    Where the rules cannot tell, it is the answer on which the network halts.
    """
    import torch

    from hrm_gym.agents.inference.think import attempts, think

    device = agent.h_init.device
    generator = torch.Generator(device).manual_seed(0)
    boards = given.map(lambda array: torch.from_numpy(np.asarray(array).astype(np.int64)).to(device))
    answers = torch.zeros_like(boards.puzzle)
    batch_size = max(1, 256 // args.rollouts)
    for start in range(0, len(answers), batch_size):
        chunk = boards.map(lambda array, start=start: array[start : start + batch_size])  # type: ignore[misc]
        part = answers[start : start + batch_size]  # (n, L), a view
        shown, restore = attempts(task, chunk, args.rollouts, generator, symmetry=True)
        asked = chunk.puzzle.repeat_interleave(args.rollouts, 0)  # (n * K, L), as they are
        rows = torch.arange(len(part), device=device)
        todo = torch.ones_like(rows, dtype=torch.bool)
        for thought in think(agent, shown.puzzle, args.max_segments, shown.identity):
            answer = restore(thought.answer)  # (n * K, L)
            broken = task.violations(asked, answer) if task.verifiable else (~thought.halt).int()
            broken = broken.view(-1, args.rollouts)
            least = broken.argmin(1)  # of equals the first, which is the puzzle as it is
            part[todo] = answer.view(-1, args.rollouts, answer.shape[1])[rows, least][todo]
            todo &= broken[rows, least] > 0
            if not todo.any():
                break
    return answers.cpu().numpy()
