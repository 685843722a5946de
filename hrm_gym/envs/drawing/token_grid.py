"""The default board of every task: one tile per cell, one character per token."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hrm_gym.envs.drawing.canvas import (
    BLUE,
    GIVEN,
    INK,
    MUTED,
    OPEN,
    WRONG,
    Box,
    Canvas,
    Colour,
    confidence_colour,
    confidence_key,
    fold,
    guessed,
    ink_on,
    mark_cursor,
    mix,
    outline_wrong,
    square_cells,
    underline_broken,
)
from hrm_gym.envs.drawing.frame import broken_cells, wrong_cells

if TYPE_CHECKING:
    from hrm_gym.envs.drawing.frame import Frame
    from hrm_gym.envs.task import Task

_SAMPLE = 24  # side of a tile in the key, logical pixels
_READABLE = 30  # minimum side of a tile with a readable small token in its corner, logical pixels


class TokenGrid:
    """Draws the cells of a frame.

    Givens are bold on grey. The background of a proposal goes from amber (unsure) to blue (sure), and a guess is in a
    circle. A folded corner marks a change in this segment, an underline a broken rule, and a frame a difference from
    the revealed solution. Small tokens show the solution (lower right corner) and an overwritten given or guess (upper
    left).
    """

    def __init__(self, task: Task) -> None:
        self._task = task

    def board(self, canvas: Canvas, area: Box, frame: Frame) -> None:
        """Draw the board of `frame` centred in `area` and as large as possible."""
        tiles = self.cells(area)
        left, top, side = tiles[0].x, tiles[0].y, tiles[0].width
        gap = 1.0 if side < 40 else 1.5
        broken, wrong = broken_cells(self._task, frame), wrong_cells(self._task, frame)
        for cell, tile in enumerate(tiles):
            self._cell(canvas, tile.inset(gap), frame, cell, bool(broken[cell]), bool(wrong[cell]))
        self._box_lines(canvas, left, top, side)
        if frame.cursor is not None:
            mark_cursor(canvas, tiles[frame.cursor])

    def cells(self, area: Box) -> list[Box]:
        """Return the boxes of the cells of a board in this area."""
        return square_cells(area, self._task.shape)

    def key(self, canvas: Canvas, area: Box) -> None:
        """Draw the legend of the marks."""
        confidence_key(canvas, area, "confidence")
        places = ((0, 80), (84, 108), (196, 96))  # left edge and width of each column
        for i, name in enumerate(("given", "changed now", "wrong", "solution", "breaks a rule")):
            (along, width), y = places[i % 3], area.y + 40 + 30 * (i // 3)
            tile = Box(area.x + along, y, _SAMPLE, _SAMPLE)
            ground = GIVEN if name == "given" else confidence_colour(0.75)
            canvas.rect(tile, ground, 4)
            if name == "given":
                canvas.text(self._task.symbols[-1], tile, 22, INK, "center", bold=True)
            elif name == "changed now":
                fold(canvas, tile, ground)
            elif name == "wrong":
                outline_wrong(canvas, tile)
            elif name == "breaks a rule":
                underline_broken(canvas, tile)
            else:
                canvas.rect(tile.inset(4), mix(OPEN, WRONG, 0.06), 3)
                canvas.text(self._task.symbols[-1], tile.inset(4), 20, WRONG, "center")
            canvas.text(name, Box(tile.right + 6, y, width - _SAMPLE - 6, _SAMPLE), 16, MUTED)

    def _cell(
        self, canvas: Canvas, tile: Box, frame: Frame, cell: int, broken: bool = False, wrong: bool = False
    ) -> None:
        task = self._task
        given, token = int(frame.puzzle[cell]), int(frame.answer[cell])
        guess = task.blank if frame.search is None else int(frame.search.guesses[cell])
        kept = given != task.blank and token in (given, task.blank)
        if kept:
            token, ground = given, GIVEN
        elif guess != task.blank or frame.confidence is None or np.isnan(frame.confidence[cell]):
            ground = OPEN
        else:
            ground = confidence_colour(frame.confidence[cell])
        canvas.rect(tile, ground, tile.width * 0.12)

        if guess != task.blank:
            guessed(canvas, tile, task.symbols[token])
        elif token != task.blank:
            ink = INK if kept else BLUE if ground == OPEN else ink_on(ground)
            canvas.text(task.symbols[token], tile, tile.width, ink, "center", bold=kept)
        if wrong and token != task.blank:
            outline_wrong(canvas, tile)
        elif broken:
            underline_broken(canvas, tile)
        known = given if guess == task.blank else guess
        if not kept and known not in (token, task.blank):
            _corner(canvas, tile, task.symbols[known], INK, lower=False)
        if frame.previous is not None and int(frame.previous[cell]) != int(frame.answer[cell]):
            fold(canvas, tile, ground)
        if wrong and frame.solution is not None:
            _corner(canvas, tile, task.symbols[int(frame.solution[cell])], WRONG, lower=True)

    def _box_lines(self, canvas: Canvas, left: float, top: float, side: float) -> None:
        if self._task.boxes is None:
            return
        rows, columns = self._task.shape
        height, width = self._task.boxes
        thick = 2.0 if side < 40 else 3.0
        right, bottom = left + side * columns, top + side * rows
        for row in range(height, rows, height):
            y = top + side * row
            canvas.rect(Box(left, y - thick / 2, right - left, thick), INK)
        for column in range(width, columns, width):
            x = left + side * column
            canvas.rect(Box(x - thick / 2, top, thick, bottom - top), INK)


def _corner(canvas: Canvas, tile: Box, symbol: str, colour: Colour, lower: bool) -> None:
    if tile.width < _READABLE:
        return
    side = tile.width * 0.42
    x, y = (tile.right - side, tile.bottom - side) if lower else (tile.x, tile.y)
    card = Box(x, y, side, side).inset(tile.width * 0.03)
    canvas.rect(card, mix(OPEN, colour, 0.06), side * 0.2)
    canvas.text(symbol, card, side * 1.1, colour, "center")
