"""`hrm-gym solve`: solve one puzzle or a file of puzzles."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from hrm_gym.cli import tasks
from hrm_gym.cli.bar import bar
from hrm_gym.cli.given import find_family, read_given, tell_format
from hrm_gym.cli.parse import parse, positional
from hrm_gym.envs.drawing.text import board_text
from hrm_gym.envs.registration import make_task
from hrm_gym.envs.task import Task
from hrm_gym.options import Options, number

if TYPE_CHECKING:
    from hrm_gym.agents.policy import Policy


@dataclasses.dataclass(frozen=True)
class Arguments(Options):
    """Solve a puzzle or a file of puzzles. Exit status: 0 all answers valid, 1 some invalid, 2 bad input."""

    puzzle: str = positional("PUZZLE")
    """A puzzle in any layout, a file (table, text, JSON or arrays; may be compressed), or `-` for standard input."""
    env: str = ""
    """Environment id; default: that of the checkpoint, or the one with the puzzle's number of cells."""
    checkpoint: str = "pretrained"
    """`pretrained` (the shipped agent), `pretrained:ID` (the agent shipped for environment ID), a run's folder, a file
    or `hf:OWNER/NAME`."""
    exact: bool = False
    """Use the family's exact solver instead of the agent."""
    max_segments: int = number(64, least=1)
    """Maximum number of segments per attempt."""
    rollouts: int = number(1, least=1)
    """Number of attempts in parallel; the first valid answer is used."""
    boards: int = number(0, least=0)
    """Number of boards that each attempt works on in parallel: the puzzle itself and copies with guesses. 0: 32 if the
    agent can detect wrong guesses, otherwise 1. Unless this is 1, `--checkpoint pretrained` selects the shipped agent
    that guesses, if there is one."""
    vary: Literal["auto", "noise", "symmetry", "guess"] = "auto"
    """How later attempts differ from the first: noise in the initial state, a symmetric version of the puzzle, or a
    guessed cell used as a given, for 8 segments each. `auto` chooses by puzzle and agent."""
    seconds: float = number(10.0, least=0)
    """Time limit per puzzle for further attempts until an answer satisfies the rules; 0: no further attempts."""
    pretty: bool = False
    """Draw the solved boards, with bold givens on a terminal, and print the attempts and segments used."""
    json: bool = False
    """Print one JSON object per puzzle: `answer`, `valid`, `attempts`, `segments`."""
    device: str = "auto"
    """`auto`, `cpu`, `cuda` or `mps`."""


def run(argv: Sequence[str]) -> int:
    """Run the command."""
    if tasks.on_the_spot(argv):
        return tasks.solve(parse(tasks.SolveArguments, argv, "solve"))
    args = parse(Arguments, argv, "solve")
    env, family = args.env, None
    if not env and args.checkpoint != "pretrained":
        from hrm_gym.agents.saved.load import trained_env

        env = trained_env(args.checkpoint)
    if not env:
        family = find_family(args.puzzle)
        env = family[0]
    policy: Policy | None = None
    if args.exact or args.checkpoint == "pretrained":
        task = make_task(env)
    else:  # a run's family may have arguments of its own
        policy, task = _load(env, args)
    read, many = read_given(args.puzzle, task) if family is None else family[1:]
    given = read.puzzles
    if not args.exact:
        for puzzle in np.asarray(given.puzzle):
            task.check(puzzle)
    puzzles = np.asarray(given.puzzle)
    if family or read.format != "text":
        tell_format(read, env)
    if args.exact:
        answers = np.stack([task.solve(puzzle) for puzzle in puzzles]).astype(np.int64)  # rejects what `check` would
        valid = task.violations(puzzles.astype(np.int64), answers) == 0
        rows = [{"tokens": a, "answer": task.format(a), "valid": bool(v)} for a, v in zip(answers, valid, strict=True)]
    else:
        if policy is None:
            policy, task = _load(env, args)
        from hrm_gym.agents.inference.solving import solve_puzzles

        with bar("solving") as tell:
            found = solve_puzzles(
                policy, task, given, args.rollouts, args.max_segments, args.seconds, args.vary, tell=tell
            )
        rows = [
            {"tokens": s.tokens, "answer": s.text, "valid": s.valid, "attempts": s.attempts, "segments": s.segments}
            for s in found
        ]
    if args.pretty and not args.json:
        _draw(rows, puzzles.astype(np.int64), task)
    else:
        _print(rows, task, many, args.json)
    wrong = [str(i) for i, row in enumerate(rows, start=1) if not row["valid"]]
    if wrong:
        which = f"lines {', '.join(wrong)}: the answers break" if many else "the answer breaks"
        print(f"{which} the rules: try --exact, or more --seconds, --max-segments or --rollouts", file=sys.stderr)
    return 1 if wrong else 0


def _load(env: str, args: Arguments) -> tuple[Policy, Task]:
    """The agent and its family; the import takes seconds because of torch."""
    from hrm_gym.agents.inference.loading import load_guessing

    return load_guessing(env, args.checkpoint, args.device, args.boards)


def _print(rows: list[dict[str, Any]], task: Task, many: bool, as_json: bool) -> None:
    for row in rows:
        text = str(row["answer"])
        columns = task.shape[1]
        if as_json:
            print(json.dumps({name: value for name, value in row.items() if name != "tokens"}))
        else:
            print(text if many else "\n".join(text[i : i + columns] for i in range(0, len(text), columns)))


def _draw(rows: list[dict[str, Any]], puzzles: np.ndarray, task: Task) -> None:
    for puzzle, row in zip(puzzles, rows, strict=True):
        print(board_text(task, row["tokens"], bold=task.is_given(puzzle) if sys.stdout.isatty() else None))
        parts = ["valid" if row["valid"] else "breaks the rules"]
        parts += [
            f"{row[name]} {name if row[name] > 1 else name[:-1]}" for name in ("attempts", "segments") if name in row
        ]
        print(", ".join(parts), end="\n\n")
