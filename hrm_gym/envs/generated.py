"""A puzzle family with a user's generator: other puzzles, and the same board, rules, splits, agents and pictures."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Hashable
from typing import Any

import numpy as np

from hrm_gym.envs.arrays import is_integer
from hrm_gym.envs.checks import NUM, check_puzzles
from hrm_gym.envs.task import Puzzles, Task
from hrm_gym.errors import HrmGymError, first_line, unknown
from hrm_gym.outside import import_module, shown, where

Generator = Callable[[int, np.random.Generator], Puzzles | np.ndarray]
"""Called with a number and a random generator, the only source of randomness; returns that many puzzles, uint8
(num, L), or `Puzzles` with their solutions."""


class _Generated:
    """The methods of a family that its generator replaces; mixed into the family's class."""

    base: Task
    generator: Generator | str

    @property
    def arguments(self) -> dict[str, Any]:
        """As `Task.arguments`."""
        return {**self.base.arguments, "generator": self.generator}

    def sample(self, num: int, rng: np.random.Generator) -> Puzzles:
        """As `Task.sample`, by the generator; missing solutions come from the family's solver."""
        make = _function(self.generator)
        name = _described(make)
        try:
            made = make(num, rng)
            if isinstance(made, np.ndarray):
                made = self._solved(made, num)
        except Exception as error:
            kind = "" if isinstance(error, HrmGymError) else f"{type(error).__name__}: "
            raise HrmGymError(shown(error) or f"{name}: {kind}{first_line(error)}") from error
        check_puzzles(self.base, made, name, num)
        return made.map(lambda array: array.astype(np.uint8))

    def _solved(self, puzzles: np.ndarray, num: int) -> Puzzles:
        if puzzles.shape != (num, self.base.num_cells) or not is_integer(puzzles):
            return Puzzles(puzzles, puzzles)  # `check_puzzles` says what is wrong
        return Puzzles(puzzles, np.stack([self.base.solve(puzzle) for puzzle in puzzles.astype(np.uint8)]))

    def dataset(self, split: str) -> Puzzles:
        """As `Task.dataset`: sampled; training puzzles are no images of the family's own test puzzles."""
        data = Task.dataset(self, split)  # type: ignore[arg-type]
        if split == "train":
            taken = set(self.base.keys(self.base.dataset("test")))
            keep = np.array([key not in taken for key in self.base.keys(data)])
            if not keep.any():
                raise HrmGymError(f"{self.generator!r} makes no training puzzle that the family's test split has not")
            data = data.map(lambda array: array[keep])
        return data

    def __reduce__(self) -> tuple[Callable[..., Task], tuple[Task, Generator | str]]:
        return with_generator, (self.base, self.generator)


def with_generator(task: Task, generator: Generator | str) -> Task:
    """The family with puzzles of a generator.

    Args:
        task: the family.
        generator: see `Generator`; or where to import it from, "module:name".

    Raises:
        HrmGymError: if the generator cannot be imported, fails, ignores `rng`, cannot be hashed, or makes puzzles of
            another board; or if puzzles of the family are more than their board (ARC).
    """
    make = _function(generator)
    if not isinstance(make, Hashable):
        raise HrmGymError(f"{_described(make)} cannot be hashed: a dataclass needs frozen=True")
    return _with_generator(task, generator)


@functools.lru_cache(maxsize=16)
def _with_generator(task: Task, generator: Generator | str) -> Task:
    make = _function(generator)
    if task.by_examples:
        raise HrmGymError(f"{type(task).__name__} takes no generator: its puzzles belong to tasks; give dataset=FOLDER")
    cls: Any = _class_of(type(task))
    made = cls.__new__(cls)  # built already: it has all that the task has
    vars(made).update(vars(task), base=task, generator=generator)
    first, second = (made.sample(NUM, np.random.default_rng(0)) for _ in range(2))
    if not np.array_equal(first.puzzle, second.puzzle):
        raise HrmGymError(f"{_described(make)} must draw from `rng` alone: the same seed gave other puzzles")
    result: Task = made
    return result


@functools.cache
def _class_of(cls: type[Task]) -> type[Task]:
    return type(cls.__name__, (_Generated, cls), {"__module__": cls.__module__, "__doc__": cls.__doc__})


def _function(generator: Any) -> Generator:
    """The generator itself, imported if it is a name."""
    if isinstance(generator, str) and generator.count(":") == 1:
        module_name, name = generator.split(":")
        module = import_module(module_name, generator)
        generator = getattr(module, name, None)
        if generator is None:
            raise unknown(f"generator in {module_name}", name, [n for n in dir(module) if not n.startswith("_")])
    if not callable(generator):
        raise HrmGymError(f"generator={generator!r}: give a function of (num, rng), or its name 'module:function'")
    function: Generator = generator
    return function


def _described(make: Any) -> str:
    """FILE:LINE and name of a function, or of the class of an object."""
    thing = make if inspect.isroutine(make) else type(make)
    return f"{where(thing)}: {thing.__name__}"
