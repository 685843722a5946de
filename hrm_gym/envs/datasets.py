"""The disjoint splits of a dataset, from a family's own puzzles or from files."""

from __future__ import annotations

import functools
import hashlib
import os
from typing import Any

import numpy as np

from hrm_gym.envs.arguments import check_integer
from hrm_gym.envs.checks import check_puzzles, maker
from hrm_gym.envs.task import SPLITS, Puzzles, Task
from hrm_gym.errors import HrmGymError, unknown
from hrm_gym.files import state_of
from hrm_gym.outside import calling, is_outside


def puzzles_of(task: Task, split: str, dataset: str | None = None, num_examples: int | None = None) -> Puzzles:
    """Return the puzzles of a split, from the family or from a file.

    A file is split 80/10/10 into training, validation and test by a hash that symmetric versions of a puzzle share
    (`Task.keys`). `dataset="train=a.csv,validation=b.csv,test=c.csv"` names one file per split instead. If several of
    these files contain the same puzzle or symmetric versions of it, the puzzle is kept in only one split: test before
    validation before training. Training never contains puzzles of the family's own test set or symmetric versions of
    them, nor, for 9x9 Sudokus, other puzzles with the same solution.

    Args:
        task: the family.
        split: one of `SPLITS`.
        dataset: a file or folder (see `read_puzzles`), or files by split; None for the family's own puzzles.
        num_examples: keep only the first puzzles; None for all.

    Raises:
        HrmGymError: if the split is unknown, the number is out of range, or a file is missing, malformed or has no
            usable puzzle of the split.
    """
    if not isinstance(split, str) or split not in SPLITS:
        raise unknown("split", split, SPLITS)
    if not isinstance(dataset, str | os.PathLike | None):
        raise HrmGymError(f"dataset is a {type(dataset).__name__}: give the path of a file or a folder")
    dataset = dataset if dataset is None else os.fsdecode(dataset)
    if num_examples is not None:
        num_examples = check_integer("num_examples", num_examples, 1)
    return _puzzles_of(task, split, dataset, num_examples, state_of_dataset(dataset))


def state_of_dataset(dataset: str | None) -> tuple[Any, ...]:
    """Return the cache key of a dataset's files (see `files.state_of`)."""
    if dataset is None:
        return ()
    return tuple(state_of(source) for source in (_named_by_split(dataset) or {"": dataset}).values())


@functools.lru_cache(maxsize=16)
def _puzzles_of(
    task: Task, split: str, dataset: str | None, num_examples: int | None, state: tuple[Any, ...]
) -> Puzzles:
    data = _own_puzzles(task, split) if dataset is None else _of_file(task, split, dataset)
    if num_examples is not None:
        size = len(data.puzzle)
        if num_examples > size:
            raise HrmGymError(
                f"num_examples={num_examples!r}: the {split} split has {size} puzzles; give 1 to {size} or None"
            )
        data = data.map(lambda array: array[:num_examples])
    return data


def _own_puzzles(task: Task, split: str) -> Puzzles:
    if not is_outside(type(task)):
        return task.dataset(split)
    with calling(type(task), "dataset"):
        data = task.dataset(split)
    check_puzzles(task, data, maker(task, "dataset"))
    return data


def _of_file(task: Task, split: str, dataset: str) -> Puzzles:
    own = task.read(dataset, split)
    if own is not None:
        return own
    named = _named_by_split(dataset)
    if named:
        data = _of_named(task, split, dataset, named)
    else:
        whole = read_puzzles(dataset, task)
        mine = np.array([_split_of(key) == split for key in task.keys(whole)])
        if not mine.any():
            raise HrmGymError(
                f"{dataset} holds {len(mine)} puzzles, and the split {split!r} gets none: give more, or name a file "
                "for each split: train=FILE,validation=FILE,test=FILE"
            )
        data = whole.map(lambda array: array[mine])
    if split == "train":
        data = _without(task, data, task.dataset("test"), dataset, "the family's test split")
    return data


def _of_named(task: Task, split: str, dataset: str, named: dict[str, str]) -> Puzzles:
    if split not in named:
        raise HrmGymError(f"dataset {dataset!r} names no file for {split!r}: add {split}=FILE")
    data = read_puzzles(named[split], task)
    for other in SPLITS[SPLITS.index(split) + 1 :]:
        if other in named:
            data = _without(task, data, read_puzzles(named[other], task), named[split], named[other])
    return data


def _without(task: Task, data: Puzzles, others: Puzzles, source: str, place: str) -> Puzzles:
    """Remove puzzles of `source` that are symmetric to a puzzle in `place`."""
    taken = set(task.keys(others))
    mine = np.array([key not in taken for key in task.keys(data)])
    if not mine.any():
        raise HrmGymError(f"{place} contains all puzzles of {source}, or symmetric versions of them: give others")
    return data.map(lambda array: array[mine])


def _split_of(key: bytes) -> str:
    """Assign a puzzle to a split by a hash of its key: 80 % training, 10 % validation, 10 % test."""
    return {0: "test", 1: "validation"}.get(hashlib.sha256(key).digest()[0] % 10, "train")


def _named_by_split(dataset: str) -> dict[str, str]:
    """Parse "train=a.csv,test=b.csv" to files by split; empty if the text is the name of one file."""
    parts = [part.partition("=") for part in dataset.split(",")]
    if not all(equals and name.strip() in SPLITS for name, equals, _ in parts):
        return {}
    return {name.strip(): source.strip() for name, _, source in parts}


def read_puzzles(source: Any, task: Task, solved: bool = True) -> Puzzles:
    """Read puzzles and solutions, uint8 (N, L), from a file, a folder or objects; see `reading.source.read`.

    Raises:
        HrmGymError: as in `reading.source.read`.
    """
    from hrm_gym.envs.reading.source import read  # only runs with a file need it

    return read(source, task, solved).puzzles
