"""Drawing numbers from many streams of NumPy's PCG64 (O'Neill, 2014), compiled."""

from __future__ import annotations

import numpy as np

from hrm_gym.envs.jit import njit

_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)
_HIGH_FACTOR, _LOW_FACTOR = np.uint64(0x2360ED051FC65DA4), np.uint64(0x4385DF649FCCF645)


@njit(cache=True, nogil=True)
def _high_product(a: np.uint64, b: np.uint64) -> np.uint64:
    """Return the upper 64 bits of a product."""
    a_low, a_high, b_low, b_high = a & _LOW, a >> _HALF, b & _LOW, b >> _HALF
    middle = a_high * b_low + (a_low * b_low >> _HALF)
    carried = a_low * b_high + (middle & _LOW)
    return a_high * b_high + (middle >> _HALF) + (carried >> _HALF)


@njit(cache=True, nogil=True)
def draw_doubles(streams: np.ndarray, slots: np.ndarray, num: int) -> np.ndarray:
    """Draw numbers in [0, 1), float64 (M, num), from the streams `slots`, int64 (M,), and advance these streams.

    The numbers equal those of `Generator.random` with NumPy's PCG64 (O'Neill, 2014), a linear congruential generator of
    128 bits whose halves are mixed and rotated. One NumPy call per slot took longer than the rest of a reset.

    Args:
        streams: upper and lower half of the state and of the increment of each stream, uint64 (N, 4).
        slots: indices of the streams.
        num: numbers per stream.
    """
    numbers = np.empty((len(slots), num))
    for row in range(len(slots)):
        stream = streams[slots[row]]
        high, low, high_step, low_step = stream[0], stream[1], stream[2], stream[3]
        for column in range(num):
            high = _high_product(low, _LOW_FACTOR) + high * _LOW_FACTOR + low * _HIGH_FACTOR + high_step
            low = low * _LOW_FACTOR + low_step
            high += np.uint64(low < low_step)
            mixed, turn = high ^ low, high >> np.uint64(58)
            mixed = (mixed >> turn) | (mixed << ((np.uint64(64) - turn) & np.uint64(63)))
            numbers[row, column] = (mixed >> np.uint64(11)) * (1.0 / 9007199254740992.0)
        stream[0], stream[1] = high, low
    return numbers
