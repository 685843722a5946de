"""The picture of a maze: walls, start and goal, the proposed path and, revealed, the true one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hrm_gym.envs.drawing.canvas import (
    AMBER,
    BLUE,
    CARD,
    INK,
    MUTED,
    OPEN,
    RULE,
    WRONG,
    Box,
    Canvas,
    Colour,
    confidence_colour,
    confidence_key,
    fold,
    hatch_wrong,
    mix,
)
from hrm_gym.envs.maze.solver import FREE, GOAL, PATH, START, WALL

if TYPE_CHECKING:
    from hrm_gym.envs.drawing.frame import Frame
    from hrm_gym.envs.task import Task

_STONE: Colour = mix(INK, MUTED, 0.25)
_TEAL: Colour = (0, 104, 92)
_ENDS = {START: ("S", AMBER), GOAL: ("G", _TEAL)}
_SAMPLE = 24  # side of a cell in the key, logical pixels


class MazeView:
    """Draws the maze of a frame.

    A proposed path goes from amber (unsure) to blue (sure). A folded corner marks what this segment changed. A
    given that the answer alters stays, with a card on it that shows what the answer has there. Revealed, the
    true path is a line, and what the answer marks elsewhere is hatched.
    """

    def __init__(self, task: Task) -> None:
        self._shape = task.shape

    def board(self, canvas: Canvas, area: Box, frame: Frame) -> None:
        """Draws the maze of `frame` as large as `area` allows, in its middle."""
        rows, columns = self._shape
        side = int(3 * min(area.width / columns, area.height / rows)) / 3  # a third of a pixel is still sharp
        left = int(area.x + (area.width - side * columns) / 2)
        top = int(area.y + (area.height - side * rows) / 2)
        tiles = [
            Box(left + side * column, top + side * row, side, side) for row in range(rows) for column in range(columns)
        ]
        canvas.rect(Box(left, top, side * columns, side * rows).inset(-1.5), _STONE, 2)
        for cell, tile in enumerate(tiles):
            self._cell(canvas, tile, frame, cell)
        if frame.reveal and frame.solution is not None:
            self._true_path(canvas, tiles, frame.solution)
        for cell, tile in enumerate(tiles):
            self._marks(canvas, tile, frame, cell)

    def key(self, canvas: Canvas, area: Box) -> None:
        """Draws what the marks mean."""
        confidence_key(canvas, area, "proposed path")
        half = area.width / 2
        for i, name in enumerate(("altered given", "changed now", "wrong", "true path")):
            x, y = area.x + half * (i % 2), area.y + 40 + 30 * (i // 2)
            tile = Box(x, y, _SAMPLE, _SAMPLE)
            ground = {"altered given": _STONE, "true path": OPEN}.get(name, confidence_colour(0.75))
            canvas.rect(tile, ground, 3)
            if name == "altered given":
                _card(canvas, tile, FREE, CARD)
            elif name == "changed now":
                fold(canvas, tile, ground)
            elif name == "wrong":
                hatch_wrong(canvas, tile, ground)
            else:
                y = tile.y + tile.height / 2
                _draw_lines(canvas, [[(tile.x + 4, y), (tile.right - 4, y)]], tile.width)
            canvas.text(name, Box(tile.right + 8, tile.y, half - _SAMPLE - 12, _SAMPLE), 18, MUTED)

    def _cell(self, canvas: Canvas, tile: Box, frame: Frame, cell: int) -> None:
        """The ground: wall or floor, the proposed path on it, and the hatch where that is wrong."""
        given = int(frame.puzzle[cell])
        if given == WALL:
            return  # the board is of stone
        canvas.rect(tile, RULE)
        canvas.rect(tile.inset(0.5), CARD)
        if given == FREE and int(frame.answer[cell]) == PATH:
            ground = _ground(frame, cell)
            canvas.rect(tile.inset(0.5), ground)
            if _is_wrong(frame, cell):
                hatch_wrong(canvas, tile, ground)

    def _marks(self, canvas: Canvas, tile: Box, frame: Frame, cell: int) -> None:
        """What stands above the true path: start and goal, altered cells and changes."""
        given, token = int(frame.puzzle[cell]), int(frame.answer[cell])
        altered = given != token and (given, token) != (FREE, PATH)
        if given in _ENDS:
            _end(canvas, tile, given)
        if altered:
            _card(canvas, _corner(tile) if given in _ENDS else tile, token, _ground(frame, cell))
        if frame.previous is not None and int(frame.previous[cell]) != token:
            path = given == FREE and token == PATH
            fold(canvas, tile, _ground(frame, cell) if path else _STONE if given == WALL else CARD)

    def _true_path(self, canvas: Canvas, tiles: list[Box], solution: np.ndarray) -> None:
        columns = self._shape[1]
        on_path = {int(cell) for cell in np.flatnonzero(np.isin(solution, (START, GOAL, PATH)))}
        # A shortest path never comes beside itself, so cells of it that are neighbours follow each other.
        right = [(cell, cell + 1) for cell in on_path if cell + 1 in on_path and (cell + 1) % columns]
        down = [(cell, cell + columns) for cell in on_path if cell + columns in on_path]
        lines = [[_middle(tiles[cell]) for cell in link] for link in right + down]
        _draw_lines(canvas, lines, tiles[0].width)


def _ground(frame: Frame, cell: int) -> Colour:
    return mix(CARD, BLUE, 0.5) if frame.confidence is None else confidence_colour(frame.confidence[cell])


def _is_wrong(frame: Frame, cell: int) -> bool:
    return frame.reveal and frame.solution is not None and int(frame.answer[cell]) != int(frame.solution[cell])


def _middle(tile: Box) -> tuple[float, float]:
    return tile.x + tile.width / 2, tile.y + tile.height / 2


def _corner(tile: Box) -> Box:
    side = tile.width * 0.62
    return Box(tile.right - side, tile.bottom - side, side, side)


def _draw_lines(canvas: Canvas, lines: list[list[tuple[float, float]]], side: float) -> None:
    # A white edge sets the line off from every ground; it comes first, or it would cut into its neighbours.
    width = min(side * 0.22, 7)
    for wide, colour in ((width * 1.8, CARD), (width, WRONG)):
        for line in lines:
            canvas.path(line, colour, wide)


def _end(canvas: Canvas, tile: Box, token: int) -> None:
    letter, colour = _ENDS[token]
    canvas.disc(*_middle(tile), tile.width * 0.48, colour)
    canvas.text(letter, tile, tile.width * 1.05, CARD, "center")


def _card(canvas: Canvas, tile: Box, token: int, ground: Colour) -> None:
    """What the answer has in place of a given, or a wall, a start or a goal that it puts on the floor."""
    card = tile.inset(tile.width * 0.18)
    canvas.rect(card.inset(-tile.width * 0.06), WRONG, 2)
    canvas.rect(card, {WALL: _STONE, FREE: CARD, PATH: ground}.get(token, CARD), 1)
    if token in _ENDS:
        _end(canvas, card, token)
