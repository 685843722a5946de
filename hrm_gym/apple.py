"""What Apple's GPUs (`mps`) lack: double precision, and sums of bags of rows."""

from __future__ import annotations

import torch


def is_apple(device: torch.device) -> bool:
    """Whether it is an Apple GPU."""
    return device.type == "mps"


def precise(device: torch.device) -> torch.dtype:
    """The most precise real type of a device: float64, except on an Apple GPU."""
    return torch.float32 if is_apple(device) else torch.float64
