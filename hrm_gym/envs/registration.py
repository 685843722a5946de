"""The table of environment ids, and the registration of these and of other people's puzzle families."""

from __future__ import annotations

import functools
import inspect
import json
import re
from typing import Any

import gymnasium as gym

from hrm_gym.envs.checks import check_family
from hrm_gym.envs.options import OPTIONS
from hrm_gym.envs.task import Task
from hrm_gym.errors import HrmGymError, unknown
from hrm_gym.outside import import_module, load_class, shown

NAMESPACE = "hrm_gym"

_ID = r"[A-Za-z][\w.]*-v\d+"
_ENTRY = r"[\w.]+:\w+"

_SUDOKU = "hrm_gym.envs.sudoku.task:SudokuTask"
_MAZE = "hrm_gym.envs.maze.task:MazeTask"
_ARC = "hrm_gym.envs.arc.task:ARCTask"
_SEQUENCES = "hrm_gym.envs.sequences.task"
_WALK = "hrm_gym.envs.walks.task:WalkTask"

# The class, its arguments, and how hard the puzzles are, where that can be compared; 0 elsewhere.
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
    "Walk-v0": (_WALK, {"steps": 40, "side": 5}, 0),
}

_registered: dict[str, tuple[str, dict[str, Any]]] = {}


def register_envs() -> None:
    """Register every id of the table with Gymnasium; done at `import hrm_gym`, which loads no task."""
    for env_id, (entry, kwargs, _) in _TABLE.items():
        register_task(env_id, entry, **kwargs)


def register_task(env_id: str, entry: str, **kwargs: Any) -> None:
    """Make environments of a puzzle family, named `env_id` and `hrm_gym/env_id`.

    Args:
        env_id: the name, such as "LightsOut5x5-v0".
        entry: where the subclass of `hrm_gym.envs.task.Task` stands, such as "my_module:LightsOut". It is
            imported when an environment is made, and must be importable in every process that makes one.
        **kwargs: what the class is built with; numbers, strings, lists and the like, as JSON has them.

    Raises:
        HrmGymError: on a malformed id or entry, arguments that JSON does not have or that environments use
            themselves, or an id that already means something else. The same registration twice is fine.
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
    """The id of the halting environment of a puzzle: "Sudoku4x4-v0" has "Sudoku4x4-Halt-v0"."""
    return re.sub(r"-(v\d+)$", r"-Halt-\1", env_id)


def puzzle_id(env_id: str) -> str:
    """The id of the puzzle of a halting environment; other ids as they are."""
    return re.sub(r"-Halt-(v\d+)$", r"-\1", env_id)


def hardness(env_id: str) -> int:
    """How hard the puzzles of an id are beside those of the others; 0 where that is not known."""
    return _TABLE[env_id][2] if env_id in _TABLE else 0


def task_ids() -> tuple[str, ...]:
    """The ids of all registered environments, in the order of their registration, without the namespace."""
    return tuple(_registered)


def canonical_id(name: str) -> str:
    """The registered id, without the namespace, that a `name` for an environment means.

    Args:
        name: an id, with or without `hrm_gym/` or `hrm_gym:`; or "module:ID", where importing the module registers
            the id.

    Raises:
        HrmGymError: on an unknown id or module, or a module that cannot be imported.
    """
    module, _, env_id = name.rpartition(":")
    if module:
        import_module(module, name)
    env_id = env_id.removeprefix(f"{NAMESPACE}/")
    if env_id not in _registered:
        raise unknown("environment", name, task_ids())
    return env_id


def make_task(task: str, dataset: str | None = None, /, **kwargs: Any) -> Task:
    """The task behind an id; the same object each time.

    Args:
        task: a name as `canonical_id` takes it, or an entry "module:Class".
        dataset: of the environment; a family whose files say more than puzzles and solutions takes it itself.
        **kwargs: arguments of the class, over those of the id.

    Raises:
        HrmGymError: on an unknown id, module, class or argument.
    """
    entry, defaults = _entry(task)
    kwargs = {**defaults, **kwargs}
    if dataset is not None and "dataset" in inspect.signature(_task_class(entry)).parameters:
        kwargs["dataset"] = dataset
    return _build(entry, json.dumps(kwargs, sort_keys=True))


def task_class(task: str) -> type[Task]:
    """The class of a task, which is not built; names as in `make_task`.

    Raises:
        HrmGymError: on an unknown id, module or class.
    """
    return _task_class(_entry(task)[0])


def _entry(task: str) -> tuple[str, dict[str, Any]]:
    """Where the class of a task stands, and the arguments of its id."""
    if not isinstance(task, str):
        raise HrmGymError(f"task={task!r}: give an id, such as 'Sudoku4x4-v0', or 'module:Class'")
    return (task, {}) if re.fullmatch(_ENTRY, task) else _registered[canonical_id(task)]


def task_arguments(text: str) -> dict[str, Any]:
    """Arguments of a task from "name=value,name=value"; a value that is not JSON is a string.

    Raises:
        HrmGymError: on a part without a name or an equals sign.
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
def _build(entry: str, kwargs: str) -> Task:
    cls = _task_class(entry)
    arguments = json.loads(kwargs)
    allowed = inspect.signature(cls).parameters
    if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in allowed.values()):
        for name in arguments:
            if name not in allowed:
                raise unknown("argument", name, [*OPTIONS, *allowed])
    try:
        task: Task = cls(**arguments)
    except HrmGymError:
        raise
    except Exception as error:
        if (line := shown(error)) is not None:
            raise HrmGymError(line) from error
        if not isinstance(error, TypeError):
            raise
        given = ", ".join(f"{name}={value!r}" for name, value in arguments.items())  # of other types than expected
        raise HrmGymError(f"{entry} cannot be built with ({given}): {error}") from None
    check_family(task)
    return task
