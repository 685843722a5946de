"""The native batch as a `VecEnv` of Stable-Baselines3.

    from stable_baselines3 import PPO
    from hrm_gym.sb3 import make_vec_env

    PPO("MultiInputPolicy", make_vec_env("Sudoku4x4-v0", 1024, seed=0)).learn(100_000)

A step is one call for all environments. Only environments whose episode ends cost Python time of their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

import hrm_gym
from hrm_gym.envs.arguments import check_seed
from hrm_gym.errors import HrmGymError, extra, unknown

_library = extra("stable_baselines3.common.vec_env", "sb3", "hrm_gym.sb3")
_VecEnv: Any = _library.VecEnv

PER_SLOT = ("action_masks", "render")
"""The methods of a batch that `env_method` calls: they return one result per environment."""


def make_vec_env(env: str, n_envs: int = 1, seed: int | None = None, *, monitor: bool = True, **options: Any) -> Any:
    """Make a batch of environments for Stable-Baselines3.

    Args:
        env: the id of a puzzle or of a halting environment.
        n_envs: the number of environments.
        seed: environment i is seeded with `seed + i` at the first reset; None: at random.
        monitor: wrap the batch in `VecMonitor`, which adds the return and the length of finished episodes to their
            information.
        **options: arguments of the environment (see `hrm_gym.envs.vector_env.PuzzleVectorEnv`), such as
            `action_type="edit"`, `obs_type="flat"` or `render_mode="rgb_array"`.

    Returns:
        A `NativeVecEnv`, or a `VecMonitor` around it.

    Raises:
        HrmGymError: on an unknown id or option, or one that the library cannot use.
    """
    for name in ("device", "autoreset_mode"):
        if options.get(name) is not None:
            raise HrmGymError(f"{name}={options[name]!r}: Stable-Baselines3 decides this itself, leave it out")
    seed = check_seed(seed)
    venv = NativeVecEnv(hrm_gym.make_vec(env, n_envs, autoreset_mode="SameStep", **options))
    if seed is not None:
        venv.seed(seed)
    return _library.VecMonitor(venv) if monitor else venv


class NativeVecEnv(_VecEnv):
    """A native batch with autoreset "SameStep" as a `VecEnv`.

    Observations, actions and rewards are those of the batch. `infos[i]` is empty until the episode of environment i
    ends. Then it holds the environment's information about the last step (`is_success`, `cell_accuracy`, ...), and, as
    in all of the library's batches, `terminal_observation` and `TimeLimit.truncated`.

    Args:
        envs: the batch, in NumPy.
    """

    metadata: dict[str, Any]

    def __init__(self, envs: Any) -> None:
        self.envs = envs.unwrapped
        self._actions: Any = None
        super().__init__(self.envs.num_envs, self.envs.single_observation_space, self.envs.single_action_space)
        self.metadata = {**self.metadata, "render_fps": self.envs.metadata.get("render_fps", 4)}

    @property
    def spec(self) -> Any:
        """The environment's specification, whose id `VecMonitor` writes into its files."""
        return self.envs.spec

    def reset(self) -> Any:
        """Begin all episodes with the seeds of `seed` and the options of `set_options`; return the observations."""
        seeds = None if all(seed is None for seed in self._seeds) else self._seeds
        obs, infos = self.envs.reset(seed=seeds, options=self._shared_options())
        self.reset_infos = _rows(infos, np.arange(self.num_envs), {})
        self._reset_seeds()
        self._reset_options()
        return obs

    def step_async(self, actions: np.ndarray) -> None:
        """Take the actions of the next `step_wait`."""
        self._actions = actions

    def step_wait(self) -> tuple[Any, np.ndarray, np.ndarray, list[dict[str, Any]]]:
        """Step all environments and reset those whose episode ends.

        Returns:
            Observations, rewards, float32 (N,), ends of episodes, bool (N,), and information.
        """
        obs, rewards, terminated, truncated, batch = self.envs.step(self._actions)
        over = terminated | truncated
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        slots = np.flatnonzero(over)
        ends = {
            "TimeLimit.truncated": (truncated & ~terminated)[slots].tolist(),
            "terminal_observation": batch["final_obs"][slots] if len(slots) else [],
        }
        for slot, info in zip(slots.tolist(), _rows(batch.get("final_info", {}), slots, ends), strict=True):
            infos[slot] = info
        return obs, rewards.astype(np.float32), over, infos

    def close(self) -> None:
        """Close the batch."""
        self.envs.close()

    def get_images(self) -> Sequence[np.ndarray | None]:
        """A picture of each environment, uint8 (H, W, 3); None without `render_mode="rgb_array"`."""
        return self.envs.render() if self.render_mode == "rgb_array" else [None] * self.num_envs

    # ---- attributes and methods of the environments --------------------------------------------------

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """An attribute of the batch, once per environment."""
        shared = {
            "observation_space": self.envs.single_observation_space,
            "action_space": self.envs.single_action_space,
        }
        value = shared[attr_name] if attr_name in shared else getattr(self.envs, attr_name)
        return [value for _ in self._get_indices(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        """Set an attribute of the batch.

        Raises:
            HrmGymError: for some of the environments only.
        """
        if len(set(self._get_indices(indices))) < self.num_envs:
            raise HrmGymError(f"{attr_name}: the environments of a batch share their attributes, leave out indices")
        setattr(self.envs, attr_name, value)

    def env_method(self, method_name: str, *args: Any, indices: Any = None, **kwargs: Any) -> list[Any]:
        """Call one of `PER_SLOT` once for the batch; return the results of the environments asked for.

        Raises:
            AttributeError: if the batch has no such method.
            HrmGymError: on a method without a result per environment.
        """
        method = getattr(self.envs, method_name)
        if method_name not in PER_SLOT:
            raise unknown("method of each environment", method_name, PER_SLOT)
        results = method(*args, **kwargs)
        return [None if results is None else results[i] for i in self._get_indices(indices)]

    def env_is_wrapped(self, wrapper_class: Any, indices: Any = None) -> list[bool]:
        """False for each: there are no single environments to wrap."""
        return [False for _ in self._get_indices(indices)]

    def _shared_options(self) -> dict[str, Any]:
        """The options of the next reset, one dictionary for the batch; an index may differ between environments.

        Raises:
            HrmGymError: if other options differ.
        """
        first = dict(self._options[0])
        indices = [options.get("index") for options in self._options]
        some = [index is not None for index in indices]
        others = [{**options, "index": None} for options in self._options]
        if (
            len(self._options) != self.num_envs
            or not all(_equal(each, others[0]) for each in others)
            or any(some) != all(some)
        ):
            raise HrmGymError("set_options: give one dictionary for all environments; only 'index' may differ")
        return {**first, "index": np.array(indices)} if "index" in first else first


def _equal(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two dictionaries of options are equal; their values may be arrays."""
    return one.keys() == other.keys() and all(
        value is other[name] or np.array_equal(value, other[name]) for name, value in one.items()
    )


def _rows(infos: dict[str, Any], slots: np.ndarray, more: dict[str, Any]) -> list[dict[str, Any]]:
    """A dictionary for each of some slots: the batch's information, with numbers of Python, and columns of `more`."""
    parts = {name: array[slots] for name, array in infos.items() if not name.startswith("_")}
    columns = {name: part.tolist() if part.ndim == 1 else part for name, part in parts.items()} | more
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
