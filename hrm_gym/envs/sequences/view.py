"""Drawing a sequence task: the question on one line and the answer below it, without padding."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hrm_gym.envs.drawing.frame import wrong_cells
from hrm_gym.envs.drawing.token_grid import TokenGrid

if TYPE_CHECKING:
    from hrm_gym.envs.drawing.canvas import Box, Canvas
    from hrm_gym.envs.drawing.frame import Frame

LARGEST = 96  # maximum side of a tile, logical pixels
READABLE = 44  # break lines to avoid smaller tiles


class SequenceView(TokenGrid):
    """Draws the tiles of `TokenGrid` as two lines, as large as possible; long lines are wrapped."""

    cells = None  # type: ignore[assignment]
    """The positions of tiles depend on the question, so clicks are not supported."""

    def board(self, canvas: Canvas, area: Box, frame: Frame) -> None:
        """See `TokenGrid`."""
        from hrm_gym.envs.drawing.canvas import Box, mark_cursor

        wrong = wrong_cells(self._task, frame)
        question, answer = self._parts(frame.puzzle)
        side, lines = _fit(area, [question, answer])
        top = area.y + (area.height - side * len(lines)) / 2
        width = max(len(line) for line in lines)
        left = area.x + (area.width - side * width) / 2
        for row, line in enumerate(lines):
            for column, cell in enumerate(line):
                tile = Box(left + side * column, top + side * row, side, side)
                self._cell(canvas, tile.inset(1.0), frame, int(cell), wrong=bool(wrong[cell]))
                if cell == frame.cursor:
                    mark_cursor(canvas, tile)

    def _parts(self, puzzle: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the cells of the question and those of the answer."""
        used = np.flatnonzero(puzzle != self._task.padding)
        begin = int((puzzle == self._task.symbols.index("=")).argmax()) + 1
        return used[used < begin], used[used >= begin]


def _fit(area: Box, parts: list[np.ndarray]) -> tuple[int, list[np.ndarray]]:
    """Return the largest side of a tile in whole pixels at which the wrapped parts fit, and their lines."""
    for side in range(LARGEST, 0, -1):
        wide = int(area.width // side)
        if wide == 0:
            continue
        lines = [part[i : i + wide] for part in parts for i in range(0, len(part), wide)]
        if len(lines) <= area.height // side and (len(lines) == len(parts) or side <= READABLE):
            return side, lines
    raise AssertionError("a tile of one pixel fits")
