"""Difficulty of puzzles, measured without an agent, and groups from easy to hard."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch

from hrm_gym.agents.models.candidates import candidates
from hrm_gym.envs.task import Task


class Difficulty(NamedTuple):
    """A measure of difficulty for N puzzles."""

    name: str
    values: np.ndarray
    """The difficulty of each puzzle, (N,)."""


class Group(NamedTuple):
    """Puzzles of about the same difficulty."""

    label: str
    members: np.ndarray
    """Indices of its puzzles."""


def difficulty(task: Task, puzzle: np.ndarray) -> Difficulty:
    """The family's own rating, or another measure if it hardly distinguishes the puzzles (N, L).

    For families with groups the other measure is the number of rounds in which elimination fills the board, with all
    forced cells of a round at once: 6x6 Sudokus need no guesses, but different numbers of rounds. Otherwise it is the
    number of open cells.
    """
    rated = np.asarray(task.rate(puzzle))
    if np.unique(rated, return_counts=True)[1].max() <= 0.8 * len(rated):
        return Difficulty("rating of the family", rated)
    if task.groups:
        rounds, solved = elimination_rounds(task, puzzle)
        if solved.mean() > 0.5:
            return Difficulty("rounds of elimination", np.where(solved, rounds, rounds[solved].max() + 1))
    return Difficulty("open cells", (~task.is_given(puzzle)).sum(1))


def elimination_rounds(task: Task, puzzle: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rounds of elimination until each board is full or stuck, int64 (N,), and whether it is full, bool (N,).

    A round fills all cells with a single candidate, and all cells that are the only place of a symbol in a group.
    """
    symbols = np.asarray(task.group_symbols)
    partitions = [torch.as_tensor(groups) for groups in task.groups]
    board = np.array(puzzle)
    rounds = np.zeros(len(board), np.int64)
    while True:
        given, blank = (torch.from_numpy(table) for table in (board[:, :, None] == symbols, board == task.blank))
        left = candidates(given, blank, partitions).numpy()  # (N, L, S)
        forced = left & (left.sum(2, keepdims=True) == 1)
        for groups in task.groups:
            for cells in groups:
                some = left[:, cells]
                forced[:, cells] |= some & (some.sum(1, keepdims=True) == 1)
        found = forced.any(2)
        if not found.any():
            return rounds, (board != task.blank).all(1)
        rounds += found.any(1)
        board = np.where(found, symbols[forced.argmax(2)], board)


def groups_of(measure: Difficulty, most: int = 4) -> list[Group]:
    """At most `most` ordered groups of similar size; equally difficult puzzles stay together, and no group is tiny."""
    values = measure.values
    edges = np.unique(np.quantile(values, np.arange(1, most) / most, method="nearest"))
    place = np.searchsorted(edges, values, side="left")
    members = [np.flatnonzero(place == i) for i in range(len(edges) + 1)]
    least = max(2, len(values) // 50)
    kept: list[np.ndarray] = []
    for some in members:
        if kept and (len(some) < least or len(kept[-1]) < least):
            kept[-1] = np.concatenate((kept[-1], some))
        elif len(some):
            kept.append(some)
    return [Group(_label(values[some]), some) for some in kept]


def _label(values: np.ndarray) -> str:
    low, high = values.min(), values.max()
    return f"{low:g}" if low == high else f"{low:g} to {high:g}"
