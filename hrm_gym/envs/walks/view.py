"""Drawing a walk: moves with the observations below them, wrapped to readable lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hrm_gym.envs.drawing.frame import wrong_cells
from hrm_gym.envs.drawing.token_grid import TokenGrid

if TYPE_CHECKING:
    from hrm_gym.envs.drawing.canvas import Box, Canvas
    from hrm_gym.envs.drawing.frame import Frame


class WalkView(TokenGrid):
    """Draws the tiles of `TokenGrid` in pairs of lines, with a gap between pairs."""

    def board(self, canvas: Canvas, area: Box, frame: Frame) -> None:
        """See `TokenGrid`."""
        from hrm_gym.envs.drawing.canvas import mark_cursor

        wrong, tiles = wrong_cells(self._task, frame), self.cells(area)
        for cell, tile in enumerate(tiles):
            self._cell(canvas, tile.inset(1.0), frame, cell, wrong=bool(wrong[cell]))
        if frame.cursor is not None:
            mark_cursor(canvas, tiles[frame.cursor])

    def cells(self, area: Box) -> list[Box]:
        """See `TokenGrid`."""
        from hrm_gym.envs.drawing.canvas import Box

        steps = self._task.shape[1]
        # The number of steps per line that maximizes the tiles; a pair of lines is two and a half tiles high.
        width = max(range(1, steps + 1), key=lambda wide: _side(area, steps, wide))
        side = max(1, int(_side(area, steps, width)))
        left = area.x + (area.width - side * width) / 2
        top = area.y + (area.height - side * 2.5 * -(-steps // width)) / 2
        places = [(row, *divmod(step, width)) for row in range(2) for step in range(steps)]
        return [Box(left + side * column, top + side * (2.5 * line + row), side, side) for row, line, column in places]


def _side(area: Box, steps: int, wide: int) -> float:
    return min(area.width / wide, area.height / (2.5 * -(-steps // wide)))
