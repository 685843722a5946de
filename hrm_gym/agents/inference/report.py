"""The report of an evaluation: every figure with its interval and conditions."""

from __future__ import annotations

from typing import Any

from hrm_gym.agents.inference.evaluation import Evaluation
from hrm_gym.agents.inference.protocol import Protocol
from hrm_gym.agents.policy import Policy
from hrm_gym.shares import wilson


def report(policy: Policy, result: Evaluation, protocol: Protocol, **conditions: Any) -> dict[str, Any]:
    """The content of `hrm-gym evaluate --json` and of `result.json`.

    Args:
        policy: the evaluated policy.
        result: its evaluation.
        protocol: how it was evaluated.
        **conditions: further conditions for the reader, such as `env` and `puzzles`.
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
