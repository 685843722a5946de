"""The table of environment ids, and registration of these and of users' puzzle families."""

from __future__ import annotations

import functools
import inspect
import json
import os
import re
from typing import Any

import gymnasium as gym

from hrm_gym.envs.checks import check_family
from hrm_gym.envs.generated import with_generator
from hrm_gym.envs.options import OPTIONS
from hrm_gym.envs.task import Task
from hrm_gym.errors import HrmGymError, first_line, unknown
from hrm_gym.files import state_of
from hrm_gym.outside import import_module, load_class, shown

NAMESPACE = "hrm_gym"

_ID = r"[A-Za-z][\w.]*-v\d+"
_ENTRY = r"[\w.]+:\w+"

_SUDOKU = "hrm_gym.envs.sudoku.task:SudokuTask"
_MAZE = "hrm_gym.envs.maze.task:MazeTask"
_ARC = "hrm_gym.envs.arc.task:ARCTask"
_SEQUENCES = "hrm_gym.envs.sequences.task"
_WALK = "hrm_gym.envs.walks.task:WalkTask"

# Class, arguments, and a rank of difficulty; 0 if the difficulty is not comparable.
_TABLE: dict[str, tuple[str, dict[str, Any], int]] = {
    "Sudoku4x4-v0": (_SUDOKU, {"size": 4}, 1),
    "Sudoku6x6-v0": (_SUDOKU, {"size": 6}, 2),
    "MazeSmall-v0": (_MAZE, {"size": 10, "min_path": 20}, 3),
    "Sudoku9x9-v0": (_SUDOKU, {"size": 9}, 4),
    "SudokuExtreme-v0": (_SUDOKU, {"size": 9, "extreme": True}, 5),
    "SudokuDeep-v0": (_SUDOKU, {"size": 9, "extreme": True, "hard_by": "resistance"}, 6),
    "SudokuVicinity-v0": (_SUDOKU, {"size": 9, "extreme": True, "hard_by": "vicinity"}, 7),
    "Sudoku16x16-v0": (_SUDOKU, {"size": 16}, 8),
    "MazeHard-v0": (_MAZE, {"size": 30, "min_path": 110}, 9),
    "ARC1-v0": (_ARC, {"version": 1}, 0),
    "ARC2-v0": (_ARC, {"version": 2}, 0),
    "Copy-v0": (f"{_SEQUENCES}:CopyTask", {"min_length": 3, "max_length": 10}, 0),
    "Parity-v0": (f"{_SEQUENCES}:ParityTask", {"min_length": 4, "max_length": 20}, 0),
    "Addition-v0": (f"{_SEQUENCES}:AdditionTask", {"min_length": 1, "max_length": 6}, 0),
    "Chain-v0": ("hrm_gym.envs.sequences.chain:ChainTask", {"min_length": 1, "max_length": 5}, 0),
    "Walk-v0": (_WALK, {"steps": 40, "side": 5}, 0),
}

_registered: dict[str, tuple[str, dict[str, Any]]] = {}


def register_envs() -> None:
    """Register every id of the table with Gymnasium without loading tasks; `import hrm_gym` calls this."""
    for env_id, (entry, kwargs, _) in _TABLE.items():
        register_task(env_id, entry, **kwargs)


def register_task(env_id: str, entry: str, **kwargs: Any) -> None:
    """Register the environments of a puzzle family as `env_id` and `hrm_gym/env_id`.

    Args:
        env_id: the name, such as "LightsOut5x5-v0".
        entry: import path of the subclass of `hrm_gym.envs.task.Task`, such as "my_module:LightsOut". It is imported
            when an environment is made, and must be importable in every process that makes one.
        **kwargs: arguments of the class, serializable as JSON.

    Raises:
        HrmGymError: if the id or entry is malformed, an argument is not serializable as JSON or has the name of an
            option of environments, or the id is registered differently. Repeating a registration is allowed.
    """
    if not re.fullmatch(_ID, env_id):
        raise HrmGymError(f"malformed id {env_id!r}: write Name-vNUMBER, such as 'LightsOut5x5-v0'")
    if not (isinstance(entry, str) and re.fullmatch(_ENTRY, entry)):
        raise HrmGymError(f"malformed entry {entry!r}: write 'module:Class', such as 'my_module:LightsOut'")
    for name in kwargs:
        if name in OPTIONS:
            raise HrmGymError(f"{env_id}: {name!r} is an argument of every environment; rename the task's")
    try:
        json.dumps(kwargs)
    except TypeError as error:
        raise HrmGymError(f"{env_id}: give arguments as JSON has them: {error}") from error
    if _registered.get(env_id, (entry, kwargs)) != (entry, kwargs):
        raise HrmGymError(f"{env_id!r} is already {_registered[env_id]}: choose another name or version")
    if env_id in _registered:
        return
    _registered[env_id] = (entry, kwargs)
    for name in (env_id, f"{NAMESPACE}/{env_id}"):
        gym.register(
            id=name,
            entry_point="hrm_gym.envs.puzzle_env:PuzzleEnv",
            vector_entry_point="hrm_gym.envs.vector_env:PuzzleVectorEnv",
            kwargs={"task": entry, **kwargs},
        )


