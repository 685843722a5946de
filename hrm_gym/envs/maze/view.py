"""Drawing a maze: walls, start and goal, the proposed path and the revealed solution."""

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
    mark_cursor,
    mix,
    outline_wrong,
    square_cells,
    underline_broken,
)
from hrm_gym.envs.drawing.frame import wrong_cells
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

    The colour of a proposed path goes from amber (unsure) to blue (sure). Free cells with some probability of being on
    the path are tinted, so that the search is visible before there is a path. A folded corner marks a change in this
    segment. A given that the answer alters keeps its picture, with a small card that shows the answer. An underline
    marks where the path ends or branches. The revealed solution is a line; marked cells outside it have a frame, unless
    the answer is another shortest path.
    """

    def __init__(self, task: Task) -> None:
        self._task, self._shape = task, task.shape

    def board(self, canvas: Canvas, area: Box, frame: Frame) -> None:
        """Draw the maze of `frame` centred in `area` and as large as possible."""
        tiles = self.cells(area)
        first, last = tiles[0], tiles[-1]
        canvas.rect(Box(first.x, first.y, last.right - first.x, last.bottom - first.y).inset(-1.5), _STONE, 2)
        wrong = wrong_cells(self._task, frame)
        for cell, tile in enumerate(tiles):
            self._cell(canvas, tile, frame, cell, bool(wrong[cell]))
        if frame.reveal and frame.solution is not None:
            self._true_path(canvas, tiles, frame.solution)
        broken = _broken(frame, self._shape)
        for cell, tile in enumerate(tiles):
            self._marks(canvas, tile, frame, cell)
            if broken[cell]:
                underline_broken(canvas, tile)
        if frame.cursor is not None:
            mark_cursor(canvas, tiles[frame.cursor])

    def cells(self, area: Box) -> list[Box]:
        """Return the boxes of the cells of a maze in this area."""
        return square_cells(area, self._shape)

    def key(self, canvas: Canvas, area: Box) -> None:
        """Draw the legend of the marks."""
        confidence_key(canvas, area, "proposed path")
        places = ((0, 92), (96, 104), (204, 88))  # left edge and width of each column
        for i, name in enumerate(("perhaps", "changed now", "altered", "wrong", "breaks a rule", "solution")):
            (along, width), y = places[i % 3], area.y + 40 + 30 * (i // 3)
            tile = Box(area.x + along, y, _SAMPLE, _SAMPLE)
            grounds = {"altered": _STONE, "solution": OPEN, "perhaps": _thought_of(0.8)}
            ground = grounds.get(name, confidence_colour(0.75))
            canvas.rect(tile, ground, 3)
            if name == "altered":
                _card(canvas, tile, FREE, CARD)
            elif name == "changed now":
                fold(canvas, tile, ground)
            elif name == "wrong":
                outline_wrong(canvas, tile)
            elif name == "breaks a rule":
                underline_broken(canvas, tile)
            elif name == "solution":
                y = tile.y + tile.height / 2
                _draw_lines(canvas, [[(tile.x + 4, y), (tile.right - 4, y)]], tile.width)
            canvas.text(name, Box(tile.right + 5, tile.y, width - _SAMPLE - 5, _SAMPLE), 16, MUTED)

    def _cell(self, canvas: Canvas, tile: Box, frame: Frame, cell: int, wrong: bool) -> None:
        """Draw a cell's background: wall or floor, the proposed path, and a frame if it is wrong."""
        given = int(frame.puzzle[cell])
        if given == WALL:
            return  # the board's background is wall
        canvas.rect(tile, RULE)
        canvas.rect(tile.inset(0.5), CARD)
        if given == FREE and int(frame.answer[cell]) == FREE and frame.confidence is not None:
            canvas.rect(tile.inset(0.5), _thought_of(frame.confidence[cell]))
        if given == FREE and int(frame.answer[cell]) == PATH:
            ground = _ground(frame, cell)
            canvas.rect(tile.inset(0.5), ground)
            if wrong:
                outline_wrong(canvas, tile.inset(0.5))

    def _marks(self, canvas: Canvas, tile: Box, frame: Frame, cell: int) -> None:
        """Draw the marks above the solution: start and goal, altered cells and changes."""
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
        # A shortest path never touches itself, so neighbouring cells on it are consecutive.
        right = [(cell, cell + 1) for cell in on_path if cell + 1 in on_path and (cell + 1) % columns]
        down = [(cell, cell + columns) for cell in on_path if cell + columns in on_path]
        lines = [[_middle(tiles[cell]) for cell in link] for link in right + down]
        _draw_lines(canvas, lines, tiles[0].width)


def _ground(frame: Frame, cell: int) -> Colour:
    return mix(CARD, BLUE, 0.5) if frame.confidence is None else confidence_colour(frame.confidence[cell])


def _thought_of(confidence: float) -> Colour:
    """Return the background of a free cell outside the proposed path, more amber for lower confidence."""
    doubt = min(1.0, 2 * (1 - float(np.nan_to_num(confidence, nan=1.0))))
    return mix(CARD, confidence_colour(0.5), doubt**0.5 * 0.8)


def _broken(frame: Frame, shape: tuple[int, int]) -> np.ndarray:
    """Return the cells of the proposed path without exactly two neighbours on it, bool (L,)."""
    path = (frame.puzzle == FREE) & (frame.answer == PATH)
    way = np.pad((path | np.isin(frame.puzzle, (START, GOAL))).reshape(shape), 1)
    around = sum(np.roll(way, step, axis).astype(np.int64) for axis in (0, 1) for step in (-1, 1))
    return path & (np.asarray(around)[1:-1, 1:-1].reshape(-1) != 2)


def _middle(tile: Box) -> tuple[float, float]:
    return tile.x + tile.width / 2, tile.y + tile.height / 2


def _corner(tile: Box) -> Box:
    side = tile.width * 0.62
    return Box(tile.right - side, tile.bottom - side, side, side)


def _draw_lines(canvas: Canvas, lines: list[list[tuple[float, float]]], side: float) -> None:
    # A white outline gives the line contrast on every background; it is drawn first, below all segments of the line.
    width = min(side * 0.22, 7)
    for wide, colour in ((width * 1.8, CARD), (width, WRONG)):
        for line in lines:
            canvas.path(line, colour, wide)


def _end(canvas: Canvas, tile: Box, token: int) -> None:
    letter, colour = _ENDS[token]
    canvas.disc(*_middle(tile), tile.width * 0.48, colour)
    canvas.text(letter, tile, tile.width * 1.05, CARD, "center")


def _card(canvas: Canvas, tile: Box, token: int, ground: Colour) -> None:
    """Draw the answer's token on a given that it alters, or a wall, start or goal that it puts on a free cell."""
    card = tile.inset(tile.width * 0.18)
    canvas.rect(card.inset(-tile.width * 0.06), WRONG, 2)
    canvas.rect(card, {WALL: _STONE, FREE: CARD, PATH: ground}.get(token, CARD), 1)
    if token in _ENDS:
        _end(canvas, card, token)
