"""The device to compute on, and the type of activations."""

from __future__ import annotations

from typing import Literal

import torch

from hrm_gym.errors import HrmGymError, unknown

DEVICES = ("auto", "cpu", "cuda", "mps")


def choose_device(name: str | torch.device) -> str:
    """A torch device by name; "auto" is the GPU if there is one, Nvidia's, AMD's or Apple's.

    Raises:
        HrmGymError: if there is no such GPU, or the name is not a device.
    """
    if isinstance(name, torch.device):
        name = str(name)
    if not isinstance(name, str):
        raise unknown("device", name, DEVICES)
    if name == "auto":
        return next((kind for kind in ("cuda", "mps") if _is_here(kind)), "cpu")
    if name.partition(":")[0] not in DEVICES:
        raise unknown("device", name, DEVICES)
    try:
        kind = torch.device(name).type
    except RuntimeError:
        raise unknown("device", name, DEVICES) from None
    if not _is_here(kind):
        raise HrmGymError(f"device {name!r} was asked for, but torch sees no such GPU here: use --device cpu")
    return name


def _is_here(kind: str) -> bool:
    if kind == "cpu":
        return True
    return torch.cuda.is_available() if kind == "cuda" else torch.backends.mps.is_available()


def choose_dtype(device: str) -> Literal["bfloat16", "float32"]:
    """The faster type of activations: bfloat16 if the device supports it natively, else float32.

    Apple's GPUs compute in float32: the first generations only emulate bfloat16, and torch cannot tell which they are.
    """
    kind = torch.device(device).type
    if kind == "cuda":
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        fast = kind == "cpu" and (torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
    return "bfloat16" if fast else "float32"
