"""ARC-AGI as a puzzle family: predict the output of a new input from a few demonstrations."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np

from hrm_gym.envs.arc import sources, symmetry, votes
from hrm_gym.envs.arc.grids import COLOURS, END, PADDING, SIDE, encode, extent, origin
from hrm_gym.envs.arc.view import ARCView
from hrm_gym.envs.arrays import Array, as_int64, like
from hrm_gym.envs.task import SPLITS, Ballots, Puzzles, Task, VoteResult
from hrm_gym.errors import HrmGymError, unknown
from hrm_gym.files import expanded, state_of

MOST_AUGMENTATIONS = 100_000


class ARCTask(Task):
    """Fill the canvas with the output for the input, by the rule that the demonstrations show.

    The board contains only the input. Its identity says which task it belongs to, and an agent learns an embedding of
    each identity. Training uses the demonstrations of all tasks and the test pairs of the training tasks, but never a
    test output of an evaluation task (HRM, arXiv 2506.21734, section 3.1).

    Tokens: 0 is padding, 1 the end marker, 2 to 11 the ten colours; see `grids`. An answer is correct if its grid and
    end markers are correct; padding of the solution does not count.

    Args:
        version: version of the official tasks: 1 (ARC-AGI-1) or 2 (ARC-AGI-2).
        dataset: folder or file of tasks to use instead; see `sources.read`.
        augmentations: number of additional forms of each task; see `symmetry`.
        num_tasks: number of training tasks and of evaluation tasks to keep, in order of name; 0 keeps all.
        side: rows and columns of the canvas; tasks with larger grids are left out. A canvas smaller than the
            benchmark's 30 can be learned on a CPU in minutes.

    Raises:
        HrmGymError: if a number is out of range. Files are read, and may be rejected, only when they are needed.
    """

    symbols = ".|0123456789"
    keeps_blanks = True
    padding = PADDING
    colours = COLOURS
    num_uniforms = 3
    local = True
    verifiable = False
    by_examples = True
    violation_name = "missing ends"
    view = ARCView

    def __init__(
        self,
        version: int = 1,
        dataset: str | None = None,
        augmentations: int = 100,
        num_tasks: int = 0,
        side: int = SIDE,
    ) -> None:
        if version not in sources.RELEASES:
            raise HrmGymError(f"no version {version!r} of ARC: choose one of {', '.join(map(str, sources.RELEASES))}")
        for name, value, most in (("augmentations", augmentations, MOST_AUGMENTATIONS), ("num_tasks", num_tasks, None)):
            if not isinstance(value, int) or value < 0 or (most is not None and value > most):
                allowed = "0 (all) or more" if most is None else f"0 to {most}"
                raise HrmGymError(f"{name}={value!r}: give an integer, {allowed}")
        if not isinstance(side, int) or not 1 <= side <= SIDE:
            raise HrmGymError(f"side={side!r}: give an integer, 1 to {SIDE}")
        self.version = version
        self.source = None if dataset is None else str(dataset)
        self._place = None if dataset is None else _place(dataset)
        self.files = () if dataset is None else state_of(dataset)
        self.augmentations = augmentations
        self.num_tasks = num_tasks
        self.side = side
        self.shape = (side, side)
        self.num_variants = 1 + augmentations

    @property
    def arguments(self) -> dict[str, Any]:
        """As `Task.arguments`."""
        return {
            "version": self.version,
            "dataset": self.source,
            "augmentations": self.augmentations,
            "num_tasks": self.num_tasks,
            "side": self.side,
        }

    # ---- tasks -----------------------------------------------------------------------------------

    @property
    def collection(self) -> sources.Collection:
        """All tasks, read on first use."""
        return _collection(self.version, self._place, self.num_tasks, self.side, self.files)

    @property
    def identities(self) -> tuple[str, ...]:  # type: ignore[override]  # read-only: the files say it
        """Names of the training tasks, then of the evaluation tasks, each part sorted."""
        return tuple(name for part in self.collection for name in part)

    @property
    def known_outputs(self) -> frozenset[str]:
        """Names of the tasks whose test outputs are training data."""
        return frozenset(name for name in self.collection.training if not _is_held_out(name))

    def refuse_seen(self, names: Iterable[str]) -> None:
        """Reject evaluation on tasks whose test outputs are training data.

        For example, the training tasks of ARC-AGI-2 include most evaluation tasks of ARC-AGI-1.

        Raises:
            HrmGymError: with the name of one such task.
        """
        seen = sorted(self.known_outputs.intersection(names))
        if seen:
            raise HrmGymError(
                f"the test outputs of {_some(seen)} are trained on: evaluate on tasks that are not training tasks"
            )

    def names(self, identity: Array) -> list[str]:
        """Return the names of the tasks of identities, integers of shape (N,)."""
        identities = self.identities
        return [identities[i] for i in np.asarray(identity) // self.num_variants]

    def demonstrations(self, identity: int) -> list[tuple[np.ndarray, np.ndarray]]:
        """Return input and output grids of each demonstration of an identity's task, in the identity's form.

        Raises:
            HrmGymError: if there is no such identity.
        """
        if not 0 <= identity < self.num_identities:
            raise HrmGymError(f"no identity {identity}: there are 0 to {self.num_identities - 1}")
        index, number = divmod(int(identity), self.num_variants)
        name = self.identities[index]
        task = next(part[name] for part in self.collection if name in part)
        return [
            (symmetry.transform(pair.input, number), symmetry.transform(pair.output, number))
            for pair in task.demonstrations
            if pair.output is not None
        ]

    # ---- examples --------------------------------------------------------------------------------

    def dataset(self, split: str) -> Puzzles:
        """As `Task.dataset`, in form 0: canvases, uint8 of shape (N, L), and identities, int64 of shape (N,).

        "validation" contains the test pairs of every tenth training task (by a hash of its name), "test" those of the
        evaluation tasks, and "train" the demonstrations of all tasks and the test pairs of the other training tasks. If
        no training task falls into "validation", its puzzles are the training puzzles. Test and validation pairs are
        removed from training wherever else they occur; for example, ARC-AGI-1 repeats the test of 070dd51e in the
        training task 40853293.

        A hidden output is an empty canvas.
        """
        return _dataset(self, split)

    def read(self, source: str, split: str | None) -> Puzzles:
        """As `Task.read`: test pairs from another source, for tasks whose demonstrations this collection has.

        For its own source this is `dataset(split)`, limited by `num_tasks`.

        Raises:
            HrmGymError: as in `sources.read`, or if a task has no identity or its test output is training data.
        """
        split = "test" if split is None else split
        _check_split(split)
        if _place(source) == self._place:
            return self.dataset(split)
        collection = _fitting(sources.read(source, self.version), self.side)
        known = set(self.identities)
        names = collection.evaluation if split == "test" else [name for part in collection for name in part]
        foreign = [name for name in names if name not in known]
        if foreign:
            raise HrmGymError(
                f"{source}: the agent was not trained on the demonstrations of {_some(foreign)}: "
                "train with dataset=FOLDER that holds them, or give tasks that it knows"
            )
        if split == "test":
            self.refuse_seen(names)
        return self._examples(collection, split, source)

    def _examples(self, collection: sources.Collection, split: str, source: str | None) -> Puzzles:
        number = {name: i * self.num_variants for i, name in enumerate(self.identities)}
        rows = list(_PARTS[split](collection, self.side))
        if not rows:
            part = "evaluation tasks" if split == "test" else "pairs to train on"
            fitting = f" that fit into {self.side}x{self.side} cells" if self.side < SIDE else ""
            raise HrmGymError(f"no {part}{fitting} in {source}: give another dataset")
        return Puzzles(
            np.stack([row.puzzle for row in rows]),
            np.stack([row.solution for row in rows]),
            np.array([number[row.name] for row in rows]),
        )

    def sample(self, num: int, rng: np.random.Generator) -> Puzzles:
        """As `Task.sample`: random training examples, each in a random form and at a random place."""
        data = self.dataset("train")
        index = rng.integers(len(data.puzzle), size=num)
        return self.augment(data.map(lambda array: array[index]), rng.random((num, self.num_uniforms)))

    # ---- rules -----------------------------------------------------------------------------------

    def is_given(self, puzzle: Array) -> Array:
        """As `Task.is_given`: none, because the answer is another grid."""
        return puzzle != puzzle

    def violations(self, puzzle: Array, answer: Array) -> Array:
        """Return the number of end markers missing beside and below each answer's grid, int64 of shape (N,).

        The grid begins in the same cell as the input (see `grids.extent`); an answer without a grid has one violation.
        So 0 means that the answer has a well-defined size, not that it is correct.
        """
        top, left = origin(puzzle)
        rows, columns = extent(answer, top, left)
        line = like(np.arange(self.side), answer)
        below, beside = (line == end[:, None] for end in (top + rows, left + columns))
        in_rows, in_columns = (
            (line >= start[:, None]) & (line < (start + length)[:, None])
            for start, length in ((top, rows), (left, columns))
        )
        ends = (below[:, :, None] & in_columns[:, None, :]) | (in_rows[:, :, None] & beside[:, None, :])
        return (ends.reshape(-1, self.num_cells) & (answer != END)).sum(-1) + as_int64(rows == 0)

    # ---- forms -----------------------------------------------------------------------------------

    def augment(self, puzzles: Puzzles, uniforms: Array) -> Puzzles:
        """As `Task.augment`: a random form, then a random offset at which input and output both fit.

        `puzzles` are in the upper left corner. The first number of `uniforms`, shape (N, 3), chooses the form, the
        others the offset in rows and columns.
        """
        number = as_int64(uniforms[:, 0] * self.num_variants)
        # In single precision a number just below 1 can round up.
        number = number - as_int64(number == self.num_variants)
        return self._in_form(puzzles, number, uniforms[:, 1:])

    def variants(self, puzzles: Puzzles, number: int | Array) -> Puzzles:
        """Return the puzzles in form `number`, an integer or integers of shape (N,), at unchanged offsets.

        Raises:
            HrmGymError: if a single number is out of range; arrays are not checked.
        """
        if isinstance(number, int) and not 0 <= number < self.num_variants:
            raise HrmGymError(f"no form {number}: there are 0 to {self.num_variants - 1}; see augmentations")
        return self._in_form(puzzles, as_int64(puzzles.puzzle[:, 0] * 0) + number, None)

    def count_votes(self, puzzles: Puzzles, ballots: Ballots) -> VoteResult:
        """As `Task.count_votes`, by the benchmark's protocol: see `votes.count_votes`."""
        return votes.count_votes(self.names(puzzles.identity), puzzles.solution, ballots)

    def _in_form(self, puzzles: Puzzles, number: Array, shift: Array | None) -> Puzzles:
        puzzle, solution = symmetry.images(puzzles.puzzle, puzzles.solution, number, self.num_variants, shift)
        identity = puzzles.identity
        if identity is not None:
            identity = identity // self.num_variants * self.num_variants + number
        return Puzzles(puzzle, solution, identity)


