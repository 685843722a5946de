"""`solve` and `evaluate` for families whose puzzles are tasks with demonstrations (ARC): train a network for each."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from hrm_gym.cli.bar import bar
from hrm_gym.cli.parse import Parser, positional
from hrm_gym.envs.arc import sources
from hrm_gym.envs.arc.view import COLOURS
from hrm_gym.envs.arc.votes import submission
from hrm_gym.envs.registration import make_task, task_class
from hrm_gym.files import check_new, replacing
from hrm_gym.options import Options, number
from hrm_gym.shares import in_words

if TYPE_CHECKING:
    from hrm_gym.agents.arc.many import Row


@dataclasses.dataclass(frozen=True)
class Learning(Options):
    """How each task is learned."""

    seconds: float = number(40.0, above=0)
    """Seconds of one core per task, for model selection on held-out demonstrations, training and voting."""
    seed: int = number(0, least=0, most=2**31)
    """Random seed of all networks."""
    agent: str = "hrm_planes"
    """`hrm_planes`, `trm_planes`, or `module:NAME` for your own agent on planes."""
    processes: int = number(0, least=0)
    """Number of tasks to learn in parallel, each on one core; 0: the number of cores."""


@dataclasses.dataclass(frozen=True)
class SolveArguments(Options):
    """Solve tasks: a network learns the demonstrations of each task and makes two attempts at each test input.

    Exit status: 0 if an attempt at each test input is correct or the test outputs are unknown, 1 if some are wrong, 2
    for bad input.
    """

    puzzle: str = positional("TASK")
    """A JSON file with one or more tasks in any published ARC layout, or a folder of such files."""
    env: str = "ARC1-v0"
    """Environment id."""
    learning: Learning = dataclasses.field(default_factory=Learning)
    """How each task is learned."""
    pretty: bool = False
    """Draw the grids in colour."""
    json: bool = False
    """Print one JSON object per task: `attempts`, `sure`, `rung`, `left_out`, `seconds`."""
    submission: str = ""
    """Write the attempts to this file in the format of the ARC Prize."""
    overwrite: bool = False
    """Replace an existing submission."""


@dataclasses.dataclass(frozen=True)
class EvaluateArguments(Options):
    """Evaluate networks that are trained on each task. If interrupted, run the same command again to continue."""

    env: str = "ARC1-v0"
    """Environment id."""
    split: Literal["test", "train"] = "test"
    """`test`: the evaluation tasks, to be used only once; `train`: the training tasks."""
    puzzles: str = ""
    """A file or folder of tasks to use instead of a split."""
    learning: Learning = dataclasses.field(default_factory=Learning)
    """How each task is learned."""
    limit: int = number(0, least=0)
    """Use only the first N tasks in order of name; 0: all."""
    out: str = ""
    """File for one line of JSON per task; tasks already in it are not solved again. Default: a file in `runs`."""
    submission: str = ""
    """Write the attempts to this file in the format of the ARC Prize."""
    overwrite: bool = False
    """Replace an existing submission."""
    json: bool = False
    """Print one JSON object and nothing else."""


def on_the_spot(argv: Sequence[str]) -> bool:
    """Return whether a command line names such a family and no trained agent."""
    first = Parser()
    first.add_argument("--env")
    first.add_argument("--checkpoint")
    chosen, _ = first.parse_known_args(list(argv))
    return chosen.env is not None and chosen.checkpoint is None and task_class(chosen.env).by_examples


# ---- solve -------------------------------------------------------------------------------------------


def solve(args: SolveArguments) -> int:
    """Run `solve`."""
    if args.submission:
        check_new(Path(args.submission), args.overwrite)
    tasks = sources.tasks_for(args.puzzle, make_task(args.env).arguments["version"])
    rows, whole = _solved(tasks, args.learning, lambda row: _print(row, tasks, args))
    if args.submission:
        _submit(Path(args.submission), rows, tasks)
    if not whole:
        print("interrupted: the best so far", file=sys.stderr)
        return 130
    wrong = [row.name for row in rows if row.two is False]
    if wrong:
        what = "the attempts are" if len(tasks) == 1 else f"{len(wrong)} of {len(tasks)} tasks ({wrong[0]}, ...) are"
        print(f"{what} not right: try more --seconds, or another --seed", file=sys.stderr)
    return 1 if wrong else 0


def _solved(tasks: Mapping[str, sources.Examples], learning: Learning, each: Any) -> tuple[list[Row], bool]:
    """Solve tasks, calling `each` with every row; return the rows and whether all tasks were finished."""
    from hrm_gym.agents.arc.many import solve_tasks

    rows: list[Row] = []
    processes = learning.processes or _cores()
    one = len(tasks) == 1
    with bar("learning") as tell:

        def show(name: str, event: Any) -> None:
            if one:
                tell(int(event.seconds), round(learning.seconds), event.doing)

        try:
            for row in solve_tasks(tasks, learning.seconds, processes, learning.seed, learning.agent, show):
                rows.append(row)
                each(row)
                if not one:
                    tell(len(rows), len(tasks))
        except KeyboardInterrupt:
            return rows, False
    return rows, True


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _print(row: Row, tasks: Mapping[str, sources.Examples], args: SolveArguments) -> None:
    if args.json:
        print(json.dumps(row.to_dict()), flush=True)
        return
    for line in _in_lines(row, tasks[row.name], _coloured if args.pretty else _plain):
        print(line, flush=True)


def _in_lines(row: Row, examples: sources.Examples, draw: Any) -> Iterator[str]:
    solution = row.solution
    right, tried = solution.left_out
    judged = f"{right} of {tried} left-out demonstrations right" if tried else "nothing left out"
    graded = {None: "", True: ", right", False: ", wrong"}[row.two]
    yield f"{row.name}: {solution.rung}; {judged}; {100 * solution.sure:.0f} % sure; {solution.seconds:.0f} s{graded}"
    for number_, (grids, test) in enumerate(zip(solution.attempts, examples.tests, strict=True), start=1):
        blocks = [draw(grid) for grid in ([test.input, *map(np.array, grids)] if draw is _coloured else grids)]
        yield f"test {number_}" if len(solution.attempts) > 1 else ""
        if draw is _coloured:  # the input and both attempts side by side
            height = max(map(len, blocks))
            for i in range(height):
                yield "   ".join(block[i] if i < len(block) else " " * 2 * len(test.input[0]) for block in blocks)
            continue
        for attempt, block in enumerate(blocks, start=1):
            yield f"attempt {attempt}"
            yield from block
    yield ""


def _submit(path: Path, rows: Sequence[Row], tasks: Mapping[str, sources.Examples]) -> None:
    names, grids = [], []
    by_name = {row.name: row.solution.attempts for row in rows}
    for name, examples in tasks.items():
        for attempts in by_name.get(name, [[] for _ in examples.tests]):
            names.append(name)
            grids.append([np.array(grid, np.uint8) for grid in attempts])
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(submission(names, grids)), encoding="utf-8")


# ---- evaluate ----------------------------------------------------------------------------------------


def evaluate(args: EvaluateArguments) -> int:
    """Run `evaluate`."""
    from hrm_gym.agents.arc.many import appending, read_rows, score

    if args.submission:
        check_new(Path(args.submission), args.overwrite)
    tasks = _graded(args)
    learning = args.learning
    named = Path(args.puzzles).stem if args.puzzles else args.split
    name = f"{args.env}-{named}-{learning.agent.rpartition(':')[2]}-{learning.seconds:g}s-seed{learning.seed}.jsonl"
    path = Path(args.out or Path("runs") / name)
    conditions = {"env": args.env, "puzzles": args.puzzles or f"{args.split} split"}
    conditions |= {key: getattr(learning, key) for key in ("seconds", "seed", "agent")}
    done = read_rows(path, conditions)
    left = {name: task for name, task in tasks.items() if name not in done}
    new: list[Row] = []
    whole = True
    if left:
        with appending(path, conditions) as append:
            new, whole = _solved(left, learning, lambda row: append(row) if row.solution.complete else None)
    if args.submission:  # also what was interrupted, which the file and the figures leave out
        _submit(Path(args.submission), [*done.values(), *new], tasks)
    done |= {row.name: row for row in new if row.solution.complete}
    rows = [done[name] for name in tasks if name in done]
    figures = {**score(rows, len(tasks)), **conditions, "table": str(path)}
    if args.json:
        print(json.dumps(figures))
    else:
        for name, value in _figures_in_lines(figures):
            print(f"{name:24} {value}")
    return 0 if whole else 130


def _graded(args: EvaluateArguments) -> dict[str, sources.Examples]:
    """Return the tasks to evaluate."""
    if args.puzzles:
        tasks = sources.tasks_for(args.puzzles, make_task(args.env).arguments["version"])
    else:
        tasks = make_task(args.env).collection.part(args.split)  # type: ignore[attr-defined]
    return sources.graded(tasks, args.limit)


def _figures_in_lines(figures: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name in ("pass@1", "pass@2"):
        share = in_words(figures[name], figures[f"{name}_interval"])
        yield name, f"{share}: {figures[f'{name}_tasks']} of {figures['num_tasks']} tasks"
    yield "done", f"{figures['num_done']} tasks; the network fitted all demonstrations of {figures['num_fitted']}"
    spent = (
        f"{figures['core_seconds_per_task']:g} s of one core per task, {figures['core_seconds'] / 3600:.2f} h in total"
    )
    yield "seconds", spent
    yield "protocol", f"{figures['agent']}, {figures['seconds']:g} s, seed {figures['seed']}, {figures['puzzles']}"
    yield "a line a task", figures["table"]


def _plain(grid: Iterable[Sequence[int]]) -> list[str]:
    """Return one line per row with one digit per cell."""
    return ["".join(map(str, row)) for row in grid]


def _coloured(grid: Iterable[Sequence[int]]) -> list[str]:
    """Return one line per row with two spaces per cell, coloured by terminal escape sequences."""
    return ["".join(_block(int(cell)) for cell in row) + "\x1b[0m" for row in grid]


def _block(colour: int) -> str:
    red, green, blue = COLOURS[colour][:3]
    return f"\x1b[48;2;{red};{green};{blue}m  "
