"""Entering a puzzle with keys or mouse clicks, independent of any window."""

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
"""Keys and their effects while a puzzle is entered."""

_MOVES = {"left": (0, -1), "right": (0, 1), "up": (-1, 0), "down": (1, 0)}
_BLANK = ("space", "delete", ".", "0")
CELL = "cell "
"""Prefix of the event of a click on a cell; the cell's index follows."""


class Editor:
    """A board that key presses fill.

    Args:
        task: the puzzle family; a puzzle must be fully given by its board.

    Raises:
        HrmGymError: if the family's puzzles are given by examples.
    """

    def __init__(self, task: Task) -> None:
        if task.num_identities:
            raise HrmGymError("these puzzles are given by examples and cannot be typed in")
        self._task = task
        self.tokens = np.full(task.num_cells, task.blank, np.int64)
        self.cursor = 0

    def key(self, key: str) -> None:
        """Write a symbol and move to the next cell, or move the cursor; other keys do nothing."""
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
        """Return the entered puzzle, uint8 of shape (L,).

        Raises:
            HrmGymError: if it is not a valid puzzle of the family.
        """
        text = self._task.format(self.tokens)
        if self._task.shape[0] == 1:  # a question is as long as what was typed; `parse` adds answer cells and padding
            text = text.rstrip(self._task.symbols[self._task.blank])
        puzzle = self._task.parse(text)
        self._task.check(puzzle)
        return puzzle

    def _symbol(self, key: str) -> int | None:
        """Return the token of a key, ignoring case."""
        if key in self._task.symbols and len(key) == 1:
            return self._task.symbols.index(key)
        folded = self._task.symbols.casefold()
        if len(key) == 1 and folded.count(key) == 1:
            return folded.index(key)
        return self._task.blank if key in _BLANK else None
