"""Decoding bytes, and splitting text into boards: one per line or row by row, with titles, comments and ratings."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from hrm_gym.envs.reading.layout import WrongSizeError, is_rule, plain
from hrm_gym.envs.task import Task
from hrm_gym.errors import HrmGymError


class Row(NamedTuple):
    """A puzzle before its conversion to tokens."""

    place: str
    """Its place, such as "line 3"."""
    puzzle: Any
    """Text, rows, or tokens."""
    answer: Any = ""
    """The solution in the same form; empty if missing."""


def decode(data: bytes) -> str:
    """Decode a file as UTF-8, UTF-16 or UTF-32, else as Latin-1.

    Raises:
        HrmGymError: if it is not text.
    """
    zeros = [data[:2000:2].count(0), data[1:2000:2].count(0)]
    if data.startswith((b"\xff\xfe\x00\x00", b"\x00\x00\xfe\xff")):
        encoding = "utf-32"
    elif data.startswith((b"\xff\xfe", b"\xfe\xff")):
        encoding = "utf-16"
    else:
        encoding = "utf-8-sig" if not any(zeros) else "utf-16-be" if zeros[0] > zeros[1] else "utf-16-le"
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    if re.search(r"[\x00-\x08\x0e-\x1a\x7f]", text):
        raise HrmGymError("it is not text: give a file of puzzles")
    return text


def rows_of_text(text: str, task: Task) -> Iterator[Row]:
    """The boards of a text. Malformed boards are rows, too; the family rejects them later with a reason."""
    text = plain(text)
    if len(text) <= 8 * task.num_cells + 1_000 and is_board_text(text, task):
        yield Row("line 1", text)
        return
    last: Row | None = None  # its solution may follow under a separate title
    for row, is_answer in _boards(text, task):
        if is_answer and last is not None:
            row = last._replace(answer=row.puzzle)
        elif last is not None:
            yield last
        last = row
    if last is not None:
        yield last


def _boards(text: str, task: Task) -> Iterator[tuple[Row, bool]]:
    """Each board of a text, and whether it is under the title [Solution]."""
    height, section, begun = task.shape[0], "puzzle", 0
    board: list[str] = []
    lines = text.splitlines()
    marks = _marks(lines, task)

    def done() -> Iterator[tuple[Row, bool]]:
        if board:
            yield Row(f"line {begun}", "\n".join(board)), section == "solution"
        board.clear()

    for number, line in enumerate(lines, start=1):
        title = re.fullmatch(r"\s*\[([A-Za-z ]+)\]\s*", line)
        if title or _is_title(line, task):
            yield from done()
            section = title[1].lower() if title else "puzzle"
        elif section not in ("puzzle", "solution") or _is_comment(line, task) or _is_frame(line, task, marks):
            continue
        elif fields := _fields(line, task):
            yield from done()
            yield Row(f"line {number}", *fields), section == "solution"
        elif line.strip() or (board and (task.alphabet.spaced or _is_blank_row(line, task, marks))):
            begun = begun if board else number
            board.append(line)
            if len(board) == height:
                yield from done()
    yield from done()


def is_board_text(text: str, task: Task) -> bool:
    """Whether a text is one board; malformed contents are reported later."""
    try:
        task.parse(text)
    except WrongSizeError:
        return False
    except HrmGymError:
        return len("".join(text.split())) == task.num_cells
    return True


def _is_comment(line: str, task: Task) -> bool:
    line = line.lstrip()
    return (line.startswith("#") and "#" not in task.symbols) or line.startswith("//")


def _is_title(line: str, task: Task) -> bool:
    """Whether a line begins with a word, such as "Grid 01"."""
    word = re.match(r"\s*([A-Za-z]{3,})", line)
    return word is not None and not set(word[1]) <= set(task.symbols) | set(task.aliases)


def _is_frame(line: str, task: Task, marks: set[str]) -> bool:
    """Whether a line is part of a frame."""
    return is_rule(line, task.alphabet) and not _is_blank_row(line, task, marks)


def _is_blank_row(line: str, task: Task, marks: set[str]) -> bool:
    """Whether dashes or spaces, one per cell, are a row of blanks: no other character marks blanks in the text."""
    cells = re.sub(r"[|\s]", "", line) or line
    mark = cells[:1]
    return mark in {*_blanks(task), " "} and cells == mark * task.shape[1] and marks <= {mark}


def _marks(lines: list[str], task: Task) -> set[str]:
    """The characters that mark blanks in the boards of a text."""
    beside = (_is_title, _is_comment, lambda line, task: is_rule(line, task.alphabet))
    boards = (line for line in lines if not any(is_beside(line, task) for is_beside in beside))
    return _blanks(task) & set().union(*boards)


def _blanks(task: Task) -> set[str]:
    blank = task.symbols[task.blank]
    return {blank, *(alias for alias, symbol in task.aliases.items() if symbol == blank)}


def _fields(line: str, task: Task) -> tuple[str, str] | None:
    """A puzzle on one line and the answer after it, if any; None if there is no puzzle."""
    if not line.strip():
        return None
    if is_board_text(line, task):
        return line, ""
    fields = [field for field in re.split(r"[\s,;|:]+", line) if len(field) == task.num_cells]
    boards = [field for field in fields if is_board_text(field, task)]
    if not boards:
        return None
    answered = len(boards) > 1 and (task.keeps_blanks or not _blanks(task) & set(boards[1]))
    return boards[0], boards[1] if answered else ""
