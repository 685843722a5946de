"""The parts of the panel beside the board: state, segments, search, signals, numbers, curves and keys.

Each function draws one part into its box. Unknown values are shown as a dash or an empty bar, so that every part
keeps its position from the first frame to the last.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from hrm_gym.envs.drawing.canvas import AMBER, BLUE, CARD, INK, MUTED, PAGE, RULE, Box, Canvas, Colour, guessed, mix
from hrm_gym.envs.drawing.frame import Frame, Search, is_another, is_right, right_cells, verdict
from hrm_gym.envs.drawing.help import MOST_SIGNALS, keycap

if TYPE_CHECKING:
    from hrm_gym.envs.task import Task

_MOST_PIPS = 32  # more segments are drawn as one bar
_ENDED = {
    (True, "halted"): "solved, stopped by itself",
    (True, "out_of_segments"): "solved, out of time",
    (False, "halted"): "wrong, stopped too early",
    (False, "out_of_segments"): "out of time",
    (None, "halted"): "not graded, stopped by itself",
    (None, "out_of_segments"): "not graded, out of time",
}
"""Names of endings, by correctness of the answer and kind of ending."""
_HALTED = {True: "right", False: "wrong, too early", None: "not graded"}
"""Grades of a decision to halt, if decisions are shown."""
_LEAST_SPAN = 8  # initial length of the curves' axis in segments
_SIGNAL_PITCH = 27  # height of a row of signals, with the space below it


def state(canvas: Canvas, box: Box, frame: Frame, task: Task) -> None:
    """Draw whether the agent is ready, thinking or done (and why), in words, by a shape and by colour.

    Args:
        canvas: to draw on.
        box: where to draw.
        frame: the frame to draw.
        task: the puzzle family, which grades the answer.
    """
    y = box.y + box.height / 2
    line = Box(box.x + 54, box.y, box.width - 62, box.height)
    if not frame.ended:
        canvas.rect(box, CARD, 10)
        for i in range(3):
            colour = BLUE if frame.segment and frame.segment % 3 == i else mix(PAGE, BLUE, 0.35)
            canvas.disc(box.x + 18 + 9 * i, y, 3, colour)
        canvas.text(frame.decision or ("thinking" if frame.segment else "ready"), line, 26, INK)
        return
    right = is_right(task, frame)
    if right:
        ground, ink = BLUE, CARD
        strokes = [[(18, 0), (25, 7), (38, -8)]]
    elif right is None:
        ground, ink = CARD, INK
        strokes = [[(19, 0), (35, 0)]]
    else:
        ground, ink = mix(CARD, AMBER, 0.2), INK
        strokes = [[(19, -8), (35, 8)], [(19, 8), (35, -8)]]
    canvas.rect(box, ground, 10)
    for stroke in strokes:
        canvas.path([(box.x + along, y + down) for along, down in stroke], ink, 4)
    another = is_another(task, frame)
    words = verdict(task, frame) if another else _ENDED[right, frame.ended]
    if frame.decision == "halt":
        words = f"halt: {verdict(task, frame) if another else _HALTED[right]}"
    canvas.text(words, line, 20 if another else 24, ink)


def segments(canvas: Canvas, box: Box, frame: Frame) -> None:
    """Draw the number of segments and their maximum, as text and as dots."""
    line = Box(box.x, box.y, box.width, 22)
    canvas.text("segment", line, 22, MUTED)
    canvas.text(f"{frame.segment} / {frame.max_segments}", line, 28, INK, "right")
    track = Box(box.x, box.y + 32, box.width, 8)
    if frame.max_segments > _MOST_PIPS:
        _bar(canvas, track, frame.segment / frame.max_segments, BLUE)
        return
    pitch = (track.width + 4) / frame.max_segments
    for i in range(frame.max_segments):
        pip = Box(track.x + pitch * i, track.y, pitch - 4, track.height)
        canvas.rect(pip, BLUE if i < frame.segment else RULE, 4)


def search(canvas: Canvas, box: Box, found: Search, blank: int) -> None:
    """Draw the symbol and number of guesses, and the numbers of open, waiting and given-up boards."""
    tile = Box(box.x, box.y, box.height, box.height)
    guessed(canvas, tile, "?")
    number = int((found.guesses != blank).sum())
    guesses = f"{number} guess" if number == 1 else f"{number} guesses"
    words = canvas.text_width(guesses, 17) + 1
    canvas.text(guesses, Box(tile.right + 6, box.y, words, box.height), 17, INK)
    rest = Box(tile.right + 14 + words, box.y, box.right - tile.right - 14 - words, box.height)
    counts = f"{found.open} open · {found.waiting} waiting · {found.given_up} given up"
    canvas.text(counts, rest, 17, MUTED, "right")


def signals_height(values: Mapping[str, float], most: float) -> float:
    """Return the height of the box of signals, at most `most`; 0 without signals."""
    return min(_SIGNAL_PITCH * min(len(values), MOST_SIGNALS), most)


def signals(canvas: Canvas, box: Box, values: Mapping[str, float]) -> None:
    """Draw the inputs of the halting rule, one bar per signal, at most four; a dash for unknown values."""
    shown = list(values.items())[:MOST_SIGNALS]
    if not shown:
        return
    pitch = min(float(_SIGNAL_PITCH), box.height / len(shown))
    size = min(20.0, pitch + 3)
    words = min(max(canvas.text_width(name, size) for name, _ in shown) + 10, box.width - 110)
    for i, (name, value) in enumerate(shown):
        row = Box(box.x, box.y + pitch * i, box.width, pitch - 5)
        canvas.text(name, Box(row.x, row.y, words, row.height), size, MUTED)
        thick = min(row.height, 12)
        bar = Box(row.x + words, row.y + (row.height - thick) / 2, row.width - words - 54, thick)
        _bar(canvas, bar, _known(value) or 0.0, BLUE)
        canvas.text(_percent(value), Box(row.right - 50, row.y, 50, row.height), size, INK, "right")


def numbers(canvas: Canvas, box: Box, frame: Frame, task: Task) -> None:
    """Draw cards with the share of correct blank cells, the violations under the family's name, and mean confidence.

    Values that cannot be known have no card.
    """
    violations = int(task.violations(frame.puzzle[None], frame.answer[None])[0])
    started = frame.segment > 0
    cards = {task.violation_name: str(violations) if started else "–"}
    if frame.solution is not None:
        cards = {"right cells": _percent(right_cells(task, frame) if started else None), **cards}
    if frame.confidence is not None:
        cards["confidence"] = _percent(float(np.mean(frame.confidence)))
    width = (box.width + 8) / len(cards) - 8
    for i, (name, value) in enumerate(cards.items()):
        card = Box(box.x + (width + 8) * i, box.y, width, box.height)
        canvas.rect(card, CARD, 8)
        canvas.text(value, Box(card.x + 4, card.y + 7, width - 8, 26), 34, INK, "center")
        canvas.text(name, Box(card.x + 4, card.y + 37, width - 8, 14), 17, MUTED, "center")


def curves(canvas: Canvas, box: Box, frame: Frame) -> None:
    """Plot the share of correct cells and the agent's belief after each segment on one scale.

    The axis grows with the number of segments; a line marks where the agent stopped.
    """
    canvas.rect(box, CARD, 8)
    names = Box(box.x + 12, box.y + 8, box.width - 24, 16)
    if frame.solution is not None:
        canvas.disc(names.x + 4, names.y + 8, 4, BLUE)
        canvas.text("right cells", Box(names.x + 14, names.y, 90, 16), 18, MUTED)
    if frame.belief is not None:
        canvas.rect(Box(names.x + 106, names.y + 4, 8, 8), AMBER)
        canvas.text("believed right", Box(names.x + 120, names.y, 108, 16), 18, MUTED)
        canvas.text(_percent(frame.belief), Box(names.right - 40, names.y, 40, 16), 18, INK, "right")
    plot = Box(box.x + 50, box.y + 36, box.width - 66, box.height - 62)
    for percent in (0, 50, 100):
        y = plot.bottom - plot.height * percent / 100
        canvas.rect(Box(plot.x, y - 0.5, plot.width, 1), RULE)
        canvas.text(f"{percent} %", Box(box.x + 4, y - 7, 38, 14), 16, MUTED, "right")
    span = max(frame.segment, min(frame.max_segments, _LEAST_SPAN))
    step = plot.width / max(span - 1, 1)
    stop = plot.x + step * (frame.segment - 1)
    for segment in sorted({1, (span + 1) // 2, span}):
        x = plot.x + step * (segment - 1)
        if not frame.ended or abs(x - stop) > 54:  # keep space for the label of the stop
            canvas.text(str(segment), Box(x - 22, plot.bottom + 5, 44, 14), 16, MUTED, "center")
    if frame.ended:
        canvas.rect(Box(stop - 1, plot.y - 4, 2, plot.height + 10), INK)
        words = f"stopped at {frame.segment}" if frame.ended == "halted" else f"ended at {frame.segment}"
        x = min(max(stop - 46, box.x + 6), box.right - 98)
        canvas.text(words, Box(x, plot.bottom + 5, 92, 14), 16, INK, "center")
    marks = span <= _MOST_PIPS
    for values, colour in ((frame.beliefs, AMBER), (frame.accuracies, BLUE)):
        known = [(i, share) for i, share in enumerate(values) if not math.isnan(share)]
        points = [(plot.x + step * i, plot.bottom - plot.height * share) for i, share in known]
        canvas.path(points, colour, 2)
        for x, y in points if marks else points[-1:]:
            if colour == BLUE:
                canvas.disc(x, y, 3.5, colour)
            else:
                canvas.rect(Box(x - 3, y - 3, 6, 6), colour)


def hints(canvas: Canvas, box: Box, keys: Sequence[tuple[str, str]]) -> None:
    """Draw as many key hints as fit the box, as running text."""
    x, y = box.x, box.y
    for key, meaning in keys:
        cap = max(canvas.text_width(key, 15) + 8, 18)
        words = canvas.text_width(meaning, 16)
        if x + cap + 5 + words > box.right:
            x, y = box.x, y + 23
        if y + 18 > box.bottom:
            return
        keycap(canvas, Box(x, y, cap, 18), key, 15)
        canvas.text(meaning, Box(x + cap + 5, y, words + 1, 18), 16, MUTED)
        x += cap + words + 15


def _bar(canvas: Canvas, box: Box, share: float, colour: Colour) -> None:
    canvas.rect(box, RULE, box.height / 2)
    if share * box.width >= 0.5:  # at least as wide as its round ends, unless empty
        filled = Box(box.x, box.y, max(box.width * share, box.height), box.height)
        canvas.rect(filled, colour, box.height / 2)


def _known(value: float | None) -> float | None:
    # A diverged network outputs NaN; drawing must not fail.
    return None if value is None or math.isnan(value) else value


def _percent(share: float | None) -> str:
    # Round down: 80 correct cells of 81 must not show as 100 %, nor a confidence of 0.996.
    share = _known(share)
    return "–" if share is None else f"{math.floor(share * 100)} %"
