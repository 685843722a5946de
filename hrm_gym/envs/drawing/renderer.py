"""Drawing a frame, with the board on the left and the panel on the right, without a display."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from hrm_gym.envs.drawing import panel
from hrm_gym.envs.drawing.canvas import CARD, INK, MUTED, Box, Canvas
from hrm_gym.envs.drawing.frame import Frame, verdict
from hrm_gym.envs.drawing.help import overlay, typing
from hrm_gym.envs.drawing.token_grid import TokenGrid

if TYPE_CHECKING:
    import pygame

    from hrm_gym.envs.task import Task

WIDTH, HEIGHT = 960, 640
"""Size of every picture in pixels: the same for all boards, and even, as video encoders require."""

_BOARD = Box(24, 24, 592, 592)
_PANEL = Box(644, 24, 292, 592)


TILE = 300
"""Side of a board of a strip in pixels."""

_CAPTION, _LINE = 26, 22


class BoardRenderer:
    """Draws one step of a strip: the board with a line of text below it.

    If the view has a method `answer`, with the signature of `board`, only the answer is drawn.

    Args:
        task: the puzzle family.
    """

    def __init__(self, task: Task) -> None:
        self._task = task
        view = getattr(task, "view", TokenGrid)(task)
        self._draw = getattr(view, "answer", view.board)

    def rgb(self, frame: Frame) -> np.ndarray:
        """Return the picture, uint8 of shape (TILE + 26, TILE, 3), with 22 more rows if it shows a search."""
        canvas = Canvas(TILE, TILE + _CAPTION + (_LINE if frame.search else 0))
        self._draw(canvas, Box(10, 10, TILE - 20, TILE - 20), frame)
        canvas.text(self._caption(frame), Box(10, TILE - 6, TILE - 20, _CAPTION), 20, MUTED, "center")
        if frame.search:
            panel.search(canvas, Box(10, TILE + 18, TILE - 20, 20), frame.search, self._task.blank)
        return _pixels(canvas.finish())

    def _caption(self, frame: Frame) -> str:
        if not frame.segment:
            return "the puzzle"
        outcome = f": {verdict(self._task, frame)}" if frame.ended else ""
        return f"{frame.decision or 'segment'} {frame.segment}{outcome}"


class Renderer:
    """Draws frames of one task.

    A task can replace the token grid by an attribute `view`: a class that is built with the task and has the methods
    `board` and `key` of `TokenGrid`, and `cells` if puzzles can be entered.

    Args:
        task: the puzzle family.
        title: the line above the panel, such as an environment's id.
        keys: pairs of a key and its effect, shown at the bottom of the panel.
    """

    def __init__(self, task: Task, title: str = "", keys: Sequence[tuple[str, str]] = ()) -> None:
        self._task = task
        self._title = title or type(task).__name__
        self._keys = keys
        self._view = getattr(task, "view", TokenGrid)(task)

    def rgb(self, frame: Frame) -> np.ndarray:
        """Return the picture as a new uint8 array of shape (HEIGHT, WIDTH, 3)."""
        return _pixels(self.draw(frame))

    def draw(self, frame: Frame) -> pygame.Surface:
        """Return the picture as a surface of WIDTH by HEIGHT pixels."""
        canvas = Canvas(WIDTH, HEIGHT)
        canvas.rect(_BOARD.inset(-8), CARD, 12)
        self._view.board(canvas, _BOARD, frame)
        if frame.cursor is not None:
            typing(canvas, _PANEL, frame.message, frame.overlay)
            return canvas.finish()
        x, width = _PANEL.x, _PANEL.width
        canvas.text(self._title, Box(x, 24, width, 26), 34, INK)
        canvas.text(frame.message, Box(x, 52, width, 18), 20, MUTED)
        panel.state(canvas, Box(x, 78, width, 40), frame, self._task)
        panel.segments(canvas, Box(x, 130, width, 42), frame)
        y, down = 186.0, 0
        if frame.search:
            panel.search(canvas, Box(x, y - 3, width, 22), frame.search, self._task.blank)
            y, down = y + 28, 20
        high = panel.signals_height(frame.signals, 60)
        panel.signals(canvas, Box(x, y, width, high), frame.signals)
        y += 4 + high if high else -2
        panel.numbers(canvas, Box(x, y, width, 58), frame, self._task)
        panel.curves(canvas, Box(x, y + 68, width, 434 + down - y - 68), frame)
        self._view.key(canvas, Box(x, 446 + down, width, 96))
        panel.hints(canvas, Box(x, 572, width, 44), self._keys)
        if frame.overlay:
            overlay(canvas, Box(0, 0, WIDTH, HEIGHT), frame, self._task)
        return canvas.finish()

    def cell_at(self, x: float, y: float) -> int | None:
        """Return the cell at a point of the picture; None if there is none or the view has no `cells`."""
        cells = getattr(self._view, "cells", None)
        if cells is None:
            return None
        for i, cell in enumerate(cells(_BOARD)):
            if cell.x <= x < cell.right and cell.y <= y < cell.bottom:
                return i
        return None


def _pixels(surface: pygame.Surface) -> np.ndarray:
    import pygame

    pixels = np.frombuffer(pygame.image.tobytes(surface, "RGB"), dtype=np.uint8)
    return pixels.reshape(surface.get_height(), surface.get_width(), 3).copy()  # the bytes are read-only
