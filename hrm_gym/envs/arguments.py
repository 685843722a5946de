"""Validation of users' arguments to the environments, with one-line errors."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from hrm_gym.envs.arrays import as_numpy, is_integer
from hrm_gym.errors import HrmGymError, unknown

MOST_ENVS = 1 << 24
"""Slots of one batch: more do not fit into the memory of any machine."""


def check_integer(name: str, value: Any, least: int, most: float = math.inf) -> int:
    """Check an integer and return it as a Python int.

    Raises:
        HrmGymError: if it is not an integer from `least` to `most`.
    """
    if not isinstance(value, int | np.integer) or isinstance(value, bool) or not least <= value <= most:
        allowed = f"of at least {least}" if most == math.inf else f"{least} to {most}"
        raise HrmGymError(f"{name}={value!r}: give an integer, {allowed}")
    return int(value)


def check_seed(seed: Any, below: float = math.inf) -> int | None:
    """Check a seed and return it as a Python int, or None.

    Args:
        seed: the user's seed.
        below: exclusive upper bound.

    Raises:
        HrmGymError: if it is not an integer, negative, or too large.
    """
    if seed is None:
        return None
    if not isinstance(seed, int | np.integer) or isinstance(seed, bool) or not 0 <= seed < below:
        most = "" if below == math.inf else f", below {below}"
        raise HrmGymError(f"seed={seed!r}: give an integer of 0 or more{most}, or None")
    return int(seed)


def check_options(options: Any, allowed: Iterable[str]) -> dict[str, Any]:
    """Check the options of `reset` and return a copy; None becomes an empty dictionary.

    Raises:
        HrmGymError: if they are not a dictionary, or one of them is not `allowed`.
    """
    if not isinstance(options, Mapping | None):
        raise HrmGymError(f"options of reset are a {type(options).__name__}: give a dictionary, or None")
    allowed = list(allowed)
    for name in options or {}:
        if name not in allowed:
            raise unknown("option of reset", name, allowed)
    return dict(options or {})


def check_index(index: Any, num: int, size: int) -> np.ndarray:
    """Check the option `index`, one for all slots or one per slot, and return int64 of shape (num,).

    Raises:
        HrmGymError: if its shape or type is wrong, or a value is not below `size`.
    """
    array = as_numpy(index, "option 'index'")
    if not is_integer(array) or array.shape not in ((), (num,)):
        raise HrmGymError(
            f"option 'index' has shape {array.shape} and type {array.dtype}: give an integer, or one per slot"
        )
    if array.min() < 0 or array.max() >= size:
        raise HrmGymError(f"option 'index' is {array.min()} to {array.max()}: there are puzzles 0 to {size - 1}")
    return np.broadcast_to(array, (num,)).astype(np.int64)
