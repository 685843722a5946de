"""Checks of what people hand to the environments, each with an error of one line."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from hrm_gym.envs.arrays import as_numpy, is_integer
from hrm_gym.errors import HrmGymError, unknown


def check_horizon(max_segments: Any, segment_cost: Any) -> None:
    """Refuse a last segment below 1, and a cost of thinking that is negative or no finite number.

    Raises:
        HrmGymError: naming the argument.
    """
    if not isinstance(max_segments, int | np.integer) or max_segments < 1:
        raise HrmGymError(f"max_segments={max_segments!r}: give an integer of at least 1, or leave it out")
    if not (isinstance(segment_cost, int | float | np.number) and 0 <= segment_cost < math.inf):
        raise HrmGymError(f"segment_cost={segment_cost!r}: it is taken off the reward, give a finite number, 0 or more")


def check_integer(name: str, value: Any, least: int, most: int) -> None:
    """Refuse what is no integer from `least` to `most`.

    Raises:
        HrmGymError: naming the argument.
    """
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise HrmGymError(f"{name}={value!r}: give an integer, {least} to {most}")


def check_share(name: str, value: Any) -> float:
    """A share as Python's float.

    Raises:
        HrmGymError: naming the argument, where it is no number from 0 to 1.
    """
    if not (isinstance(value, int | float) and 0 <= value <= 1):
        raise HrmGymError(f"{name}={value!r}: it is a share between 0 and 1")
    return float(value)


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
