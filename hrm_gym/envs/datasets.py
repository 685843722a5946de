"""Files of puzzles: the benchmarks' CSV, plain text, the reference repositories' arrays, and the hub."""

from __future__ import annotations

import csv
import functools
import gzip
import hashlib
import io
import json
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from hrm_gym.envs.checks import check_puzzles
from hrm_gym.envs.task import SPLITS, Puzzles, Task
from hrm_gym.errors import HrmGymError, unknown
from hrm_gym.files import LARGEST, is_file, is_folder, read_array, replacing
from hrm_gym.hugging_face import HUB, hub_library, not_downloaded
from hrm_gym.outside import calling, is_outside

COLUMNS = ("source", "question", "answer", "rating")


def puzzles_of(task: Task, split: str, dataset: str | None = None, num_examples: int | None = None) -> Puzzles:
    """The puzzles of a split: those that the family has, or those of a file.

    A file is split by a hash that all symmetric images of a puzzle share (`Task.keys`): eight tenths are for training,
    one for validation, one for testing. `dataset="train=a.csv,validation=b.csv,test=c.csv"` names a file for each split
    instead; a puzzle that stands, perhaps as an image, in several of them counts for testing rather than validation and
    for validation rather than training. Puzzles of the family's own test set, and images of them, are left out of
    training; of 9x9 Sudokus so are other puzzles of the same grid.

    Args:
        task: the family.
        split: of `SPLITS`.
        dataset: a file or folder (see `read_puzzles`), or files by split; None for the family's own puzzles.
        num_examples: only the first so many; None for all.

    Raises:
        HrmGymError: on an unknown split, a file that is missing, malformed or holds no puzzle of the split that may
            be used, or a number out of range.
    """
    if split not in SPLITS:
        raise unknown("split", split, SPLITS)
    return _puzzles_of(task, split, dataset, num_examples)


@functools.lru_cache(maxsize=16)
def _puzzles_of(task: Task, split: str, dataset: str | None, num_examples: int | None) -> Puzzles:
    data = _own_puzzles(task, split) if dataset is None else _of_file(task, split, dataset)
    if num_examples is not None:
        size = len(data.puzzle)
        if not isinstance(num_examples, int | np.integer) or not 1 <= num_examples <= size:
            raise HrmGymError(
                f"num_examples={num_examples!r}: the {split} split has {size} puzzles; give 1 to {size} or None"
            )
        data = data.map(lambda array: array[:num_examples])
    return data


def _own_puzzles(task: Task, split: str) -> Puzzles:
    if not is_outside(type(task)):
        return task.dataset(split)
    with calling(type(task), "dataset"):
        data = task.dataset(split)
    check_puzzles(task, data, "dataset")
    return data


def _of_file(task: Task, split: str, dataset: str) -> Puzzles:
    own = task.read(dataset, split)
    if own is not None:
        return own
    named = _named_by_split(dataset)
    if named:
        data = _of_named(task, split, dataset, named)
    else:
        whole = read_puzzles(dataset, task)
        mine = np.array([_split_of(key) == split for key in task.keys(whole)])
        if not mine.any():
            raise HrmGymError(
                f"{dataset} holds {len(mine)} puzzles, none of which falls to {split!r}: give more, or name a file for "
                "each split: train=FILE,validation=FILE,test=FILE"
            )
        data = whole.map(lambda array: array[mine])
    if split == "train":
        data = _without(task, data, task.dataset("test"), dataset, "the family's test split")
    return data


def _of_named(task: Task, split: str, dataset: str, named: dict[str, str]) -> Puzzles:
    if split not in named:
        raise HrmGymError(f"dataset {dataset!r} names no file for {split!r}: add {split}=FILE")
    data = read_puzzles(named[split], task)
    for other in SPLITS[SPLITS.index(split) + 1 :]:
        if other in named:
            data = _without(task, data, read_puzzles(named[other], task), named[split], named[other])
    return data


