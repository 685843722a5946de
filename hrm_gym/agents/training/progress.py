"""The reporting of a run: a live table in the terminal, and TensorBoard."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.live import Live
from rich.table import Table
from torch.utils.tensorboard import SummaryWriter

from hrm_gym.agents.inference.evaluation import Evaluation
from hrm_gym.agents.inference.think import boards_of, think
from hrm_gym.agents.policy import Policy
from hrm_gym.envs.task import Puzzles, Task
from hrm_gym.shares import in_percent

SHOWN_SEGMENTS = (1, 2, 4, 8, 16)

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
        run_dir: the folder of TensorBoard's events.
        task: draws the pictures.
        title: the run's name in the display and on the pictures.
    """

    def __init__(self, run_dir: Path, task: Task, title: str):
        self.console = Console()
        self.writer = SummaryWriter(str(run_dir))
        self._task = task
        self._renderer: Any = None  # imported for the first picture
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
        self.writer.close()

    def say(self, text: str) -> None:
        """Print a permanent line."""
        self.console.print(text, highlight=False, soft_wrap=True)

    # ---- training --------------------------------------------------------------------------------

    def training(self, step: int, figures: dict[str, float], seconds: float, left: float | None) -> None:
        """Report figures of the last steps; `left` is the remaining time of the budget, in seconds."""
        for name, value in figures.items():
            self.writer.add_scalar(f"train/{name}", value, step)
        self._training = {"step": step, **figures, "seconds": seconds, "left": -1.0 if left is None else left}
        if self._live is not None and time.monotonic() - self._drawn > 0.25:
            self._drawn = time.monotonic()
            self._live.update(self._table())
        elif self._live is None and time.monotonic() - self._logged > LOG_SECONDS:
            self._logged = time.monotonic()
            self.say("  ".join(f"{name} {value}" for name, value in self._columns().items()))

    def halting(self, step: int, segments: np.ndarray, max_segments: int) -> None:
        """Log the segments at which training episodes ended, as a histogram."""
        if len(segments):
            self.writer.add_histogram("train/ended_after", segments, step, bins=np.arange(max_segments + 2) + 0.5)

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
        place = name.split(",")[0]
        grades = {"exact_accuracy": result.exact.mean(), "valid_accuracy": result.valid.mean()}
        grades["cell_accuracy"] = result.cell_accuracy
        halting = ""
        if by_itself is not None:
            share, length = by_itself.exact.mean(), by_itself.segments.mean()
            grades |= {"exact_accuracy_by_itself": share, "segments_by_itself": length}
            halting = f"; by itself {in_percent(share)} in {length:.1f} segments"
        for key, value in grades.items():
            self.writer.add_scalar(f"{place}/{key}", value, step)
        shown = [segment for segment in SHOWN_SEGMENTS if segment <= len(result.after)]
        for segment in shown:
            self.writer.add_scalar(f"{place}_after/{segment:02}_segments", result.after[segment - 1], step)
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

    def boards(self, step: int, policy: Policy, puzzles: Puzzles) -> None:
        """Log the answers to one validation board, segment by segment, as TensorBoard images."""
        from hrm_gym.envs.drawing.frame import Frame
        from hrm_gym.envs.drawing.renderer import Renderer

        self._renderer = self._renderer or Renderer(self._task, self._title)
        first = puzzles.map(lambda array: np.asarray(array[:1]).astype(np.int64))
        puzzle, solution = first.puzzle[0], first.solution[0]
        boards = boards_of(first, policy.device)
        previous = puzzle
        most = SHOWN_SEGMENTS[-1]
        for i, thought in enumerate(think(policy, boards.puzzle, most, boards.identity), start=1):
            answer = thought.answer[0].cpu().numpy()
            if i in SHOWN_SEGMENTS:
                frame = Frame(
                    puzzle=puzzle,
                    answer=answer,
                    segment=i,
                    max_segments=most,
                    solution=solution,
                    identity=None if first.identity is None else int(first.identity[0]),
                    previous=previous,
                    confidence=thought.confidence[0].cpu().numpy(),
                    belief=None if thought.belief is None else float(thought.belief[0]),
                    signals=policy.halting.worded({name: float(value[0]) for name, value in thought.signals.items()}),
                    reveal=True,
                )
                picture = self._renderer.rgb(frame)
                self.writer.add_image(f"board/after_{i:02}_segments", picture, step, dataformats="HWC")
            previous = answer

    def settings(self, config: dict[str, Any], result: dict[str, Any]) -> None:
        """Log the run's configuration and its final figures as text."""
        rows = "\n".join(f"| {name} | {value} |" for name, value in {**config, **result}.items())
        self.writer.add_text("run", f"| field | value |\n| --- | --- |\n{rows}")
