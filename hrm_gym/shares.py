"""Shares with their intervals, as JSON has them and as sentences tell them."""

from __future__ import annotations

from typing import Any

import numpy as np

from hrm_gym.agents.inference.report import in_words, wilson


def share_of(right: np.ndarray) -> dict[str, Any]:
    """The share of true values in a bool array (n,), with Wilson's 95 % interval."""
    count, num = int(right.sum()), len(right)
    low, high = wilson(count, num)
    return {"share": round(count / num, 5), "interval": [round(low, 5), round(high, 5)], "puzzles": num}


def told(share: dict[str, Any]) -> str:
    """Such as "97.2 % (95.4 to 98.3)"."""
    return in_words(share["share"], share["interval"])


def bars(share: dict[str, Any]) -> tuple[float, float, float]:
    """In per cent: the share, and how far its interval reaches below and above it."""
    middle, (low, high) = 100 * share["share"], (100 * bound for bound in share["interval"])
    return middle, max(0.0, middle - low), max(0.0, high - middle)
