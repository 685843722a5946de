"""The logic of `play`: puzzles, segments, pauses and keys, independent of any window or clock."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from hrm_gym.cli.editor import KEYS as EDITOR_KEYS
from hrm_gym.cli.editor import Editor
from hrm_gym.envs.drawing.frame import Ending, Frame, Search, is_another, is_right, right_cells
from hrm_gym.envs.task import Task
from hrm_gym.errors import HrmGymError

KEYS = (
    ("space", "pause"),
    ("left", "back"),
    ("right", "on"),
    ("r", "new"),
    ("t", "type one"),
    ("+ −", "speed"),
    ("s", "reveal"),
    ("h", "help"),
    ("q", "quit"),
)
"""Keys and their effects, as the window shows them."""

RESULT_SECONDS = 2.5
"""How long a finished board is shown before the next puzzle."""

FIRST_SECONDS = 1.5
"""Minimum time that a recording shows a puzzle before the first segment."""

_SLOWEST, _FASTEST = 0.25, 64.0  # segments per second


class Case(NamedTuple):
    """A puzzle: its name, its tokens of shape (L,), the tokens of its solution if known, and its identity."""

    name: str
    puzzle: np.ndarray
    solution: np.ndarray | None
    identity: int | None = None


def own_case(task: Task, puzzle: np.ndarray, name: str = "your puzzle") -> Case:
    """Make a case from the user's own puzzle, with its solution if the family can solve it."""
    has_solver = type(task).solve is not Task.solve
    solution = task.solve(puzzle).astype(np.int64) if has_solver else None
    return Case(name, puzzle.astype(np.int64), solution)


class Step(NamedTuple):
    """The agent's outputs after one segment."""

    answer: np.ndarray
    """Tokens, int64 of shape (L,)."""
    confidence: np.ndarray
    """Probability of each token, shape (L,)."""
    belief: float | None
    """Estimated probability that the answer is correct, in [0, 1]; None if the agent estimates none."""
    signals: Mapping[str, float]
    """The halting rule's inputs by name, in [0, 1]."""
    halt: bool
    """Whether the agent halts now."""
    search: Search | None = None
    """State of its search; None if it makes no guesses."""


Think = Callable[[Case, int], Iterator[Step]]
"""Runs an agent on a puzzle for at most the given number of segments and yields one step per segment."""


class Result(NamedTuple):
    """How a puzzle ended."""

    name: str
    solved: bool | None
    """None if unknown: the rules cannot decide it, and there is no solution."""
    segments: int
    another: str = ""
    """Description of a correct answer that differs from the known solution, such as "another shortest path"."""


