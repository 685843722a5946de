"""The reporting of a run in the terminal: a live table, and lines that stay."""

from __future__ import annotations

import time

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from hrm_gym.agents.inference.evaluation import Evaluation
from hrm_gym.agents.training.callbacks import SHOWN_SEGMENTS
from hrm_gym.shares import in_percent

LOG_SECONDS = 60.0
"""Seconds between log lines if the output is not a terminal."""


def clock(seconds: float) -> str:
    """Minutes and seconds, and hours if needed."""
    minutes, s = divmod(int(max(0, seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{s:02}" if hours else f"{minutes}:{s:02}"


class Progress:
    """Reports a running training: a live table on a terminal, else a line per minute and per evaluation.

    Args:
        title: the run's name.
    """

    def __init__(self, title: str):
        self.console = Console()
        self._live: Live | None = None
        self._title = title
        self._training: dict[str, float] = {}
        self._drawn = self._logged = 0.0

    def __enter__(self) -> Progress:
        if self.console.is_terminal:
            self._live = Live(console=self.console, refresh_per_second=4, transient=True)
            self._live.start()
        return self

    def __exit__(self, *exc: object) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def say(self, text: str) -> None:
        """Print a permanent line."""
        self.console.print(text, highlight=False, soft_wrap=True)

    # ---- training --------------------------------------------------------------------------------

    def training(self, step: int, figures: dict[str, float], seconds: float, left: float | None) -> None:
        """Report figures of the last steps; `left` is the remaining time of the budget, in seconds."""
        self._training = {"step": step, **figures, "seconds": seconds, "left": -1.0 if left is None else left}
        if self._live is not None and time.monotonic() - self._drawn > 0.25:
            self._drawn = time.monotonic()
            self._live.update(self._table())
        elif self._live is None and time.monotonic() - self._logged > LOG_SECONDS:
            self._logged = time.monotonic()
            self.say("  ".join(f"{name} {value}" for name, value in self._columns().items()))

    def _columns(self) -> dict[str, str]:
        t = self._training
        return {
            "step": f"{int(t['step']):,}",
            "time": clock(t["seconds"]),
            "left": clock(t["left"]) if t["left"] >= 0 else "-",
            "loss": self._figure("answer_loss", ".3f"),
            "right": self._figure("accuracy", ".1%"),
            "cells": self._figure("cell_accuracy", ".1%"),
            "seg/s": self._figure("segments_per_second", ",.0f"),
        }

    def _table(self) -> Table:
        table = Table(
            title=self._title, title_style="bold", box=None, padding=(0, 1), pad_edge=False, collapse_padding=True
        )
        columns = self._columns()
        for name in columns:
            table.add_column(name, justify="right", style="cyan", header_style="dim", no_wrap=True)
        table.add_row(*columns.values())
        return table

    def _figure(self, name: str, form: str) -> str:
        """A figure of training as text; a dash before it is measured."""
        return format(self._training[name], form) if name in self._training else "-"

    def testing(self, done: int, of: int) -> None:
        """Report how far the last evaluation is: in place on a terminal, else a line per minute."""
        text = f"tested {done:,} of {of:,}"
        if self._live is not None:
            self._live.update(Text(text, style="dim"))
        elif time.monotonic() - self._logged > LOG_SECONDS:
            self._logged = time.monotonic()
            self.say(text)

    # ---- evaluation ------------------------------------------------------------------------------

    def evaluation(
        self,
        step: int,
        seconds: float,
        result: Evaluation,
        by_itself: Evaluation | None = None,
        name: str = "validation",
    ) -> None:
        """Report the averaged weights on held-out puzzles: after all segments, and with learned halting."""
        halting = ""
        if by_itself is not None:
            share, length = by_itself.exact.mean(), by_itself.segments.mean()
            halting = f"; with its own halting {in_percent(share)} in {length:.1f} segments"
        shown = [segment for segment in SHOWN_SEGMENTS if segment <= len(result.after)]
        # Puzzles with several right answers get both grades: valid, and equal to the label.
        several = bool((result.valid & ~result.exact).any())
        valid = f", {in_percent(result.valid.mean())} valid" if several else ""
        after = " / ".join(f"{100 * result.after[s - 1]:.0f}" for s in shown)
        self.say(
            f"[dim]{clock(seconds):>7}[/]  step {step:>6,}  {name}: [bold]{100 * result.exact.mean():5.1f} %[/] "
            f"exact{valid}, {in_percent(result.cell_accuracy)} cells{halting}\n"
            f"[dim]         after {'/'.join(map(str, shown))} segments {after} %, "
            f"loss {self._figure('answer_loss', '.3f')}, {self._figure('segments_per_second', ',.0f')} segments/s[/]"
        )
