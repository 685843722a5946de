"""Grids as text: digits, or coloured blocks on a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from hrm_gym.envs.arc.view import COLOURS


def plain(grid: Iterable[Sequence[int]]) -> list[str]:
    """Return one line per row with one digit per cell."""
    return ["".join(map(str, row)) for row in grid]


def coloured(grid: Iterable[Sequence[int]]) -> list[str]:
    """Return one line per row with two spaces per cell, coloured by terminal escape sequences."""
    return ["".join(_block(int(cell)) for cell in row) + "\x1b[0m" for row in grid]


def _block(colour: int) -> str:
    red, green, blue = COLOURS[colour][:3]
    return f"\x1b[48;2;{red};{green};{blue}m  "
