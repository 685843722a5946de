"""A puzzle that is typed in, cell by cell, or clicked in; no window of its own."""

from __future__ import annotations

import numpy as np

from hrm_gym.envs.task import Task
from hrm_gym.errors import HrmGymError

KEYS = (
    ("click", "a cell"),
    ("arrows", "the next one"),
    ("type", "its symbol"),
    ("space", "leave it blank"),
    ("enter", "think about it"),
    ("escape", "go back"),
)
"""Keys and what they do while a puzzle is typed."""

_MOVES = {"left": (0, -1), "right": (0, 1), "up": (-1, 0), "down": (1, 0)}
_BLANK = ("space", "delete", ".", "0")
CELL = "cell "
"""What a click on a cell is called, before the cell's number."""


class Editor:
    """A board that keys are written to.

    Args:
        task: the puzzle family; it must be one whose puzzles are their boards.

    Raises:
        HrmGymError: for a family whose puzzles are given by examples.
    """

    def __init__(self, task: Task) -> None:
        if task.num_identities:
            raise HrmGymError("these puzzles are given by examples and cannot be typed in")
        self._task = task
        self.tokens = np.full(task.num_cells, task.blank, np.int64)
        self.cursor = 0

    def key(self, key: str) -> None:
        """Writes a symbol and moves on, moves, or does nothing."""
        symbol = self._symbol(key)
        if key in _MOVES:
            (rows, columns), (down, along) = self._task.shape, _MOVES[key]
            row, column = divmod(self.cursor, columns)
            self.cursor = (row + down) % rows * columns + (column + along) % columns
        elif key == "backspace":
            self.cursor = (self.cursor - 1) % len(self.tokens)
            self.tokens[self.cursor] = self._task.blank
        elif key.startswith(CELL):
            self.cursor = int(key.removeprefix(CELL))
        elif symbol is not None:
            self.tokens[self.cursor] = symbol
            self.cursor = (self.cursor + 1) % len(self.tokens)

    def puzzle(self) -> np.ndarray:
        """What was typed, uint8 of shape (L,).

        Raises:
            HrmGymError: where it is no puzzle of the family.
        """
        puzzle = self._task.parse(self._task.format(self.tokens))
        self._task.check(puzzle)
        return puzzle

    def _symbol(self, key: str) -> int | None:
        """The token of a key; letters of either case mean the family's."""
        if key in self._task.symbols and len(key) == 1:
            return self._task.symbols.index(key)
        folded = self._task.symbols.casefold()
        if len(key) == 1 and folded.count(key) == 1:
            return folded.index(key)
        return self._task.blank if key in _BLANK else None
