"""Many ARC tasks: parallel processes, a results file that can be continued, and the score."""

from __future__ import annotations

import concurrent.futures
import contextlib
import dataclasses
import json
import multiprocessing
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

import torch

from hrm_gym.agents.arc.solving import Event, TaskSolution, grade, solve_task
from hrm_gym.agents.registry import import_named
from hrm_gym.envs.arc.sources import Examples
from hrm_gym.errors import HrmGymError, first_line, unknown
from hrm_gym.shares import wilson

Progress = Callable[[str, Event], None]
"""A callback for the name of a task and an event of its solver."""


@dataclasses.dataclass(frozen=True)
class Course:
    """The moments of one solver, graded."""

    seconds: list[float] = dataclasses.field(default_factory=list)
    """The time of each moment, in seconds of a core."""
    signals: list[list[float]] = dataclasses.field(default_factory=list)
    """What the solver knew: the values of `hrm_gym.envs.halting.recorded_solvers.SIGNALS`."""
    solved: list[bool] = dataclasses.field(default_factory=list)
    """Whether two attempts solved the task; empty if an output is unknown."""


@dataclasses.dataclass(frozen=True)
class Row:
    """The result of one task."""

    name: str
    solution: TaskSolution
    """Without its moments, which `course` holds."""
    first: bool | None
    """Whether the first attempts are right for all tests; None if an output is unknown."""
    two: bool | None
    """Whether one of the two attempts is right for each test; None if an output is unknown."""
    course: Course = Course()

    def to_dict(self) -> dict[str, Any]:
        """A form that JSON can hold."""
        found = dataclasses.asdict(self.solution)
        found.pop("moments")
        course = dataclasses.asdict(self.course)
        return {"name": self.name, **found, "first": self.first, "two": self.two, "course": course}

    @staticmethod
    def from_dict(fields: Mapping[str, Any]) -> Row:
        """The inverse of `to_dict`, after a round trip through JSON."""
        own = {field.name for field in dataclasses.fields(TaskSolution)}
        values = {name: value for name, value in fields.items() if name in own}
        values["attempts"] = [[tuple(map(tuple, grid)) for grid in grids] for grids in values["attempts"]]
        values["left_out"] = tuple(values["left_out"])
        course = Course(**fields.get("course", {}))
        return Row(fields["name"], TaskSolution(**values), fields["first"], fields["two"], course)


def solve_tasks(
    tasks: Mapping[str, Examples],
    seconds: float = 40.0,
    processes: int = 1,
    seed: int = 0,
    agent: str = "hrm_planes",
    tell: Progress | None = None,
) -> Iterator[Row]:
    """Solve tasks and yield a row when one is done: in order with one process, in order of completion with several.

    Args:
        tasks: by name; outputs of tests are only used for grading.
        seconds: seconds of one core for each task.
        processes: number of parallel processes, each on one core.
        seed: seed of all networks.
        agent: a registered agent on planes, or "module:NAME".
        tell: called with the name of the task and each `Event`; ignored with several processes.

    Raises:
        HrmGymError: on an unknown agent, or if a process died.
        KeyboardInterrupt: after Ctrl-C, once the rows of the tasks that were running have been yielded, with the best
            attempts so far.
    """
    name_of_agent = import_named(agent)
    if processes == 1 or len(tasks) == 1:
        for name, examples in tasks.items():
            on_event = None if tell is None else (lambda event, name=name: tell(name, event))
            row = _row(name, examples, solve_task(examples, seconds, seed, name_of_agent, on_event))
            yield row
            if not row.solution.complete:
                raise KeyboardInterrupt
        return
    # A fork of a process that has used torch's threads may hang, so start fresh processes.
    context = multiprocessing.get_context("spawn")
    if sys.platform == "win32":
        processes = min(processes, 61)  # Windows waits for no more at once
    pool = concurrent.futures.ProcessPoolExecutor(processes, context, initializer=_begin_worker)
    asked, whole = False, True  # whether Ctrl-C was pressed, and whether all tasks were finished
    with pool:
        try:
            with _interrupts_held():
                left = {pool.submit(_work, task, seconds, seed, agent): name for name, task in tasks.items()}
            while left:
                try:
                    done, _ = concurrent.futures.wait(left, return_when=concurrent.futures.FIRST_COMPLETED)
                except KeyboardInterrupt:
                    if asked:
                        raise
                    asked = True
                    left = {future: name for future, name in left.items() if not future.cancel()}
                    continue
                for future in done:
                    name, solution = left.pop(future), future.result()
                    whole &= solution is not None and solution.complete
                    if solution is not None:
                        yield _row(name, tasks[name], solution)
        except concurrent.futures.process.BrokenProcessPool:
            raise HrmGymError("a worker process has died, perhaps for lack of memory: try fewer processes") from None
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
    if asked or not whole:
        raise KeyboardInterrupt


