"""Colours and a canvas: the few drawing operations that the pictures are made of.

pygame is imported only when a picture is made, so that environments without one do not pay for it.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

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

# From unsure to sure: amber to blue. Lightness falls all the way, so the order survives colour blindness and
# grey printing; red and green are never told apart by hue.
_RAMP: tuple[Colour, ...] = (
    (252, 224, 158),
    (236, 205, 150),
    (178, 190, 176),
    (104, 148, 186),
    (44, 104, 172),
)

_SCALE = 3  # everything is drawn so many times as large and shrunk: smooth edges from one operation
_SMALLEST = 9  # logical font size under which text is cut rather than shrunk further


def confidence_colour(confidence: float) -> Colour:
    """The ground of a cell of which the agent is `confidence` sure: clipped to [0, 1], 0 where it is NaN."""
    place = min(1.0, max(0.0, float(confidence))) * (len(_RAMP) - 1)
    i = min(int(place), len(_RAMP) - 2)
    return mix(_RAMP[i], _RAMP[i + 1], place - i)


def mix(a: Colour, b: Colour, weight: float) -> Colour:
    """`a` and `b` blended, `weight` in [0, 1] being the share of `b`."""
    red, green, blue = (round(x + (y - x) * weight) for x, y in zip(a, b, strict=True))
    return red, green, blue


def ink_on(ground: Colour) -> Colour:
    """Dark or white ink, whichever reads better on `ground`."""
    red, green, blue = ground
    return INK if 0.299 * red + 0.587 * green + 0.114 * blue > 140 else CARD


def load_pygame() -> None:
    """Imports pygame without its greeting and readies its fonts; opens no display."""
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
    import pygame

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
        """The first x to the right of the box."""
        return self.x + self.width

    @property
    def bottom(self) -> float:
        """The first y under the box."""
        return self.y + self.height

    def inset(self, margin: float) -> Box:
        """The box less a margin on every side."""
        return Box(self.x + margin, self.y + margin, self.width - 2 * margin, self.height - 2 * margin)


class Canvas:
    """A picture in the making, in logical pixels.

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
        # Fonts live as long as the picture: whoever calls pygame.quit() in between makes old ones unusable.
        self._fonts: dict[tuple[int, bool], pygame.font.Font] = {}

    def finish(self) -> pygame.Surface:
        """The picture, a surface of `size` pixels."""
        import pygame

        return pygame.transform.smoothscale(self._surface, self.size)

    def rect(self, box: Box, colour: Colour, radius: float = 0, outline: float = 0) -> None:
        """A rectangle with rounded corners, filled, or outlined where `outline` gives a width."""
        import pygame

        # Both edges are rounded, not the width, so that neighbours share an edge exactly.
        x, y, right, bottom = (round(v * _SCALE) for v in (box.x, box.y, box.right, box.bottom))
        area = pygame.Rect(x, y, right - x, bottom - y)
        pygame.draw.rect(self._surface, colour, area, round(outline * _SCALE), border_radius=round(radius * _SCALE))

    def disc(self, x: float, y: float, radius: float, colour: Colour) -> None:
        """A filled circle around (x, y)."""
        import pygame

        pygame.draw.circle(self._surface, colour, (x * _SCALE, y * _SCALE), radius * _SCALE)

    def polygon(self, points: Sequence[tuple[float, float]], colour: Colour) -> None:
        """A filled polygon."""
        import pygame

        pygame.draw.polygon(self._surface, colour, [(x * _SCALE, y * _SCALE) for x, y in points])

    def path(self, points: Sequence[tuple[float, float]], colour: Colour, width: float) -> None:
        """A line through the points, with round ends and joints."""
        for (ax, ay), (bx, by) in itertools.pairwise(points):
            length = max(((bx - ax) ** 2 + (by - ay) ** 2) ** 0.5, 1e-9)
            u, v = (ay - by) / length * width / 2, (bx - ax) / length * width / 2
            self.polygon([(ax + u, ay + v), (bx + u, by + v), (bx - u, by - v), (ax - u, ay - v)], colour)
        for x, y in points:
            self.disc(x, y, width / 2, colour)

    def veil(self, colour: Colour, opacity: float) -> None:
        """Everything drawn so far, faded towards `colour`."""
        import pygame

        cover = pygame.Surface(self._surface.get_size())
        cover.fill(colour)
        cover.set_alpha(round(255 * opacity))
        self._surface.blit(cover, (0, 0))

    def text(self, text: str, box: Box, size: float, colour: Colour, align: str = "left", bold: bool = False) -> None:
        """One line of text, its capitals centred over the box's height.

        Text that is too wide for its box is set smaller and, where that is not enough, cut with an ellipsis:
        nothing is ever drawn outside the box.

        Args:
            text: the line.
            box: where it must stay.
            size: font size in logical pixels; a capital is half as high.
            colour: of the letters.
            align: "left", "center" or "right".
            bold: whether it is set in bold.
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
        """The text and the font size, at most `size`, that stay in the box; "" where nothing does."""
        while size > _SMALLEST and self.text_width(text, size) > box.width:
            size -= 1
        whole = text
        while text and self.text_width(text, size) > box.width:
            whole = whole[:-1]
            text = whole.rstrip() + "…" if whole else ""
        return text, size

    def paragraph(self, text: str, box: Box, size: float, colour: Colour) -> float:
        """Text over as many lines as it needs in the box's width; gives the y under the last one."""
        height = size * 0.85
        lines = self.wrapped(text, box.width, size)
        for i, line in enumerate(lines):
            self.text(line, Box(box.x, box.y + height * i, box.width, height), size, colour)
        return box.y + height * len(lines)

    def wrapped(self, text: str, width: float, size: float) -> list[str]:
        """The lines of a paragraph."""
        lines = [""]
        for word in text.split():
            longer = f"{lines[-1]} {word}".lstrip()
            if lines[-1] and self.text_width(longer, size) > width:
                lines.append(word)
            else:
                lines[-1] = longer
        return lines

    def text_width(self, text: str, size: float) -> float:
        """How wide the text is, in logical pixels."""
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
    """Draws at the top of `area` what the colours from unsure to sure mean, 32 logical pixels high."""
    parts = 64
    for i in range(parts):
        slice_ = Box(area.x + area.width * i / parts, area.y + 3, area.width / parts, 12)
        canvas.rect(slice_, confidence_colour(i / (parts - 1)))
    names = Box(area.x, area.y + 18, area.width, 14)
    canvas.text("unsure", names, 17, MUTED)
    canvas.text(name, names, 17, MUTED, "center")
    canvas.text("sure", names, 17, MUTED, "right")


