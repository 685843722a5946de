"""The help screen (key `h`): the keys, and the meaning of the parts that the window shows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from hrm_gym.envs.drawing.canvas import CARD, INK, MUTED, OPEN, PAGE, RULE, WRONG, Box, Canvas, mix

if TYPE_CHECKING:
    from hrm_gym.envs.drawing.frame import Frame
    from hrm_gym.envs.task import Task

_SIGNALS = {
    "is it right?": "its estimate of the chance that the whole answer is right",
    "is more thought worth it?": "its estimate of the value of going on; it stops if that is below the line above",
    "can it be solved?": "its estimate of the chance that no guess on this board is wrong",
    "is it hopeless?": "its estimate of the chance that a guess on this board is wrong",
    "its least sure cell": "the confidence of that cell; it stops once even this one is sure enough",
    "stop now?": "the probability that it stops after this segment",
    "stopped by now?": "the probability that it would have stopped by now",
}
"""Explanations of the halting rules' questions; other signals have self-explanatory names."""

MOST_SIGNALS = 4
"""Maximum number of signals in a panel."""
_WIDTH, _GAP = 476, 13  # width of an explanation, and the space between two
_ARROWS = {"left": -1, "right": 1}  # the font has no arrows


def terms(frame: Frame, task: Task) -> list[tuple[str, str]]:
    """Return the terms shown in this frame with their explanations."""
    found = [("segment", "one round of thought; the agent answers every cell, and may change each of them in the next")]
    if frame.search is not None:
        found += [
            ("guesses", "in circles: symbols that the agent tries out; shown is the board that it believes most"),
            ("open, waiting, given up", "boards with guesses: thought about now, still to come, found hopeless"),
        ]
    found += [(name, _SIGNALS[name]) for name in [*frame.signals][:MOST_SIGNALS] if name in _SIGNALS]
    if frame.solution is not None:
        found.append(("right cells", "of those that the puzzle left open; only the picture knows the solution"))
    found.append((task.violation_name, "counted by the puzzle's rules alone, without the solution"))
    if frame.confidence is not None:
        found.append(("confidence", "how probable it finds the symbols that it chose, on average"))
    if frame.belief is not None:
        found.append(("believed right", "its estimate of the chance to be right, after each segment"))
    return found


def overlay(canvas: Canvas, box: Box, frame: Frame, task: Task) -> None:
    """Draw the keys and the explanations on a card in the middle of the box, and fade the rest."""
    canvas.veil(PAGE, 0.75)
    words = terms(frame, task)
    lines = sum(len(canvas.wrapped(meaning, _WIDTH, 20)) for _, meaning in words)
    height = 44 + max(36 * len(frame.overlay), (22 + _GAP) * len(words) + 17 * lines - _GAP)
    card = Box(box.x + box.width / 2 - 400, box.y + (box.height - height) / 2, 800, height)
    canvas.rect(card.inset(-1), RULE, 15)
    canvas.rect(card, CARD, 14)
    _list(canvas, Box(card.x + 24, card.y + 22, 240, height), frame.overlay)
    y = card.y + 22
    for term, meaning in words:
        canvas.text(term, Box(card.x + 300, y, _WIDTH, 20), 22, INK)
        y = canvas.paragraph(meaning, Box(card.x + 300, y + 22, _WIDTH, 20), 20, MUTED) + _GAP


def typing(canvas: Canvas, box: Box, message: str, keys: Sequence[tuple[str, str]]) -> None:
    """Draw the panel while a puzzle is entered: the keys, and any error in the puzzle."""
    canvas.text("Your puzzle", Box(box.x, box.y, box.width, 26), 34, INK)
    _list(canvas, Box(box.x, box.y + 46, box.width, 36 * len(keys)), keys)
    canvas.paragraph(message, Box(box.x, box.y + 66 + 36 * len(keys), box.width, 20), 20, WRONG)


def _list(canvas: Canvas, box: Box, keys: Sequence[tuple[str, str]]) -> None:
    for i, (key, meaning) in enumerate(keys):
        cap = Box(box.x, box.y + 36 * i + 4, 74, 28)
        keycap(canvas, cap, key, 22)
        canvas.text(meaning, Box(cap.right + 16, cap.y - 4, box.width - 90, 36), 22, INK)


def keycap(canvas: Canvas, box: Box, key: str, size: float) -> None:
    """Draw a key of the keyboard."""
    canvas.rect(box, mix(PAGE, INK, 0.18), 5)
    canvas.rect(Box(box.x + 1, box.y + 1, box.width - 2, box.height - 3), OPEN, 4)
    if key not in _ARROWS:
        canvas.text(key, box, size, INK, "center")
        return
    x, y, reach = box.x + box.width / 2, box.y + box.height / 2 - 0.5, size / 3 * _ARROWS[key]
    neck, wing = x + reach * 0.3, abs(reach) * 0.6
    canvas.path([(x - reach, y), (x + reach, y)], INK, 1.5)
    canvas.path([(neck, y - wing), (x + reach, y), (neck, y + wing)], INK, 1.5)
