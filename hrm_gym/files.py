"""Files that appear whole or not at all."""

from __future__ import annotations

import contextlib
import io
import os
import secrets
from collections.abc import Iterator, Mapping
from importlib import resources
from pathlib import Path

import numpy as np

try:
    import fcntl
except ImportError:  # Windows has no such locks
    fcntl = None  # type: ignore[assignment]

from hrm_gym.errors import HrmGymError


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
        kept = "; what stood there before is untouched" if path.exists() else ""
        raise HrmGymError(
            f"cannot write {path} ({error.strerror or error}): free some space or choose another place{kept}"
        ) from None
    finally:
        if temporary is not None:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other processes out of a folder that this one writes to, until it ends.

    Raises:
        HrmGymError: where another process has it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / ".lock", "w") as file:
        if fcntl is not None:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise HrmGymError(
                    f"another process trains in {folder}: wait for it, stop it, or give another --run-dir"
                ) from None
        yield


def _new_file_beside(path: Path) -> Path:
    """An empty file in the folder of `path`, under a name that nothing there has."""
    new = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
    os.close(os.open(new, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    return new


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
    with path.open("rb") as file, np.load(file) as arrays:
        return dict(arrays)
