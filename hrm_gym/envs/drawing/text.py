"""Boards as text, for terminals and logs."""

from __future__ import annotations

import numpy as np

from hrm_gym.envs.drawing.frame import Frame, verdict
from hrm_gym.envs.task import Task

UNSURE = 0.5
"""Confidence below which a cell is marked as unsure, because another symbol may be equally probable."""


def legend(frame: Frame) -> str:
    """Return the legend of the marks after the symbols."""
    unsure = f"? the agent is less than {UNSURE:.0%} sure".replace("%", " %")
    guess = "" if frame.search is None else "   * the agent guesses"
    return f"{unsure}{guess}   ! the answer changes a given"


def headline(task: Task, frame: Frame) -> str:
    """Return a line with the segment, the search, the agent's decision and the ending of the episode."""
    parts = [f"segment {frame.segment} of {frame.max_segments}"]
    if frame.search is not None:
        number = int((frame.search.guesses != task.blank).sum())
        counts = f"boards: {frame.search.open} open, {frame.search.waiting} waiting, {frame.search.given_up} given up"
        parts += [counts, f"{number} guess" if number == 1 else f"{number} guesses"]
    if frame.decision:
        read = ", ".join(f"{name} {100 * value:.0f} %" for name, value in frame.signals.items())
        parts.append(f"{frame.decision} ({read})" if read else frame.decision)
    if frame.ended:
        parts.append(verdict(task, frame))
    return "  ·  ".join(parts)


def signs(task: Task, frame: Frame) -> np.ndarray:
    """Return the mark after each symbol of the answer, characters of shape (L,); see `legend`.

    Without confidences, every proposal is marked as unsure.
    """
    given = np.asarray(task.is_given(frame.puzzle))
    proposed = frame.answer != frame.puzzle
    unsure = proposed if frame.confidence is None else ~given & (frame.confidence < UNSURE)
    marks = np.where(unsure, "?", " ")
    if frame.search is not None:
        marks = np.where(frame.search.guesses != task.blank, "*", marks)
    return np.where(given & proposed, "!", marks)


def board_text(task: Task, answer: np.ndarray, signs: np.ndarray | None = None, bold: np.ndarray | None = None) -> str:
    """Return the board as text, with a mark after each symbol.

    Args:
        task: the family, whose `symbols`, `shape` and `boxes` are drawn.
        answer: tokens of shape (L,).
        signs: the marks, shape (L,); None for none.
        bold: cells to print in bold with terminal escape codes, bool of shape (L,); None for none.
    """
    rows, columns = task.shape
    high, wide = task.boxes or task.shape
    rule = "+" + ("-" * 3 * wide + "+") * (columns // wide)
    marks = [" "] * len(answer) if signs is None else signs
    strong = np.zeros(len(answer), dtype=bool) if bold is None else bold
    texts = [
        f" \033[1m{task.symbols[token]}\033[0m{sign}" if heavy else f" {task.symbols[token]}{sign}"
        for token, sign, heavy in zip(answer, marks, strong, strict=True)
    ]
    cells = np.array(texts)
    lines = []
    for row, line in enumerate(cells.reshape(rows, columns)):
        if row % high == 0:
            lines.append(rule)
        lines.append("|" + "|".join("".join(box) for box in line.reshape(-1, wide)) + "|")
    return "\n".join([*lines, rule])
