"""Random numbers of a batch: one NumPy generator per slot, or one torch generator on a device."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from gymnasium.utils import seeding

from hrm_gym.envs.arguments import check_seed
from hrm_gym.envs.arrays import Array, as_numpy, no_array
from hrm_gym.envs.jit import njit
from hrm_gym.errors import HrmGymError, first_line

Seed = int | list[int | None] | None


class NumpyRNG:
    """One stream per slot, seeded as Gymnasium seeds single environments, so that batches equal single environments."""

    device = None
    on_host = True

    def __init__(self, num_envs: int) -> None:
        self._streams = np.zeros((num_envs, 4), np.uint64)
        self._seeded = np.zeros(num_envs, bool)

    def put(self, array: Any, what: str = "the array") -> np.ndarray:
        """Convert `array` to NumPy.

        Raises:
            HrmGymError: if it cannot be converted; `what` names it.
        """
        return as_numpy(array, what)

    def seed(self, seed: Seed, mask: np.ndarray) -> None:
        """Seed each slot i of `mask` with `seed + i` or `seed[i]`; None keeps the slot's current state."""
        num = len(self._streams)
        if isinstance(seed, int | np.integer):
            first = check_seed(seed)
            seed = [first + i for i in range(num)]  # type: ignore[operator]
        if not isinstance(seed, list | tuple | None):
            raise HrmGymError(f"seed={seed!r}: give an integer, a list of one per environment, or None")
        seeds = [None] * num if seed is None else [check_seed(each) for each in seed]
        if len(seeds) != num:
            raise HrmGymError(f"{len(seeds)} seeds for {num} environments: give one each, or a single integer")
        for i in np.flatnonzero(mask):
            if seeds[i] is not None or not self._seeded[i]:
                self._set(int(i), seeding.np_random(seeds[i])[0].bit_generator.state)

    def draw(self, mask: np.ndarray, num: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the slots of `mask`, shape (M,), and numbers in [0, 1) for each, float64 of shape (M, num)."""
        slots = np.flatnonzero(mask)
        return slots, _draw_doubles(self._streams, slots, num)

    def state_dict(self) -> list[dict[str, Any] | None]:
        """Return the states of the slots' generators in the format of NumPy's `PCG64`."""
        words = [[int(word) for word in stream] for stream in self._streams]
        states = [
            {"state": high << 64 | low, "inc": high_step << 64 | low_step} for high, low, high_step, low_step in words
        ]
        named = [{"bit_generator": "PCG64", "state": state, "has_uint32": 0, "uinteger": 0} for state in states]
        return [state if seeded else None for state, seeded in zip(named, self._seeded, strict=True)]

    def load_state_dict(self, states: list[dict[str, Any] | None]) -> None:
        """Restore `states`."""
        self._seeded[:] = False
        for slot, state in enumerate(states):
            if state is not None:
                self._set(slot, state)

    def _set(self, slot: int, state: Mapping[str, Any]) -> None:
        """Restore the state of one slot's PCG64."""
        numbers = state["state"]["state"], state["state"]["inc"]
        self._streams[slot] = [part for number in numbers for part in (number >> 64, number & (1 << 64) - 1)]
        self._seeded[slot] = True


class TorchRNG:
    """One generator for all slots, on their device."""

    def __init__(self, num_envs: int, device: Any) -> None:
        import torch

        from hrm_gym import apple

        try:
            self.device = torch.empty(0, device=device).device
        except (RuntimeError, AssertionError, TypeError, ValueError) as error:
            raise HrmGymError(
                f"device {str(device)!r} cannot be used ({first_line(error)}): give device='cpu', or none for NumPy"
            ) from error
        self.on_host = self.device.type == "cpu"
        self._num_envs = num_envs
        self._generator = torch.Generator(self.device)
        self._generator.seed()
        self._dtype = apple.precise(self.device)

    def put(self, array: Any, what: str = "the array") -> Array:
        """Convert `array` to a tensor on the device.

        Raises:
            HrmGymError: if it cannot be converted; `what` names it.
        """
        import torch

        from hrm_gym import apple

        try:
            if isinstance(array, np.ndarray) and not array.dtype.isnative:
                array = array.astype(array.dtype.newbyteorder("="))
            if isinstance(array, np.ndarray) and array.dtype == np.float64 and apple.is_apple(self.device):
                array = array.astype(np.float32)
            tensor = torch.as_tensor(array, device=self.device)
            return tensor if tensor.layout == torch.strided else tensor.to_dense()
        except Exception as error:  # users' objects may raise anything
            raise no_array(what, error) from None

    def seed(self, seed: Seed, mask: Array) -> None:
        """Seed the generator of all slots with an integer; None keeps its current state."""
        if isinstance(seed, list | tuple):
            raise HrmGymError(f"seed={seed!r}: on a device one generator serves all slots, give one integer")
        seed = check_seed(seed, below=1 << 64)
        if seed is not None:
            self._generator.manual_seed(seed)

    def draw(self, mask: Array, num: int) -> tuple[Array | None, Array]:
        """Return slots and `num` numbers in [0, 1) for each: on the CPU for the slots of `mask`, else for all (None).

        Counting the slots of a mask would make the host wait for the device.
        """
        import torch

        slots = mask.nonzero()[:, 0] if self.on_host else None
        shape = (self._num_envs if slots is None else len(slots), num)
        return slots, torch.rand(shape, generator=self._generator, device=self.device, dtype=self._dtype)

    def state_dict(self) -> Array:
        """Return the generator's state, a tensor of bytes on the CPU."""
        return self._generator.get_state()

    def load_state_dict(self, state: Array) -> None:
        """Restore `state`."""
        self._generator.set_state(state.cpu())


# ---- the streams of NumPy ---------------------------------------------------------------------------

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
def _draw_doubles(streams: np.ndarray, slots: np.ndarray, num: int) -> np.ndarray:
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
