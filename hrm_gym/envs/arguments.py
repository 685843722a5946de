"""Checks of what people hand to the environments, each with an error of one line."""

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
    """A whole number as Python's integer.

    Raises:
        HrmGymError: naming the argument, where it is no integer from `least` to `most`.
    """
    if not isinstance(value, int | np.integer) or isinstance(value, bool) or not least <= value <= most:
        allowed = f"of at least {least}" if most == math.inf else f"{least} to {most}"
        raise HrmGymError(f"{name}={value!r}: give an integer, {allowed}")
    return int(value)


def check_seed(seed: Any, below: float = math.inf) -> int | None:
    """A seed as Python's integer, or None.

    Args:
        seed: what the caller gave.
        below: seeds must be less.

    Raises:
        HrmGymError: where it is no integer, negative, or too large.
    """
    if seed is None:
        return None
    if not isinstance(seed, int | np.integer) or isinstance(seed, bool) or not 0 <= seed < below:
        most = "" if below == math.inf else f", below {below}"
        raise HrmGymError(f"seed={seed!r}: give an integer of 0 or more{most}, or None")
    return int(seed)


def check_options(options: Any, allowed: Iterable[str]) -> dict[str, Any]:
    """The options of `reset` as a dictionary of their own; None has none.

    Raises:
        HrmGymError: where they are no dictionary, or one of them is not `allowed`.
    """
    if not isinstance(options, Mapping | None):
        raise HrmGymError(f"options of reset are a {type(options).__name__}: give a dictionary, or None")
    allowed = list(allowed)
    for name in options or {}:
        if name not in allowed:
            raise unknown("option of reset", name, allowed)
    return dict(options or {})


def check_index(index: Any, num: int, size: int) -> np.ndarray:
    """The option `index`, one for all slots or one a slot, as int64 of shape (num,).

    Raises:
        HrmGymError: where it is of another shape or type, or not below `size`.
    """
    array = as_numpy(index, "option 'index'")
    if not is_integer(array) or array.shape not in ((), (num,)):
        raise HrmGymError(
            f"option 'index' has shape {array.shape} and type {array.dtype}: give an integer, or one per slot"
        )
    if array.min() < 0 or array.max() >= size:
        raise HrmGymError(f"option 'index' is {array.min()} to {array.max()}: there are puzzles 0 to {size - 1}")
    return np.broadcast_to(array, (num,)).astype(np.int64)
