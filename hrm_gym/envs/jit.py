"""Numba compilation with a cache on disk wherever one can be written."""

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
from numba.core import config, event

LOG = logging.getLogger("hrm_gym")


def njit(**options: Any) -> Callable[[Any], Any]:
    """`numba.njit` with a cache beside the code, or in `NUMBA_CACHE_DIR`.

    If neither can be written, as in a container or without a home folder, the cache goes to the temporary folder. If
    that fails too, every process compiles. A log line reports both cases.
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
    """Redirects the cache of functions decorated inside; functions of other packages are not affected."""
    before, config.CACHE_DIR = config.CACHE_DIR, folder  # type: ignore[attr-defined]
    try:
        yield
    finally:
        config.CACHE_DIR = before  # type: ignore[attr-defined]


@functools.cache
def _temporary() -> str | None:
    """A folder that only this user can write, because its contents are executed; None if there is none."""
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
    LOG.warning(
        "the package's folder cannot be written to, so compiled code %s: NUMBA_CACHE_DIR=FOLDER keeps it elsewhere",
        kept,
    )
    return folder


class _FirstCompilation(event.Listener):
    """Logs the first compilation of a process, because a first use takes many seconds and later ones use the cache."""

    logged = False

    def on_start(self, event: Any) -> None:
        """Called by numba before it compiles; not for what it finds in the cache."""
        function = event.data["dispatcher"].py_func
        if not self.logged and function.__module__.startswith("hrm_gym."):
            self.logged = True
            LOG.info("compiling puzzle code, which is kept for next time: this can take half a minute ...")

    def on_end(self, event: Any) -> None:
        """Required by numba; nothing to do."""


event.register("numba:compile", _FirstCompilation())
