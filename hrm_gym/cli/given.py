"""Reading the user's puzzles from text or a file, and finding the puzzle family if it is not named."""

from __future__ import annotations

import sys
from pathlib import Path

from hrm_gym.envs.reading.layout import WrongSizeError
from hrm_gym.envs.reading.source import Given, read, read_text
from hrm_gym.envs.registration import make_task
from hrm_gym.envs.task import Task
from hrm_gym.errors import HrmGymError
from hrm_gym.files import is_there
from hrm_gym.hugging_face import HUB

BY_SIZE = ("Sudoku4x4-v0", "Sudoku6x6-v0", "SudokuExtreme-v0", "Sudoku16x16-v0", "MazeSmall-v0", "MazeHard-v0")
"""Environments to choose from by board size. The agent of SudokuExtreme-v0 solves any 9x9 Sudoku."""


def read_given(source: str, task: Task) -> tuple[Given, bool]:
    """Read puzzles without solutions; return them and whether they came from a list.

    Args:
        source: a puzzle in any layout, a file that `reading.source.read` accepts, or "-" for standard input.
        task: the puzzle family.

    Raises:
        HrmGymError: if the file does not exist or a puzzle is malformed.
    """
    return _read(source if source != "-" else None, _standard_input() if source == "-" else "", task)


def find_family(source: str) -> tuple[str, Given, bool]:
    """Find the environment by the number of cells; return its id and the result of `read_given`.

    Raises:
        HrmGymError: if no environment has this number of cells, or as in `read_given`.
    """
    path, text = (None, _standard_input()) if source == "-" else (source, "")
    refusals = []
    for env in BY_SIZE:
        try:
            return env, *_read(path, text, make_task(env))
        except WrongSizeError as error:
            refusals.append(error)
    raise HrmGymError(
        "no board has the size of this puzzle: Sudokus have 16, 36, 81 or 256 cells, mazes 100 or 900 (as a 9x9 "
        f"Sudoku: {refusals[2]}). Correct it, or name the environment by --env"
    )


def tell_format(given: Given, env: str) -> None:
    """Print the number of puzzles and their detected format to standard error, apart from the answers."""
    num = len(given.puzzles.puzzle)
    print(f"read: {num:,} puzzle{'s' * (num > 1)} of {env}, from {given.format}", file=sys.stderr)


def _read(source: str | None, text: str, task: Task) -> tuple[Given, bool]:
    if source is None:
        given = read_text(text, task)
        return given, len(given.puzzles.puzzle) > 1
    if not source.strip():
        raise HrmGymError(f"the puzzle is empty: give {task.num_cells} cells, or a file of puzzles")
    path = Path(source)
    exists = is_there(path)  # a puzzle can be longer than a path may be
    if not exists and not source.startswith(HUB):
        named = path.suffix.lower() in (".csv", ".tsv", ".gz", ".bz2", ".xz", ".zip", ".txt", ".npy", ".npz", ".json")
        if any(c in source for c in "/\\") or named or path.suffix.lower() in (".jsonl", ".sdk", ".sdm", ".ss"):
            return read(source, task, solved=False), True  # raises the error that names similar files
        return read_text(source, task), False
    given = read(source, task, solved=False)
    return given, len(given.puzzles.puzzle) > 1 or "table" in given.format


def _standard_input() -> str:
    """Read standard input in any encoding.

    Raises:
        HrmGymError: if it is closed, or not text.
    """
    from hrm_gym.envs.reading.text import decode

    if sys.stdin is None:
        raise HrmGymError("- is standard input, which is closed: give a puzzle or a file instead")
    buffer = getattr(sys.stdin, "buffer", None)
    return sys.stdin.read() if buffer is None else decode(buffer.read())
