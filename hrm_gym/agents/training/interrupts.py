"""How a run, or a comparison of runs, is interrupted."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any


class Interrupts:
    """Whether the user or the system has asked the run to end (Ctrl-C, SIGTERM, SIGHUP, Ctrl-Break).

    After the first request the run ends with the current step or evaluation. A second request aborts an evaluation.
    Steps take moments and are always finished, so that a checkpoint is consistent. The exception is the first step:
    the network may compile for a minute, and there is nothing to save, so one request aborts it. An enclosing
    `Interrupts`, such as that of a comparison of runs, is notified as well.
    """

    def __init__(self) -> None:
        self.asked = False
        self.may_break = False
        """Whether a second request aborts the current work."""
        self.may_break_at_once = False
        """Whether one request does."""
        self._before: dict[int, Any] = {}
        """The previous handlers, by signal."""

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is not threading.main_thread():
            return self  # only the main thread may install handlers; the caller of this thread ends the run
        for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK"):
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
