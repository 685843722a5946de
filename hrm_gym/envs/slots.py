"""The base of the vector environments: N slots, autoreset modes, and information in Gymnasium's format."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from hrm_gym.envs.arrays import Array, copy
from hrm_gym.envs.compiled import Buffers
from hrm_gym.errors import HrmGymError, unknown

NEXT_STEP, SAME_STEP, DISABLED = AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP, AutoresetMode.DISABLED


class SlotsEnv(VectorEnv[Any, Any, Any]):
    """N slots that are stepped together and end independently; subclasses implement `reset` and `step`.

    Args:
        rules: the rules of an episode, with `action_space`, `observation_space` and `observe(state)`.
        num_envs: N.
        autoreset_mode: how finished slots are reset, as text or `gymnasium.vector.AutoresetMode`.
        uniforms: the slots' random numbers, see `hrm_gym.envs.rng`.

    Raises:
        HrmGymError: if the mode is unknown.
    """

    def __init__(self, rules: Any, num_envs: int, autoreset_mode: str | AutoresetMode, uniforms: Any) -> None:
        modes = [mode.value for mode in AutoresetMode]
        if not isinstance(autoreset_mode, AutoresetMode) and not (
            isinstance(autoreset_mode, str) and autoreset_mode in modes
        ):
            raise unknown("autoreset_mode", autoreset_mode, modes)
        self.rules = rules
        self.num_envs = num_envs
        self.autoreset_mode = AutoresetMode(autoreset_mode)
        self.metadata = {**self.metadata, "autoreset_mode": self.autoreset_mode}
        self.single_action_space = rules.action_space
        self.single_observation_space = rules.observation_space
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.device = uniforms.device
        self._uniforms = uniforms
        self._buffers = Buffers()
        self._state: Any = None
        self._all = uniforms.put(np.ones(num_envs, bool))
        self._over = uniforms.put(np.zeros(num_envs, bool))
        """Slots whose episode has ended and that have not been reset."""

    def _started(self) -> Any:
        """Return the state of all slots.

        Raises:
            HrmGymError: before the first `reset`.
        """
        if self._state is None:
            raise HrmGymError("no episodes yet: call reset() first")
        return self._state

    def _reset_mask(self, mask: Any) -> Array:
        """Check the option `reset_mask` and return bool of shape (N,); None means all slots.

        Raises:
            HrmGymError: if its shape or type is wrong, or before the first `reset` of all slots.
        """
        if mask is None:
            return self._all
        mask = self._uniforms.put(mask, "option 'reset_mask'")
        if tuple(mask.shape) != (self.num_envs,) or "bool" not in str(mask.dtype):
            raise HrmGymError(
                f"option 'reset_mask' has shape {tuple(mask.shape)} and type {mask.dtype}: "
                f"give bools of shape ({self.num_envs},)"
            )
        if self._uniforms.on_host and not mask.any():
            raise HrmGymError("option 'reset_mask' is False everywhere: choose a slot, or leave the reset out")
        self._started()
        return mask

    def _refuse_finished(self) -> None:
        """Reject a step if a finished slot was not reset; on a device this is not checked, to avoid waiting for it.

        Raises:
            HrmGymError: if autoreset is disabled and a slot has finished.
        """
        if self.autoreset_mode == DISABLED and self._uniforms.on_host and self._over.any():
            raise HrmGymError("step with finished slots: reset them with options={'reset_mask': finished} first")

    def _masked(self, infos: dict[str, Array], mask: Array) -> dict[str, Any]:
        """Return the information of the slots of `mask`: in NumPy with a mask per key, on a device unchanged."""
        if self.device is not None:
            return infos
        if not mask.all():
            infos = {key: value * (mask if value.ndim == 1 else mask[:, None]) for key, value in infos.items()}
        return _with_masks(infos, mask)

    def _final(self, state: Any, info: Callable[[Any, Any], dict[str, Array]], over: Array) -> dict[str, Any]:
        """Return the final observations and information of the slots of `over` under Gymnasium's keys.

        Args:
            state: the state before the slots are reset.
            info: returns the information of some slots from their state and their indices.
            over: finished slots, bool of shape (N,).
        """
        if self.device is not None:
            observations, infos = self.rules.observe(state), info(state, slice(None))
        else:
            slots = np.flatnonzero(over)
            some = type(state)(*(array[slots] for array in state))
            observations = np.full(self.num_envs, None, dtype=object)
            observations[slots] = np.fromiter(_rows_of(self.rules.observe(some)), object, len(slots))
            parts = info(some, slots)
            infos = _with_masks({key: self._spread(value, slots) for key, value in parts.items()}, over)
        return {
            "final_obs": observations,
            "_final_obs": copy(over),
            "final_info": infos,
            "_final_info": copy(over),
        }

    def _spread(self, part: np.ndarray, slots: np.ndarray) -> np.ndarray:
        """Scatter `part`, the values of some slots, into an array of all slots that is 0 elsewhere."""
        whole = self._buffers.empty((self.num_envs, *part.shape[1:]), part.dtype)
        whole[...] = 0
        whole[slots] = part
        return whole


def _with_masks(infos: dict[str, Array], mask: np.ndarray) -> dict[str, Any]:
    return {**infos, **{f"_{key}": mask.copy() for key in infos}}


def row_of(batch: Any, row: int) -> Any:
    """Return one observation of a batch, which is an array or a dictionary of arrays."""
    return {key: array[row] for key, array in batch.items()} if isinstance(batch, dict) else batch[row]


def _rows_of(batch: Any) -> list[Any]:
    """Return all observations of a batch, faster than one by one."""
    if not isinstance(batch, dict):
        return list(batch)
    rows: list[dict[str, Any]] = [{} for _ in next(iter(batch.values()))]
    for key, values in batch.items():
        for row, value in zip(rows, values, strict=True):
            row[key] = value
    return rows
