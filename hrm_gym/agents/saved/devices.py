"""The device to compute on, and the type of activations."""

from __future__ import annotations

from typing import Literal

import torch

from hrm_gym.errors import HrmGymError, unknown


def choose_device(name: str | torch.device) -> str:
    """A torch device by name; "auto" is the GPU if there is one.

    Raises:
        HrmGymError: if there is no such GPU, or the name is not a device.
    """
    if isinstance(name, torch.device):
        name = str(name)
    if not isinstance(name, str):
        raise unknown("device", name, ("auto", "cpu", "cuda"))
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if name.partition(":")[0] not in ("cpu", "cuda"):
        raise unknown("device", name, ("auto", "cpu", "cuda"))
    try:
        kind = torch.device(name).type
    except RuntimeError:
        raise unknown("device", name, ("auto", "cpu", "cuda")) from None
    if kind == "cuda" and not torch.cuda.is_available():
        raise HrmGymError(f"device {name!r} was asked for, but torch sees no GPU here: use --device cpu")
    return name


def choose_dtype(device: str) -> Literal["bfloat16", "float32"]:
    """The faster type of activations: bfloat16 if the device supports it natively, else float32."""
    if torch.device(device).type == "cuda":
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        fast = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return "bfloat16" if fast else "float32"