def _place(source: str) -> str:
    """Return the whole path of a source, because the working directory may change."""
    return str(expanded(source).absolute())


class _Row(NamedTuple):
    name: str
    puzzle: np.ndarray
    solution: np.ndarray

    @property
    def pair(self) -> tuple[bytes, bytes]:
        return self.puzzle.tobytes(), self.solution.tobytes()


def _rows(name: str, pairs: Iterable[sources.Pair], side: int) -> Iterator[_Row]:
    for pair in pairs:
        puzzle = encode(pair.input, side=side)
        yield _Row(name, puzzle, puzzle * 0 if pair.output is None else encode(pair.output, side=side))


def _tests(collection: sources.Collection, side: int) -> Iterator[_Row]:
    for name, task in collection.evaluation.items():
        yield from _rows(name, task.tests, side)


def _is_held_out(name: str) -> bool:
    """Return whether the test pairs of a training task are validation puzzles."""
    return hashlib.sha256(name.encode()).digest()[0] % 10 == 0


def _held_out(collection: sources.Collection, side: int) -> Iterator[_Row]:
    tested = {row.pair for row in _tests(collection, side)}
    for name, task in collection.training.items():
        if _is_held_out(name):
            rows = _rows(name, [pair for pair in task.tests if pair.output is not None], side)
            yield from (row for row in rows if row.pair not in tested)


