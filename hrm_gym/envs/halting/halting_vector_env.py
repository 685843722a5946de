"""Deciding when an agent halts, for many puzzles in one batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode

from hrm_gym.envs.arguments import check_options
from hrm_gym.envs.arrays import as_numpy
from hrm_gym.envs.drawing.slot_renderer import ending
from hrm_gym.envs.halting.frozen_model import FrozenModel, Pictures
from hrm_gym.envs.halting.halting_rules import HaltingRules, HaltingState
from hrm_gym.envs.halting.model_renderer import ModelRenderer
from hrm_gym.envs.rng import NumpyRNG, Seed
from hrm_gym.envs.slots import NEXT_STEP, SAME_STEP, SlotsEnv


class HaltingVectorEnv(SlotsEnv):
    """N puzzles in one batch; `gymnasium.make_vec` returns this class.

    ## Description
    N slots, each an episode of `HaltingEnv`, whose page describes observations, actions and rewards. With the same
    seeds the results equal those of `SyncVectorEnv` over single environments. A step calls the model once for all
    slots, including those that are being reset, so 256 slots cost about one forward pass of 256 puzzles.

    ## Spaces and Rewards
    Actions int64 (N,), observations float32 (N, 1 + F), rewards float64 (N,), terminated and truncated bool (N,).

    ## Starting State
    `reset(seed=s)` seeds slot i with s + i and `reset(seed=[...])` gives each slot its own seed. The option `"index"`
    is one index or one per slot; `"reset_mask"`, bool (N,), chooses the slots to reset.

    ## Episode End
    `autoreset_mode` decides what happens to a finished slot:

    - `"NextStep"`: the next step resets it, ignores its action and pays 0.
    - `"SameStep"`: the same step resets it; `final_obs` and `final_info` hold the end of the old episode.
    - `"Disabled"`: nothing happens until you reset it with `"reset_mask"`; stepping it earlier is an error.

    ## Information
    As in `HaltingEnv`, with one array (N,) per key, and a mask `_key` for each, as in Gymnasium.

    ## Arguments
    As in `HaltingEnv`, `render_mode` without `"human"`; `autoreset_mode` as text or `AutoresetMode`; and for an id also
    `num_envs`.

    ## Version History
    - v0: initial version.
    """

    metadata = {  # noqa: RUF012 (as in VectorEnv)
        "render_modes": ["rgb_array", "ansi"],
        "render_fps": 4,
        "autoreset_mode": NEXT_STEP,
    }

    def __init__(
        self,
        model: FrozenModel,
        *,
        autoreset_mode: str | AutoresetMode = NEXT_STEP,
        render_mode: str | None = None,
        pictures: Callable[[], Pictures] | None = None,
        **kwargs: Any,
    ) -> None:
        """Make N environments for a `model` with N slots; the other arguments are those of `HaltingEnv`.

        Raises:
            HrmGymError: if an argument is unknown or out of range, or there are no pictures to render.
        """
        num = model.num_slots
        super().__init__(HaltingRules(model, **kwargs), num, autoreset_mode, NumpyRNG(num))
        self.names = self.rules.names
        self.render_mode = render_mode
        self._view = ModelRenderer(pictures, render_mode, self.metadata)
        self._halted = self._over.copy()
        """Finished slots that chose to halt."""

    def reset(self, *, seed: Seed = None, options: dict[str, Any] | None = None) -> tuple[np.ndarray, dict[str, Any]]:
        """Begin episodes in all slots, or in those of `options["reset_mask"]`, and run their first segments.

        Args:
            seed: an integer or one per slot; None continues with the current random state.
            options: "reset_mask" and "index".

        Returns:
            Observations and information of all slots.

        Raises:
            HrmGymError: if the seed or an option is invalid.
        """
        options = check_options(options, ("index", "reset_mask"))
        mask = self._reset_mask(options.pop("reset_mask", None))
        index = self.rules.chosen(options)
        self._uniforms.seed(seed, mask)
        state = self.rules.blank() if self._state is None else self._state
        state = self._begin(state, mask) if index is None else self.rules.begin(state, mask.nonzero()[0], index[mask])
        self._state = self.rules.think(state, mask)
        self._over = self._over & ~mask
        return self.rules.observe(self._state), self._masked(self.rules.info(self._state), mask)

    def step(self, actions: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Continue (0) or halt (1) in every slot.

        Args:
            actions: integers (N,).

        Returns:
            Observations, rewards, terminated, truncated and information.

        Raises:
            HrmGymError: if actions are invalid, `reset` was never called, or autoreset is disabled and a finished slot
                was not reset.
        """
        before = self._started()
        actions = self.rules.check(as_numpy(actions, "actions"))
        self._refuse_finished()
        fresh = self._over
        before = self._begin(before, fresh)
        self._halted = actions * ~fresh == 1
        paid, over = self.rules.outcome(before, actions * ~fresh)
        terminated, on = over.copy(), ~over & ~fresh
        after, final = before, {}
        if self.autoreset_mode == SAME_STEP and over.any():
            final = self._final(before, lambda state, slots: self.rules.info(state), over)
            after, fresh, over = self._begin(before, over), over, over & False
        self._state, self._over = self.rules.think(after, on | fresh), over
        rewards = paid + self.rules.gain(before, self._state, on)
        infos = {**self._masked(self.rules.info(self._state), self._all), **final}
        return self.rules.observe(self._state), rewards, terminated, terminated & False, infos

    def render(self) -> tuple[Any, ...] | None:
        """Return a picture or text per slot, by `render_mode`; None without one."""
        if self.render_mode is None:
            return None
        state, title = self._started(), self.spec.id if self.spec else ""
        slots = zip(state.puzzle, state.segment, self._over, self._halted, strict=True)
        return tuple(
            self._view.draw(int(index), int(segment), ending(bool(over), bool(halted)), title)
            for index, segment, over, halted in slots
        )

    def close_extras(self, **kwargs: Any) -> None:
        """Close the renderer."""
        if view := getattr(self, "_view", None):  # None if `__init__` failed and `__del__` calls this.
            view.close()

    # ---- inside ----------------------------------------------------------------------------------

    def _begin(self, state: HaltingState, mask: np.ndarray) -> HaltingState:
        """Put random puzzles into the slots of `mask`, without running a segment."""
        if not mask.any():
            return state
        slots, uniforms = self._uniforms.draw(mask, 1)
        return self.rules.begin(state, slots, self.rules.pick(uniforms))
