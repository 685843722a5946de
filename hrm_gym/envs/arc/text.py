"""Grids as text: digits, or blocks of colour on a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from hrm_gym.envs.arc.view import COLOURS


def plain(grid: Iterable[Sequence[int]]) -> list[str]:
    """A digit a cell, a line a row."""
    return ["".join(map(str, row)) for row in grid]


def coloured(grid: Iterable[Sequence[int]]) -> list[str]:
    """Two spaces a cell on its colour, a line a row, in the escape sequences of terminals."""
    return ["".join(_block(int(cell)) for cell in row) + "\x1b[0m" for row in grid]


def _block(colour: int) -> str:
    red, green, blue = COLOURS[colour][:3]
    return f"\x1b[48;2;{red};{green};{blue}m  "
