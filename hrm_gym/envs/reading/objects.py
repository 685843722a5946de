"""Puzzles as Python objects or JSON: texts, rows, tokens, arrays of boards, and dictionaries of these."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from hrm_gym.envs.arrays import as_numpy, is_integer
from hrm_gym.envs.reading.layout import WrongSizeError
from hrm_gym.envs.reading.text import Row, decode
from hrm_gym.envs.task import Task
from hrm_gym.errors import HrmGymError, first_line

QUESTIONS = (
    *("question", "questions", "puzzle", "puzzles", "quizzes", "quiz", "unsolved", "board", "boards", "grid", "grids"),
    *("givens", "clues", "problem", "input", "inputs", "value", "task", "sudoku", "maze", "mazes"),
    "arr_0",  # the first array of an `.npz` without names
)
"""Common names of a column of puzzles, in the order of search."""
ANSWERS = (
    *("answer", "answers", "solution", "solutions", "solved", "label", "labels", "output", "outputs", "target"),
    "arr_1",
)
"""Common names of a column of solutions."""

_DEEPEST = 8


def tokens_of(task: Task, value: Any, what: str = "the puzzle") -> np.ndarray:
    """Convert one board to tokens, uint8 of shape (L,), and check it; all input goes through here.

    Args:
        task: the puzzle family.
        value: text in any layout; bytes; rows of text; cells as characters, tokens, or None for open ones; an array or
            a tensor of integers of shape (L,) or (rows, columns).
        what: its name in errors.

    Raises:
        HrmGymError: if it has the wrong size or type, or an unknown token.
    """
    if isinstance(value, bytes | bytearray):
        value = decode(bytes(value))
    if isinstance(value, str):
        return task.parse(value)
    if isinstance(value, Iterator):
        value = list(value)
    if isinstance(value, Mapping | set) or value is None:
        raise HrmGymError(f"{what} is a {type(value).__name__}: give {_wanted(task)}")
    if isinstance(value, Sequence) and not isinstance(value, range):
        value = _joined(task, value, what)
        if isinstance(value, str):
            return task.parse(value)
    tokens = as_numpy(value, what)
    if tokens.dtype.kind in "US" and tokens.ndim in (1, 2):
        return tokens_of(task, tokens.tolist(), what)
    if not is_integer(tokens):
        raise HrmGymError(f"{what} has shape {tokens.shape} and type {tokens.dtype}: give {_wanted(task)}")
    if tokens.shape not in ((task.num_cells,), task.shape):
        raise WrongSizeError(
            f"{what} has shape {tokens.shape} and type {tokens.dtype}: a {task.shape[0]}x{task.shape[1]} board needs "
            f"{_wanted(task)}"
        )
    if tokens.min() < 0 or tokens.max() >= task.num_tokens:
        cell = int(((tokens < 0) | (tokens >= task.num_tokens)).argmax())
        row, column = divmod(cell, task.shape[1])
        raise HrmGymError(
            f"{what} has tokens {tokens.min()} to {tokens.max()}: allowed are 0 to {task.num_tokens - 1} "
            f"(row {row + 1}, column {column + 1} has {tokens.reshape(-1)[cell]})"
        )
    return tokens.reshape(-1).astype(np.uint8)


def _wanted(task: Task) -> str:
    rows, columns = task.shape
    return f"{task.num_cells} integers, row by row, as ({rows}, {columns}), or a text"


def _joined(task: Task, value: Sequence[Any], what: str) -> Any:
    """Join rows of text, or a mix of characters, tokens and None, to one text; other values are unchanged."""
    if value and all(isinstance(part, str | bytes) for part in value):
        parts = [part.decode("latin-1") if isinstance(part, bytes) else part for part in value]
        cells = len(parts) == task.num_cells
        return "".join(part or task.symbols[task.blank] for part in parts) if cells else "\n".join(parts)
    flat = [cell for part in value for cell in (part if isinstance(part, list | tuple) else [part])]
    if not any(isinstance(cell, str) or cell is None for cell in flat):
        return value
    lengths = {len(part) for part in value if isinstance(part, list | tuple)}
    if len(lengths) > 1 or len(flat) != task.num_cells:
        raise WrongSizeError(f"{what} has {len(flat)} cells in {len(value)} rows: give {_wanted(task)}")
    found = []
    for cell in flat:
        if cell is None or cell == "":
            found.append(task.symbols[task.blank])
        elif isinstance(cell, str) and len(cell) == 1:
            found.append(cell)
        elif type(cell) is int and 0 <= cell < task.num_tokens:
            found.append(task.symbols[cell])
        else:
            raise HrmGymError(f"{what} has a cell {str(cell)[:40]!r}: give {_wanted(task)}")
    return "".join(found)


def rows_of(value: Any, task: Task, place: str = "", depth: int = 0) -> Iterator[Row]:
    """The boards in nested dictionaries, lists and arrays; each text is a board.

    Raises:
        HrmGymError: if it holds anything else, or is nested too deeply.
    """
    if depth > _DEEPEST:
        raise HrmGymError(f"{place or 'the data'} is nested more than {_DEEPEST} deep: give a list of puzzles")
    if hasattr(value, "columns") and hasattr(value, "iloc"):  # a table of pandas
        value = {str(name): value[name].tolist() for name in value.columns}
    if hasattr(value, "keys") and not isinstance(value, Mapping):  # an open `.npz`
        value = {name: value[name] for name in value.keys()}  # noqa: SIM118
    if isinstance(value, Mapping):
        named = {str(key).strip().lower(): part for key, part in value.items()}
        question = next((named[name] for name in QUESTIONS if name in named), None)
        answer = next((named[name] for name in ANSWERS if name in named), None)
        if question is None:
            inner = {key: part for key, part in value.items() if isinstance(part, Mapping | list | tuple | np.ndarray)}
            if not inner:
                found = ", ".join(map(str, list(value)[:8])) or "none"
                raise HrmGymError(f"{place or 'it'} has no puzzle (found: {found}): give question and answer")
            for key, part in inner.items():
                yield from rows_of(part, task, f"{place}, {key}".removeprefix(", "), depth + 1)
        else:
            yield from _paired(question, answer, task, place, depth)
    else:
        yield from _paired(value, None, task, place, depth)


def _paired(question: Any, answer: Any, task: Task, place: str, depth: int) -> Iterator[Row]:
    """One board with its answer, or several boards with as many answers."""
    parts = None if _is_board(question, task) else _parts(question)
    if parts is None:
        yield Row(place or "puzzle 1", question, "" if _is_missing(answer) else answer)
        return
    answers = None if answer is None else _parts(answer)
    if answer is not None and (answers is None or len(answers) != len(parts)):
        num = "no list of" if answers is None else len(answers)
        raise HrmGymError(f"{place or 'it'} has {len(parts)} puzzles and {num} solutions: give as many of both")
    for i, part in enumerate(parts, start=1):
        here = f"{place}, puzzle {i}" if place else f"puzzle {i}"
        if answers is not None:
            yield Row(here, part, "" if _is_missing(answers[i - 1]) else answers[i - 1])
        elif isinstance(part, Mapping) or (not _is_board(part, task) and _parts(part) is not None and depth < 2):
            yield from rows_of(part, task, here, depth + 1)
        else:
            yield Row(here, part)


def _is_missing(value: Any) -> bool:
    """Whether a value stands for none: None, or what pandas has in an empty cell."""
    return value is None or (not hasattr(value, "__len__") and str(value) in ("nan", "<NA>"))


def _parts(value: Any) -> Sequence[Any] | None:
    """The elements of a value that may hold several boards; None if it cannot."""
    if isinstance(value, list | tuple):
        return value if value and not all(isinstance(part, int | float | type(None)) for part in value) else None
    array = None if isinstance(value, str | bytes) else as_numpy(value, "the data")
    return None if array is None or array.ndim < 1 or (array.ndim == 1 and is_integer(array)) else list(array)


def _is_board(value: Any, task: Task) -> bool:
    """Whether a value has the number of cells of one board, with any contents."""
    if isinstance(value, Mapping):
        return False
    try:
        tokens_of(task, value)
    except WrongSizeError:
        return False
    except HrmGymError:
        try:
            return np.shape(value) in ((task.num_cells,), task.shape)
        except ValueError:  # ragged, or too deep
            return False
    return True


def rows_of_json(text: str, task: Task) -> Iterator[Row]:
    """The boards of a JSON text, or of a text with one JSON value per line.

    Raises:
        HrmGymError: if it is not JSON.
    """
    try:
        yield from rows_of(json.loads(text), task)
        return
    except (json.JSONDecodeError, RecursionError) as error:
        lines = [(i, line) for i, line in enumerate(text.splitlines(), start=1) if line.strip()]
        if len(lines) < 2 or isinstance(error, RecursionError):
            raise HrmGymError(f"it is not JSON ({first_line(error)}): give whole JSON, or one value per line") from None
    for number, line in lines:
        try:
            yield from rows_of(json.loads(line), task, f"line {number}")
        except (json.JSONDecodeError, RecursionError) as error:
            raise HrmGymError(f"line {number} is not JSON ({first_line(error)}): correct or remove it") from None
