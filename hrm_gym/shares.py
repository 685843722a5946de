"""Shares with their intervals, as numbers for JSON and as text."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

SHOWN_SEGMENTS = (1, 2, 4, 8, 16, 32, 64)
"""Segments after which accuracy is shown, up to the agent's maximum."""


def wilson(successes: int, num: int, z: float = 1.96) -> tuple[float, float]:
    """The score interval of Wilson (1927) for a share, 95 % by default."""
    rate = successes / num
    centre = (rate + z * z / (2 * num)) / (1 + z * z / num)
    half = z / (1 + z * z / num) * math.sqrt(rate * (1 - rate) / num + z * z / (4 * num * num))
    return max(0.0, centre - half), min(1.0, centre + half)


def share_of(right: np.ndarray) -> dict[str, Any]:
    """The share of true values in a bool array (n,), with Wilson's 95 % interval."""
    count, num = int(right.sum()), len(right)
    low, high = wilson(count, num)
    return {"share": round(count / num, 5), "interval": [round(low, 5), round(high, 5)], "puzzles": num}


def words(share: dict[str, Any]) -> str:
    """Such as "97.2 % (95.4 to 98.3)"."""
    return in_words(share["share"], share["interval"])


def bars(share: dict[str, Any]) -> tuple[float, float, float]:
    """The share and the lengths of its lower and upper error bars, in per cent."""
    middle, (low, high) = 100 * share["share"], (100 * bound for bound in share["interval"])
    return middle, max(0.0, middle - low), max(0.0, high - middle)


def in_percent(share: float) -> str:
    """Such as "97.2 %"."""
    return f"{100 * share:.1f} %"


def in_words(share: float, interval: Sequence[float]) -> str:
    """A share with its interval, such as "97.2 % (95.4 to 98.3)"."""
    low, high = (100 * bound for bound in interval)
    return f"{in_percent(share)} ({low:.1f} to {high:.1f})"


def after_in_words(after: Sequence[float]) -> tuple[str, str]:
    """The shown segments, such as "1 / 2 / 4", and the shares after them in %, such as "70.3 / 96.9 / 98.4"."""
    shown = [segment for segment in SHOWN_SEGMENTS if segment <= len(after)]
    return " / ".join(map(str, shown)), " / ".join(f"{100 * after[segment - 1]:.1f}" for segment in shown)
