"""Reading puzzles from a file of any kind, a stream, a folder, the hub, or Python objects."""

from __future__ import annotations

import bz2
import contextlib
import difflib
import gzip
import io
import json
import lzma
import os
import stat
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from hrm_gym.envs.reading.folder import read_folder
from hrm_gym.envs.reading.objects import rows_of, rows_of_json, tokens_of
from hrm_gym.envs.reading.tables import is_table, rows_of_table
from hrm_gym.envs.reading.text import Row, decode, rows_of_text
from hrm_gym.envs.task import Puzzles, Task
from hrm_gym.errors import HrmGymError, first_line
from hrm_gym.files import LARGEST, expanded, is_file, is_folder, read_array, read_arrays
from hrm_gym.hugging_face import HUB, hub_library, not_downloaded

PACKED: dict[bytes, tuple[str, Callable[[Any], Any]]] = {
    b"\x1f\x8b": ("gzip", gzip.open),
    b"BZh": ("bzip2", bz2.open),
    b"\xfd7zXZ\x00": ("xz", lzma.open),
}
"""Compression formats by the first bytes of a file, with their names and openers."""
_PACKED_NAMES = {".gz": "gzip", ".bz2": "bzip2", ".xz": "xz"}


class Given(NamedTuple):
    """The puzzles, and the format in which they were found."""

    puzzles: Puzzles
    format: str
    """The detected format, such as "a table"."""


def read(source: Any, task: Task, solved: bool = True) -> Given:
    """Read puzzles and their solutions.

    Args:
        source: a path of a file: a CSV table with a column `question` (or `puzzle`, `quizzes`, ...) and, if you like,
            `answer` (or `solution`, ...); text with one puzzle per line, or row by row, with frames, titles and
            comments; JSON, or one JSON value per line; `.npy` and `.npz`; any of them compressed by gzip, bzip2, xz or
            zip. Or a folder of the reference repositories, `DIR/train` or `DIR/test` with `all__inputs.npy` and
            `all__labels.npy`. Or `hf:OWNER/NAME/FILE.csv`, a file of a dataset on the Hugging Face hub. Or a format of
            the family's own. Or an open stream, or Python objects: lists, dictionaries, arrays of shape (N, L) or
            (N, rows, columns).
        task: the puzzle family.
        solved: compute missing solutions with the family's solver; otherwise the puzzle replaces its solution.

    Raises:
        HrmGymError: if a puzzle is missing, malformed or of another board, or an answer breaks the rules, with its
            place.
    """
    if isinstance(source, str | os.PathLike):
        return _read_path(os.fspath(source), task, solved)
    if hasattr(source, "read"):
        return _read_stream(source, task, solved)
    if isinstance(source, Puzzles):
        source = {"question": source.puzzle, "answer": source.solution}
    if source is None or isinstance(source, bool | int | float):
        raise HrmGymError(f"puzzles are {source!r}: give a file, or a list or an array of puzzles")
    if isinstance(source, bytes | bytearray):
        return _parsed("the bytes", decode(bytes(source)), task, solved)
    if isinstance(source, Iterator | set):
        source = list(source)
    return Given(parse(type(source).__name__, rows_of(source, task), task, solved), f"a {type(source).__name__}")


def _read_path(name: str | bytes, task: Task, solved: bool) -> Given:
    name = os.fsdecode(name)
    own = task.read(name, None)
    if own is not None:
        return Given(own, "the family's own files")
    path = _download(name) if name.startswith(HUB) else expanded(name)
    if is_folder(path):
        return Given(read_folder(path, task, check_answers), "a folder of arrays")
    if not (is_file(path) or _is_stream(path)):
        raise HrmGymError(
            f"no file at {name[:200]}: {_nearest(path)}give a CSV file, one puzzle per line, or a folder of .npy files"
        )
    try:
        if path.suffix.lower() == ".npy":
            return Given(parse(str(path), rows_of(read_array(path), task), task, solved), "an array (.npy)")
        if path.suffix.lower() == ".npz":
            return Given(parse(str(path), rows_of(read_arrays(path), task), task, solved), "arrays (.npz)")
        data, packed = unpacked(path.read_bytes(), path)
        return _parsed(str(path), decode(data), task, solved, _suffix(path), packed)
    except HrmGymError as error:
        raise error if str(path) in str(error) else _at(path, error) from None
    except (OSError, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, ValueError) as error:
        raise HrmGymError(f"cannot read {path} ({first_line(error)}): is it the file you mean, and whole?") from None


