"""Many ARC tasks: processes side by side, a file with a line a task that can be gone on with, and the score."""

from __future__ import annotations

import concurrent.futures
import contextlib
import dataclasses
import json
import multiprocessing
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from hrm_gym.agents.arc.solving import Event, TaskSolution, grade, solve_task
from hrm_gym.envs.arc.sources import Examples
from hrm_gym.errors import HrmGymError, first_line, unknown
from hrm_gym.shares import wilson

Told = Callable[[str, Event], None]
"""Told the name of a task and what goes on in its solver."""


@dataclasses.dataclass(frozen=True)
class Row:
    """A task that was solved, or tried."""

    name: str
    solution: TaskSolution
    first: bool | None
    """Whether the first attempts are right for all tests; None where an output is not known."""
    two: bool | None
    """Whether one of the two attempts is, likewise."""

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return {"name": self.name, **dataclasses.asdict(self.solution), "first": self.first, "two": self.two}

    @staticmethod
    def from_dict(fields: Mapping[str, Any]) -> Row:
        """From what `to_dict` gave and JSON kept."""
        own = {field.name for field in dataclasses.fields(TaskSolution)}
        values = {name: value for name, value in fields.items() if name in own}
        values["attempts"] = [[tuple(map(tuple, grid)) for grid in grids] for grids in values["attempts"]]
        values["left_out"] = tuple(values["left_out"])
        return Row(fields["name"], TaskSolution(**values), fields["first"], fields["two"])


def solve_tasks(
    tasks: Mapping[str, Examples],
    seconds: float = 40.0,
    processes: int = 1,
    seed: int = 0,
    agent: str = "hrm_planes",
    tell: Told | None = None,
) -> Iterator[Row]:
    """Solve tasks, a row each as it is done: in order in one process, as they come in several.

    Args:
        tasks: by name; outputs of tests are read for grading alone.
        seconds: of one core, a task.
        processes: side by side, each on one core.
        seed: of all networks.
        agent: a registered agent on planes.
        tell: what goes on, in one process only.
    """
    if processes == 1 or len(tasks) == 1:
        for name, examples in tasks.items():
            told = None if tell is None else (lambda event, name=name: tell(name, event))
            row = _row(name, examples, solve_task(examples, seconds, seed, agent, told))
            yield row
            if not row.solution.complete:
                raise KeyboardInterrupt
        return
    # A process that was forked from one that has used torch's threads may hang: each begins afresh.
    context = multiprocessing.get_context("spawn")
    pool = concurrent.futures.ProcessPoolExecutor(processes, context, initializer=torch.set_num_threads, initargs=(1,))
    with pool:
        pending = {pool.submit(solve_task, task, seconds, seed, agent): name for name, task in tasks.items()}
        try:
            for done in concurrent.futures.as_completed(pending):
                yield _row(pending[done], tasks[pending[done]], done.result())
        except concurrent.futures.process.BrokenProcessPool:
            raise HrmGymError("a process that solved tasks has died: is there memory enough for so many?") from None
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def score(rows: Sequence[Row], num_tasks: int) -> dict[str, Any]:
    """What `hrm-gym evaluate` prints: shares of all tasks, those that were not reached among them.

    Args:
        rows: of tasks whose outputs are known.
        num_tasks: the denominator.
    """
    figures: dict[str, Any] = {}
    for name, wins in (("pass@1", [row.first for row in rows]), ("pass@2", [row.two for row in rows])):
        won = sum(map(bool, wins))
        figures |= {name: won / num_tasks, f"{name}_interval": list(wilson(won, num_tasks)), f"{name}_tasks": won}
    spent = [row.solution.seconds for row in rows]
    return {
        **figures,
        "num_tasks": num_tasks,
        "num_done": len(rows),
        "num_fitted": sum(row.solution.fitted for row in rows),
        "core_seconds": round(sum(spent), 1),
        "core_seconds_per_task": round(sum(spent) / max(1, len(spent)), 2),
    }


def score_on_the_spot(tasks: Mapping[str, Examples], **settings: Any) -> dict[str, Any]:
    """`score` of tasks that are solved now.

    Args:
        tasks: by name, with the outputs of their tests.
        **settings: the arguments of `solve_tasks`.

    Raises:
        HrmGymError: on an unknown setting.
    """
    known = ("seconds", "processes", "seed", "agent", "tell")
    if wrong := [name for name in settings if name not in known]:
        raise unknown("setting", wrong[0], known)
    return score(list(solve_tasks(tasks, **settings)), len(tasks))


# ---- a file that can be gone on with -----------------------------------------------------------------


def read_rows(path: Path, conditions: Mapping[str, Any]) -> dict[str, Row]:
    """The rows that a file holds, by name; none where there is no file.

    Raises:
        HrmGymError: where the file is none of ours, or was made under other conditions.
    """
    if not path.exists():
        return {}
    try:
        lines = [json.loads(line) for line in _whole_lines(path)]
        before, rows = (lines[0]["conditions"], [Row.from_dict(line) for line in lines[1:]]) if lines else ({}, [])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise HrmGymError(f"{path} does not hold results of tasks ({first_line(error)}): give another file") from None
    if lines and before != dict(conditions):
        changed = next(name for name in {**before, **conditions} if before.get(name) != conditions.get(name))
        raise HrmGymError(
            f"{path} was made with {changed} {before.get(changed)!r}, not {conditions.get(changed)!r}: "
            "give the same, or another file"
        )
    return {row.name: row for row in rows}


@contextlib.contextmanager
def appending(path: Path, conditions: Mapping[str, Any]) -> Iterator[Callable[[Row], None]]:
    """Write rows to a file, each at once, after those that it holds.

    Raises:
        HrmGymError: where it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a+") as file:
            file.seek(0)
            text = file.read()
            file.truncate(len(text[: text.rfind("\n") + 1].encode()))  # what a killed process left half written
            if not text:
                file.write(f"{json.dumps({'conditions': dict(conditions)})}\n")

            def append(row: Row) -> None:
                file.write(f"{json.dumps(row.to_dict())}\n")
                file.flush()

            file.flush()
            yield append
    except OSError as error:
        raise HrmGymError(f"cannot write {path} ({error.strerror or error}): choose another place") from None


def _whole_lines(path: Path) -> list[str]:
    """All lines but a last one that a killed process left half written."""
    text = path.read_text()
    return text[: text.rfind("\n") + 1].splitlines()


def _row(name: str, examples: Examples, solution: TaskSolution) -> Row:
    grades = grade(examples, solution)
    return Row(name, solution, *(grades or (None, None)))
