"""Writing puzzles to a file in the format of its suffix; the reader reads all formats."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import lzma
from collections.abc import Callable
from pathlib import Path

from hrm_gym.envs.reading.tables import COLUMNS
from hrm_gym.envs.task import Puzzles, Task
from hrm_gym.errors import HrmGymError
from hrm_gym.files import is_folder, replacing

PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".gz": lambda data: gzip.compress(data, mtime=0),
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
}
FORMS = (".csv", ".jsonl", ".txt")


def form_of(path: Path) -> tuple[str, str]:
    """The format of a file name, one of `FORMS`, and its compression, one of `PACKERS`.

    Raises:
        HrmGymError: if the suffix is unknown.
    """
    packed = path.suffix.lower() if path.suffix.lower() in PACKERS else ""
    form = Path(path.stem if packed else path.name).suffix.lower()
    if form not in FORMS:
        raise HrmGymError(
            f"cannot write {path.name!r}: its suffix decides the format; end it in {', '.join(FORMS)}, and "
            f"perhaps "
            f"{', '.join(filter(None, PACKERS))}"
        )
    return form, packed


def write_puzzles(path: str | Path, puzzles: Puzzles, task: Task, source: str = "hrm-gym") -> None:
    """Write puzzles in the format of the file name.

    `.csv` is the benchmark's table, `source,question,answer,rating`; `.jsonl` has the same as one object per line;
    `.txt` has one puzzle per line, without solutions. The same puzzles give the same bytes, and writing is atomic.

    Raises:
        HrmGymError: if the suffix is unknown, or the file cannot be written.
    """
    path = Path(path)
    form, packed = form_of(path)
    if not is_folder(path.parent):
        raise HrmGymError(f"cannot write {path}: there is no folder {path.parent}; create it first")
    rows = [
        (source, task.format(puzzle), task.format(solution), int(rating))
        for puzzle, solution, rating in zip(puzzles.puzzle, puzzles.solution, task.rate(puzzles.puzzle), strict=True)
    ]
    text = io.StringIO()
    if form == ".csv":
        csv.writer(text, lineterminator="\n").writerows([COLUMNS, *rows])
    elif form == ".jsonl":
        text.writelines(f"{json.dumps(dict(zip(COLUMNS, row, strict=True)))}\n" for row in rows)
    else:
        text.writelines(f"{row[1]}\n" for row in rows)
    with replacing(path) as temporary:
        temporary.write_bytes(PACKERS[packed](text.getvalue().encode()))
