"""What is to be seen: a moment of an episode, as plain data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np

from hrm_gym.envs.task import Task

Ending = Literal["", "halted", "out_of_segments"]
"""How an episode ended: not yet, because the agent halted, or with the last segment."""


class Search(NamedTuple):
    """How far a search over boards with guesses has come."""

    open: int
    """Boards that are thought about side by side, the puzzle itself among them."""
    waiting: int
    """Boards with guesses that wait for a place."""
    given_up: int
    """Boards that were given up so far."""
    guesses: np.ndarray
    """The guesses on the board that the answer comes from, tokens of shape (L,); blank in every other cell."""


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
    """Of the agent in its answer, in [0, 1], shape (L,); NaN before the first answer, None where nobody says."""
    belief: float | None = None
    """The agent's estimate of the chance that its answer is right, in [0, 1]; None where it has none."""
    signals: Mapping[str, float] = field(default_factory=dict)
    """What the halting rule reads, in [0, 1], by what it says ("is it right?") or by name; NaN before it has."""
    search: Search | None = None
    """The agent's search; None where it makes no guesses."""
    ended: Ending = ""
    decides: bool = False
    """Whether to show what the agent decides after each segment."""
    reveal: bool = False
    """Whether wrong cells are marked and the true tokens shown."""
    message: str = ""
    """One line under the title."""
    accuracies: Sequence[float] = ()
    """`right_cells` after each segment so far, for the curve."""
    beliefs: Sequence[float] = ()
    """The belief after each segment so far, for the curve."""
    overlay: Sequence[tuple[str, str]] = ()
    """Pairs of a key and what it does, shown over the board with an explanation of the picture."""
    cursor: int | None = None
    """The cell that the next key is written to, while a puzzle is typed in."""

    @property
    def decision(self) -> str:
        """What the agent decides after this segment; empty before the first, and where that is not shown."""
        if not self.decides or not self.segment:
            return ""
        return {"": "continue", "halted": "halt", "out_of_segments": "continue, out of segments"}[self.ended]

    def follows(self, before: Frame) -> bool:
        """Whether it is another segment of the same puzzle."""
        return self.puzzle is before.puzzle and self.segment != before.segment


def right_cells(task: Task, frame: Frame) -> float | None:
    """Share of right cells among those that the puzzle leaves open, in [0, 1]; None where it is not known.

    A right answer has all cells right, also where it is not the solution.
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
    """Whether the answer is right: by the rules, or, where they do not decide, by the solution.

    None where neither is known.
    """
    if task.verifiable:
        return int(task.violations(frame.puzzle[None], frame.answer[None])[0]) == 0
    if frame.solution is None:
        return None
    return bool(task.grade(frame.puzzle[None], frame.solution[None], frame.answer[None]).right[0])


def is_another(task: Task, frame: Frame) -> bool:
    """Whether the answer is right by the rules and yet not the known solution."""
    if frame.solution is None or not task.verifiable:
        return False
    differs = frame.answer != frame.solution
    if task.padding is not None:
        differs &= frame.solution != task.padding
    return bool(differs.any()) and bool(is_right(task, frame))


def verdict(task: Task, frame: Frame) -> str:
    """Whether the answer is right, in words."""
    if is_another(task, frame):
        return f"right ({task.another_solution})"
    return {True: "right", False: "wrong", None: "not graded"}[is_right(task, frame)]


def wrong_cells(task: Task, frame: Frame) -> np.ndarray:
    """Cells that the revealed solution contradicts, bool of shape (L,); a right answer has none."""
    if not frame.reveal or frame.solution is None or is_another(task, frame):
        return np.zeros(len(frame.answer), dtype=bool)
    shown = np.where(frame.answer == task.blank, frame.puzzle, frame.answer)
    return np.asarray(shown != frame.solution)


def broken_cells(task: Task, frame: Frame) -> np.ndarray:
    """Cells of the answer that break a rule which the family names, bool of shape (L,).

    A token that stands twice in a group breaks it wherever it is not given; so does a given that was overwritten.
    """
    given = np.asarray(task.is_given(frame.puzzle))
    overwritten = given & (frame.answer != frame.puzzle) & (frame.answer != task.blank)
    twice = np.zeros_like(given)
    for groups in task.groups:
        tokens = frame.answer[groups]  # (G, n)
        same = (tokens[:, :, None] == tokens[:, None, :]).sum(-1) > 1
        twice[groups[same & np.isin(tokens, task.group_symbols)]] = True
    return (twice & ~given) | overwritten
