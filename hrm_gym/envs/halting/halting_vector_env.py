"""When to stop thinking, about many puzzles at once: one call of the thinker a step serves all slots."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from hrm_gym.envs.halting.halting_rules import HaltingRules, State
from hrm_gym.envs.halting.thinkers import Thinker
from hrm_gym.envs.uniforms import NumpyUniforms, Seed
from hrm_gym.envs.vector_env import DISABLED, NEXT_STEP, SAME_STEP
from hrm_gym.errors import HrmGymError, unknown


class HaltingVectorEnv(VectorEnv[np.ndarray, np.ndarray, np.ndarray]):
    """N puzzles side by side, thought about in one batch: `gymnasium.make_vec` gives this.

    ## Description
    N slots, each an episode of `HaltingEnv`; its page tells what is seen, done and paid. With the same seeds the
    batch equals `SyncVectorEnv` over single environments. A step calls the thinker once for all slots that
    think, those that are being reset included: 256 slots cost about one forward pass of 256 puzzles.

    ## Spaces and Rewards
    Actions int64 (N,), observations float32 (N, 1 + F), rewards float64 (N,), terminated and truncated bool (N,).

    ## Starting State
    `reset(seed=s)` seeds slot i with s + i and `reset(seed=[...])` every slot with its own. The option `"index"`
    is one index or one a slot; `"reset_mask"`, bool (N,), says which slots to reset.

    ## Episode End
    What becomes of a finished slot says `autoreset_mode`:

    - `"NextStep"`: the next step resets it, ignores its action and pays 0.
    - `"SameStep"`: the same step resets it; `final_obs` and `final_info` hold what it came to.
    - `"Disabled"`: nothing, until you reset it with `"reset_mask"`; to step it before is an error.

    ## Information
    That of `HaltingEnv`, an array (N,) a key, and a mask `_key` for each, as Gymnasium has it.

    ## Arguments
    Those of `HaltingEnv`, and with the id `num_envs`; `autoreset_mode` as text or `AutoresetMode`.

    ## Version History
    - v0: initial version.
    """

    metadata = {"render_modes": [], "autoreset_mode": NEXT_STEP}  # noqa: RUF012 (as in VectorEnv)

    def __init__(self, thinker: Thinker, *, autoreset_mode: str | AutoresetMode = NEXT_STEP, **kwargs: Any) -> None:
        """Make N environments over the N slots of a `thinker`; the others are arguments of `HaltingRules`.

        Raises:
            HrmGymError: on an argument that is unknown or out of range.
        """
        if autoreset_mode not in [mode.value for mode in AutoresetMode] + list(AutoresetMode):
            raise unknown("autoreset_mode", autoreset_mode, [mode.value for mode in AutoresetMode])
        self.rules = HaltingRules(thinker, **kwargs)
        self.names = self.rules.names
        self.num_envs = thinker.num_slots
        self.autoreset_mode = AutoresetMode(autoreset_mode)
        self.metadata = {**self.metadata, "autoreset_mode": self.autoreset_mode}
        self.single_action_space = self.rules.action_space
        self.single_observation_space = self.rules.observation_space
        self.action_space = batch_space(self.single_action_space, self.num_envs)
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self._uniforms = NumpyUniforms(self.num_envs)
        self._state: State | None = None
        self._all = np.ones(self.num_envs, bool)
        self._over = ~self._all
        """Slots whose episode has ended and that were not reset since."""

    def reset(self, *, seed: Seed = None, options: dict[str, Any] | None = None) -> tuple[np.ndarray, dict[str, Any]]:
        """Begin episodes in all slots, or in those of `options["reset_mask"]`, and think their first segments.

        Args:
            seed: an integer or one a slot; None goes on with the random numbers.
            options: "reset_mask" and "index".

        Returns:
            Observations and information of all slots.

        Raises:
            HrmGymError: on a bad seed or option.
        """
        options = dict(options or {})
        mask = self._reset_mask(options.pop("reset_mask", None))
        index = self.rules.chosen(options)
        self._uniforms.seed(seed, mask)
        state = self.rules.blank() if self._state is None else self._state
        state = self._begin(state, mask) if index is None else self.rules.begin(state, mask.nonzero()[0], index[mask])
        self._state = self.rules.think(state, mask)
        self._over = self._over & ~mask
        return self.rules.observe(self._state), self._infos(self._state, mask)

    def step(self, actions: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Think on (0) or halt (1) in every slot.

        Args:
            actions: integers (N,).

        Returns:
            Observations, rewards, terminated, truncated and information.

        Raises:
            HrmGymError: on actions of another shape, type or value, before the first `reset`, and with autoreset
                disabled while finished slots were not reset.
        """
        if self._state is None:
            raise HrmGymError("no episodes yet: call reset() first")
        actions = self.rules.check(np.asarray(actions))
        if self.autoreset_mode == DISABLED and self._over.any():
            raise HrmGymError("step with finished slots: reset them with options={'reset_mask': finished} first")
        fresh = self._over
        before = self._begin(self._state, fresh)
        terminated, truncated, rewards = self.rules.outcome(before, actions * ~fresh)
        over = terminated | truncated
        on = ~over & ~fresh
        final: dict[str, Any] = {}
        after = before
        if self.autoreset_mode == SAME_STEP and over.any():
            final = self._final(before, over)
            after, fresh, over = self._begin(before, over), over, over & False
        self._state, self._over = self.rules.think(after, on | fresh), over
        rewards = rewards + self.rules.gain(before, self._state, on)
        infos = {**self._infos(self._state, self._all), **final}
        return self.rules.observe(self._state), rewards, terminated, truncated, infos

    # ---- inside ----------------------------------------------------------------------------------

    def _begin(self, state: State, mask: np.ndarray) -> State:
        """The state with random puzzles in the slots of `mask`, about which nothing has been thought yet."""
        if not mask.any():
            return state
        slots, uniforms = self._uniforms.draw(mask, 1)
        return self.rules.begin(state, slots, self.rules.pick(uniforms))

    def _reset_mask(self, mask: Any) -> np.ndarray:
        if mask is None:
            return self._all
        mask = np.asarray(mask)
        if mask.shape != (self.num_envs,) or mask.dtype != bool or not mask.any():
            raise HrmGymError(
                f"option 'reset_mask' has shape {mask.shape}, type {mask.dtype} and {int(mask.sum())} slots: give "
                f"bools of shape ({self.num_envs},), one of them True at least"
            )
        if self._state is None:
            raise HrmGymError("no episodes yet: call reset() without 'reset_mask' first")
        return mask

    def _infos(self, state: State, mask: np.ndarray) -> dict[str, Any]:
        """The information of the slots of `mask`, in the form of `gymnasium.vector.VectorEnv`."""
        infos: dict[str, Any] = {key: value * mask for key, value in self.rules.info(state).items()}
        return {**infos, **{f"_{key}": mask.copy() for key in infos}}

    def _final(self, state: State, over: np.ndarray) -> dict[str, Any]:
        """The last observations and information of the slots of `over`."""
        observations = np.full(self.num_envs, None, dtype=object)
        shown = self.rules.observe(state)
        for slot in np.flatnonzero(over):
            observations[slot] = shown[slot].copy()
        return {
            "final_obs": observations,
            "_final_obs": over.copy(),
            "final_info": self._infos(state, over),
            "_final_info": over.copy(),
        }
