"""The picture of an agent thinking: the board on the left, what goes on in the agent on the right.

`Renderer` draws a `Frame` and needs no display for it; `Window` shows it on one.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from hrm_gym.envs.drawing import panel
from hrm_gym.envs.drawing.canvas import CARD, INK, MUTED, Box, Canvas, load_pygame
from hrm_gym.envs.drawing.frame import Frame, is_solved
from hrm_gym.envs.drawing.token_grid import TokenGrid
from hrm_gym.errors import HrmGymError

if TYPE_CHECKING:
    import pygame

    from hrm_gym.envs.task import Task

WIDTH, HEIGHT = 960, 640
"""Size in pixels of every picture, whatever the board: constant and even, as video encoders want it."""

# SDL falls back to these where there is no screen. Asked for by name they are fine (tests, servers); chosen
# in silence they would leave a person waiting for a window that never comes.
_SCREENLESS = ("dummy", "offscreen")

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
        panel.state(canvas, Box(x, 78, width, 40), frame, solved=is_solved(self._task, frame))
        panel.segments(canvas, Box(x, 130, width, 42), frame)
        panel.q_values(canvas, Box(x, 184, width, 50), frame)
        panel.numbers(canvas, Box(x, 246, width, 58), frame, self._task)
        panel.curves(canvas, Box(x, 316, width, 116), frame)
        self._view.key(canvas, Box(x, 446, width, 96))
        panel.hints(canvas, Box(x, 572, width, 44), self._keys)
        if frame.overlay:
            panel.overlay(canvas, Box(0, 0, WIDTH, HEIGHT), frame.overlay)
        return canvas.finish()


class Window:
    """A window of WIDTH by HEIGHT pixels.

    Args:
        renderer: draws its frames.
        title: in its title bar.

    Raises:
        HrmGymError: where no display is available.
    """

    def __init__(self, renderer: Renderer, title: str = "hrm-gym") -> None:
        self._renderer = renderer
        self._shown: Frame | None = None
        self._screen: pygame.Surface | None = None
        load_pygame()
        import pygame

        try:
            pygame.display.init()
            if pygame.display.get_driver() in _SCREENLESS and "SDL_VIDEODRIVER" not in os.environ:
                pygame.display.quit()
                raise pygame.error("no screen found")
            self._screen = pygame.display.set_mode((WIDTH, HEIGHT))
        except pygame.error as error:
            raise HrmGymError(
                f"no display available ({error}): run with a screen, or use --headless --record out.gif"
            ) from None
        pygame.display.set_caption(title)
        self._clock = pygame.time.Clock()

    def show(self, frame: Frame) -> None:
        """Shows a frame; drawn once, however often it is shown. Does nothing once the window is closed."""
        if self._screen is None:
            return
        import pygame

        if frame is not self._shown:
            self._screen.blit(self._renderer.draw(frame), (0, 0))
            self._shown = frame
        pygame.event.pump()  # a window that never asks for its events counts as hung
        pygame.display.flip()

    def wait(self, fps: float) -> float:
        """Sleeps until `fps` calls a second are kept; returns the seconds since the last call."""
        return self._clock.tick(fps) / 1000

    def events(self) -> list[str]:
        """What was pressed since the last call.

        A key that writes a character is that character in lower case ("r", "+"), others go by their name
        ("space", "right", "escape"); closing the window is "quit".
        """
        if self._screen is None:
            return []
        import pygame

        pressed = []
        for event in pygame.event.get():
            if event.type == pygame.QUIT:
                pressed.append("quit")
            elif event.type == pygame.KEYDOWN:
                written = event.unicode.strip().lower()
                pressed.append(written if written.isprintable() and written else pygame.key.name(event.key))
        return pressed

    def close(self) -> None:
        """Closes the window; closing it again does nothing."""
        if self._screen is None:
            return
        import pygame

        self._screen = None
        pygame.display.quit()
