"""Compiling loops to machine code, kept between processes wherever the machine lets us keep it."""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numba
from numba.core import config


def njit(**options: Any) -> Callable[[Any], Any]:
    """As `numba.njit`, whose cache stands beside the code, or where `NUMBA_CACHE_DIR` says.

    Where neither can be written to, as in a container or for a user without a home, the code is kept in the folder of
    temporary files, and where that fails, too, it is compiled in every process; a line in the log says so.
    """

    def decorate(function: Any) -> Any:
        try:
            return numba.njit(**options)(function)
        except RuntimeError as error:
            if not options.get("cache") or "cache" not in str(error):
                raise
        folder = _temporary()
        if folder is not None:
            with contextlib.suppress(RuntimeError), _kept_in(folder):
                return numba.njit(**options)(function)
        return numba.njit(**{**options, "cache": False})(function)

    return decorate


@contextlib.contextmanager
def _kept_in(folder: str) -> Iterator[None]:
    """A function finds its cache when it is decorated; other people's functions keep theirs."""
    before, config.CACHE_DIR = config.CACHE_DIR, folder  # type: ignore[attr-defined]
    try:
        yield
    finally:
        config.CACHE_DIR = before  # type: ignore[attr-defined]


@functools.cache
def _temporary() -> str | None:
    """A folder that belongs to this user alone: what is in it is run. None where there can be none."""
    folder = None
    try:
        place = Path(tempfile.gettempdir()) / f"hrm-gym-{os.getuid() if hasattr(os, 'getuid') else 'cache'}"
        with contextlib.suppress(FileExistsError):
            place.mkdir(mode=0o700)
        status = place.lstat()
        mine = not hasattr(os, "getuid") or (status.st_uid == os.getuid() and not status.st_mode & 0o077)
        if stat.S_ISDIR(status.st_mode) and mine and os.access(place, os.W_OK):
            folder = str(place)
    except OSError:
        pass
    kept = f"is kept in {folder}" if folder else "is compiled in every process"
    logging.getLogger("hrm_gym").warning(
        "the package's folder cannot be written to, so compiled code %s: NUMBA_CACHE_DIR=FOLDER keeps it elsewhere",
        kept,
    )
    return folder