# ---- in a worker process ---------------------------------------------------------------------------------

_busy, _ended = False, False
"""Whether this process solves a task, and whether Ctrl-C has ended its work."""


@contextlib.contextmanager
def _interrupts_held() -> Iterator[None]:
    """Hold SIGINT back. Processes that are started here inherit this, so it cannot end them while they import."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _begin_worker() -> None:
    torch.set_num_threads(1)
    if signal.getsignal(signal.SIGINT) != signal.SIG_IGN:  # as in jobs in the background
        signal.signal(signal.SIGINT, _end_work)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def _end_work(number: int, frame: FrameType | None) -> None:
    """End the task in progress with its best attempts, and take no further one.

    Tasks that wait in the pool's own queue cannot be cancelled. An exception between tasks would break the pool.
    """
    global _ended
    again, _ended = _ended, True
    if _busy and not again:
        raise KeyboardInterrupt


def _work(examples: Examples, seconds: float, seed: int, agent: str) -> TaskSolution | None:
    """`solve_task` for an agent that this process may not know yet; None if Ctrl-C came before there was a solver."""
    global _busy
    try:
        _busy = True
        return None if _ended else solve_task(examples, seconds, seed, import_named(agent))
    except KeyboardInterrupt:
        return None
    finally:
        _busy = False


def score(rows: Sequence[Row], num_tasks: int) -> dict[str, Any]:
    """The figures of `hrm-gym evaluate`: shares of all tasks; a task without a row counts as wrong.

    Args:
        rows: results of tasks with known outputs.
        num_tasks: the number of tasks, the denominator.
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
    """Solve tasks and return their `score`.

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


# ---- results file --------------------------------------------------------------------------------------


def read_rows(path: Path, conditions: Mapping[str, Any]) -> dict[str, Row]:
    """The rows of a results file by name; empty if there is no file.

    Raises:
        HrmGymError: if it is not a results file, or was made under other conditions.
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
    """Append rows to a results file, each one immediately.

    Raises:
        HrmGymError: if it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a+", encoding="utf-8", newline="") as file:  # bytes and characters are counted alike
            file.seek(0)
            text = file.read()
            # Drop a line that a killed process left incomplete.
            file.truncate(len(text[: text.rfind("\n") + 1].encode()))
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
    """All lines except an incomplete last one, left by a killed process."""
    text = path.read_text(encoding="utf-8")
    return text[: text.rfind("\n") + 1].splitlines()


def _row(name: str, examples: Examples, solution: TaskSolution) -> Row:
    first, two = grade(examples, solution.attempts) or (None, None)
    moments = solution.moments
    course = Course(
        seconds=[round(moment.seconds, 2) for moment in moments],
        signals=[[round(signal, 4) for signal in moment.signals] for moment in moments],
        solved=[grades[1] for moment in moments if (grades := grade(examples, moment.attempts))],
    )
    return Row(name, dataclasses.replace(solution, moments=[]), first, two, course)
