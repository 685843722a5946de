"""Check before training that a user's puzzle family follows the contract of `Task`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from hrm_gym.envs.arrays import Array, as_numpy, is_integer
from hrm_gym.envs.task import Puzzles, Task
from hrm_gym.errors import HrmGymError
from hrm_gym.outside import calling, defined, is_outside, where

NUM = 8
"""Number of puzzles to sample for the check."""


def check_family(task: Task) -> None:
    """Check the shapes and types of the board, puzzles and rules of a user's family.

    A few puzzles are sampled and graded. Families of the package are not checked.

    Raises:
        HrmGymError: if the check fails, with file and line of the method.
    """
    if not is_outside(type(task)):
        return
    _check_board(task)
    if type(task).dataset is not Task.dataset:  # its puzzles are checked when they are read
        return
    with calling(type(task), "sample"):
        first, second = (task.sample(NUM, np.random.default_rng(0)) for _ in range(2))
    check_puzzles(task, first, maker(task, "sample"), NUM)
    if not all(np.array_equal(a, b) for a, b in zip(first, second, strict=True) if a is not None):
        raise _wrong(task, "sample", "must draw from `rng` alone: the same seed gave other puzzles")
    if task.num_uniforms:
        uniforms = np.random.default_rng(0).random((NUM, task.num_uniforms))
        with calling(type(task), "augment"):
            images = task.augment(first, uniforms)
        check_puzzles(task, images, maker(task, "augment"), NUM)
    with calling(type(task), "keys"):
        keys = task.keys(first)
    if not (isinstance(keys, Sequence) and len(keys) == NUM and all(isinstance(key, bytes) for key in keys)):
        raise _wrong(task, "keys", f"must give a list of {NUM} `bytes` for {NUM} puzzles")


def maker(task: Task, method: str) -> str:
    """FILE:LINE and name of the method of a user's family that makes puzzles, for errors."""
    return f"{defined(type(task), method)}: {type(task).__name__}.{method}"


def check_puzzles(task: Task, puzzles: Any, by: str, num: int | None = None) -> None:
    """Check that puzzles of a user's code follow `Task` and that their solutions satisfy the rules.

    Args:
        task: the family.
        puzzles: the puzzles.
        by: what made them, with its place (see `maker`).
        num: required number of puzzles; None for any number.

    Raises:
        HrmGymError: if the check fails, with file and line of the user's code.
    """
    if not isinstance(puzzles, Puzzles):
        raise HrmGymError(f"{by} gives a {type(puzzles).__name__}: give Puzzles(puzzle, solution)")
    if num is None:
        num = len(puzzles.puzzle) if isinstance(puzzles.puzzle, np.ndarray) and puzzles.puzzle.ndim else 1
    for name in ("puzzle", "solution"):
        tokens = getattr(puzzles, name)
        if not isinstance(tokens, np.ndarray) or not is_integer(tokens) or tokens.shape != (num, task.num_cells):
            raise HrmGymError(
                f"{by} gives as {name} {_kind(tokens)}: it must be uint8 of shape ({num}, {task.num_cells})"
            )
        if not num:
            raise HrmGymError(f"{by} gives no puzzles")
        if not 0 <= tokens.min() <= tokens.max() < task.num_tokens:
            raise HrmGymError(
                f"{by} gives as {name} tokens {tokens.min()} to {tokens.max()}: the {task.num_tokens} symbols "
                f"{task.symbols!r} are 0 to {task.num_tokens - 1}"
            )
    _check_rules(task, puzzles.map(lambda array: array[:NUM].astype(np.int64)), by)


def _check_board(task: Task) -> None:
    shape, symbols = getattr(task, "shape", None), getattr(task, "symbols", None)
    place = where(type(task))
    if not (isinstance(shape, tuple) and len(shape) == 2 and all(isinstance(n, int) and n > 0 for n in shape)):
        raise HrmGymError(f"{place}: shape is {shape!r}: give rows and columns, such as shape = (4, 4)")
    if not isinstance(symbols, str) or not 2 <= len(symbols) <= 256 or len(set(symbols)) < len(symbols):
        raise HrmGymError(f"{place}: symbols is {symbols!r}: give different characters, one a token, as in '.1234'")
    if not (isinstance(task.blank, int) and 0 <= task.blank < len(symbols)):
        raise HrmGymError(f"{place}: blank is {task.blank!r}: give one of the {len(symbols)} tokens, from 0")


def _check_rules(task: Task, puzzles: Puzzles, by: str) -> None:
    """Check that solutions have no violations, and that `violations` returns shape (N,) for arrays and tensors."""
    boards: list[tuple[Array, Array]] = [puzzles[:2]]
    if "torch" in sys.modules:  # agents train on tensors
        import torch

        boards.append((torch.as_tensor(puzzles.puzzle), torch.as_tensor(puzzles.solution)))
    for puzzle, solution in boards:
        with calling(type(task), "violations"):
            broken = task.violations(puzzle, solution)
        if type(broken) is not type(puzzle) or tuple(broken.shape) != (len(puzzle),) or not _counts(broken):
            given = "tensors" if type(puzzle).__module__ == "torch" else "arrays"
            raise _wrong(
                task,
                "violations",
                f"gives {_kind(broken)} for {given} of shape {tuple(puzzle.shape)}: it must give as many integers, "
                f"of shape ({len(puzzle)},)" + (", with what NumPy and torch share" if given == "tensors" else ""),
            )
        if task.verifiable and (count := int(as_numpy(broken, "violations").max(initial=0))):
            if not is_outside(type(task)):
                raise HrmGymError(f"{by} gives a solution with {count} {task.violation_name}")
            name = by.split(": ")[-1].split(".")[-1]
            raise _wrong(task, "violations", f"finds {count} in a solution of `{name}`: one of the two is wrong")


def _counts(broken: Array) -> bool:
    return is_integer(broken) or str(broken.dtype).endswith("bool")


def _kind(value: Any) -> str:
    shape, dtype = getattr(value, "shape", None), getattr(value, "dtype", None)
    name = type(value).__name__
    return f"a {name}" if shape is None else f"a {name} of shape {tuple(shape)} and type {dtype}"


def _wrong(task: Task, method: str, what: str) -> HrmGymError:
    return HrmGymError(f"{maker(task, method)} {what}")