def halting_id(env_id: str) -> str:
    """Return the id of a puzzle's halting environment: "Sudoku4x4-Halt-v0" for "Sudoku4x4-v0"."""
    return re.sub(r"-(v\d+)$", r"-Halt-\1", env_id)


def puzzle_id(env_id: str) -> str:
    """Return the puzzle id of a halting environment; other ids are returned unchanged."""
    return re.sub(r"-Halt-(v\d+)$", r"-\1", env_id)


def hardness(env_id: str) -> int:
    """Return the rank of difficulty of an id's puzzles; 0 if unknown."""
    return _TABLE[env_id][2] if env_id in _TABLE else 0


def task_ids() -> tuple[str, ...]:
    """Return the ids of all registered environments without namespace, in order of registration."""
    return tuple(_registered)


def canonical_id(name: str) -> str:
    """Return the registered id, without namespace, of an environment's `name`.

    Args:
        name: an id, with or without `hrm_gym/` or `hrm_gym:`, or "module:ID" if importing the module registers the id.

    Raises:
        HrmGymError: if the id or module is unknown, or the module cannot be imported.
    """
    if not isinstance(name, str):
        raise HrmGymError(f"env={name!r}: give the id of an environment, such as 'Sudoku4x4-v0'")
    module, _, env_id = name.rpartition(":")
    if module:
        import_module(module, name)
    env_id = env_id.removeprefix(f"{NAMESPACE}/")
    if env_id not in _registered:
        raise unknown("environment", name, task_ids())
    return env_id


def make_task(task: str, dataset: str | None = None, /, **kwargs: Any) -> Task:
    """Return the task of an id; tasks are cached until their files change.

    Args:
        task: a name that `canonical_id` accepts, or an entry "module:Class".
        dataset: the environment's dataset, passed to families that read more than puzzles and solutions from it.
        **kwargs: arguments of the class, which override those of the id; and `generator`, a function of (num, rng) that
            makes other puzzles for the family, or its import path "module:function" (see `generated.Generator`).

    Raises:
        HrmGymError: if an id, module, class or argument is unknown, or the generator fails.
    """
    entry, defaults = _entry(task)
    if not isinstance(dataset, str | os.PathLike | None):
        raise HrmGymError(f"dataset is a {type(dataset).__name__}: give the path of a file or a folder")
    dataset = dataset if dataset is None else os.fsdecode(dataset)
    kwargs = {**defaults, **kwargs}
    parameters = inspect.signature(_task_class(entry)).parameters
    # A family may have an argument of this name itself.
    generator = None if "generator" in parameters else kwargs.pop("generator", None)
    if dataset is not None and "dataset" in parameters:
        kwargs["dataset"] = dataset
    files = state_of(dataset) if "dataset" in kwargs and dataset is not None else ()
    try:
        arguments = json.dumps(kwargs, sort_keys=True)
    except (TypeError, ValueError, RecursionError) as error:
        raise HrmGymError(f"{task}: give arguments as JSON has them: {first_line(error)}") from None
    built = _build(entry, arguments, files)
    if generator is None:
        return built
    if dataset is not None:
        raise HrmGymError("dataset and generator both say which puzzles to use: give one of them")
    return with_generator(built, generator)


def task_class(task: str) -> type[Task]:
    """Return the class of a task without building it; names as in `make_task`.

    Raises:
        HrmGymError: if the id, module or class is unknown.
    """
    return _task_class(_entry(task)[0])


def _entry(task: str) -> tuple[str, dict[str, Any]]:
    """Return the import path of a task's class and the arguments of its id."""
    if not isinstance(task, str):
        raise HrmGymError(f"task={task!r}: give an id, such as 'Sudoku4x4-v0', or 'module:Class'")
    return (task, {}) if re.fullmatch(_ENTRY, task) else _registered[canonical_id(task)]


def task_arguments(text: str) -> dict[str, Any]:
    """Parse arguments of a task from "name=value,name=value"; values that are not JSON are strings.

    Raises:
        HrmGymError: if a part has no name or no equals sign.
    """
    arguments: dict[str, Any] = {}
    for part in filter(None, map(str.strip, text.split(","))):
        name, equals, value = part.partition("=")
        if not (equals and name.strip().isidentifier()):
            raise HrmGymError(f"task argument {part!r}: write name=value, such as augmentations=30")
        try:
            arguments[name.strip()] = json.loads(value)
        except json.JSONDecodeError:
            arguments[name.strip()] = value.strip()
    return arguments


@functools.cache
def _task_class(entry: str) -> type[Task]:
    return load_class(entry, "task", Task)


@functools.cache
def _build(entry: str, kwargs: str, files: tuple[Any, ...]) -> Task:
    cls = _task_class(entry)
    arguments = json.loads(kwargs)
    allowed = inspect.signature(cls).parameters
    if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in allowed.values()):
        for name in arguments:
            if name not in allowed:
                raise unknown("argument", name, [*OPTIONS, *allowed, "generator"])
    try:
        task: Task = cls(**arguments)
    except HrmGymError:
        raise
    except Exception as error:
        if (line := shown(error)) is not None:
            raise HrmGymError(line) from error
        if not isinstance(error, TypeError):
            raise
        given = ", ".join(f"{name}={value!r}" for name, value in arguments.items())  # with values of unexpected types
        raise HrmGymError(f"{entry} cannot be built with ({given}): {error}") from None
    check_family(task)
    return task
