"""Colours and the basic drawing operations.

pygame is imported only when something is drawn, because environments do not need it otherwise.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from hrm_gym.errors import extra

if TYPE_CHECKING:
    import pygame

Colour = tuple[int, int, int]

PAGE: Colour = (246, 245, 241)
CARD: Colour = (255, 255, 255)
GIVEN: Colour = (203, 209, 220)
OPEN: Colour = (243, 244, 246)
RULE: Colour = (226, 228, 232)
INK: Colour = (27, 36, 52)
MUTED: Colour = (100, 108, 122)
BLUE: Colour = (36, 95, 166)
AMBER: Colour = (184, 110, 0)
WRONG: Colour = (168, 22, 98)
GUESS: Colour = (96, 52, 158)

# From unsure (amber) to sure (blue). Lightness decreases steadily, so the order stays visible in greyscale and with
# colour blindness.
_RAMP: tuple[Colour, ...] = (
    (252, 224, 158),
    (236, 205, 150),
    (178, 190, 176),
    (104, 148, 186),
    (44, 104, 172),
)

_SCALE = 3  # supersampling: draw larger and shrink to smooth the edges
_SMALLEST = 9  # minimum font size; longer text is cut


def confidence_colour(confidence: float) -> Colour:
    """Return the background colour for a confidence, which is clipped to [0, 1]; NaN counts as 0."""
    place = min(1.0, max(0.0, float(confidence))) * (len(_RAMP) - 1)
    i = min(int(place), len(_RAMP) - 2)
    return mix(_RAMP[i], _RAMP[i + 1], place - i)


def mix(a: Colour, b: Colour, weight: float) -> Colour:
    """Blend `a` and `b`; `weight` in [0, 1] is the share of `b`."""
    red, green, blue = (round(x + (y - x) * weight) for x, y in zip(a, b, strict=True))
    return red, green, blue


def ink_on(ground: Colour) -> Colour:
    """Return dark or white, whichever has more contrast on `ground`."""
    red, green, blue = ground
    return INK if 0.299 * red + 0.587 * green + 0.114 * blue > 140 else CARD


def load_pygame() -> None:
    """Import pygame without its greeting and initialize its fonts, without opening a display.

    Raises:
        HrmGymError: if it is missing.
    """
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
    pygame = extra("pygame", "render", "drawing")
    if not pygame.font.get_init():
        pygame.font.init()


class Box(NamedTuple):
    """A rectangle in logical pixels."""

    x: float
    y: float
    width: float
    height: float

    @property
    def right(self) -> float:
        """The right edge."""
        return self.x + self.width

    @property
    def bottom(self) -> float:
        """The bottom edge."""
        return self.y + self.height

    def inset(self, margin: float) -> Box:
        """Return the box shrunk by a margin on every side."""
        return Box(self.x + margin, self.y + margin, self.width - 2 * margin, self.height - 2 * margin)


class Canvas:
    """A drawing surface with logical pixels as units.

    Args:
        width: in logical pixels.
        height: in logical pixels.
    """

    def __init__(self, width: int, height: int) -> None:
        load_pygame()
        import pygame

        self.size = (width, height)
        self._surface = pygame.Surface((width * _SCALE, height * _SCALE))
        self._surface.fill(PAGE)
        # Fonts are not shared between canvases, because pygame.quit() invalidates existing ones.
        self._fonts: dict[tuple[int, bool], pygame.font.Font] = {}

    def finish(self) -> pygame.Surface:
        """Return the picture as a surface of `size` pixels."""
        import pygame

        return pygame.transform.smoothscale(self._surface, self.size)

    def rect(self, box: Box, colour: Colour, radius: float = 0, outline: float = 0) -> None:
        """Draw a rectangle with rounded corners: filled, or outlined if `outline` gives a width."""
        import pygame

        # Round the edges instead of the width, so that neighbours share an edge exactly.
        x, y, right, bottom = (round(v * _SCALE) for v in (box.x, box.y, box.right, box.bottom))
        area = pygame.Rect(x, y, right - x, bottom - y)
        pygame.draw.rect(self._surface, colour, area, round(outline * _SCALE), border_radius=round(radius * _SCALE))

    def disc(self, x: float, y: float, radius: float, colour: Colour) -> None:
        """Draw a filled circle around (x, y)."""
        import pygame

        pygame.draw.circle(self._surface, colour, (x * _SCALE, y * _SCALE), radius * _SCALE)

    def polygon(self, points: Sequence[tuple[float, float]], colour: Colour) -> None:
        """Draw a filled polygon."""
        import pygame

        pygame.draw.polygon(self._surface, colour, [(x * _SCALE, y * _SCALE) for x, y in points])

    def path(self, points: Sequence[tuple[float, float]], colour: Colour, width: float) -> None:
        """Draw a line through the points, with round ends and joints."""
        for (ax, ay), (bx, by) in itertools.pairwise(points):
            length = max(((bx - ax) ** 2 + (by - ay) ** 2) ** 0.5, 1e-9)
            u, v = (ay - by) / length * width / 2, (bx - ax) / length * width / 2
            self.polygon([(ax + u, ay + v), (bx + u, by + v), (bx - u, by - v), (ax - u, ay - v)], colour)
        for x, y in points:
            self.disc(x, y, width / 2, colour)

    def veil(self, colour: Colour, opacity: float) -> None:
        """Fade everything drawn so far towards `colour`."""
        import pygame

        cover = pygame.Surface(self._surface.get_size())
        cover.fill(colour)
        cover.set_alpha(round(255 * opacity))
        self._surface.blit(cover, (0, 0))

    def text(self, text: str, box: Box, size: float, colour: Colour, align: str = "left", bold: bool = False) -> None:
        """Draw one line of text, with its capitals centred vertically in the box.

        Text that is too wide is shrunk and then, if necessary, cut with an ellipsis, so it never leaves the box.

        Args:
            text: the line.
            box: where to draw.
            size: font size in logical pixels; a capital is half as high.
            colour: colour of the letters.
            align: "left", "center" or "right".
            bold: whether the text is bold.
        """
        text, size = self.fit(text, box, size)
        if not text:
            return
        font = self._font(size, bold)
        picture = font.render(text, True, colour)
        zero = font.metrics("0")[0]
        cap = zero[3] if zero else font.get_ascent()
        spare = box.width * _SCALE - picture.get_width()
        x = box.x * _SCALE + {"left": 0.0, "center": spare / 2, "right": spare}[align]
        y = (box.y + box.height / 2) * _SCALE - (font.get_ascent() - cap / 2)
        self._surface.blit(picture, (round(x), round(y)))

    def fit(self, text: str, box: Box, size: float) -> tuple[str, float]:
        """Shrink and cut the text to fit the box; return it and its font size, at most `size`. "" if nothing fits."""
        while size > _SMALLEST and self.text_width(text, size) > box.width:
            size -= 1
        whole = text
        while text and self.text_width(text, size) > box.width:
            whole = whole[:-1]
            text = whole.rstrip() + "…" if whole else ""
        return text, size

    def paragraph(self, text: str, box: Box, size: float, colour: Colour) -> float:
        """Draw text wrapped to the box's width and return the y below the last line."""
        height = size * 0.85
        lines = self.wrapped(text, box.width, size)
        for i, line in enumerate(lines):
            self.text(line, Box(box.x, box.y + height * i, box.width, height), size, colour)
        return box.y + height * len(lines)

    def wrapped(self, text: str, width: float, size: float) -> list[str]:
        """Wrap text to lines of at most `width`."""
        lines = [""]
        for word in text.split():
            longer = f"{lines[-1]} {word}".lstrip()
            if lines[-1] and self.text_width(longer, size) > width:
                lines.append(word)
            else:
                lines[-1] = longer
        return lines

    def text_width(self, text: str, size: float) -> float:
        """Return the width of the text in logical pixels."""
        return self._font(size).size(text)[0] / _SCALE

    def _font(self, size: float, bold: bool = False) -> pygame.font.Font:
        import pygame

        pixels = max(round(size * _SCALE), 1)
        if (pixels, bold) not in self._fonts:
            font = pygame.font.Font(None, pixels)
            font.set_bold(bold)
            self._fonts[pixels, bold] = font
        return self._fonts[pixels, bold]


