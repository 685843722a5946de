"""The picture of an agent thinking: the board on the left, the panel on the right; it needs no display."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from hrm_gym.envs.drawing import panel
from hrm_gym.envs.drawing.canvas import CARD, INK, MUTED, Box, Canvas
from hrm_gym.envs.drawing.frame import Frame, is_right
from hrm_gym.envs.drawing.token_grid import TokenGrid

if TYPE_CHECKING:
    import pygame

    from hrm_gym.envs.task import Task

WIDTH, HEIGHT = 960, 640
"""Size in pixels of every picture, whatever the board: constant and even, as video encoders want it."""

_BOARD = Box(24, 24, 592, 592)
_PANEL = Box(644, 24, 292, 592)


class Renderer:
    """Draws frames of one task.

    A task that wants another board than the token grid has an attribute `view`: a class that is called with
    the task and has the two methods of `TokenGrid`, `board` and `key`.

    Args:
        task: the puzzle family.
        title: the line over the panel, say an environment's id.
        keys: pairs of a key and what it does, at the foot of the panel.
    """

    def __init__(self, task: Task, title: str = "", keys: Sequence[tuple[str, str]] = ()) -> None:
        self._task = task
        self._title = title or type(task).__name__
        self._keys = keys
        self._view = getattr(task, "view", TokenGrid)(task)

    def rgb(self, frame: Frame) -> np.ndarray:
        """The picture as a fresh uint8 array of shape (HEIGHT, WIDTH, 3)."""
        surface = self.draw(frame)
        import pygame

        pixels = np.frombuffer(pygame.image.tobytes(surface, "RGB"), dtype=np.uint8)
        return pixels.reshape(HEIGHT, WIDTH, 3).copy()  # the bytes are read-only; a frame is its owner's

    def draw(self, frame: Frame) -> pygame.Surface:
        """The picture as a surface of WIDTH by HEIGHT pixels."""
        canvas = Canvas(WIDTH, HEIGHT)
        canvas.rect(_BOARD.inset(-8), CARD, 12)
        self._view.board(canvas, _BOARD, frame)
        x, width = _PANEL.x, _PANEL.width
        canvas.text(self._title, Box(x, 24, width, 26), 34, INK)
        canvas.text(frame.message, Box(x, 52, width, 18), 20, MUTED)
        panel.state(canvas, Box(x, 78, width, 40), frame, is_right(self._task, frame))
        panel.segments(canvas, Box(x, 130, width, 42), frame)
        panel.signals(canvas, Box(x, 184, width, 50), frame.signals)
        panel.numbers(canvas, Box(x, 246, width, 58), frame, self._task)
        panel.curves(canvas, Box(x, 316, width, 116), frame)
        self._view.key(canvas, Box(x, 446, width, 96))
        panel.hints(canvas, Box(x, 572, width, 44), self._keys)
        if frame.overlay:
            panel.overlay(canvas, Box(0, 0, WIDTH, HEIGHT), frame.overlay)
        return canvas.finish()
