"""The parts of the panel beside the board: state, segments, signals, numbers, curves and keys.

Each draws one part into its box. Whatever a frame does not know is shown as a dash or an empty bar, so that
every part keeps its place from the first frame to the last.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from hrm_gym.envs.drawing.canvas import AMBER, BLUE, CARD, INK, MUTED, OPEN, PAGE, RULE, Box, Canvas, Colour, mix
from hrm_gym.envs.drawing.frame import Frame, right_cells

if TYPE_CHECKING:
    from hrm_gym.envs.task import Task

_MOST_PIPS = 32  # more segments than that are drawn as one bar
_MOST_SIGNALS = 4  # the rows that fit
_REASONS = {"halted": "halted", "out_of_segments": "out of segments"}


def state(canvas: Canvas, box: Box, frame: Frame, right: bool | None) -> None:
    """Ready, thinking or ended, by words, a shape and a colour; an ending tells its reason.

    Args:
        canvas: to draw on.
        box: where.
        frame: the moment.
        right: whether the answer is right, None where that is not known.
    """
    y = box.y + box.height / 2
    line = Box(box.x + 54, box.y, box.width - 66, box.height)
    if not frame.ended:
        canvas.rect(box, CARD, 10)
        for i in range(3):
            colour = BLUE if frame.segment and frame.segment % 3 == i else mix(PAGE, BLUE, 0.35)
            canvas.disc(box.x + 18 + 9 * i, y, 3, colour)
        canvas.text("thinking" if frame.segment else "ready", line, 28, INK)
        return
    if right:
        words, ground, ink = "solved", BLUE, CARD
        strokes = [[(18, 0), (25, 7), (38, -8)]]
    elif right is None:
        words, ground, ink = "not graded", CARD, INK
        strokes = [[(19, 0), (35, 0)]]
    else:
        words, ground, ink = "not solved", mix(CARD, AMBER, 0.2), INK
        strokes = [[(19, -8), (35, 8)], [(19, 8), (35, -8)]]
    canvas.rect(box, ground, 10)
    for stroke in strokes:
        canvas.path([(box.x + along, y + down) for along, down in stroke], ink, 4)
    canvas.text(words, line, 28, ink)
    canvas.text(_REASONS[frame.ended], line, 19, ink, "right")


def segments(canvas: Canvas, box: Box, frame: Frame) -> None:
    """How many segments of how many, as numbers and as pips."""
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


def signals(canvas: Canvas, box: Box, values: Mapping[str, float]) -> None:
    """What the halting rule reads, a bar per signal, at most four; an agent without signals leaves the box empty."""
    shown = list(values.items())[:_MOST_SIGNALS]
    pitch = min(27.0, (box.height + 5) / max(len(shown), 1))
    size = min(20.0, pitch + 3)
    for i, (name, value) in enumerate(shown):
        row = Box(box.x, box.y + pitch * i, box.width, pitch - 5)
        canvas.text(name, Box(row.x, row.y, 100, row.height), size, MUTED)
        thick = min(row.height, 12)
        bar = Box(row.x + 108, row.y + (row.height - thick) / 2, 130, thick)
        _bar(canvas, bar, _known(value) or 0.0, BLUE)
        canvas.text(_percent(value), Box(row.right - 50, row.y, 50, row.height), size, INK, "right")


def numbers(canvas: Canvas, box: Box, frame: Frame, task: Task) -> None:
    """Three cards: right cells, violations under the family's name for them, mean confidence.

    Right cells are counted among those that the puzzle leaves open.
    """
    violations = int(task.violations(frame.puzzle[None], frame.answer[None])[0])
    started = frame.segment > 0
    confidence = None if frame.confidence is None else float(np.mean(frame.confidence))
    cards = {
        "right cells": _percent(right_cells(task, frame) if started else None),
        task.violation_name: str(violations) if started else "–",
        "confidence": _percent(confidence),
    }
    width = (box.width - 16) / 3
    for i, (name, value) in enumerate(cards.items()):
        card = Box(box.x + (width + 8) * i, box.y, width, box.height)
        canvas.rect(card, CARD, 8)
        canvas.text(value, Box(card.x + 4, card.y + 7, width - 8, 26), 34, INK, "center")
        canvas.text(name, Box(card.x + 4, card.y + 37, width - 8, 14), 17, MUTED, "center")


def curves(canvas: Canvas, box: Box, frame: Frame) -> None:
    """Share of right cells and the agent's belief after each segment, on one scale."""
    canvas.rect(box, CARD, 8)
    names = Box(box.x + 12, box.y + 8, box.width - 24, 16)
    canvas.disc(names.x + 4, names.y + 8, 4, BLUE)
    canvas.text("right cells", Box(names.x + 14, names.y, 90, 16), 18, MUTED)
    if frame.belief is not None:
        canvas.rect(Box(names.x + 106, names.y + 4, 8, 8), AMBER)
        canvas.text("believed right", Box(names.x + 120, names.y, 108, 16), 18, MUTED)
        canvas.text(_percent(frame.belief), Box(names.right - 40, names.y, 40, 16), 18, INK, "right")
    plot = Box(box.x + 50, box.y + 36, box.width - 66, box.height - 52)
    for percent in (0, 50, 100):
        y = plot.bottom - plot.height * percent / 100
        canvas.rect(Box(plot.x, y - 0.5, plot.width, 1), RULE)
        canvas.text(f"{percent} %", Box(box.x + 4, y - 7, 38, 14), 16, MUTED, "right")
    step = plot.width / max(frame.max_segments - 1, 1)
    marks = frame.max_segments <= _MOST_PIPS
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
    """Keys in running text, as many as the box holds."""
    x, y = box.x, box.y
    for key, meaning in keys:
        cap = max(canvas.text_width(key, 15) + 8, 18)
        words = canvas.text_width(meaning, 16)
        if x + cap + 5 + words > box.right:
            x, y = box.x, y + 23
        if y + 18 > box.bottom:
            return
        _keycap(canvas, Box(x, y, cap, 18), key, 15)
        canvas.text(meaning, Box(x + cap + 5, y, words + 1, 18), 16, MUTED)
        x += cap + words + 15