def confidence_key(canvas: Canvas, area: Box, name: str) -> None:
    """Draw the legend of the confidence colours at the top of `area`, 32 logical pixels high."""
    parts = 64
    for i in range(parts):
        slice_ = Box(area.x + area.width * i / parts, area.y + 3, area.width / parts, 12)
        canvas.rect(slice_, confidence_colour(i / (parts - 1)))
    names = Box(area.x, area.y + 18, area.width, 14)
    canvas.text("unsure", names, 17, MUTED)
    canvas.text(name, names, 17, MUTED, "center")
    canvas.text("sure", names, 17, MUTED, "right")


def guessed(canvas: Canvas, tile: Box, symbol: str) -> None:
    """Draw a cell with a guess: its symbol in a circle."""
    x, y, radius = tile.x + tile.width / 2, tile.y + tile.height / 2, tile.width * 0.43
    canvas.rect(tile, OPEN, tile.width * 0.12)
    canvas.disc(x, y, radius, GUESS)
    canvas.disc(x, y, radius - max(tile.width * 0.06, 1.2), mix(CARD, GUESS, 0.18))
    canvas.text(symbol, tile, tile.width * 0.9, GUESS, "center", bold=True)


def fold(canvas: Canvas, tile: Box, ground: Colour) -> None:
    """Mark a cell that this segment changed with a folded upper right corner."""
    size, margin = max(tile.width * 0.2, min(6, tile.width * 0.35)), tile.width * 0.06
    right, top = tile.right - margin, tile.y + margin
    canvas.polygon([(right - size, top), (right, top), (right, top + size)], ink_on(ground))


