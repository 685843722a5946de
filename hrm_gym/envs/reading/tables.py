"""Tables of puzzles: CSV with any separator, with or without a header."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

from hrm_gym.envs.reading.layout import plain
from hrm_gym.envs.reading.objects import ANSWERS, QUESTIONS
from hrm_gym.envs.reading.text import Row, is_board_text
from hrm_gym.envs.task import Task
from hrm_gym.errors import HrmGymError

COLUMNS = ("source", "question", "answer", "rating")
"""The columns of the benchmark's files."""


def is_table(text: str) -> bool:
    """Whether the first line names a column of puzzles."""
    try:
        names = next(csv.reader([_first(text)], delimiter=_separator(text)), [])
    except csv.Error:  # a field too long for a name
        return False
    return _column([name.strip() for name in names], QUESTIONS) is not None


def rows_of_table(text: str, task: Task) -> Iterator[Row]:
    """The puzzles of a table, with their solutions if it has any.

    Raises:
        HrmGymError: if no column holds puzzles, or the table is malformed.
    """
    separator = _separator(text)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=" " not in task.symbols)
    question = answer = None
    try:
        for fields in reader:
            if not any(field.strip() for field in fields):
                continue
            if question is None:
                names = [plain(field).strip() for field in fields]
                question, answer = _column(names, QUESTIONS), _column(names, ANSWERS)
                if question is not None:
                    continue
                question, answer = _by_content(fields, task)
                if question is None:
                    found = ", ".join(name[:40] for name in names[:8]) or "none"
                    raise HrmGymError(f"it has no column 'question' (found: {found}): give it {', '.join(COLUMNS)}")
            if question < len(fields):
                solved = answer is not None and answer < len(fields)
                yield Row(f"line {reader.line_num}", fields[question], fields[answer] if solved else "")  # type: ignore[index]
            else:
                raise HrmGymError(f"line {reader.line_num}: it has {len(fields)} columns, and no puzzle: correct it")
    except csv.Error as error:
        raise HrmGymError(f"line {reader.line_num}: {error}: correct or remove it") from None


def _first(text: str) -> str:
    return next((line for line in text.splitlines() if line.strip()), "")


def _separator(text: str) -> str:
    """The character that splits the first line into the most columns."""
    return max(",;\t|", key=_first(text).count)


def _column(names: list[str], wanted: tuple[str, ...]) -> int | None:
    """The index of the column with the first name of `wanted` that occurs."""
    lower = [name.lower().strip('"') for name in names]
    return next((lower.index(name) for name in wanted if name in lower), None)


def _by_content(fields: list[str], task: Task) -> tuple[int | None, int | None]:
    """The first two columns that hold boards."""
    boards = [i for i, field in enumerate(fields) if is_board_text(field, task)]
    return (boards[0] if boards else None), (boards[1] if len(boards) > 1 else None)