def _without(task: Task, data: Puzzles, others: Puzzles, source: str, place: str) -> Puzzles:
    """The puzzles of `source` that are neither in `place` nor images of one there."""
    taken = set(task.keys(others))
    mine = np.array([key not in taken for key in task.keys(data)])
    if not mine.any():
        raise HrmGymError(f"all puzzles of {source} stand in {place} too, or images of them: give others")
    return data.map(lambda array: array[mine])


def _split_of(key: bytes) -> str:
    """Of ten puzzles eight are for training, one for validation and one for testing, by a hash."""
    return {0: "test", 1: "validation"}.get(hashlib.sha256(key).digest()[0] % 10, "train")


def _named_by_split(dataset: str) -> dict[str, str]:
    """Files by split from "train=a.csv,test=b.csv"; empty where the text is one file's name."""
    parts = [part.partition("=") for part in dataset.split(",")]
    if not all(equals and name.strip() in SPLITS for name, equals, _ in parts):
        return {}
    return {name.strip(): source.strip() for name, _, source in parts}


def read_puzzles(source: str | Path, task: Task, solved: bool = True) -> Puzzles:
    """Puzzles and solutions from a file or folder, uint8 arrays of shape (N, L).

    Args:
        source: a CSV file with the columns `question` and, if you like, `answer`; any other file: a puzzle a
            line, or one puzzle row by row; either may be gzipped. Or a folder of the reference repositories,
            `DIR/train` or `DIR/test` with `all__inputs.npy` and `all__labels.npy`. Or `hf:OWNER/NAME/FILE.csv`, a file
            of a dataset on the Hugging Face hub, downloaded when it is asked for. Or what the family reads itself.
        task: whose puzzles they are.
        solved: find the solutions that the file does not give with the family's solver. Otherwise the puzzle stands in
            the solution's place.

    Raises:
        HrmGymError: naming the file and the row where one is missing, malformed, of another board, or where an answer
            breaks the rules.
    """
    own = task.read(str(source), None)
    if own is not None:
        return own
    path = _download(str(source)) if str(source).startswith(HUB) else Path(source)
    if is_folder(path):
        return _load_arrays(path, task)
    if not is_file(path):
        raise HrmGymError(f"no file at {path}: give a CSV file, a puzzle a line, or a folder of .npy files")
    text = _read(path)
    if ".csv" in path.suffixes:
        rows: Iterable[tuple[int, str, str]] = _csv_rows(path, text)
    elif task.num_cells in (len("".join(text.split())), len("".join(text.splitlines()))):
        rows = [(1, text, "")]  # one puzzle, perhaps row by row, in which spaces may mean something
    else:
        rows = ((i, line, "") for i, line in _lines(text))
    return _parse(path, rows, task, solved)


def write_csv(path: str | Path, puzzles: Puzzles, task: Task, source: str = "hrm-gym") -> None:
    """Write puzzles in the benchmark's form, `source,question,answer,rating`; `.gz` compresses.

    The same puzzles give the same bytes, and the file appears whole or not at all.

    Raises:
        HrmGymError: where it cannot be written.
    """
    path = Path(path)
    if not is_folder(path.parent):
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
        if path.suffix == ".gz":
            with gzip.open(path) as file:
                data = file.read(LARGEST + 1)
            if len(data) > LARGEST:
                raise HrmGymError(f"{path} unpacks to more than {LARGEST >> 20} MB: unpack it yourself, or split it")
        else:
            data = path.read_bytes()
        return data.decode("utf-8-sig")
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise HrmGymError(f"cannot read {path} ({error}): is it the file you mean, and whole?") from None


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """The numbers, from 1, and contents of the lines that are not empty."""
    for i, line in enumerate(text.splitlines(), start=1):
        if line.strip():
            yield i, line