def outline_wrong(canvas: Canvas, tile: Box) -> None:
    """Mark a cell that differs from the solution with a frame that has a pale outline for contrast."""
    width, radius = max(tile.width * 0.07, 1.2), tile.width * 0.12
    canvas.rect(tile, WRONG, radius, width)
    canvas.rect(tile.inset(width), CARD, max(radius - width, 0), max(width * 0.4, 0.7))


def underline_broken(canvas: Canvas, tile: Box) -> None:
    """Underline a cell that breaks a rule of the puzzle."""
    height = max(tile.height * 0.09, 1.6)
    bar = Box(tile.x + tile.width * 0.16, tile.bottom - height * 1.9, tile.width * 0.68, height)
    canvas.rect(bar.inset(-height * 0.35), CARD, height)
    canvas.rect(bar, WRONG, height / 2)


def mark_cursor(canvas: Canvas, tile: Box) -> None:
    """Mark the cell under the cursor."""
    canvas.rect(tile.inset(-1), CARD, tile.width * 0.14, max(tile.width * 0.12, 3))
    canvas.rect(tile.inset(-1), BLUE, tile.width * 0.14, max(tile.width * 0.08, 2))


def square_cells(area: Box, shape: tuple[int, int]) -> list[Box]:
    """Return the boxes of a board's cells, row by row: centred squares as large as the area allows."""
    rows, columns = shape
    side = int(3 * min(area.width / columns, area.height / rows)) / 3  # multiples of a third of a pixel stay sharp
    left = int(area.x + (area.width - side * columns) / 2)
    top = int(area.y + (area.height - side * rows) / 2)
    return [Box(left + side * column, top + side * row, side, side) for row in range(rows) for column in range(columns)]