def guessed(canvas: Canvas, tile: Box, symbol: str) -> None:
    """A cell in which the agent guesses: its symbol in a circle, which no other cell has."""
    x, y, radius = tile.x + tile.width / 2, tile.y + tile.height / 2, tile.width * 0.43
    canvas.rect(tile, OPEN, tile.width * 0.12)
    canvas.disc(x, y, radius, GUESS)
    canvas.disc(x, y, radius - max(tile.width * 0.06, 1.2), mix(CARD, GUESS, 0.18))
    canvas.text(symbol, tile, tile.width * 0.9, GUESS, "center", bold=True)


def fold(canvas: Canvas, tile: Box, ground: Colour) -> None:
    """Marks a cell that this segment changed: its upper right corner is folded."""
    size, margin = max(tile.width * 0.2, min(6, tile.width * 0.35)), tile.width * 0.06
    right, top = tile.right - margin, tile.y + margin
    canvas.polygon([(right - size, top), (right, top), (right, top + size)], ink_on(ground))


def outline_wrong(canvas: Canvas, tile: Box) -> None:
    """Marks a cell that the solution contradicts: a frame, with a pale line that sets it off from any ground."""
    width, radius = max(tile.width * 0.07, 1.2), tile.width * 0.12
    canvas.rect(tile, WRONG, radius, width)
    canvas.rect(tile.inset(width), CARD, max(radius - width, 0), max(width * 0.4, 0.7))


def underline_broken(canvas: Canvas, tile: Box) -> None:
    """Marks a cell that breaks a rule of the puzzle, as a spell checker marks a word."""
    height = max(tile.height * 0.09, 1.6)
    bar = Box(tile.x + tile.width * 0.16, tile.bottom - height * 1.9, tile.width * 0.68, height)
    canvas.rect(bar.inset(-height * 0.35), CARD, height)
    canvas.rect(bar, WRONG, height / 2)


def mark_cursor(canvas: Canvas, tile: Box) -> None:
    """Marks the cell that the next key is written to."""
    canvas.rect(tile.inset(-1), CARD, tile.width * 0.14, max(tile.width * 0.12, 3))
    canvas.rect(tile.inset(-1), BLUE, tile.width * 0.14, max(tile.width * 0.08, 2))


def square_cells(area: Box, shape: tuple[int, int]) -> list[Box]:
    """The cells of a board, row by row: squares as large as the area allows, in its middle."""
    rows, columns = shape
    side = int(3 * min(area.width / columns, area.height / rows)) / 3  # a third of a pixel is still sharp
    left = int(area.x + (area.width - side * columns) / 2)
    top = int(area.y + (area.height - side * rows) / 2)
    return [Box(left + side * column, top + side * row, side, side) for row in range(rows) for column in range(columns)]