def _at(path: Path, error: HrmGymError) -> HrmGymError:
    return type(error)(f"{path}{', ' if str(error).startswith('line ') else ': '}{error}")


def _read_stream(stream: Any, task: Task, solved: bool) -> Given:
    name = str(getattr(stream, "name", "the stream"))
    try:
        data = stream.read()
    except Exception as error:  # the caller's object may raise anything
        raise HrmGymError(f"cannot read {name} ({first_line(error)}): give a path") from None
    if not isinstance(data, str | bytes):
        raise HrmGymError(f"{name} gives a {type(data).__name__}: give a path, or an open file")
    if isinstance(data, bytes):
        data = decode(unpacked(data, Path(name))[0])
    return _parsed(name, data, task, solved, _suffix(Path(name)))


def read_text(text: str, task: Task, solved: bool = False) -> Given:
    """As `read`, for a text that is not a path."""
    return _parsed("", text, task, solved)


def _parsed(name: str, text: str, task: Task, solved: bool, suffix: str = "", packed: str = "") -> Given:
    """The puzzles of a text in any format."""
    text = text.removeprefix("\ufeff")
    begin = text.lstrip()[:1]
    found: Iterable[Row]
    if suffix in (".json", ".jsonl", ".ndjson") or (begin in ("{", "[") and _is_json(text)):
        found, kind = rows_of_json(text, task), "JSON"
    elif is_table(text):
        found, kind = rows_of_table(text, task), "a table"
    else:
        # A .csv file may hold one board with commas between its cells.
        found = rows_of_text(text, task)
        kind = "text"
        if suffix in (".csv", ".tsv"):
            first, found = _peek(found)
            if first is None or not _is_whole(first, task) or "," in str(first.puzzle) or ";" in str(first.puzzle):
                single = first is not None and _is_whole(first, task)
                found = found if single else rows_of_table(text, task)
                kind = "cells between separators" if single else "a table without a header"
    puzzles = parse(name, found, task, solved)
    return Given(puzzles, f"{kind}, {packed}" if packed else kind)


def _is_json(text: str) -> bool:
    """Whether a text or its first line is JSON, unlike a printed Python list or a title in brackets."""
    for part in (text, text.strip().partition("\n")[0]):
        with contextlib.suppress(ValueError, RecursionError):
            json.loads(part)
            return True
    return text.lstrip()[:1] == "{"


def _peek(rows: Iterator[Row]) -> tuple[Row | None, Iterable[Row]]:
    listed = list(rows)
    return (listed[0] if listed else None), listed


def _is_whole(row: Row, task: Task) -> bool:
    try:
        tokens_of(task, row.puzzle)
    except HrmGymError:
        return False
    return True


def parse(name: str, rows: Iterable[Row], task: Task, solved: bool) -> Puzzles:
    """Convert rows to tokens; answers are checked, and missing ones computed if `solved`."""
    puzzles, solutions, places = [], [], []
    here = f"{name}, " if name else ""
    for row in rows:
        place = f"{here}{row.place}" if name or row.place not in ("line 1", "puzzle 1") else ""
        try:
            puzzle = tokens_of(task, row.puzzle)
            given = not (isinstance(row.answer, str) and not row.answer.strip())
            solution = _solution(task, row.answer) if given else task.solve(puzzle) if solved else puzzle
        except HrmGymError as error:
            raise type(error)(f"{place}: {error}" if place else str(error)) from None
        puzzles.append(puzzle)
        solutions.append(solution)
        places.append(place if given else None)
    if not puzzles:
        raise HrmGymError(
            f"{name or 'the text'} holds no puzzles: give one per line, or a CSV file with the column 'question'"
        )
    data = Puzzles(np.stack(puzzles), np.stack(solutions).astype(np.uint8))
    known = [i for i, place in enumerate(places) if place is not None]
    check_answers(task, data.map(lambda array: array[known]), [str(places[i]) for i in known])
    return data


