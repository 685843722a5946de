"""Folders of arrays in the form of the reference repositories, whose tokens begin at 1."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from hrm_gym.envs.task import SPLITS, Puzzles, Task
from hrm_gym.errors import HrmGymError
from hrm_gym.files import read_array


def read_folder(folder: Path, task: Task, check: Callable[[Task, Puzzles, Sequence[str]], None]) -> Puzzles:
    """The puzzles of `DIR/train` or `DIR/test`, with `all__inputs.npy` and `all__labels.npy`.

    Args:
        folder: the folder.
        task: the puzzle family.
        check: rejects wrong answers, given the places of all rows.

    Raises:
        HrmGymError: if a file is missing, malformed or for another board, with its name.
    """
    if not (folder / "all__inputs.npy").is_file():
        inside = [split for split in SPLITS if (folder / split / "all__inputs.npy").is_file()]
        if inside:
            raise HrmGymError(f"{folder} holds several splits: give {' or '.join(str(folder / s) for s in inside)}")
        raise HrmGymError(f"{folder} has no all__inputs.npy: give a split's folder of a reference dataset")
    boards = []
    for name in ("inputs", "labels"):
        path = folder / f"all__{name}.npy"
        array = read_array(path)
        # In these files 0 is padding, and tokens begin at 1.
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
    check(task, data, [f"{folder}, row {i}" for i in range(len(boards[0]))])
    return data


def _check_vocabulary(path: Path, task: Task) -> None:
    """Check that the folder's description, if any, has the same number of tokens."""
    if not path.is_file():
        return
    try:
        size = json.loads(path.read_text(encoding="utf-8")).get("vocab_size")
    except (ValueError, AttributeError, OSError, RecursionError) as error:
        raise HrmGymError(f"cannot read {path} ({error}): remove or correct the file") from None
    if size is not None and size != task.num_tokens + 1:
        raise HrmGymError(
            f"{path} has {size} tokens, but this board has {task.num_tokens} and padding: give another --env"
        )