class Player:
    """Runs an agent on one puzzle after another.

    `frame` is the current picture, a new object whenever it changes; `done` is true after the last one.

    Args:
        task: the puzzle family.
        cases: the puzzles in order, possibly endless.
        think: the agent.
        max_segments: maximum number of segments per puzzle, even if the agent does not halt.
        speed: segments per second.
        episodes: number of puzzles to finish; None for all.
        stay: whether to pause at each result.
        asked: names of the agent's signals, to reserve space for them before the first segment.
        decides: whether to show the agent's decision after each segment.
        search: initial state of the agent's search, for the same reason; None if it makes no guesses.
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
        asked: Sequence[str] = (),
        decides: bool = False,
        search: Search | None = None,
    ) -> None:
        self._task = task
        self._cases = cases
        self._think = think
        self._max_segments = max_segments
        self._episodes = episodes
        self._stay = stay
        self._asked, self._decides, self._search = asked, decides, search
        self._past: list[Frame] = []  # frames of this puzzle, oldest first
        self._place = 0  # index of the frame that is shown
        self._reveal = False
        self._editor: Editor | None = None
        self._waited = 0.0
        self.speed = speed
        self.paused = False
        self.done = False
        self.results: list[Result] = []
        self.frame: Frame
        self._next_case()

    @property
    def hold(self) -> float:
        """Seconds to show this frame."""
        return RESULT_SECONDS if self.frame.ended else 1 / self.speed

    def tick(self, seconds: float) -> None:
        """Let time pass, and advance once the frame has been shown for long enough."""
        if self.paused or self.frame.overlay or self._editor or self.done:
            return
        self._waited += seconds
        if self._waited >= self.hold:
            self.advance()

    def advance(self) -> None:
        """Go to the next segment, or after the last one to the next puzzle."""
        self._waited = 0.0
        if self._place + 1 < len(self._past):
            self._go_to(self._place + 1)
        elif self.frame.ended:
            self._next_case()
        else:
            self._next_segment()

    def key(self, key: str) -> None:
        """Handle a key press; unknown keys do nothing."""
        if key == "quit" or (key in ("q", "escape") and self._editor is None):
            self.done = True
        elif self._editor is not None:
            self._type(self._editor, key)
        elif key == "h" or self.frame.overlay:  # any key closes the help
            revealing = self.frame.solution is not None  # without a solution the key "s" does nothing
            keys = tuple(pair for pair in KEYS if pair[0] != "s" or revealing)
            self._show(overlay=() if self.frame.overlay else keys)
        elif key == "space":
            self.paused = not self.paused
            self._show()
        elif key == "right":
            self.paused = True
            self.advance()
        elif key == "left" and self._place:
            self.paused, self._waited = True, 0.0
            self._go_to(self._place - 1)
        elif key == "r":
            self._next_case()
        elif key == "t":
            self._begin_typing()
        elif key in ("+", "="):
            self.speed = min(self.speed * 2, _FASTEST)
            self._show()
        elif key in ("-", "−", "_"):
            self.speed = max(self.speed / 2, _SLOWEST)
            self._show()
        elif key == "s":
            self._reveal = not self.frame.reveal
            self._show(reveal=self._reveal)

    def _go_to(self, place: int) -> None:
        """Show an earlier segment again."""
        self._place = place
        self.frame = self._past[place]
        self._show(reveal=self._reveal or self.frame.reveal)

    # ---- the user's own puzzle -------------------------------------------------------------------

    def _begin_typing(self) -> None:
        try:
            self._editor = Editor(self._task)
        except HrmGymError as error:
            self.frame = dataclasses.replace(self.frame, message=str(error))
            return
        self._show_editor(self._editor)

    def _type(self, editor: Editor, key: str) -> None:
        if key == "escape":
            self._editor = None
            self._go_to(self._place)
        elif key in ("return", "enter"):
            try:
                case = own_case(self._task, editor.puzzle())
            except HrmGymError as error:
                self._show_editor(editor, str(error))
                return
            self._editor = None
            self.paused = False
            self._begin(case)
        else:
            editor.key(key)
            self._show_editor(editor)

    def _show_editor(self, editor: Editor, message: str = "") -> None:
        tokens = editor.tokens.copy()
        self.frame = Frame(puzzle=tokens, answer=tokens, cursor=editor.cursor, message=message, overlay=EDITOR_KEYS)

    # ---- puzzles and segments --------------------------------------------------------------------

    def _next_case(self) -> None:
        self._waited = 0.0
        case = None
        if self._episodes is None or len(self.results) < self._episodes:
            case = next(self._cases, None)
        if case is None:
            self.done = True
            return
        self._begin(case)

    def _begin(self, case: Case) -> None:
        self._waited, self._place, self._reveal = 0.0, 0, False
        self._case = case
        self._steps = self._think(case, self._max_segments)
        self.frame = Frame(
            puzzle=case.puzzle,
            answer=case.puzzle,
            solution=case.solution,
            identity=case.identity,
            max_segments=self._max_segments,
            confidence=np.full(len(case.puzzle), math.nan),
            signals=dict.fromkeys(self._asked, math.nan),
            decides=self._decides,
            search=self._search,
        )
        self._past = [self.frame]
        self._show()

    def _next_segment(self) -> None:
        before = self.frame
        step = next(self._steps)
        segment = before.segment + 1
        ended: Ending = "halted" if step.halt else "out_of_segments" if segment >= self._max_segments else ""
        after = dataclasses.replace(
            before,
            answer=step.answer,
            # The first segment fills every cell, so marking changed cells is useless there.
            previous=before.answer if before.segment else None,
            confidence=step.confidence,
            belief=step.belief,
            signals=step.signals,
            search=step.search,
            segment=segment,
            ended=ended,
            reveal=False,
        )
        if step.belief is not None:
            after = dataclasses.replace(after, beliefs=(*before.beliefs, step.belief))
        if (share := right_cells(self._task, after)) is not None:
            after = dataclasses.replace(after, accuracies=(*before.accuracies, share))
        if ended:
            solved = is_right(self._task, after)
            another = self._task.another_solution if is_another(self._task, after) else ""
            self.results.append(Result(self._case.name, solved, segment, another))
            self.paused = self.paused or self._stay
            # Without a person at the keys, reveal the solution of a failed puzzle.
            after = dataclasses.replace(after, reveal=not solved)
        self.frame = after
        self._past.append(after)
        self._place += 1
        self._show(reveal=self._reveal or after.reveal)

    def _show(self, **changes: object) -> None:
        pace = "paused" if self.paused else f"{self.speed:g} segments/s"
        message = f"{self._case.name}  ·  {pace}"
        if len(self.results) > 1:
            message += f"  ·  {sum(bool(result.solved) for result in self.results)} of {len(self.results)} solved"
        self.frame = dataclasses.replace(self.frame, message=message, **changes)  # type: ignore[arg-type]