def _csv_rows(path: Path, text: str) -> Iterator[tuple[int, str, str]]:
    """Line number, question and answer of each row."""
    reader = csv.DictReader(io.StringIO(text, newline=""))
    try:
        names = reader.fieldnames or []
        if "question" not in names:
            found = ", ".join(names) or "none"
            raise HrmGymError(f"{path} has no column 'question' (found: {found}): give it {', '.join(COLUMNS)}")
        for row in reader:
            yield reader.line_num, row["question"] or "", row.get("answer") or ""
    except csv.Error as error:
        raise HrmGymError(f"{path}, line {reader.line_num + 1}: {error}") from None


def _parse(path: Path, rows: Iterable[tuple[int, str, str]], task: Task, solved: bool) -> Puzzles:
    puzzles, solutions, places = [], [], []
    for number, question, answer in rows:
        try:
            puzzle = task.parse(question)
            solution = task.parse(answer) if answer.strip() else task.solve(puzzle) if solved else puzzle
        except HrmGymError as error:
            raise HrmGymError(f"{path}, line {number}: {error}") from None
        puzzles.append(puzzle)
        solutions.append(solution)
        places.append(number if answer.strip() else 0)
    if not puzzles:
        raise HrmGymError(f"{path} holds no puzzles: give one a line, or a CSV file with the column 'question'")
    data = Puzzles(np.stack(puzzles), np.stack(solutions).astype(np.uint8))
    known = np.flatnonzero(places)
    _check_answers(task, data.map(lambda array: array[known]), [f"{path}, line {places[i]}" for i in known])
    return data


def _check_answers(task: Task, data: Puzzles, places: Sequence[str]) -> None:
    """Refuse answers that are none, where the rules of the family tell; `places` says where each stands."""
    for begin in range(0, len(places) if task.verifiable else 0, 10_000):
        puzzle, answer = (array[begin : begin + 10_000].astype(np.int64) for array in data[:2])
        altered = task.is_given(puzzle) & (puzzle != answer)
        wrong = np.flatnonzero(altered.any(1) | (task.violations(puzzle, answer) > 0))
        if len(wrong):
            i = int(wrong[0])
            row, column = divmod(int(altered[i].argmax()), task.shape[1])
            given = f"changes the given at row {row + 1}, column {column + 1}"
            reason = given if altered[i].any() else "breaks the rules"
            raise HrmGymError(f"{places[begin + i]}: the answer {reason}: correct it, or leave it out")


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
        array = read_array(path)
        # There 0 is padding, and a board's tokens begin at 1.
        if array.ndim != 2 or array.shape[1] != task.num_cells or array.dtype.kind not in "iu":
            raise HrmGymError(
                f"{path} has {array.dtype} of shape {array.shape}: integers of (N, {task.num_cells}) are needed"
            )
        if array.size and not 1 <= array.min() <= array.max() <= task.num_tokens:
            raise HrmGymError(f"{path} has tokens {array.min()} to {array.max()}: allowed are 1 to {task.num_tokens}")
        boards.append((array - 1).astype(np.uint8))
    _check_vocabulary(folder / "dataset.json", task)
    if len(boards[0]) != len(boards[1]):
        raise HrmGymError(f"{folder} has {len(boards[0])} inputs and {len(boards[1])} labels: give as many of both")
    if not len(boards[0]):
        raise HrmGymError(f"{folder} holds no puzzles: give whole .npy files")
    data = Puzzles(*boards)
    _check_answers(task, data, [f"{folder}, row {i}" for i in range(len(boards[0]))])
    return data


def _check_vocabulary(path: Path, task: Task) -> None:
    """The folder's own description, where it is there, must speak of the same tokens."""
    if not path.is_file():
        return
    try:
        size = json.loads(path.read_text()).get("vocab_size")
    except (ValueError, AttributeError, OSError, RecursionError) as error:
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
    hub = hub_library(source)
    try:
        return Path(hub.hf_hub_download("/".join(parts[:2]), parts[2], repo_type="dataset"))
    except Exception as error:
        raise not_downloaded(source, error) from None
