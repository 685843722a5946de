"""Compiled steps of an episode for batches of NumPy boards, shared by all families.

Boards are uint8 of shape (N, L). `Rules` implements the same as array operations for tensors.
"""

from __future__ import annotations

import math
import sys
from collections import deque
from typing import Any

import numpy as np

from hrm_gym.envs.jit import njit


@njit(cache=True, nogil=True)
def in_range(actions: np.ndarray, most: np.ndarray) -> bool:
    """Whether all actions, int64 (N, M), lie between 0 and `most`, int64 (M,)."""
    wrong = np.uint64(0)
    for i in range(actions.shape[0]):
        for j in range(actions.shape[1]):
            # One of these two numbers is negative if the action is out of range.
            wrong |= np.uint64(actions[i, j]) | np.uint64(most[j] - actions[i, j])
    return wrong >> np.uint64(63) == 0


@njit(cache=True, nogil=True)
def submit(actions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The answers, uint8 (N, L), and decisions, int64 (N,), of valid board actions, int64 (N, L + 1)."""
    num, cells = actions.shape[0], actions.shape[1] - 1
    answer, decision = np.empty((num, cells), np.uint8), np.empty(num, np.int64)
    for i in range(num):
        decision[i] = actions[i, cells]
        for j in range(cells):
            answer[i, j] = np.uint8(actions[i, j])
    return answer, decision


@njit(cache=True, nogil=True)
def edit(answer: np.ndarray, actions: np.ndarray, num_tokens: int) -> tuple[np.ndarray, np.ndarray]:
    """The answers after one valid edit action each, int64 (N,), and the decisions, int64 (N,): 1 for halt."""
    num, cells = answer.shape
    edited, decision = answer.copy(), np.zeros(num, np.int64)
    for i in range(num):
        cell = actions[i] // num_tokens
        if cell == cells:
            decision[i] = 1
        else:
            edited[i, cell] = np.uint8(actions[i] - cell * num_tokens)
    return edited, decision


@njit(cache=True, nogil=True)
def match(solution: np.ndarray, answer: np.ndarray, padding: int) -> tuple[np.ndarray, np.ndarray]:
    """Exact matches with the solution, bool (N,), and shares of right cells, float64 (N,).

    Cells whose solution is `padding` are ignored; -1 ignores none. An answer without a counted cell is not right.
    """
    num, cells = answer.shape
    right, share = np.empty(num, np.bool_), np.empty(num, np.float64)
    for i in range(num):
        same = counted = np.int32(0)
        if padding < 0:
            for j in range(cells):
                same += np.int32(solution[i, j] == answer[i, j])
            counted = np.int32(cells)
        else:
            for j in range(cells):
                counts = solution[i, j] != padding
                counted += np.int32(counts)
                same += np.int32(counts & (solution[i, j] == answer[i, j]))
        right[i] = same == counted and counted > 0
        share[i] = same / counted if counted > 0 else 0.0
    return right, share


@njit(cache=True, nogil=True)
def write_one_hot(flat: np.ndarray, puzzle: np.ndarray, answer: np.ndarray, num_tokens: int) -> None:
    """Writes both boards one-hot into `flat`, float32 (N, 2 * L * V or more), and zeros into the rest."""
    num, cells = puzzle.shape
    flat[:] = 0
    for i in range(num):
        for j in range(cells):
            flat[i, j * num_tokens + puzzle[i, j]] = 1
            flat[i, (cells + j) * num_tokens + answer[i, j]] = 1


@njit(cache=True, nogil=True)
def count_bits(mask: np.uint64) -> int:
    """The number of set bits, in the form that compilers replace by one instruction."""
    mask -= (mask >> np.uint64(1)) & np.uint64(0x5555555555555555)
    mask = (mask & np.uint64(0x3333333333333333)) + ((mask >> np.uint64(2)) & np.uint64(0x3333333333333333))
    mask = (mask + (mask >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return np.int64((mask * np.uint64(0x0101010101010101)) >> np.uint64(56))  # type: ignore[return-value]


class Buffers:
    """A pool of large arrays; an array is reused once no one else refers to it.

    Fresh memory costs more time than writing the observations into it.
    """

    LEAST = 1 << 14
    """Smaller arrays are not pooled."""
    MOST = 8
    """Pooled arrays of one kind: those of a step and of the step before, which a learner still holds."""
    KINDS = 2
    """The maximum number of kinds, pairs of shape and type."""

    def __init__(self) -> None:
        self._kept: dict[tuple[tuple[int, ...], Any], deque[np.ndarray]] = {}

    def empty(self, shape: tuple[int, ...], dtype: Any = np.int64) -> np.ndarray:
        """An uninitialized array without other references or views."""
        kind = shape, dtype
        if math.prod(shape) < self.LEAST or (kind not in self._kept and len(self._kept) == self.KINDS):
            return np.empty(shape, dtype)
        kept = self._kept.setdefault(kind, deque(maxlen=self.MOST))
        for place in range(len(kept)):
            if _holders(kept, place) == _UNHELD and kept[place].flags.writeable:
                return kept[place]
        kept.append(np.empty(shape, dtype))
        return kept[-1]

    def int64(self, array: np.ndarray) -> np.ndarray:
        """A copy of `array` with 64-bit integers."""
        copied = self.empty(array.shape)
        np.copyto(copied, array)
        return copied

    def __reduce__(self) -> tuple[type[Buffers], tuple[()]]:
        """Pickle and copy without the arrays."""
        return Buffers, ()


def _holders(kept: deque[np.ndarray], place: int) -> int:
    return sys.getrefcount(kept[place])


_UNHELD = _holders(deque([np.empty(1)]), 0)
"""The reference count of an array that only the deque holds."""
