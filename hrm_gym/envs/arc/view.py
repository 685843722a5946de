"""Drawing an ARC task: the demonstrations on the left, the test input and the current answer on the right."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from hrm_gym.envs.arc.grids import END, FIRST_COLOUR, PADDING, decode, origin, side_of
from hrm_gym.envs.drawing.canvas import CARD, INK, MUTED, OPEN, RULE, WRONG, Box, Canvas, Colour, fold, ink_on, mix

if TYPE_CHECKING:
    from hrm_gym.envs.drawing.frame import Frame

COLOURS: tuple[Colour, ...] = (
    (0, 0, 0),
    (0, 116, 217),
    (255, 65, 54),
    (46, 204, 64),
    (255, 220, 0),
    (170, 170, 170),
    (240, 18, 190),
    (255, 133, 27),
    (127, 219, 255),
    (135, 12, 37),
)
"""Colours of the digits 0 to 9 on the benchmark's own pages."""

_GRID_LINE: Colour = (88, 92, 100)
_TITLE = 18  # height of a title, logical pixels
_LARGEST = 26  # maximum side of a cell, logical pixels
_LINED = 3.5  # minimum side of a cell to draw grid lines
_READABLE = 12  # minimum side of a cell to draw its digit
_WINDOWS = (4, 6, 8, 10, 12, 15, 18, 22, 26)  # sizes of the visible part of the answer's canvas, besides all of it


Pairs = list[tuple[np.ndarray, np.ndarray]]


class Shown(Protocol):
    """The part of `ARCTask` that the view needs."""

    @property
    def identities(self) -> tuple[str, ...]:
        """Names of the tasks."""

    @property
    def num_variants(self) -> int:
        """Number of forms of each task."""

    def demonstrations(self, identity: int) -> Pairs:
        """Return inputs and outputs of an identity's task, in the identity's form."""

    def violations(self, puzzle: Any, answer: Any) -> Any:
        """Return the number of missing end markers of answers."""


