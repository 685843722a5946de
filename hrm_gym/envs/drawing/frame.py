"""What is to be seen: a moment of an episode, as plain data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hrm_gym.envs.task import Task


@dataclass(frozen=True, eq=False, kw_only=True)
class Frame:
    """What is to be seen at one moment of an episode. Arrays are one board, row by row."""

    puzzle: np.ndarray
    """Tokens, integers of shape (L,)."""
    answer: np.ndarray
    """Tokens, integers of shape (L,), the blank one where nothing is proposed yet."""
    segment: int = 0
    """Segments thought so far."""
    max_segments: int = 16
    solution: np.ndarray | None = None
    """Tokens, integers of shape (L,); without it there is no accuracy and nothing to reveal."""
    identity: int | None = None
    """Which puzzle it is an example of, where the family has identities."""
    previous: np.ndarray | None = None
    """The answer before this segment, shape (L,): where it differs from `answer`, the cell is marked."""
    confidence: np.ndarray | None = None
    """Of the agent in its answer, real numbers in [0, 1] of shape (L,)."""
    q_halt: float | None = None
    """Logit of the value of halting."""
    q_continue: float | None = None
    """Logit of the value of continuing."""
    halted: bool = False
    reveal: bool = False
    """Whether wrong cells are marked and the true tokens shown."""
    message: str = ""
    """One line under the title."""
    accuracies: Sequence[float] = ()
    """Share of right cells after each segment so far, for the curve."""
    halts: Sequence[float] = ()
    """Probability of halting after each segment so far, for the curve."""
    overlay: Sequence[tuple[str, str]] = ()
    """Pairs of a key and what it does, shown over the board."""


def accuracy(task: Task, frame: Frame) -> float | None:
    """Share of cells that equal the solution's (see `Task.match`), None where there is no solution."""
    if frame.solution is None:
        return None
    return float(task.match(frame.solution[None], frame.answer[None]).cell_accuracy[0])


def is_solved(task: Task, frame: Frame) -> bool:
    """Whether the answer is right: by the rules, or where they cannot tell by the solution, if it is known."""
    if task.verifiable:
        return int(task.violations(frame.puzzle[None], frame.answer[None])[0]) == 0
    return frame.solution is not None and bool(task.match(frame.solution[None], frame.answer[None]).right[0])
