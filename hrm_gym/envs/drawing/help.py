"""What `h` shows: the keys, and what there is to be seen."""

from __future__ import annotations

from collections.abc import Sequence

from hrm_gym.envs.drawing.canvas import CARD, INK, MUTED, OPEN, PAGE, RULE, WRONG, Box, Canvas, mix

TERMS = (
    ("segment", "one round of thought; the agent answers every cell, and may change each of them in the next"),
    ("confidence", "how probable it finds the symbol that it chose for a cell, from amber to blue"),
    ("is it right?", "its estimate of the chance that the whole answer is right; the chart calls it believed right"),
    ("is more thought worth it?", "what it expects of thinking on; it stops where that is less than the line above"),
    ("right cells", "share of the cells that the puzzle left open; only the picture knows the solution, not the agent"),
    ("broken rules", "counted from the puzzle's rules alone; the cells concerned are underlined"),
)
"""What the words in the picture mean."""

_ARROWS = {"left": -1, "right": 1}  # the font has none


def overlay(canvas: Canvas, box: Box, keys: Sequence[tuple[str, str]]) -> None:
    """Keys and what they do beside what the words mean, on a card in the middle of the box; all else fades."""
    canvas.veil(PAGE, 0.75)
    height = max(44 + 36 * len(keys), 452)
    card = Box(box.x + box.width / 2 - 400, box.y + (box.height - height) / 2, 800, height)
    canvas.rect(card.inset(-1), RULE, 15)
    canvas.rect(card, CARD, 14)
    _list(canvas, Box(card.x + 24, card.y + 22, 240, height), keys)
    y = card.y + 26
    words = Box(card.x + 300, y, card.width - 324, 20)
    for term, meaning in TERMS:
        canvas.text(term, Box(words.x, y, words.width, 20), 22, INK)
        y = canvas.paragraph(meaning, Box(words.x, y + 22, words.width, 20), 20, MUTED) + 14


def typing(canvas: Canvas, box: Box, message: str, keys: Sequence[tuple[str, str]]) -> None:
    """The panel while a puzzle is typed in: the keys, and what is wrong with the puzzle."""
    canvas.text("Your puzzle", Box(box.x, box.y, box.width, 26), 34, INK)
    _list(canvas, Box(box.x, box.y + 46, box.width, 36 * len(keys)), keys)
    canvas.paragraph(message, Box(box.x, box.y + 66 + 36 * len(keys), box.width, 20), 20, WRONG)


def _list(canvas: Canvas, box: Box, keys: Sequence[tuple[str, str]]) -> None:
    for i, (key, meaning) in enumerate(keys):
        cap = Box(box.x, box.y + 36 * i + 4, 74, 28)
        keycap(canvas, cap, key, 22)
        canvas.text(meaning, Box(cap.right + 16, cap.y - 4, box.width - 90, 36), 22, INK)


def keycap(canvas: Canvas, box: Box, key: str, size: float) -> None:
    """A key of the keyboard."""
    canvas.rect(box, mix(PAGE, INK, 0.18), 5)
    canvas.rect(Box(box.x + 1, box.y + 1, box.width - 2, box.height - 3), OPEN, 4)
    if key not in _ARROWS:
        canvas.text(key, box, size, INK, "center")
        return
    x, y, reach = box.x + box.width / 2, box.y + box.height / 2 - 0.5, size / 3 * _ARROWS[key]
    neck, wing = x + reach * 0.3, abs(reach) * 0.6
    canvas.path([(x - reach, y), (x + reach, y)], INK, 1.5)
    canvas.path([(neck, y - wing), (x + reach, y), (neck, y + wing)], INK, 1.5)
