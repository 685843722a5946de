"""Files that appear whole or not at all."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from hrm_gym.errors import HrmGymError


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary file beside `path` that takes its place once it is written and on disk, or vanishes.

    Raises:
        HrmGymError: where it cannot be written; what stood at `path` is untouched.
    """
    temporary = path.with_name(path.name + ".tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        kept = "; what stood there before is untouched" if path.exists() else ""
        raise HrmGymError(
            f"cannot write {path} ({error.strerror or error}): free some space or choose another place{kept}"
        ) from None
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def save_arrays(arrays: Mapping[str, np.ndarray], path: str | os.PathLike[str]) -> None:
    """Writes the arrays as a compressed `.npz`: the same bytes wherever zlib is the same.

    Raises:
        HrmGymError: where it cannot be written.
    """
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
    with replacing(Path(path)) as temporary:
        temporary.write_bytes(buffer.getvalue())
