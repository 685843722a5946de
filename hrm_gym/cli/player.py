"""What happens while a person watches: puzzles, segments, pauses, keys; no window and no clock of its own."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import numpy as np

from hrm_gym.envs.drawing.frame import Ending, Frame, is_right, right_cells
from hrm_gym.envs.task import Task

KEYS = (
    ("space", "pause"),
    ("right", "one segment"),
    ("r", "new puzzle"),
    ("+ −", "speed"),
    ("s", "reveal"),
    ("h", "help"),
    ("q", "quit"),
)
"""Keys and what they do, as the window shows them."""

RESULT_SECONDS = 2.5
"""How long a finished board is shown before the next puzzle."""

_SLOWEST, _FASTEST = 0.25, 64.0  # segments a second


class Case(NamedTuple):
    """A puzzle to think about: its name, its tokens of shape (L,), the solution's where it is known, its identity."""

    name: str
    puzzle: np.ndarray
    solution: np.ndarray | None
    identity: int | None = None


class Step(NamedTuple):
    """What the agent says after one segment."""

    answer: np.ndarray
    """Tokens, int64 of shape (L,)."""
    confidence: np.ndarray
    """Probability of each of them, shape (L,)."""
    belief: float | None
    """The estimated chance that the answer is right, in [0, 1]; None where the agent has none."""
    signals: Mapping[str, float]
    """What the halting rule reads, by name, in [0, 1]."""
    halt: bool
    """Whether the agent halts now."""


Think = Callable[[Case, int], Iterator[Step]]
"""Thinks about a puzzle for at most so many segments; one item a segment."""


class Result(NamedTuple):
    """How a puzzle ended."""

    name: str
    solved: bool | None
    """None where it is not known: the rules do not decide, and there is no solution."""
    segments: int


class Player:
    """Shows an agent one puzzle after the other.

    `frame` is what is to be seen now, a new object whenever it changes; `done` says that nothing will follow.

    Args:
        task: the puzzle family.
        cases: the puzzles, in order; they may be endless.
        think: the agent.
        max_segments: after which a puzzle ends even if the agent would go on.
        speed: segments a second.
        episodes: puzzles to finish, None for as many as there are.
        stay: whether to pause at each result.
    """

    def __init__(
        self,
        task: Task,
        cases: Iterator[Case],
        think: Think,
        *,
        max_segments: int = 64,
        speed: float = 2.0,
        episodes: int | None = None,
        stay: bool = False,
    ) -> None:
        self._task = task
        self._cases = cases
        self._think = think
        self._max_segments = max_segments
        self._episodes = episodes
        self._stay = stay
        self._waited = 0.0
        self.speed = speed
        self.paused = False
        self.done = False
        self.results: list[Result] = []
        self.frame: Frame
        self._next_case()

    @property
    def hold(self) -> float:
        """For how many seconds this frame is to be seen."""
        return RESULT_SECONDS if self.frame.ended else 1 / self.speed

    def tick(self, seconds: float) -> None:
        """Lets time pass; goes on when the frame has been seen for long enough."""
        if self.paused or self.frame.overlay or self.done:
            return
        self._waited += seconds
        if self._waited >= self.hold:
            self.advance()

    def advance(self) -> None:
        """One segment more, or after the last one the next puzzle."""
        self._waited = 0.0
        if self.frame.ended:
            self._next_case()
        else:
            self._next_segment()

    def key(self, key: str) -> None:
        """Does what a key says; unknown ones do nothing."""
        if key in ("q", "escape", "quit"):
            self.done = True
        elif key == "h" or self.frame.overlay:  # any key closes the help
            self._show(overlay=() if self.frame.overlay else KEYS)
        elif key == "space":
            self.paused = not self.paused
            self._show()
        elif key == "right":
            self.paused = True
            self.advance()
        elif key == "r":
            self._next_case()
        elif key in ("+", "="):
            self.speed = min(self.speed * 2, _FASTEST)
            self._show()
        elif key in ("-", "−", "_"):
            self.speed = max(self.speed / 2, _SLOWEST)
            self._show()
        elif key == "s":
            self._show(reveal=not self.frame.reveal)

    def _next_case(self) -> None:
        self._waited = 0.0
        case = None
        if self._episodes is None or len(self.results) < self._episodes:
            case = next(self._cases, None)
        if case is None:
            self.done = True
            return
        self._case = case
        self._steps = self._think(case, self._max_segments)
        self.frame = Frame(
            puzzle=case.puzzle,
            answer=case.puzzle,
            solution=case.solution,
            identity=case.identity,
            max_segments=self._max_segments,
        )
        self._show()

    def _next_segment(self) -> None:
        before = self.frame
        step = next(self._steps)
        segment = before.segment + 1
        ended: Ending = "halted" if step.halt else "out_of_segments" if segment >= self._max_segments else ""
        after = dataclasses.replace(
            before,
            answer=step.answer,
            # The first segment answers every cell: marking them all would mark nothing.
            previous=before.answer if before.segment else None,
            confidence=step.confidence,
            belief=step.belief,
            signals=step.signals,
            segment=segment,
            ended=ended,
        )
        if step.belief is not None:
            after = dataclasses.replace(after, beliefs=(*before.beliefs, step.belief))
        if (share := right_cells(self._task, after)) is not None:
            after = dataclasses.replace(after, accuracies=(*before.accuracies, share))
        if ended:
            solved = is_right(self._task, after)
            self.results.append(Result(self._case.name, solved, segment))
            self.paused = self.paused or self._stay
            # A failure is shown as one: nobody is at the keys of a recording.
            after = dataclasses.replace(after, reveal=after.reveal or not solved)
        self.frame = after
        self._show()

    def _show(self, **changes: object) -> None:
        pace = "paused" if self.paused else f"{self.speed:g} segments/s"
        message = f"{self._case.name}  ·  {pace}"
        if len(self.results) > 1:
            message += f"  ·  {sum(bool(result.solved) for result in self.results)} of {len(self.results)} solved"
        self.frame = dataclasses.replace(self.frame, message=message, **changes)  # type: ignore[arg-type]
