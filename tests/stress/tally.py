"""How one part of the suite counts: cases, failures, and what was lost."""

import contextlib
import dataclasses
import io
import os
import signal
from collections.abc import Callable
from typing import Any

from hrm_gym.errors import HrmGymError

SECONDS = 60
"""After which a case counts as hanging."""


class Hang(BaseException):
    """A case took too long; no handler of ordinary exceptions may swallow it."""


@dataclasses.dataclass(frozen=True)
class Size:
    """How much of everything."""

    kills: int
    files: int
    """Mutilated files of each kind."""
    steps: int
    texts: int
    commands: int
    calls: int
    """Calls of public functions with odd arguments."""
    forms: int
    """Whole puzzles in some form, and as many damaged ones."""
    disks: int
    """Full disks."""
    clocks: int
    rivals: int
    """Pairs of runs in one folder."""
    soak_seconds: float
    """Of all soaks together."""
    soak_rounds: int
    """How often each soak takes its turn."""


SMALL = Size(
    kills=5,
    files=12,
    steps=3_000,
    texts=3_000,
    commands=60,
    calls=400,
    forms=300,
    disks=12,
    clocks=2,
    rivals=1,
    soak_seconds=10,
    soak_rounds=6,
)
FULL = Size(
    kills=100,
    files=250,
    steps=600_000,
    texts=400_000,
    commands=3_000,
    calls=20_000,
    forms=20_000,
    disks=400,
    clocks=20,
    rivals=10,
    soak_seconds=3600,
    soak_rounds=60,
)


@dataclasses.dataclass
class Tally:
    """The count of one kind of case."""

    what: str
    cases: int = 0
    refused: int = 0
    """Cases that ended in one `HrmGymError` of one line."""
    failures: list[str] = dataclasses.field(default_factory=list)
    lost: int = 0
    """Cases after which something that was there before was gone."""

    def fail(self, what: object, reason: str) -> None:
        """Take note of a failure."""
        self.failures.append(f"{what}: {reason}"[:400])

    def case(self, what: object, function: Callable[[], Any]) -> Any:
        """Run a case: it may succeed or raise one `HrmGymError` of one line, within `SECONDS`, and nothing else."""
        self.cases += 1
        try:
            with time_limit(SECONDS):
                return function()
        except HrmGymError as error:
            self.refused += 1
            if len(str(error).splitlines()) != 1:
                self.fail(what, f"{len(str(error).splitlines())} lines: {error!r}")
        except Hang:
            self.fail(what, f"not done after {SECONDS} s")
        except Exception as error:
            self.fail(what, f"{type(error).__name__}: {error}")
        return None


@contextlib.contextmanager
def time_limit(seconds: int):
    """Raise `Hang` after so many seconds."""

    def ring(number, frame):
        raise Hang

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@contextlib.contextmanager
def silent():
    """Swallow what is printed; gives what goes to standard error."""
    errors = io.StringIO()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(errors):
        yield errors


def in_child(function: Callable[[], int]) -> int:
    """Run a function in a process of its own, whose status is what it gives; gives the process's number.

    Forked rather than started anew: importing torch takes longer than most lives here last.
    """
    child = os.fork()
    if child:
        return child
    status = 70  # never seen by the package's own refusals
    try:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        os.dup2(null, 2)
        status = function()
    finally:
        os._exit(status)


def left_over(folder: str | os.PathLike[str]) -> list[str]:
    """Temporary files in a folder."""
    return [name for name in os.listdir(folder) if ".tmp" in name or ".part" in name]
