"""A window that shows frames and reads keys."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from hrm_gym.envs.drawing.canvas import load_pygame
from hrm_gym.envs.drawing.frame import Frame
from hrm_gym.envs.drawing.renderer import HEIGHT, WIDTH, Renderer
from hrm_gym.errors import HrmGymError

if TYPE_CHECKING:
    import pygame

# SDL falls back to these drivers silently if there is no screen, and the user would wait for a window that never opens.
# They are accepted only by name (tests, servers).
_SCREENLESS = ("dummy", "offscreen")


class NoDisplayError(HrmGymError):
    """No display is available; the caller decides what to do instead."""


class Window:
    """A window of WIDTH by HEIGHT pixels that does not interfere with other windows of the program.

    If other code quits pygame, which closes the window, the next frame opens it again.

    Args:
        renderer: draws the frames.
        title: text of the title bar.
        fade: seconds of cross-fading between segments; `show` must then be called many times a second.

    Raises:
        NoDisplayError: if no display is available.
    """

    def __init__(self, renderer: Renderer, title: str = "hrm-gym", fade: float = 0.0) -> None:
        self._renderer = renderer
        self._fade = fade
        self._since = 0  # time of the current frame in milliseconds
        self._before: pygame.Surface | None = None  # while it fades out
        self._picture: pygame.Surface | None = None
        self._shown: Frame | None = None
        self._title = title
        self._window: pygame.Window | None = None
        load_pygame()
        import pygame

        self._open()
        self._clock = pygame.time.Clock()

    def _open(self) -> None:
        import pygame

        # First forget a window that others have ended. A new one may get its address, and then it would be destroyed
        # with the old one.
        self._window = None
        try:
            others = pygame.display.get_init()
            pygame.display.init()
            if pygame.display.get_driver() in _SCREENLESS and "SDL_VIDEODRIVER" not in os.environ:
                if not others:
                    pygame.display.quit()
                raise pygame.error("no screen found")
            self._window = pygame.Window(self._title, (WIDTH, HEIGHT))
            self._window.get_surface()
        except pygame.error as error:
            raise NoDisplayError(f"no display available ({error})") from None

    @property
    def surface(self) -> pygame.Surface | None:
        """The surface of the window; None once it is closed."""
        return None if self._window is None else self._window.get_surface()

    def show(self, frame: Frame) -> None:
        """Show a frame; it is drawn only at the first call. Does nothing once the window is closed."""
        if self._window is None:
            return
        import pygame

        try:
            screen = self._window.get_surface()
        except pygame.error:  # other code has quit pygame
            self._open()
            self._shown = self._before = None
            screen = self._window.get_surface()
        if frame is not self._shown:
            fades = self._fade and self._shown is not None and frame.follows(self._shown)
            self._before = self._picture if fades else None
            self._picture, self._shown, self._since = self._renderer.draw(frame), frame, pygame.time.get_ticks()
            if not fades:
                screen.blit(self._picture, (0, 0))
        if self._before is not None and self._picture is not None:
            share = min((pygame.time.get_ticks() - self._since) / (1000 * self._fade), 1.0)
            screen.blit(self._before, (0, 0))
            self._picture.set_alpha(round(255 * share))
            screen.blit(self._picture, (0, 0))
            if share == 1.0:
                self._before = None
        pygame.event.pump()  # a window that does not process events counts as hung
        self._window.flip()

    def wait(self, fps: float) -> float:
        """Sleep to limit the rate to `fps` calls a second; return the seconds since the last call."""
        return self._clock.tick(fps) / 1000

    def events(self) -> list[str]:
        """Keys and clicks since the last call.

        A key that writes a character is that character in lower case ("r", "+"); other keys have their names ("space",
        "right", "escape"). Closing the window is "quit", and a click on a cell is "cell 17".
        """
        if self._window is None:
            return []
        import pygame

        pressed = []
        for event in pygame.event.get() if pygame.display.get_init() else []:
            if getattr(event, "window", None) not in (None, self._window):
                pygame.event.post(event)  # belongs to another window
            elif event.type in (pygame.QUIT, pygame.WINDOWCLOSE):
                pressed.append("quit")
            elif event.type == pygame.KEYDOWN:
                written = event.unicode.strip().lower()
                pressed.append(written if written.isprintable() and written else pygame.key.name(event.key))
            elif event.type == pygame.MOUSEBUTTONDOWN and event.button == 1:
                cell = self._renderer.cell_at(*event.pos)
                if cell is not None:
                    pressed.append(f"cell {cell}")
        return pressed

    def close(self) -> None:
        """Close this window; closing it again does nothing."""
        if self._window is not None:
            self._window.destroy()
        self._window = None
