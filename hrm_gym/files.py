"""Reading files safely and writing them atomically."""

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
"""Maximum size of an unpacked file in bytes."""

_LEFT_OVER = re.compile(r"\..+\.[0-9a-f]{16}\.tmp(\.\w+)?")


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary file beside `path` that replaces it once it is completely on disk, or is removed on error.

    Raises:
        HrmGymError: if it cannot be written; `path` is then unchanged.
    """
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = _new_file_beside(path)
        mode = temporary.stat().st_mode
        yield temporary
        os.chmod(temporary, mode)  # some libraries make files readable only by the owner
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
    """Lock a folder against other processes that write to it, and remove incomplete files of killed processes.

    Raises:
        HrmGymError: if another process holds the lock.
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
        # Only killed processes leave such files, and the lock keeps other writers out.
        for path in folder.iterdir():
            if _LEFT_OVER.fullmatch(path.name):
                with contextlib.suppress(OSError):
                    path.unlink()
        yield
    finally:
        lock.release()


def _new_file_beside(path: Path) -> Path:
    """Create an empty file with a new name in the folder of `path` and with the same suffix."""
    new = path.with_name(f".{path.stem[:100]}.{secrets.token_hex(8)}.tmp{path.suffix}")
    os.close(os.open(new, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    return new


def expanded(source: str | os.PathLike[str]) -> Path:
    """Return the path of a user's file or folder, with the home folder in place of `~`."""
    return Path(os.path.expanduser(source))


def is_file(path: Path) -> bool:
    """Return whether the file exists; False for names that the system does not allow."""
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
    """Return whether the folder exists; False for names that the system does not allow."""
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def run_to_resume(folder: str) -> Path:
    """Return the path of a run's folder.

    Raises:
        HrmGymError: if there is no such folder.
    """
    if not folder or not is_folder(Path(folder)):
        raise HrmGymError(f"--resume {folder!r}: there is no such folder; give the folder of a run")
    return Path(folder)


FRESH = 3.0
"""Seconds after which a change of a file is certain to show in its modification time."""


def state_of(source: str | os.PathLike[str]) -> tuple[Any, ...]:
    """Return a cache key that changes whenever a file, or any file of a folder, changes.

    It holds the resolved path, sizes and modification times. Recently written files also contribute their contents,
    because the clock of a file system may not separate two quick writes. Missing files have a key, too.
    """
    try:
        place = expanded(source).resolve()
        names = sorted(place.rglob("*")) if place.is_dir() else [place]
        return (str(place), *(_state(name) for name in names[:MOST_FILES] if not name.is_dir()))
    except (OSError, ValueError, RuntimeError):
        return (str(source),)


MOST_FILES = 20_000
"""Maximum number of files examined in a folder, because a user may name the root of a disk."""


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
    """Create a folder if it does not exist.

    Raises:
        HrmGymError: if it cannot be created.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise HrmGymError(f"cannot make the folder {_shortened(path)} ({reason}): choose another one") from None


def check_new(path: Path, overwrite: bool = False) -> None:
    """Check that a new file can be written, before the work that produces its contents.

    Args:
        path: path of the new file.
        overwrite: whether an existing file may be replaced.

    Raises:
        HrmGymError: if the path exists already, or its folder is missing or not writable.
    """
    if not path.name:
        raise HrmGymError(f"cannot write to {str(path)!r}: give the name of a file")
    try:
        if path.is_dir():
            raise HrmGymError(f"cannot write {path}: it is a folder; give the name of a file")
        if not path.parent.is_dir():
            raise HrmGymError(f"cannot write {path}: there is no folder {path.parent}; create it first")
        if not overwrite and os.path.lexists(path):
            raise HrmGymError(f"{path} is already there: choose another name, or add --overwrite")
        _new_file_beside(path).unlink()
    except HrmGymError:
        raise
    except (OSError, ValueError) as error:  # a name with a null character is a ValueError
        reason = getattr(error, "strerror", None) or error
        raise HrmGymError(f"cannot write {_shortened(path)} ({reason}): choose another place") from None


def read_json(path: Path) -> dict[str, Any]:
    """Read the object in a JSON file.

    Raises:
        HrmGymError: if it cannot be read or holds no object.
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
    """Write the arrays to a compressed `.npz`; the bytes are reproducible for the same version of zlib.

    Raises:
        HrmGymError: if it cannot be written.
    """
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
    with replacing(Path(path)) as temporary:
        temporary.write_bytes(buffer.getvalue())


def shipped_arrays(package: str, name: str) -> dict[str, np.ndarray]:
    """Read the arrays of `data/NAME.npz` in a subpackage of puzzles.

    Raises:
        HrmGymError: if the file is missing.
    """
    path = resources.files(package).joinpath("data", f"{name}.npz")
    if not path.is_file():
        raise HrmGymError(f"the shipped puzzles {path} are missing: reinstall the package or regenerate them")
    return read_arrays(path)


def read_arrays(path: Any) -> dict[str, np.ndarray]:
    """Read the arrays of an `.npz` file without unpickling.

    Raises:
        HrmGymError: if it is missing, damaged, or would unpack to more than `LARGEST` bytes.
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
    except Exception as error:  # NumPy and zlib raise many kinds of errors for damaged files
        raise HrmGymError(f"{path} is not a whole .npz file ({first_line(error)}): give another copy of it") from None


def read_array(path: Path) -> np.ndarray:
    """Read the array of an `.npy` file without unpickling; reject a header that claims more data than the file has.

    Raises:
        HrmGymError: if it is missing or damaged.
    """
    try:
        return _array(np.array(np.load(path, mmap_mode="r", allow_pickle=False)))
    except Exception as error:  # NumPy and zlib raise many kinds of errors for damaged files
        raise HrmGymError(f"cannot read {path} ({first_line(error)}): give whole .npy files of integers") from None


def _array(value: Any) -> np.ndarray:
    if not isinstance(value, np.ndarray):
        raise ValueError("it holds no array")
    return value