def overlay(canvas: Canvas, box: Box, keys: Sequence[tuple[str, str]]) -> None:
    """Keys and what they do on a card in the middle of the box; all else fades."""
    canvas.veil(PAGE, 0.75)
    height = 40 + 36 * len(keys)
    card = Box(box.x + box.width / 2 - 160, box.y + (box.height - height) / 2, 320, height)
    canvas.rect(card.inset(-1), RULE, 15)
    canvas.rect(card, CARD, 14)
    for i, (key, meaning) in enumerate(keys):
        y = card.y + 20 + 36 * i
        cap = Box(card.x + 24, y + 4, 84, 28)
        _keycap(canvas, cap, key, 22)
        canvas.text(meaning, Box(cap.right + 18, y, card.right - cap.right - 36, 36), 22, INK)


def _keycap(canvas: Canvas, box: Box, key: str, size: float) -> None:
    canvas.rect(box, mix(PAGE, INK, 0.18), 5)
    canvas.rect(Box(box.x + 1, box.y + 1, box.width - 2, box.height - 3), OPEN, 4)
    if key != "right":
        canvas.text(key, box, size, INK, "center")
        return
    # The font has no arrows.
    x, y, reach = box.x + box.width / 2, box.y + box.height / 2 - 0.5, size / 3
    neck, wing = x + reach * 0.3, reach * 0.6
    canvas.path([(x - reach, y), (x + reach, y)], INK, 1.5)
    canvas.path([(neck, y - wing), (x + reach, y), (neck, y + wing)], INK, 1.5)


def _bar(canvas: Canvas, box: Box, share: float, colour: Colour) -> None:
    canvas.rect(box, RULE, box.height / 2)
    if share * box.width >= 0.5:  # never narrower than its round ends, unless it is nothing
        filled = Box(box.x, box.y, max(box.width * share, box.height), box.height)
        canvas.rect(filled, colour, box.height / 2)


def _known(value: float | None) -> float | None:
    # A network that diverged says NaN; a picture of it must still come out.
    return None if value is None or math.isnan(value) else value


def _percent(share: float | None) -> str:
    # Rounded down: 80 right cells of 81 are not 100 %, nor is a confidence of 0.996.
    share = _known(share)
    return "–" if share is None else f"{math.floor(share * 100)} %"
