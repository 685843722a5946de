"""How a run, or a comparison of runs, hears that it should end."""

from __future__ import annotations

import signal
from types import FrameType
from typing import Any


class Signals:
    """Whether the user or the system has asked the run to end (Ctrl-C, SIGTERM, SIGHUP).

    The first time, the run ends after the present step, or evaluation. Asked again, it breaks off an evaluation; a
    step, which takes moments, is always finished, so that what is saved is whole. Only the first step, in which the
    network may be compiled for a minute and from which nothing is saved, is broken off at once. Of what goes on inside
    something longer, such as the runs of a comparison, the longer hears, too.
    """

    def __init__(self) -> None:
        self.asked = False
        self.may_break = False
        """Whether what goes on now can be broken off by asking twice."""
        self.may_break_at_once = False
        """Whether asking once does."""
        names = [name for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
        self._before: dict[int, Any] = {
            number: signal.getsignal(number) for number in (getattr(signal, name) for name in names)
        }

    def __enter__(self) -> Signals:
        for number in self._before:
            signal.signal(number, self._ask)
        return self

    def __exit__(self, *exc: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        again, self.asked = self.asked, True
        outer = getattr(self._before[number], "__self__", None)
        if isinstance(outer, Signals):
            outer.asked = True
        if self.may_break_at_once or (again and self.may_break):
            raise KeyboardInterrupt
