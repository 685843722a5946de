"""The vector environment: many puzzles in one batch, in NumPy or as torch tensors on any device."""

from __future__ import annotations

from typing import Any

from gymnasium.vector import AutoresetMode

from hrm_gym.envs.arguments import MOST_ENVS, check_integer, check_options
from hrm_gym.envs.arrays import Array, as_int64, copy, where
from hrm_gym.envs.drawing.slot_renderer import SlotRenderer, ending, frame_of
from hrm_gym.envs.rng import NumpyRNG, Seed, TorchRNG
from hrm_gym.envs.rules import Graded, PuzzleState, Rules
from hrm_gym.envs.slots import NEXT_STEP, SAME_STEP, SlotsEnv
from hrm_gym.envs.task import Task
from hrm_gym.errors import HrmGymError


class PuzzleVectorEnv(SlotsEnv):
    """N puzzles stepped by batched array operations; `gymnasium.make_vec` returns this class.

    ## Description
    N slots, each an episode of `PuzzleEnv`, whose page describes puzzles, actions and rewards. In NumPy the results
    equal those of `SyncVectorEnv` over single environments with the same seeds. With a `device`, puzzles, boards and
    symmetries stay on it, actions and results are tensors, and `step` never makes the host wait for the device.

    ## Action Space
    As in `PuzzleEnv`, batched: integers of shape (N, L + 1) for `"board"` and (N,) for `"edit"`. Values out of range
    are an error in NumPy; in tensors they are clamped.

    ## Observation Space
    As in `PuzzleEnv`, batched: a dict of `puzzle` (N, L), `answer` (N, L), `segment` (N,) and, if the family has
    identities, `puzzle_id` (N,), all int64; or float32 of shape (N, 2 * L * V + 1), with identities one number more.

    ## Starting State
    `reset(seed=s)` seeds slot i with s + i and `reset(seed=[...])` gives each slot its own seed; on a device, all
    slots share one generator, seeded with s. The options of `PuzzleEnv` apply to every slot; `"index"` can also be one
    index per slot. `"reset_mask"`, bool of shape (N,), selects the slots to reset; the others are unchanged.

    ## Rewards
    As in `PuzzleEnv`, of shape (N,): float64 in NumPy and float32 on a device.

    ## Episode End
    Terminated and truncated are bool of shape (N,). `autoreset_mode` decides what happens to a finished slot:

    - `"NextStep"`: the next step resets it, ignores its action and pays 0.
    - `"SameStep"`: the same step resets it; `final_obs` and `final_info` hold the end of the old episode.
    - `"Disabled"`: nothing happens until you reset it with `"reset_mask"`. Stepping it earlier is an error, except on
      a device other than the CPU, where the results of that slot are meaningless.

    ## Information
    As in `PuzzleEnv`, with one array per key, and in NumPy a mask `_key` for each key, as in Gymnasium. On a device,
    every slot has every key at every step, and `"SameStep"` returns `final_obs` and `final_info` of all N slots at
    every step; the mask `_final_obs` marks the slots that have just finished.

    ## Arguments
    | argument | default | meaning |
    | --- | --- | --- |
    | `num_envs` | `1` | N |
    | `device` | `None` | `None`: NumPy; else a torch device such as `"cpu"` or `"cuda"` |
    | `autoreset_mode` | `"NextStep"` | see above, as text or `gymnasium.vector.AutoresetMode` |
    | `max_episode_steps` | `None` | truncate after this many steps, without grading, as `TimeLimit` does |
    | `render_mode` | `None` | `"rgb_array"` or `"ansi"`; wrap it in `HumanRendering` for a window |

    The other arguments are those of `PuzzleEnv`.

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
        task: str,
        *,
        num_envs: int = 1,
        device: Any = None,
        autoreset_mode: str | AutoresetMode = NEXT_STEP,
        max_episode_steps: int | None = None,
        render_mode: str | None = None,
        **kwargs: Any,
    ) -> None:
        """Make N environments of a `task`; other arguments are fields of `EnvOptions` and arguments of the family.

        Raises:
            HrmGymError: if an argument is unknown or out of range, or the device is not available.
        """
        num_envs = check_integer("num_envs", num_envs, 1, MOST_ENVS)
        if isinstance(max_episode_steps, int) and max_episode_steps == -1:  # as in gym.make: no limit
            max_episode_steps = None
        if max_episode_steps is not None:
            max_episode_steps = check_integer("max_episode_steps", max_episode_steps, 1)
        uniforms = NumpyRNG(num_envs) if device is None else TorchRNG(num_envs, device)
        super().__init__(Rules(task, **kwargs), num_envs, autoreset_mode, uniforms)
        self.max_episode_steps = max_episode_steps
        self.render_mode = render_mode
        self._view = SlotRenderer(self.task, render_mode, self.metadata)
        self._data = self.rules.data.map(uniforms.put)
        self._previous: Array | None = None
        self._broken: Array | None = None
        """Violations of the answers at the last step; None: unknown."""
        self._halted = copy(self._over)
        """Finished slots that chose to halt."""

    @property
    def task(self) -> Task:
        """The puzzle family."""
        return self.rules.task

    # ---- reset and step --------------------------------------------------------------------------

    def reset(self, *, seed: Seed = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin episodes in all slots, or in those of `options["reset_mask"]`.

        Args:
            seed: seeds the random generators, see Starting State; None continues with their current state.
            options: "reset_mask", "index" or "puzzle", see Starting State.

        Returns:
            Observations and information of all slots.

        Raises:
            HrmGymError: if the seed or an option is invalid, see `PuzzleEnv.reset`.
        """
        options = check_options(options, ("puzzle", "index", "reset_mask"))
        mask = self._reset_mask(options.pop("reset_mask", None))
        chosen = self.rules.chosen(options, self.num_envs)
        self._uniforms.seed(seed, mask)
        if chosen is None:
            self._restart(mask)
        else:
            self._replace(mask, PuzzleState.of(*map(self._uniforms.put, chosen)))
        self._over, self._broken = self._over & ~mask, None
        state = self._started()
        return self.rules.observe(state), self._infos(state, self.rules.grade(state), mask)

    def step(self, actions: Any) -> tuple[Any, Array, Array, Array, dict[str, Any]]:
        """Run one segment in every slot.

        Args:
            actions: integers of shape (N, L + 1) for boards and (N,) for edits.

        Returns:
            Observations, rewards, terminated, truncated and information.

        Raises:
            HrmGymError: if actions are invalid, `reset` was never called, or autoreset is disabled and a finished slot
                was not reset.
        """
        before = self._started()
        actions = self.rules.check(self._uniforms.put(actions, "actions"), self.num_envs)
        self._refuse_finished()
        self._state, decision = self.rules.act(before, actions)
        self._previous = before.answer
        if self.autoreset_mode == NEXT_STEP:
            slots = self._restart(self._over)
            if self._broken is not None and slots is not None:
                self._broken[slots] = -1
            decision = where(self._over, 0, decision)
        grade = self.rules.grade(self._state, (before.answer, self._broken))
        rewards, terminated = self.rules.outcome(self._state, decision, grade.right)
        truncated = terminated & False
        if self.max_episode_steps is not None:
            truncated = self._state.segment >= self.max_episode_steps
        self._over, self._halted = terminated | truncated, decision > 0

        final: dict[str, Any] = {}
        if self.autoreset_mode == SAME_STEP and (self.device is not None or self._over.any()):
            ended = grade
            final = self._final(self._state, lambda state, slots: self.rules.info(state, _of(ended, slots)), self._over)
            grade = self._regraded(grade, self._restart(self._over))
            self._over = self._over & False
        infos = self._infos(self._state, grade, self._all)
        if self.device is None and grade.violations is not None:
            self._broken = copy(grade.violations)
        return self.rules.observe(self._state), rewards, terminated, truncated, {**infos, **final}

    def action_masks(self) -> Array:
        """Return the mask of sensible actions, bool: (N, L * V + 2) for boards, (N, L * V + 1) for edits."""
        return self.rules.action_masks(self._started())

    def render(self) -> tuple[Any, ...] | None:
        """Return a picture or text per slot, by `render_mode`; None without one."""
        if self.render_mode is None:
            return None
        state = self._started()
        title = self.spec.id if self.spec else ""
        ended = [ending(bool(over), bool(halt)) for over, halt in zip(self._over, self._halted, strict=True)]
        frames = (frame_of(self.rules, state, i, self._previous, ended[i]) for i in range(self.num_envs))
        return tuple(self._view.draw(frame, title) for frame in frames)

    def close_extras(self, **kwargs: Any) -> None:
        """Close the renderer."""
        if view := getattr(self, "_view", None):  # None if `__init__` failed and `__del__` calls this.
            view.close()

    # ---- saving ----------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """Return everything that is needed to resume bit for bit: boards, finished slots, random numbers.

        Returns:
            "puzzle", "solution", "answer" (N, L), "segment", "identity" and "over" (N,): arrays, or tensors on the
            device. "random": with a device a tensor of bytes, else a dictionary of numbers and strings per slot.
        """
        state = self._started()
        boards = {name: copy(as_int64(array)) for name, array in state._asdict().items()}
        return {**boards, "over": copy(self._over), "random": self._uniforms.state_dict()}

    def load_state_dict(self, saved: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        """Restore the `state_dict` of an environment with the same arguments.

        Returns:
            Current observations and information of all slots, like `reset`.

        Raises:
            HrmGymError: if the number of slots or cells differs.
        """
        shape = (self.num_envs, self.task.num_cells)
        if tuple(saved["puzzle"].shape) != shape:
            raise HrmGymError(f"the saved boards are {tuple(saved['puzzle'].shape)}; this environment has {shape}")
        put = self._uniforms.put
        self._state = PuzzleState.of(*(put(saved[name]) for name in PuzzleState._fields))
        self._over, self._previous, self._broken = copy(put(saved["over"])), None, None
        self._halted = copy(self._over)
        self._uniforms.load_state_dict(saved["random"])
        return self.rules.observe(self._state), self._infos(self._state, self.rules.grade(self._state), self._all)

    # ---- inside ----------------------------------------------------------------------------------

    def _restart(self, mask: Array) -> Array | None:
        """Start new puzzles in the slots of `mask`; return these slots, or None on a device, where they are unknown."""
        slots, uniforms = self._uniforms.draw(mask, self.rules.num_uniforms)
        if slots is None:
            self._replace(mask, self.rules.start(self._data, uniforms))
        elif len(slots) == self.num_envs:
            self._state = self.rules.start(self._data, uniforms)
        elif len(slots):
            for array, fresh in zip(self._started(), self.rules.start(self._data, uniforms), strict=True):
                array[slots] = fresh
        return slots

    def _regraded(self, graded: Graded, slots: Array | None) -> Graded:
        """Return the grades after `slots` started new puzzles; None: any slot may have changed."""
        if slots is None or len(slots) == self.num_envs:
            return self.rules.grade(self._state)
        whole = Graded(*(None if array is None else copy(array) for array in graded))
        fresh = self.rules.grade(PuzzleState(*(array[slots] for array in self._state)))
        for array, part in zip(whole, fresh, strict=True):
            if array is not None:
                array[slots] = part
        return whole

    def _replace(self, mask: Array, fresh: PuzzleState) -> None:
        """Replace the slots of `mask` by those of `fresh`, which has all N slots."""
        if self._state is not None:
            pairs = zip(fresh, self._state, strict=True)
            fresh = PuzzleState(*(where(mask[:, None] if a.ndim == 2 else mask, a, b) for a, b in pairs))
        self._state = fresh

    def _infos(self, state: PuzzleState, grade: Graded, mask: Array) -> dict[str, Any]:
        """Return the information of the slots of `mask`."""
        return self._masked(self.rules.info(state, grade), mask)


def _of(graded: Graded, slots: Any) -> Graded:
    """Return the grades of some slots."""
    return Graded(*(None if array is None else array[slots] for array in graded))
