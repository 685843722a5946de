"""How a run, or a comparison of runs, hears that it should end."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any


class Interrupts:
    """Whether the user or the system has asked the run to end (Ctrl-C, SIGTERM, SIGHUP).

    The first time, the run ends after the present step, or evaluation. Asked again, it breaks off an evaluation; a
    step, which takes moments, is always finished, so that what is saved is whole. Only the first step, in which the
    network may be compiled for a minute and from which nothing is saved, is broken off at once. An enclosing
    `Interrupts`, such as that of a comparison of runs, is notified as well.
    """

    def __init__(self) -> None:
        self.asked = False
        self.may_break = False
        """Whether what goes on now can be broken off by asking twice."""
        self.may_break_at_once = False
        """Whether asking once does."""
        self._before: dict[int, Any] = {}
        """The handlers that were installed before, by signal."""

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is not threading.main_thread():
            return self  # only the main thread may install handlers; whoever started this one ends the run
        for name in ("SIGINT", "SIGTERM", "SIGHUP"):
            if number := getattr(signal, name, None):
                self._before[number] = signal.signal(number, self._ask)
        return self

    def __exit__(self, *exc: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        again, self.asked = self.asked, True
        outer = getattr(self._before[number], "__self__", None)
        if isinstance(outer, Interrupts):
            outer.asked = True
        if self.may_break_at_once or (again and self.may_break):
            raise KeyboardInterrupt
