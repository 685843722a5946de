"""The contents of one picture of an episode, as plain data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np

from hrm_gym.envs.task import Task

Ending = Literal["", "halted", "out_of_segments"]
"""How an episode ended; "" if it continues."""


class Search(NamedTuple):
    """The state of a search over boards with guesses."""

    open: int
    """Number of boards processed in parallel, including the puzzle itself."""
    waiting: int
    """Number of boards with guesses in the queue."""
    given_up: int
    """Number of boards given up so far."""
    guesses: np.ndarray
    """Guesses on the board that the answer comes from, tokens of shape (L,); all other cells are blank."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Frame:
    """The contents of one picture of an episode. Arrays hold one board, row by row."""

    puzzle: np.ndarray
    """Tokens, integers of shape (L,)."""
    answer: np.ndarray
    """Tokens, integers of shape (L,); blank cells have no proposal yet."""
    segment: int = 0
    """Number of segments so far."""
    max_segments: int = 16
    solution: np.ndarray | None = None
    """Tokens, integers of shape (L,). If None, there is no accuracy and nothing to reveal."""
    identity: int | None = None
    """Identity of the puzzle, if the family has identities."""
    previous: np.ndarray | None = None
    """The answer before this segment, shape (L,); cells that differ from `answer` are marked."""
    confidence: np.ndarray | None = None
    """The agent's confidence per cell, in [0, 1], shape (L,); NaN before the first answer, None if unknown."""
    belief: float | None = None
    """The agent's estimated probability that its answer is correct, in [0, 1]; None if it estimates none."""
    signals: Mapping[str, float] = field(default_factory=dict)
    """Inputs of the halting rule in [0, 1], by question ("is it right?") or by name; NaN before the first segment."""
    search: Search | None = None
    """The agent's search; None if it makes no guesses."""
    ended: Ending = ""
    decides: bool = False
    """Whether to show the agent's decision after each segment."""
    reveal: bool = False
    """Whether to mark wrong cells and show the solution."""
    message: str = ""
    """One line under the title."""
    accuracies: Sequence[float] = ()
    """`right_cells` after each segment so far, for the curve."""
    beliefs: Sequence[float] = ()
    """The belief after each segment so far, for the curve."""
    overlay: Sequence[tuple[str, str]] = ()
    """Pairs of a key and its effect, shown over the board with a legend."""
    cursor: int | None = None
    """The cell under the cursor while a puzzle is entered."""

    @property
    def decision(self) -> str:
        """The agent's decision after this segment; empty before the first segment or if decisions are hidden."""
        if not self.decides or not self.segment:
            return ""
        return {"": "continue", "halted": "halt", "out_of_segments": "continue, out of segments"}[self.ended]

    def follows(self, before: Frame) -> bool:
        """Return whether this frame is another segment of the same puzzle."""
        return self.puzzle is before.puzzle and self.segment != before.segment


def right_cells(task: Task, frame: Frame) -> float | None:
    """Return the share of correct cells among the puzzle's blank cells, in [0, 1]; None if unknown.

    All cells of a valid answer count as correct, even if it differs from the solution.
    """
    if frame.solution is None:
        return None
    if is_right(task, frame):
        return 1.0
    counts = ~task.is_given(frame.puzzle)
    if task.padding is not None:
        counts &= frame.solution != task.padding
    if not counts.any():
        return None
    return float((frame.answer == frame.solution)[counts].mean())


def is_right(task: Task, frame: Frame) -> bool | None:
    """Return whether the answer is correct by the rules, or by the solution if they cannot decide; None if unknown."""
    if task.verifiable:
        return int(task.violations(frame.puzzle[None], frame.answer[None])[0]) == 0
    if frame.solution is None:
        return None
    return bool(task.grade(frame.puzzle[None], frame.solution[None], frame.answer[None]).right[0])


def is_another(task: Task, frame: Frame) -> bool:
    """Return whether the answer satisfies the rules but differs from the known solution."""
    if frame.solution is None or not task.verifiable:
        return False
    differs = frame.answer != frame.solution
    if task.padding is not None:
        differs &= frame.solution != task.padding
    return bool(differs.any()) and bool(is_right(task, frame))


def verdict(task: Task, frame: Frame) -> str:
    """Describe in words whether the answer is correct."""
    if is_another(task, frame):
        return f"right ({task.another_solution})"
    return {True: "right", False: "wrong", None: "not graded"}[is_right(task, frame)]


def wrong_cells(task: Task, frame: Frame) -> np.ndarray:
    """Return the cells that differ from the revealed solution, bool of shape (L,); none for a correct answer."""
    if not frame.reveal or frame.solution is None or is_another(task, frame):
        return np.zeros(len(frame.answer), dtype=bool)
    shown = np.where(frame.answer == task.blank, frame.puzzle, frame.answer)
    return np.asarray(shown != frame.solution)


def broken_cells(task: Task, frame: Frame) -> np.ndarray:
    """Return the cells of the answer that break a rule, bool of shape (L,).

    These are overwritten givens, and tokens that occur twice in a group, except givens.
    """
    given = np.asarray(task.is_given(frame.puzzle))
    overwritten = given & (frame.answer != frame.puzzle) & (frame.answer != task.blank)
    twice = np.zeros_like(given)
    for groups in task.groups:
        tokens = frame.answer[groups]  # (G, n)
        same = (tokens[:, :, None] == tokens[:, None, :]).sum(-1) > 1
        twice[groups[same & np.isin(tokens, task.group_symbols)]] = True
    return (twice & ~given) | overwritten
