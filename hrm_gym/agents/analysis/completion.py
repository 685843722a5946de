"""Are nearly solved boards easy? They should be for an agent that reasons, but HRM has been seen to fail on them.

Boards are shown with part of the solution filled in (arXiv 2601.10679 reports failures with a single open cell).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from hrm_gym.agents.analysis.finding import Analysis
from hrm_gym.agents.analysis.recording import Unsuited
from hrm_gym.agents.analysis.style import AMBER, BLUE, percent, tidy
from hrm_gym.agents.analysis.subject import Subject, think_through
from hrm_gym.envs.task import Puzzles, Task
from hrm_gym.shares import bars, share_of, words

SHARES = (0.0, 0.25, 0.5, 0.75, 0.9)


def with_hints(task: Task, puzzles: Puzzles, open_cells: np.ndarray, rng: np.random.Generator) -> Puzzles:
    """Fill in random cells of the puzzles (N, L) until `open_cells`, integers (N,), remain open."""
    blank = ~task.is_given(puzzles.puzzle)
    order = np.where(blank, rng.random(blank.shape), 2.0).argsort(1).argsort(1)  # random rank of each open cell
    keep = blank & (order < open_cells[:, None])
    return puzzles._replace(puzzle=np.where(blank & ~keep, puzzles.solution, puzzles.puzzle))


def measure(subject: Subject) -> dict[str, Any]:
    """Accuracy by the share of the solution that is given, down to one open cell and none."""
    task, puzzles = subject.task, subject.changed
    if not task.hintable:
        raise Unsuited("cells of this family's solutions cannot be given as well (`Task.hintable`)")
    blank = (~task.is_given(puzzles.puzzle)).sum(1)
    boards = [(f"{100 * share:.0f} % given", np.ceil((1 - share) * blank).astype(int)) for share in SHARES]
    boards += [("one open cell", np.minimum(blank, 1)), ("solved board", np.zeros_like(blank))]
    rows = []
    for name, open_cells in boards:
        if (open_cells == blank).all():  # the puzzles as they are
            right = subject.long.right[: len(blank), : subject.trained_segments]
        else:
            shown = with_hints(task, puzzles, open_cells, subject.rng())
            right = think_through(subject.policy, task, shown, subject.trained_segments).right
        rows.append(
            {
                "board": name,
                "mean_open_cells": round(float(open_cells.mean()), 2),
                "after_one_segment": share_of(right[:, 0]),
                "after_all_segments": share_of(right[:, -1]),
            }
        )
    return {"segments": subject.trained_segments, "rows": rows}


def describe(figures: dict[str, Any]) -> str:
    """The paragraph on the figures."""
    rows = figures["rows"]
    whole, one, done = rows[0]["after_all_segments"], rows[-2]["after_all_segments"], rows[-1]["after_all_segments"]
    lowest = min(rows, key=lambda row: row["after_all_segments"]["share"])
    text = (
        f"After {figures['segments']} segments the agent is right on {words(whole)} of the puzzles as they are, on "
        f"{words(one)} of those with one open cell, and on {words(done)} of boards that are given solved."
    )
    if lowest is rows[0]:
        return text + " More given cells never make it worse."
    if lowest["after_all_segments"]["interval"][1] < whole["interval"][0]:
        return text + (
            f' It fails boards that are easier than those of training: at "{lowest["board"]}" only '
            f"{words(lowest['after_all_segments'])} are right."
        )
    return text + f' The differences are within their intervals; the lowest is "{lowest["board"]}".'


def draw(figure: Any, figures: dict[str, Any]) -> None:
    """Accuracy from the original puzzle to the solved board."""
    axes = figure.subplots()
    rows = figures["rows"]
    x = np.arange(len(rows))
    for key, colour, label in (
        ("after_one_segment", AMBER, "after one segment"),
        ("after_all_segments", BLUE, f"after {figures['segments']} segments"),
    ):
        middle, below, above = np.array([bars(row[key]) for row in rows]).T
        axes.errorbar(x, middle, yerr=(below, above), color=colour, marker="o", capsize=3, label=label)
    axes.set_xticks(x, [f"{row['board']}\n{row['mean_open_cells']:.3g} open" for row in rows], fontsize=8)
    percent(axes)
    tidy(axes, "", "right")
    axes.legend(frameon=False, loc="lower right")


ANALYSIS = Analysis("completion", measure, describe, draw)
