"""The one object in which every figure is told, with its interval and its conditions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from hrm_gym.agents.inference.evaluation import Evaluation, Protocol
from hrm_gym.agents.policy import Policy

SHOWN_SEGMENTS = (1, 2, 4, 8, 16, 32, 64)
"""Those after which accuracy is told in words, as far as there are so many."""


def report(policy: Policy, result: Evaluation, protocol: Protocol, **conditions: Any) -> dict[str, Any]:
    """What `hrm-gym evaluate --json` prints and `result.json` holds.

    Args:
        policy: that was evaluated.
        result: what came out.
        protocol: how.
        **conditions: what else a reader must know, such as `env` and `puzzles`.
    """
    num = len(result.exact)
    return {
        "exact_accuracy": float(result.exact.mean()),
        "exact_interval": list(wilson(int(result.exact.sum()), num)),
        "valid_accuracy": float(result.valid.mean()),
        "valid_interval": list(wilson(int(result.valid.sum()), num)),
        "cell_accuracy": result.cell_accuracy,
        "mean_segments": float(result.segments.mean()),
        "accuracy_after_segments": [round(float(share), 4) for share in result.after],
        "num_puzzles": num,
        "seconds": round(result.seconds, 3),
        "puzzles_per_second": round(num / result.seconds, 2) if result.seconds else 0.0,
        "agent": policy.name,
        "num_parameters": policy.num_parameters,
        "device": str(policy.device),
        **conditions,
        "protocol": protocol.to_dict(),
    }


def in_words(share: float, interval: Sequence[float]) -> str:
    """A share with its interval, such as "97.2 % (95.4 to 98.3)"."""
    low, high = (100 * bound for bound in interval)
    return f"{100 * share:.1f} % ({low:.1f} to {high:.1f})"


def after_in_words(after: Sequence[float]) -> tuple[str, str]:
    """Which segments are told, such as "1 / 2 / 4", and the shares after them in %, such as "70.3 / 96.9 / 98.4"."""
    told = [segment for segment in SHOWN_SEGMENTS if segment <= len(after)]
    return " / ".join(map(str, told)), " / ".join(f"{100 * after[segment - 1]:.1f}" for segment in told)


def wilson(successes: int, num: int, z: float = 1.96) -> tuple[float, float]:
    """The interval of Wilson (1927) for a share, 95 % by default."""
    rate = successes / num
    centre = (rate + z * z / (2 * num)) / (1 + z * z / num)
    half = z / (1 + z * z / num) * math.sqrt(rate * (1 - rate) / num + z * z / (4 * num * num))
    return max(0.0, centre - half), min(1.0, centre + half)
