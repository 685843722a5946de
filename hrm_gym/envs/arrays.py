"""The few operations that NumPy and torch spell differently, so that a rule is written once for both.

Everything else in the rules uses what the two share: indexing, arithmetic, comparisons, and the methods
`.sum(-1)`, `.all(-1)`, `.argsort(-1)` and `.reshape(...)`. torch is imported only where a tensor came in.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Array = Any
"""A `numpy.ndarray` or a `torch.Tensor`; every function returns the kind that it was given."""


def like(table: np.ndarray, array: Array) -> Array:
    """The constant `table` in the library and on the device of `array`."""
    if isinstance(array, np.ndarray):
        return table
    import torch

    return torch.as_tensor(table, device=array.device)


def where(condition: Array, a: Array, b: Array) -> Array:
    """Elementwise choice, `a` where `condition` holds and `b` elsewhere."""
    if isinstance(condition, np.ndarray):
        return np.where(condition, a, b)
    import torch

    return torch.where(condition, a, b)


def as_int64(array: Array) -> Array:
    """`array` with 64-bit integers, the type of tokens in every observation."""
    return array.astype(np.int64) if isinstance(array, np.ndarray) else array.long()


def as_float32(array: Array) -> Array:
    """`array` with 32-bit floats, the type of rewards' and observations' real numbers."""
    return array.astype(np.float32) if isinstance(array, np.ndarray) else array.float()
