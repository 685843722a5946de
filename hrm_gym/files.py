"""Files that appear whole or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import re
import secrets
import time
import zipfile
from collections.abc import Iterator, Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from hrm_gym.errors import HrmGymError, first_line

LARGEST = 1 << 28
"""Bytes that a compressed file may unpack to."""

_LEFT_OVER = re.compile(r"\..+\.[0-9a-f]{16}\.tmp(\.\w+)?")


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary file beside `path` that takes its place once it is written and on disk, or vanishes.

    Raises:
        HrmGymError: where it cannot be written; what stood at `path` is untouched.
    """
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = _new_file_beside(path)
        mode = temporary.stat().st_mode
        yield temporary
        os.chmod(temporary, mode)  # some libraries write files that their owner alone may read
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        kept = "; what stood there before is untouched" if os.path.lexists(path) else ""
        raise HrmGymError(
            f"cannot write {_shortened(path)} ({error.strerror or error}): free space or choose another place{kept}"
        ) from None
    finally:
        if temporary is not None:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other processes out of a folder that this one writes to, until it ends.

    What a killed process left half written is removed.

    Raises:
        HrmGymError: where another process has it.
    """
    lock = FileLock(folder / ".lock")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except Timeout:
        raise HrmGymError(
            f"another process trains in {folder}: wait for it, stop it, or give another --run-dir"
        ) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise HrmGymError(f"cannot write to {_shortened(folder)} ({reason}): give another --run-dir") from None
    try:
        # Only a process that was killed while it wrote leaves such files, and nobody else writes here now.
        for path in folder.iterdir():
            if _LEFT_OVER.fullmatch(path.name):
                with contextlib.suppress(OSError):
                    path.unlink()
        yield
    finally:
        lock.release()


def _new_file_beside(path: Path) -> Path:
    """An empty file in the folder of `path`, under a name that nothing there has, and of the same kind."""
    new = path.with_name(f".{path.stem[:100]}.{secrets.token_hex(8)}.tmp{path.suffix}")
    os.close(os.open(new, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    return new


def is_file(path: Path) -> bool:
    """Whether there is a file; none has a name that the system does not allow."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def is_there(path: Path) -> bool:
    """Whether there is anything; nothing has a name that the system does not allow."""
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def is_folder(path: Path) -> bool:
    """Whether there is a folder; none has a name that the system does not allow."""
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


FRESH = 3.0
"""Seconds after which a change of a file surely shows in its times."""


def state_of(source: str | os.PathLike[str]) -> tuple[Any, ...]:
    """What tells whether a file, or any file of a folder, is another one than before: a part of the key of a cache.

    The place, with links resolved, the sizes and the times; of files that have just been written also the contents, as
    the clock of a file system may be coarser than two writes are apart. What is not there has a state, too.
    """
    path = Path(source)
    try:
        place = path.resolve()
        names = sorted(place.rglob("*")) if place.is_dir() else [place]
        return (str(place), *(_state(name) for name in names[:MOST_FILES] if not name.is_dir()))
    except (OSError, ValueError, RuntimeError):
        return (str(source),)


MOST_FILES = 20_000
"""Files of a folder that are looked at: somebody may name the root of a disk."""


def _state(path: Path) -> tuple[Any, ...]:
    try:
        stat = path.stat()
    except OSError:
        return (str(path),)
    content = b""
    if abs(time.time() - max(stat.st_ctime, stat.st_mtime)) < FRESH and path.is_file():
        with contextlib.suppress(OSError), path.open("rb") as file:
            content = hashlib.file_digest(file, "blake2b").digest()
    return (str(path), stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, content)


