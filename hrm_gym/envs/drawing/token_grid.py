"""The board that every task gets without a line of drawing code: one tile a cell, one character a token."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
    hatch_wrong,
    ink_on,
    mix,
)

if TYPE_CHECKING:
    from hrm_gym.envs.drawing.frame import Frame
    from hrm_gym.envs.task import Task

_SAMPLE = 24  # side of a tile in the key, logical pixels
_READABLE = 30  # side of a tile from which a small token in its corner can be read, logical pixels


class TokenGrid:
    """Draws the cells of a frame.

    Givens are dark on grey. A proposal stands on a ground from amber (unsure) to blue (sure). A folded corner
    marks what this segment changed, a hatch what the revealed solution contradicts, and the true token then
    stands small in the lower right corner; a given that the answer overwrites, small in the upper left one.
    """

    def __init__(self, task: Task) -> None:
        self._task = task

    def board(self, canvas: Canvas, area: Box, frame: Frame) -> None:
        """Draws the board of `frame` as large as `area` allows, in its middle."""
        rows, columns = self._task.shape
        side = int(3 * min(area.width / columns, area.height / rows)) / 3  # a third of a pixel is still sharp
        left = int(area.x + (area.width - side * columns) / 2)
        top = int(area.y + (area.height - side * rows) / 2)
        gap = 1.0 if side < 40 else 1.5
        for cell in range(rows * columns):
            row, column = divmod(cell, columns)
            tile = Box(left + side * column, top + side * row, side, side).inset(gap)
            self._cell(canvas, tile, frame, cell)
        self._box_lines(canvas, left, top, side)

    def key(self, canvas: Canvas, area: Box) -> None:
        """Draws what the marks mean."""
        half = area.width / 2
        confidence_key(canvas, area, "confidence")
        for i, name in enumerate(("given", "changed now", "wrong", "true token")):
            x, y = area.x + half * (i % 2), area.y + 40 + 30 * (i // 2)
            tile = Box(x, y, _SAMPLE, _SAMPLE)
            ground = GIVEN if name == "given" else confidence_colour(0.75)
            canvas.rect(tile, ground, 4)
            if name == "changed now":
                fold(canvas, tile, ground)
            elif name == "wrong":
                hatch_wrong(canvas, tile, ground)
            elif name == "true token":
                canvas.rect(tile.inset(4), mix(OPEN, WRONG, 0.06), 3)
                canvas.text(self._task.symbols[-1], tile.inset(4), 20, WRONG, "center")
            canvas.text(name, Box(tile.right + 8, y, half - _SAMPLE - 12, _SAMPLE), 18, MUTED)

    def _cell(self, canvas: Canvas, tile: Box, frame: Frame, cell: int) -> None:
        task = self._task
        given, token = int(frame.puzzle[cell]), int(frame.answer[cell])
        kept = given != task.blank and token in (given, task.blank)
        if kept:
            token, ground = given, GIVEN
        elif frame.confidence is None:
            ground = OPEN
        else:
            ground = confidence_colour(frame.confidence[cell])
        canvas.rect(tile, ground, tile.width * 0.12)

        wrong = frame.reveal and frame.solution is not None and token != int(frame.solution[cell])
        if wrong and token != task.blank:
            hatch_wrong(canvas, tile, ground)
        if token != task.blank:
            ink = INK if kept else BLUE if ground == OPEN else ink_on(ground)
            canvas.text(task.symbols[token], tile, tile.width * (1.1 if kept else 1.0), ink, "center")
        if not kept and given != task.blank:
            _corner(canvas, tile, task.symbols[given], INK, lower=False)
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
