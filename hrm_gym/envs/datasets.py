"""Files of puzzles: the benchmarks' CSV, plain text, the reference repositories' arrays, and the hub."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from hrm_gym.envs.task import SPLITS, Puzzles, Task
from hrm_gym.errors import HrmGymError
from hrm_gym.files import replacing

COLUMNS = ("source", "question", "answer", "rating")
HUB = "hf:"


def load_puzzles(source: str | Path, task: Task) -> Puzzles:
    """Puzzles and solutions from a file or folder, uint8 arrays of shape (N, L).

    Where a file gives no answers, the task's own solver finds them.

    Args:
        source: a CSV file with the columns `question` and, if you like, `answer`; any other file: a puzzle a
            line; either may be gzipped. Or a folder of the reference repositories, `DIR/train` or `DIR/test`
            with `all__inputs.npy` and `all__labels.npy`. Or `hf:OWNER/NAME/FILE.csv`, a file of a dataset on
            the Hugging Face hub, downloaded when it is asked for.
        task: whose puzzles they are.

    Raises:
        HrmGymError: naming the file and the row where one is missing, malformed or of another board.
    """
    path = _download(str(source)) if str(source).startswith(HUB) else Path(source)
    if path.is_dir():
        return _load_arrays(path, task)
    if not path.is_file():
        raise HrmGymError(f"no file at {path}: give a CSV file, a puzzle a line, or a folder of .npy files")
    text = _read(path)
    is_csv = ".csv" in path.suffixes
    rows = _csv_rows(path, text) if is_csv else ((i, line, "") for i, line in _lines(text))
    return _parse(path, rows, task)


def write_csv(path: str | Path, puzzles: Puzzles, task: Task, source: str = "hrm-gym") -> None:
    """Write puzzles in the benchmark's form, `source,question,answer,rating`; `.gz` compresses.

    The same puzzles give the same bytes, and the file appears whole or not at all.

    Raises:
        HrmGymError: where it cannot be written.
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise HrmGymError(f"cannot write {path}: there is no folder {path.parent}; make it first")
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for puzzle, solution, rating in zip(puzzles.puzzle, puzzles.solution, task.rate(puzzles.puzzle), strict=True):
        writer.writerow([source, task.format(puzzle), task.format(solution), int(rating)])
    data = text.getvalue().encode()
    with replacing(path) as temporary:
        temporary.write_bytes(gzip.compress(data, mtime=0) if path.suffix == ".gz" else data)


# ---- text ------------------------------------------------------------------------------------------------


def _read(path: Path) -> str:
    try:
        data = path.read_bytes()
        return (gzip.decompress(data) if path.suffix == ".gz" else data).decode()
    except (OSError, EOFError, UnicodeDecodeError) as error:
        # gzip's own errors are among them
        raise HrmGymError(f"cannot read {path} ({error}): is it the file you mean, and whole?") from None


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """The numbers, from 1, and contents of the lines that are not empty."""
    for i, line in enumerate(text.splitlines(), start=1):
        if line.strip():
            yield i, line


def _csv_rows(path: Path, text: str) -> Iterator[tuple[int, str, str]]:
    """Line number, question and answer of each row."""
    reader = csv.DictReader(io.StringIO(text, newline=""))
    names = reader.fieldnames or []
    if "question" not in names:
        found = ", ".join(names) or "none"
        raise HrmGymError(f"{path} has no column 'question' (found: {found}): give it {', '.join(COLUMNS)}")
    for row in reader:
        yield reader.line_num, row["question"] or "", row.get("answer") or ""


def _parse(path: Path, rows: Iterable[tuple[int, str, str]], task: Task) -> Puzzles:
    puzzles, solutions = [], []
    for number, question, answer in rows:
        try:
            puzzle = task.parse(question)
            solution = task.parse(answer) if answer.strip() else task.solve(puzzle)
        except HrmGymError as error:
            raise HrmGymError(f"{path}, line {number}: {error}") from None
        puzzles.append(puzzle)
        solutions.append(solution)
    if not puzzles:
        raise HrmGymError(f"{path} holds no puzzles")
    return Puzzles(np.stack(puzzles), np.stack(solutions).astype(np.uint8))


# ---- arrays of the reference repositories ----------------------------------------------------------------


def _load_arrays(folder: Path, task: Task) -> Puzzles:
    if not (folder / "all__inputs.npy").is_file():
        inside = [split for split in SPLITS if (folder / split / "all__inputs.npy").is_file()]
        if inside:
            raise HrmGymError(f"{folder} holds several splits: give {' or '.join(str(folder / s) for s in inside)}")
        raise HrmGymError(f"{folder} has no all__inputs.npy: give a split's folder of a reference dataset")
    boards = []
    for name in ("inputs", "labels"):
        path = folder / f"all__{name}.npy"
        try:
            array = np.load(path)
        except (OSError, ValueError) as error:
            raise HrmGymError(f"cannot read {path} ({error}): give whole .npy files of integers") from None
        # There 0 is padding, and a board's tokens begin at 1.
        if array.ndim != 2 or array.shape[1] != task.num_cells or array.dtype.kind not in "iu":
            raise HrmGymError(
                f"{path} has {array.dtype} of shape {array.shape}: integers of (N, {task.num_cells}) are needed"
            )
        if array.size and not 1 <= array.min() <= array.max() <= task.num_tokens:
            raise HrmGymError(f"{path} has tokens {array.min()} to {array.max()}: allowed are 1 to {task.num_tokens}")
        boards.append((array - 1).astype(np.uint8))
    _check_vocabulary(folder / "dataset.json", task)
    return Puzzles(*boards)


def _check_vocabulary(path: Path, task: Task) -> None:
    """The folder's own description, where it is there, must speak of the same tokens."""
    if not path.is_file():
        return
    try:
        size = json.loads(path.read_text()).get("vocab_size")
    except (json.JSONDecodeError, AttributeError, OSError) as error:
        raise HrmGymError(f"cannot read {path} ({error}): leave the file out or mend it") from None
    if size is not None and size != task.num_tokens + 1:
        raise HrmGymError(
            f"{path} speaks of {size} tokens; this board has {task.num_tokens} and padding: another family?"
        )


# ---- the hub ---------------------------------------------------------------------------------------------


def _download(source: str) -> Path:
    parts = source.removeprefix(HUB).split("/", 2)
    if len(parts) < 3:
        raise HrmGymError(
            f"{source} names no file: give one of the dataset, such as {HUB}sapientinc/sudoku-extreme/test.csv"
        )
    try:
        from huggingface_hub import hf_hub_download
    except ImportError:
        raise HrmGymError(f'{source} needs the hub\'s library: pip install "hrm-gym[hub]"') from None
    try:
        return Path(hf_hub_download("/".join(parts[:2]), parts[2], repo_type="dataset"))
    except Exception as error:  # its many kinds share no base class
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise HrmGymError(f"cannot download {source} ({reason}): is the name right, and the hub in reach?") from None