def make_folder(path: Path) -> None:
    """A folder to write to, made where it is not there.

    Raises:
        HrmGymError: where it cannot be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise HrmGymError(f"cannot make the folder {_shortened(path)} ({reason}): choose another one") from None


def check_new(path: Path, overwrite: bool = False) -> None:
    """Refuse a place for a new file before the work that fills it, not after.

    Args:
        path: of the file to be.
        overwrite: whether a file that stands there may be replaced.

    Raises:
        HrmGymError: where something is there already, or the folder is not there or cannot be written to.
    """
    if not path.name:
        raise HrmGymError(f"cannot write to {str(path)!r}: give the name of a file")
    try:
        if path.is_dir():
            raise HrmGymError(f"cannot write {path}: it is a folder; give the name of a file")
        if not path.parent.is_dir():
            raise HrmGymError(f"cannot write {path}: there is no folder {path.parent}; make it first")
        if not overwrite and os.path.lexists(path):
            raise HrmGymError(f"{path} is already there: choose another name, or add --overwrite")
        _new_file_beside(path).unlink()
    except HrmGymError:
        raise
    except (OSError, ValueError) as error:  # a name with a null character is a ValueError
        reason = getattr(error, "strerror", None) or error
        raise HrmGymError(f"cannot write {_shortened(path)} ({reason}): choose another place") from None


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file.

    Raises:
        HrmGymError: where it cannot be read, or holds no object.
    """
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise HrmGymError(f"cannot read {_shortened(path)} ({error}): it is damaged or no JSON") from None
    if not isinstance(value, dict):
        raise HrmGymError(f"{_shortened(path)} holds no JSON object: it is damaged or another program's")
    return value


def _shortened(path: Path) -> str:
    text = str(path)
    return text if len(text) <= 200 else f"{text[:200]}..."


def save_arrays(arrays: Mapping[str, np.ndarray], path: str | os.PathLike[str]) -> None:
    """Writes the arrays as a compressed `.npz`: the same bytes wherever zlib is the same.

    Raises:
        HrmGymError: where it cannot be written.
    """
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
    with replacing(Path(path)) as temporary:
        temporary.write_bytes(buffer.getvalue())


def shipped_arrays(package: str, name: str) -> dict[str, np.ndarray]:
    """The arrays of the file `data/NAME.npz` that a package of puzzles ships.

    Raises:
        HrmGymError: where the file is missing.
    """
    path = resources.files(package).joinpath("data", f"{name}.npz")
    if not path.is_file():
        raise HrmGymError(f"the shipped puzzles {path} are missing: install the package again, or make them anew")
    return read_arrays(path)


def read_arrays(path: Any) -> dict[str, np.ndarray]:
    """The arrays of an `.npz` file; nothing is unpickled.

    Raises:
        HrmGymError: where it is damaged, no such file, or would unpack to more than `LARGEST` bytes.
    """
    try:
        with path.open("rb") as file, zipfile.ZipFile(file) as archive:
            size = sum(member.file_size for member in archive.infolist())
            if size > LARGEST:
                raise HrmGymError(f"{path} unpacks to {size >> 20} MB, more than {LARGEST >> 20} MB: split it")
            file.seek(0)
            with np.load(file, allow_pickle=False) as arrays:
                return {name: _array(arrays[name]) for name in arrays.files}
    except HrmGymError:
        raise
    except Exception as error:  # what NumPy and the unpackers below it raise for damaged files is of many kinds
        raise HrmGymError(f"{path} is no whole .npz file ({first_line(error)}): give another copy of it") from None


def read_array(path: Path) -> np.ndarray:
    """The array of an `.npy` file, whose header is believed only as far as the file reaches; nothing is unpickled.

    Raises:
        HrmGymError: where it is damaged, or no such file.
    """
    try:
        return _array(np.array(np.load(path, mmap_mode="r", allow_pickle=False)))
    except Exception as error:  # what NumPy and the unpackers below it raise for damaged files is of many kinds
        raise HrmGymError(f"cannot read {path} ({first_line(error)}): give whole .npy files of integers") from None


def _array(value: Any) -> np.ndarray:
    if not isinstance(value, np.ndarray):
        raise ValueError("it holds no array")
    return value