class ARCView:
    """Draws the cells of a frame in the benchmark's colours, with digits if they are large enough to read.

    Cells of the answer without a colour are pale: padding plain, end markers with a dot. Cells outside its grid do not
    count and are drawn small. A triangle marks a change in this segment; a cross marks a difference from the revealed
    solution.
    """

    def __init__(self, task: Shown) -> None:
        self._task = task

    def board(self, canvas: Canvas, area: Box, frame: Frame) -> None:
        """Draw demonstrations, input, answer and, if revealed, the true output into `area`."""
        side = area.height - 2 * _TITLE - 16  # total height of the answer and the grids above it
        answer, small = side * 0.64, side * 0.36
        left = area.right - answer
        # The line between demonstrations and test.
        canvas.rect(Box(left - 15, area.y + 4, 1, area.height - 8), RULE)
        self._demonstrations(canvas, Box(area.x, area.y, left - 30 - area.x, area.height), frame)

        half = (answer - 12) / 2
        boxes = Box(left, area.y, half, small + _TITLE), Box(left + half + 12, area.y, half, small + _TITLE)
        corner = _corner(frame.puzzle)
        _titled(canvas, boxes[0], "test input", decode(frame.puzzle, *corner))
        true = _revealed(frame)
        _titled(canvas, boxes[1], "true output", None if true is None else decode(true, *corner))
        whole = int(self._task.violations(frame.puzzle[None], frame.answer[None])[0]) == 0
        title = Box(left, area.bottom - answer - _TITLE, answer, _TITLE)
        _name(canvas, title, "answer", _size(decode(frame.answer, *corner)) if whole else "no whole grid")
        self._answer(canvas, Box(left, area.bottom - answer, answer, answer), frame, corner)

    def answer(self, canvas: Canvas, area: Box, frame: Frame) -> None:
        """Draw only the answer's grid, for a strip of segments."""
        self._answer(canvas, area, frame, _corner(frame.puzzle))

    def key(self, canvas: Canvas, area: Box) -> None:
        """Draw the digits of the colours and the legend of the marks."""
        pitch = area.width / len(COLOURS)
        for i, colour in enumerate(COLOURS):
            tile = Box(area.x + pitch * i, area.y, pitch - 4, 24)
            canvas.rect(tile, colour, 4)
            canvas.text(str(i), tile, 20, ink_on(colour), "center")
        marks = {"padding": OPEN, "end marker": OPEN, "changed now": COLOURS[8], "wrong": COLOURS[4]}
        for i, (name, ground) in enumerate(marks.items()):
            x, y = area.x + area.width / 2 * (i % 2), area.y + 34 + 30 * (i // 2)
            tile = Box(x, y, 24, 24)
            canvas.rect(tile, RULE, 4)
            canvas.rect(tile.inset(1), ground, 3)
            if name == "end marker":
                _dot(canvas, tile)
            elif name == "changed now":
                fold(canvas, tile, ground)
            elif name == "wrong":
                _cross(canvas, tile, ground)
            canvas.text(name, Box(tile.right + 8, y, area.width / 2 - 36, 24), 18, MUTED)

    def _demonstrations(self, canvas: Canvas, area: Box, frame: Frame) -> None:
        identity = frame.identity
        title = Box(area.x, area.y, area.width, _TITLE)
        if identity is None:
            canvas.text("demonstrations: task unknown", title, 18, MUTED)
            return
        pairs = self._task.demonstrations(int(identity))
        index, number = divmod(int(identity), self._task.num_variants)
        form = f", form {number}" if number else ""
        canvas.text(f"demonstrations of {self._task.identities[index]}{form}", title, 18, MUTED)
        area = Box(area.x, area.y + _TITLE, area.width, area.height - _TITLE)
        columns, beside = _arrangement(pairs, area)
        rows = -(-len(pairs) // columns)
        width, height = area.width / columns, area.height / rows
        for i, pair in enumerate(pairs):
            slot = Box(area.x + width * (i % columns), area.y + height * (i // columns), width, height)
            _pair(canvas, slot.inset(_GAP / 2), pair, beside)

    def _answer(self, canvas: Canvas, area: Box, frame: Frame, corner: tuple[int, int]) -> None:
        boards = [_board(tokens) for tokens in (frame.answer, frame.puzzle, frame.solution) if tokens is not None]
        lines = np.flatnonzero(sum(board.any(axis) for board in boards for axis in (0, 1)))
        most = len(boards[0])
        shown = next((size for size in _WINDOWS if lines.max(initial=0) < size < most), most)
        side = area.width / shown
        answer = _board(frame.answer)
        changed = np.zeros_like(answer, bool) if frame.previous is None else answer != _board(frame.previous)
        true = _revealed(frame)
        wrong = np.zeros_like(answer, bool) if true is None else (answer != _board(true)) & (_board(true) != PADDING)
        top, left = corner
        rows, columns = decode(frame.answer, top, left).shape
        canvas.rect(area, RULE)
        for row in range(shown):
            for column in range(shown):
                tile = Box(area.x + side * column, area.y + side * row, side, side).inset(0.5)
                token = int(answer[row, column])
                inside = top <= row <= top + rows and left <= column <= left + columns  # including end markers
                if not inside and not wrong[row, column]:
                    canvas.rect(tile, OPEN)
                    tile = tile.inset(side * 0.36)
                _cell(canvas, tile, token)
                if changed[row, column] and inside:
                    fold(canvas, tile, _ground(token))
                if wrong[row, column]:
                    _cross(canvas, tile, _ground(token))


_GAP = 14  # gap between pairs, logical pixels
_ARROW = 16  # gap between an input and its output, logical pixels


def _arrangement(pairs: Pairs, area: Box) -> tuple[int, bool]:
    """Return the number of columns, and whether outputs are beside inputs, that maximize the smallest cell."""
    best, most = (1, True), 0.0
    for columns in range(1, len(pairs) + 1):
        rows = -(-len(pairs) // columns)
        slot = Box(0, 0, area.width / columns, area.height / rows).inset(_GAP / 2)
        for beside in (True, False):
            cell = min(_cell_side(pair, slot, beside) for pair in pairs)
            if cell > most:
                best, most = (columns, beside), cell
    return best


def _cell_side(pair: tuple[np.ndarray, np.ndarray], slot: Box, beside: bool) -> float:
    along, across = (1, 0) if beside else (0, 1)
    length, breadth = (slot.width, slot.height) if beside else (slot.height, slot.width)
    total, most = sum(grid.shape[along] for grid in pair), max(grid.shape[across] for grid in pair)
    return min((length - _ARROW) / total, breadth / most, _LARGEST)


def _pair(canvas: Canvas, slot: Box, pair: tuple[np.ndarray, np.ndarray], beside: bool) -> None:
    side = _cell_side(pair, slot, beside)
    (rows, columns), (rows_out, columns_out) = (grid.shape for grid in pair)
    x, y = slot.x + slot.width / 2, slot.y + slot.height / 2
    if beside:
        left = x - (side * (columns + columns_out) + _ARROW) / 2
        middle = left + side * columns + _ARROW / 2
        places = (left, y - side * rows / 2), (middle + _ARROW / 2, y - side * rows_out / 2)
        _arrow(canvas, middle, y, 1, 0)
    else:
        top = y - (side * (rows + rows_out) + _ARROW) / 2
        middle = top + side * rows + _ARROW / 2
        places = (x - side * columns / 2, top), (x - side * columns_out / 2, middle + _ARROW / 2)
        _arrow(canvas, x, middle, 0, 1)
    for grid, (left, top) in zip(pair, places, strict=True):
        _grid(canvas, left, top, side, grid)


def _arrow(canvas: Canvas, x: float, y: float, along: float, down: float) -> None:
    reach, wing = 4, 3
    tip = x + reach * along, y + reach * down
    back = x + (reach - wing) * along, y + (reach - wing) * down
    canvas.path([(x - reach * along, y - reach * down), tip], MUTED, 1.3)
    ends = [(back[0] + wing * sign * down, back[1] + wing * sign * along) for sign in (-1, 1)]
    canvas.path([ends[0], tip, ends[1]], MUTED, 1.3)


def _titled(canvas: Canvas, box: Box, name: str, grid: np.ndarray | None) -> None:
    """Draw a grid below its name; without a grid, draw an empty frame."""
    area = Box(box.x, box.y + _TITLE, box.width, box.height - _TITLE)
    _name(canvas, Box(box.x, box.y, box.width, _TITLE), name, "" if grid is None else _size(grid))
    if grid is None or not grid.size:
        canvas.rect(area, mix(CARD, RULE, 0.35), 6)
        canvas.text("not shown" if grid is None else "no grid", area, 18, MUTED, "center")
        return
    rows, columns = grid.shape
    side = min(area.width / columns, area.height / rows, _LARGEST)
    _grid(canvas, area.x, area.y, side, grid)


def _name(canvas: Canvas, box: Box, name: str, size: str) -> None:
    canvas.text(name, box, 18, MUTED)
    canvas.text(size, box, 18, MUTED, "right")


def _size(grid: np.ndarray) -> str:
    return f"{grid.shape[0]} × {grid.shape[1]}" if grid.size else ""


def _revealed(frame: Frame) -> np.ndarray | None:
    """Return the solution if it is revealed and known; the canvas of a hidden test is empty."""
    return frame.solution if frame.reveal and frame.solution is not None and np.any(frame.solution) else None


def _corner(puzzle: np.ndarray) -> tuple[int, int]:
    """Return row and column of the upper left corner of an example's grids."""
    row, column = origin(np.asarray(puzzle)[None])
    return int(row[0]), int(column[0])


def _board(tokens: np.ndarray) -> np.ndarray:
    return np.asarray(tokens).reshape(side_of(np.asarray(tokens)), -1)


def _grid(canvas: Canvas, left: float, top: float, side: float, grid: np.ndarray) -> None:
    rows, columns = grid.shape
    canvas.rect(Box(left, top, side * columns, side * rows).inset(-0.5), _GRID_LINE)
    margin = 0.5 if side >= _READABLE else 0.3 if side >= _LINED else 0
    for row in range(rows):
        for column in range(columns):
            tile = Box(left + side * column, top + side * row, side, side).inset(margin)
            _cell(canvas, tile, int(grid[row, column]) + FIRST_COLOUR)


def _ground(token: int) -> Colour:
    return COLOURS[token - FIRST_COLOUR] if token >= FIRST_COLOUR else OPEN


def _cell(canvas: Canvas, tile: Box, token: int) -> None:
    ground = _ground(token)
    canvas.rect(tile, ground)
    if token == END:
        _dot(canvas, tile)
    elif token >= FIRST_COLOUR and tile.width >= _READABLE:
        # Low contrast: the digit only helps people who cannot distinguish the colours.
        ink = mix(ground, ink_on(ground), 0.65)
        canvas.text(str(token - FIRST_COLOUR), tile, tile.width * 0.75, ink, "center")


def _dot(canvas: Canvas, tile: Box) -> None:
    canvas.disc(tile.x + tile.width / 2, tile.y + tile.height / 2, max(tile.width * 0.12, 1), mix(OPEN, INK, 0.5))


def _cross(canvas: Canvas, tile: Box, ground: Colour) -> None:
    # A narrow stroke on a wide one, because no single ink has contrast with all ten colours.
    inner = tile.inset(tile.width * 0.22)
    dark = ink_on(ground) == INK
    for ink, width in ((CARD if dark else INK, 0.24), (WRONG if dark else CARD, 0.12)):
        canvas.path([(inner.x, inner.y), (inner.right, inner.bottom)], ink, tile.width * width)
        canvas.path([(inner.x, inner.bottom), (inner.right, inner.y)], ink, tile.width * width)
