"""Random numbers for compiled functions: SplitMix64 (Steele, Lea and Flood, 2014), a counter and a mixing function.

The state is one 64-bit number in an array of shape (1,). It is seeded for each puzzle, so puzzle `number` of a seed
does not depend on the puzzles before it.
"""

from __future__ import annotations

import numpy as np

from hrm_gym.envs.jit import njit


@njit(cache=True, nogil=True)
def scramble(z: np.uint64) -> np.uint64:
    """SplitMix64's mixing function, a bijection in which every output bit depends on every bit of `z`."""
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@njit(cache=True, nogil=True)
def _mix(state: np.ndarray) -> np.uint64:
    """The next 64 random bits."""
    state[0] += np.uint64(0x9E3779B97F4A7C15)
    return scramble(state[0])


@njit(cache=True, nogil=True)
def below(state: np.ndarray, bound: int) -> int:
    """A random integer from 0 to bound - 1; the modulo bias is negligible for small bounds."""
    return np.int64((_mix(state) >> np.uint64(32)) % np.uint64(bound))  # type: ignore[return-value]


@njit(cache=True, nogil=True)
def shuffle(state: np.ndarray, array: np.ndarray) -> None:
    """Permutes `array` in place."""
    for i in range(len(array) - 1, 0, -1):
        j = below(state, i + 1)
        array[i], array[j] = array[j], array[i]


@njit(cache=True, nogil=True)
def seed_stream(state: np.ndarray, seed: int, number: int) -> None:
    """Seeds `state` for puzzle `number`."""
    state[0] = np.uint64(seed)
    state[0] = _mix(state) + np.uint64(number)
    state[0] = _mix(state)


@njit(cache=True, nogil=True)
def is_one_in(tokens: np.ndarray, many: int) -> bool:
    """A fixed choice of one board in `many`, by the folded FNV-1a hash of its tokens."""
    code = np.uint64(0xCBF29CE484222325)
    for token in tokens:
        code = (code ^ np.uint64(token)) * np.uint64(0x100000001B3)
    code ^= code >> np.uint64(32)
    return code % np.uint64(many) == np.uint64(0)