def _validation(collection: sources.Collection, side: int) -> Iterator[_Row]:
    yield from list(_held_out(collection, side)) or _training(collection, side)


def _training(collection: sources.Collection, side: int) -> Iterator[_Row]:
    apart = {row.pair for rows in (_tests, _held_out) for row in rows(collection, side)}
    for part in collection:
        for name, task in part.items():
            known = [pair for pair in task.tests if pair.output is not None] if part is collection.training else []
            rows = _rows(name, (*task.demonstrations, *known), side)
            yield from (row for row in rows if row.pair not in apart)


_PARTS = {"train": _training, "validation": _validation, "test": _tests}


def _some(names: list[str]) -> str:
    return f"task {names[0]!r}" if len(names) == 1 else f"{len(names)} tasks, such as {names[0]!r}"


def _check_split(split: str) -> None:
    if split not in SPLITS:
        raise unknown("split", split, SPLITS)


def _fitting(collection: sources.Collection, side: int) -> sources.Collection:
    """Return the tasks with only grids that fit a canvas of this side."""

    def fits(task: sources.Examples) -> bool:
        pairs = (*task.demonstrations, *task.tests)
        return all(max(grid.shape) <= side for pair in pairs for grid in pair if grid is not None)

    return sources.Collection(*({name: task for name, task in part.items() if fits(task)} for part in collection))


@functools.lru_cache(maxsize=8)
def _collection(
    version: int, source: str | None, num_tasks: int, side: int, files: tuple[Any, ...]
) -> sources.Collection:
    collection = _fitting(sources.read(source, version), side)
    return sources.Collection(*(dict(list(part.items())[: num_tasks or None]) for part in collection))


@functools.lru_cache(maxsize=16)
def _dataset(task: ARCTask, split: str) -> Puzzles:
    _check_split(split)
    return task._examples(task.collection, split, task.source)
