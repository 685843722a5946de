"""Operations that differ between NumPy and torch, so that rules are written once for both.

Everything else in the rules uses what both share: indexing, arithmetic, comparisons, and the methods `.sum(-1)`,
`.all(-1)`, `.argsort(-1)` and `.reshape(...)`. torch is imported only when a tensor is passed in.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from hrm_gym.errors import HrmGymError, first_line

Array = Any
"""A `numpy.ndarray` or a `torch.Tensor`; every function returns the kind of its argument."""


def as_numpy(value: Any, what: str) -> np.ndarray:
    """Convert a number, a sequence or a tensor to a NumPy array.

    Args:
        value: the object to convert.
        what: its name for the error message.

    Raises:
        HrmGymError: if it is ragged or cannot be read by the host.
    """
    try:
        return np.asarray(value)
    except Exception as error:  # users' objects may raise anything
        raise no_array(what, error) from None


def no_array(what: str, error: Exception) -> HrmGymError:
    """Return the error for a value that cannot be converted to an array."""
    reason = first_line(error).rstrip(".")
    return HrmGymError(f"{what} cannot be read as an array ({reason}): give numbers in rows of equal length")


def is_integer(array: Array) -> bool:
    """Return whether the dtype of `array` is an integer type; bool is not."""
    if isinstance(array, np.ndarray):
        return array.dtype.kind in "iu"
    return str(array.dtype).startswith(("torch.int", "torch.uint"))


def like(table: np.ndarray, array: Array) -> Array:
    """Return the constant `table` in the library and on the device of `array`; it is uploaded once per device."""
    if isinstance(array, np.ndarray):
        return table
    import torch

    if array.device.type == "cpu":
        return torch.as_tensor(table)
    return _uploaded(table.tobytes(), table.dtype.str, table.shape, array.device)


@functools.lru_cache(maxsize=256)
def _uploaded(content: bytes, dtype: str, shape: tuple[int, ...], device: Any) -> Array:
    # Uploads synchronize host and device, so each table is uploaded only once.
    import torch

    return torch.as_tensor(np.frombuffer(content, dtype).reshape(shape).copy(), device=device)


def where(condition: Array, a: Array, b: Array) -> Array:
    """Elementwise choice: `a` where `condition` holds and `b` elsewhere."""
    if isinstance(condition, np.ndarray):
        return np.where(condition, a, b)
    import torch

    return torch.where(condition, a, b)


def gather(array: Array, index: Array) -> Array:
    """`array[i, index[i, j]]` for arrays of shape (N, M) and indices of shape (N, K)."""
    return np.take_along_axis(array, index, 1) if isinstance(array, np.ndarray) else array.gather(1, index)


def as_int64(array: Array) -> Array:
    """Convert to int64, the dtype of tokens in observations."""
    return array.astype(np.int64) if isinstance(array, np.ndarray) else array.long()


def as_tokens(array: Array) -> Array:
    """Copy boards to the dtype of slots: uint8 in NumPy, int64 in torch."""
    return array.astype(np.uint8) if isinstance(array, np.ndarray) else array.long().clone()


def as_bytes(array: np.ndarray) -> np.ndarray:
    """Convert tokens to contiguous uint8, as compiled functions expect; no copy if they are already."""
    return np.ascontiguousarray(array, np.uint8)


def copy(array: Array) -> Array:
    """Return a contiguous copy of `array`."""
    return array.copy() if isinstance(array, np.ndarray) else array.clone()


def concatenate(arrays: list[Array]) -> Array:
    """Concatenate `arrays`, each of shape (N, ...), along their last axis."""
    if isinstance(arrays[0], np.ndarray):
        return np.concatenate(arrays, -1)
    import torch

    return torch.cat(arrays, -1)


def zeros(shape: tuple[int, ...], array: Array) -> Array:
    """Return float32 zeros in the library and on the device of `array`."""
    if isinstance(array, np.ndarray):
        return np.zeros(shape, np.float32)
    import torch

    return array.new_zeros(shape, dtype=torch.float32)
