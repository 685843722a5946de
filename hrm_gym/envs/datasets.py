"""Files of puzzles: the benchmarks' CSV, plain text, the reference repositories' arrays, and the hub."""

from __future__ import annotations

import csv
import functools
import gzip
import hashlib
import io
import json
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np

from hrm_gym.envs.task import SPLITS, Puzzles, Task
from hrm_gym.errors import HrmGymError, unknown
from hrm_gym.files import replacing

COLUMNS = ("source", "question", "answer", "rating")
HUB = "hf:"
LARGEST = 1 << 28  # bytes of text that a file may hold, unpacked


def puzzles_of(task: Task, split: str, dataset: str | None = None, num_examples: int | None = None) -> Puzzles:
    """The puzzles of a split: those that the family has, or those of a file.

    A file is split by a hash that all symmetric images of a puzzle share (`Task.keys`): eight tenths are for training,
    one for validation, one for testing. `dataset="train=a.csv,validation=b.csv,test=c.csv"` names a file for each split
    instead; a split without one is a tenth of the training file. Training refuses files that hold puzzles of the
    family's own test set, of the other named files, or images of them.

    Args:
        task: the family.
        split: of `SPLITS`.
        dataset: a file or folder (see `read_puzzles`), or files by split; None for the family's own puzzles.
        num_examples: only the first so many; None for all.

    Raises:
        HrmGymError: on an unknown split, a file that is missing, malformed or holds no puzzle of the split, test
            puzzles in training, or a number out of range.
    """
    if split not in SPLITS:
        raise unknown("split", split, SPLITS)
    return _puzzles_of(task, split, dataset, num_examples)


@functools.lru_cache(maxsize=16)
def _puzzles_of(task: Task, split: str, dataset: str | None, num_examples: int | None) -> Puzzles:
    data = task.dataset(split) if dataset is None else _of_file(task, split, dataset)
    if num_examples is not None:
        size = len(data.puzzle)
        if not isinstance(num_examples, int | np.integer) or not 1 <= num_examples <= size:
            raise HrmGymError(
                f"num_examples={num_examples!r}: the {split} split has {size} puzzles; give 1 to {size} or None"
            )
        data = data.map(lambda array: array[:num_examples])
    return data


def _of_file(task: Task, split: str, dataset: str) -> Puzzles:
    own = task.read(dataset, split)
    if own is not None:
        return own
    named = _named_by_split(dataset) or {"train": dataset}
    # What no file is named for is a part of the training file.
    data = read_puzzles(named.get(split) or named["train"], task)
    if split not in named or split == "train":
        mine = np.array([_part(key, named) == split for key in task.keys(data)])
        if not mine.any():
            raise HrmGymError(
                f"{dataset} holds {len(mine)} puzzles, none of which falls to {split!r}: give more, or name a file for "
                "each split: train=FILE,validation=FILE,test=FILE"
            )
        data = data.map(lambda array: array[mine])
    if split == "train":
        _refuse_known(task, data, dataset, task.dataset("test"), "the test split")
        for other in ("validation", "test"):
            if other in named:
                _refuse_known(task, data, dataset, read_puzzles(named[other], task), named[other])
    return data


def _part(key: bytes, named: Mapping[str, str]) -> str:
    """The split of a puzzle of the training file: of ten, one is for each split that has no file of its own."""
    tenth = hashlib.sha256(key).digest()[0] % 10
    part = {0: "test", 1: "validation"}.get(tenth, "train")
    return "train" if part in named else part


def _named_by_split(dataset: str) -> dict[str, str]:
    """Files by split from "train=a.csv,test=b.csv"; empty where the text is one file's name."""
    parts = [part.partition("=") for part in dataset.split(",")]
    if not all(equals and name.strip() in SPLITS for name, equals, _ in parts):
        return {}
    named = {name.strip(): source.strip() for name, _, source in parts}
    if "train" not in named:
        raise HrmGymError(f"dataset {dataset!r} names no file to train on: add train=FILE")
    return named


def _refuse_known(task: Task, data: Puzzles, dataset: str, others: Puzzles, where: str) -> None:
    known = set(task.keys(others))
    seen = sum(key in known for key in task.keys(data))
    if seen:
        raise HrmGymError(
            f"{dataset} holds {seen} puzzles of {where}, or images of them: take them out before training on it"
        )


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
    if path.is_dir():
        return _load_arrays(path, task)
    if not path.is_file():
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
        with gzip.open(path) if path.suffix == ".gz" else open(path, "rb") as file:
            data = file.read(LARGEST + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise HrmGymError(f"cannot read {path} ({error}): is it the file you mean, and whole?") from None
    if len(data) > LARGEST:
        raise HrmGymError(f"{path} holds more than {LARGEST >> 20} MB of text: split it into several files")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise HrmGymError(f"cannot read {path} ({error}): is it a text file?") from None


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
        raise HrmGymError(f"{path}, line {reader.line_num}: {error}") from None


def _parse(path: Path, rows: Iterable[tuple[int, str, str]], task: Task, solved: bool) -> Puzzles:
    puzzles, solutions, numbers, given = [], [], [], []
    for number, question, answer in rows:
        try:
            puzzle = task.parse(question)
            has_answer = bool(answer.strip())
            known = task.parse(answer) if has_answer else None
            solution = known if known is not None else task.solve(puzzle) if solved else puzzle
        except HrmGymError as error:
            raise HrmGymError(f"{path}, line {number}: {error}") from None
        puzzles.append(puzzle)
        solutions.append(solution)
        numbers.append(number)
        given.append(has_answer)
    if not puzzles:
        raise HrmGymError(f"{path} holds no puzzles")
    data = Puzzles(np.stack(puzzles), np.stack(solutions).astype(np.uint8))
    wrong = np.flatnonzero(np.array(given) & _wrong_answers(data, task))
    if len(wrong):
        raise HrmGymError(
            f"{path}, line {numbers[wrong[0]]}: the answer breaks the rules of the puzzle or changes its givens "
            f"({len(wrong)} such lines): correct it, or leave the answer out"
        )
    return data


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
            array = np.load(path, allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise HrmGymError(f"cannot read {path} ({error}): give whole .npy files of integers") from None
        # There 0 is padding, and a board's tokens begin at 1.
        if not isinstance(array, np.ndarray):
            raise HrmGymError(f"{path} is no .npy file: give whole .npy files of integers")
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
    data = Puzzles(*boards)
    wrong = _wrong_answers(data, task)
    if wrong.any():
        raise HrmGymError(
            f"{folder}, row {int(wrong.argmax())}: the label breaks the rules of the puzzle or changes its givens "
            f"({int(wrong.sum())} such rows): do inputs and labels belong together?"
        )
    return data


def _wrong_answers(data: Puzzles, task: Task) -> np.ndarray:
    """Which solutions break the rules, or where those do not decide change a given: bool (N,)."""
    puzzle, solution = data.puzzle.astype(np.int64), data.solution.astype(np.int64)
    if task.verifiable:
        return np.asarray(task.violations(puzzle, solution)) > 0
    return (np.asarray(task.is_given(puzzle)) & (puzzle != solution)).any(1)


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