def _solution(task: Task, answer: Any) -> np.ndarray:
    try:
        return tokens_of(task, answer, "it")
    except HrmGymError as error:
        raise type(error)(f"the solution: {error}") from None


def check_answers(task: Task, data: Puzzles, places: Sequence[str]) -> None:
    """Reject wrong answers, if the rules of the family decide; `places` names each row in errors."""
    for begin in range(0, len(places) if task.verifiable else 0, 10_000):
        puzzle, answer = (array[begin : begin + 10_000].astype(np.int64) for array in data[:2])
        altered = task.is_given(puzzle) & (puzzle != answer)
        wrong = np.flatnonzero(altered.any(1) | (task.violations(puzzle, answer) > 0))
        if len(wrong):
            i = int(wrong[0])
            row, column = divmod(int(altered[i].argmax()), task.shape[1])
            given = f"changes the given at row {row + 1}, column {column + 1}"
            reason = given if altered[i].any() else "breaks the rules"
            place = f"{places[begin + i]}: " if places[begin + i] else ""
            raise HrmGymError(f"{place}the answer {reason}: correct or remove it")


# ---- files -----------------------------------------------------------------------------------------------


def _suffix(path: Path) -> str:
    """The suffix of a file without the suffix of its compression."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    return next((suffix for suffix in reversed(suffixes) if suffix not in (*_PACKED_NAMES, ".zip")), "")


def unpacked(data: bytes, path: Path) -> tuple[bytes, str]:
    """Decompress a file; returns the contents and the name of the compression.

    Raises:
        HrmGymError: if it unpacks to more than `LARGEST` bytes, or its name and contents disagree.
    """
    for magic, (name, opened) in PACKED.items():
        if data.startswith(magic):
            with opened(io.BytesIO(data)) as file:
                return _bounded(file, path), name
    if data.startswith(b"PK\x03\x04"):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = [member for member in archive.namelist() if not member.endswith("/")]
            if len(members) != 1:
                raise HrmGymError(f"{path} holds {len(members)} files: unpack it, and name one of them")
            try:
                with archive.open(members[0]) as file:
                    return _bounded(file, path), "zip"
            except (RuntimeError, NotImplementedError) as error:
                raise HrmGymError(f"cannot unpack {path} ({first_line(error)}): unpack it yourself") from None
    wanted = _PACKED_NAMES.get(path.suffix.lower())
    if wanted is not None:
        raise HrmGymError(f"cannot read {path} (it is not compressed by {wanted}): is it the file you mean, and whole?")
    return data, ""


def _bounded(file: Any, path: Path) -> bytes:
    data: bytes = file.read(LARGEST + 1)
    if len(data) > LARGEST:
        raise HrmGymError(f"{path} unpacks to more than {LARGEST >> 20} MB: unpack it yourself, or split it")
    return data


def _is_stream(path: Path) -> bool:
    """Whether a path is a pipe, such as `<(command)` in a shell."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        return False
    return stat.S_ISFIFO(mode)


def _nearest(path: Path) -> str:
    """A hint with a file of the same folder and a similar name."""
    try:
        near = difflib.get_close_matches(path.name, os.listdir(path.parent), n=1, cutoff=0.75)
    except (OSError, ValueError):
        return ""
    return f"did you mean {str(path.with_name(near[0]))!r}? " if near else ""


def _download(source: str) -> Path:
    parts = source.removeprefix(HUB).split("/", 2)
    if len(parts) < 3:
        raise HrmGymError(
            f"{source} names no file: give one of the dataset, such as {HUB}sapientinc/sudoku-extreme/test.csv"
        )
    hub = hub_library(source)
    try:
        return Path(hub.hf_hub_download("/".join(parts[:2]), parts[2], repo_type="dataset"))
    except Exception as error:
        raise not_downloaded(source, error) from None
