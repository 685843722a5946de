"""The rules of halting for batches; `HaltingEnv` is a batch of one.

Whether an episode ends is known before the next segment. So a step calls the model only once, for the slots that
continue together with those that begin a new puzzle.
"""

from __future__ import annotations

import dataclasses
from typing import Any, Literal, NamedTuple

import numpy as np
from gymnasium import spaces

from hrm_gym.envs.arguments import check_index
from hrm_gym.envs.arrays import is_integer
from hrm_gym.envs.halting.frozen_model import STATE, STATE_BOUND, FrozenModel
from hrm_gym.errors import HrmGymError
from hrm_gym.options import Options, number

NUM_SEGMENTS = 16
"""Default maximum number of segments."""


@dataclasses.dataclass(frozen=True)
class HaltingOptions(Options):
    """Rewards and horizon of the halting environments.

    Raises:
        HrmGymError: if a value has the wrong type or is out of range.
    """

    reward: Literal["success", "delta", "regret"] = "success"
    """`success`: 1 at the end if the answer is correct. `delta`: increase of the share of correct cells. `regret`:
    value of stopping now minus that of the best segment."""
    segment_cost: float = number(0.0, least=0)
    """Cost of every segment after the first."""
    max_segments: int | None = number(None, least=1)
    """T, the maximum number of segments; None: that of the recorded episodes, or else 16."""

    def check(self, recorded: bool) -> None:
        """Reject `regret` without recorded episodes, before a model is loaded.

        Raises:
            HrmGymError: with a way to fix it.
        """
        if self.reward == "regret" and not recorded:
            raise HrmGymError(
                "reward='regret' compares with the best segment of the whole episode, which a live agent has not "
                "thought yet: give recorded=True, or reward='success'"
            )


class HaltingState(NamedTuple):
    """The state of N slots."""

    puzzle: np.ndarray
    """Index of the puzzle, int64 (N,)."""
    segment: np.ndarray
    """Number of segments so far, int64 (N,)."""
    features: np.ndarray
    """Features after the last segment, float32 (N, F)."""
    right: np.ndarray
    """Whether the answer is correct, bool (N,)."""
    cell_accuracy: np.ndarray
    """Share of correct cells, float64 (N,)."""


class HaltingRules:
    """The rules for given arguments.

    Args:
        model: the model with `model.num_slots` slots.
        **arguments: arguments of `HaltingOptions`.

    Raises:
        HrmGymError: as in `HaltingOptions`, or if `max_segments` exceeds the recorded segments.
    """

    def __init__(self, model: FrozenModel, **arguments: Any) -> None:
        options = HaltingOptions.from_dict(arguments)
        episodes = model.episodes
        options.check(episodes is not None)
        most = NUM_SEGMENTS if episodes is None else episodes.max_segments
        self.max_segments = options.max_segments or most
        if episodes is not None and self.max_segments > most:
            raise HrmGymError(f"max_segments={self.max_segments}: only {most} were recorded; record more or give fewer")
        self.model = model
        self.reward = options.reward
        self.segment_cost = options.segment_cost
        self.names = ("segment", *model.names)
        self._spent = self.segment_cost * np.arange(self.max_segments)

    # ---- spaces ----------------------------------------------------------------------------------

    @property
    def action_space(self) -> spaces.Discrete:
        """The action space of a single environment."""
        return spaces.Discrete(2)

    @property
    def observation_space(self) -> spaces.Box:
        """The observation space of a single environment."""
        state = np.array([name.startswith(STATE) for name in self.names])
        low, high = np.where(state, -STATE_BOUND, 0.0), np.where(state, STATE_BOUND, 1.0)
        return spaces.Box(low.astype(np.float32), high.astype(np.float32), dtype=np.float32)

    # ---- the beginning of an episode -------------------------------------------------------------

    def blank(self) -> HaltingState:
        """Return the state of N slots before their first episode."""
        num = self.model.num_slots
        zero = np.zeros(num, np.int64)
        features = np.zeros((num, len(self.model.names)), np.float32)
        return HaltingState(zero, zero, features, np.zeros(num, bool), np.zeros(num))

    def pick(self, uniforms: np.ndarray) -> np.ndarray:
        """Choose puzzles, int64 (M,), by random numbers in [0, 1) of shape (M, 1)."""
        return (uniforms[:, 0] * self.model.num_puzzles).astype(np.int64)

    def chosen(self, options: dict[str, Any]) -> np.ndarray | None:
        """Return the puzzles of the option "index" of `reset`, int64 (N,); None without it.

        Raises:
            HrmGymError: if an index is out of range.
        """
        if "index" not in options:
            return None
        return check_index(options["index"], self.model.num_slots, self.model.num_puzzles)

    def begin(self, state: HaltingState, slots: np.ndarray, index: np.ndarray) -> HaltingState:
        """Put puzzles `index`, (M,), into `slots`, (M,); the next `think` runs their first segment."""
        self.model.start(slots, index)
        numbers, segment = state.puzzle.copy(), state.segment.copy()
        numbers[slots], segment[slots] = index, 0
        return state._replace(puzzle=numbers, segment=segment)

    # ---- a step ----------------------------------------------------------------------------------

    def check(self, actions: np.ndarray) -> np.ndarray:
        """Check actions and return them as int64 of shape (N,).

        Raises:
            HrmGymError: if a shape, type or value is invalid.
        """
        num = self.model.num_slots
        if actions.shape != (num,) or not is_integer(actions):
            raise HrmGymError(
                f"actions have shape {actions.shape} and type {actions.dtype}: give integers of shape ({num},), "
                "0 to continue and 1 to halt"
            )
        if ((actions != 0) & (actions != 1)).any():
            raise HrmGymError(f"actions are {actions.min()} to {actions.max()}: 0 continues and 1 halts")
        return actions.astype(np.int64)

    def outcome(self, state: HaltingState, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the final rewards and which slots terminate, each (N,), before the next segment."""
        over = (actions == 1) | (state.segment >= self.max_segments)
        paid = np.zeros(len(over))
        if self.reward == "success":
            paid = (over & state.right) * 1.0
        elif self.reward == "regret":
            value = state.right - self.segment_cost * (state.segment - 1)
            assert self.model.episodes is not None
            right = self.model.episodes.right[state.puzzle, : self.max_segments]  # (N, T)
            paid = np.where(over, value - (right - self._spent).max(1), 0.0)
        return paid, over

    def think(self, state: HaltingState, mask: np.ndarray) -> HaltingState:
        """Run one segment in the slots of `mask`, bool (N,), and return the new state."""
        slots = np.flatnonzero(mask)
        if not len(slots):
            return state
        thought = self.model.think(slots)
        if len(slots) == len(mask):
            return HaltingState(state.puzzle, state.segment + 1, *thought)
        parts = [array.copy() for array in state[2:]]
        for array, new in zip(parts, thought, strict=True):
            array[slots] = new
        return HaltingState(state.puzzle, state.segment + mask, *parts)

    def gain(self, before: HaltingState, after: HaltingState, mask: np.ndarray) -> np.ndarray:
        """Return the rewards, (N,), of the slots of `mask` for the segment between two states."""
        if self.reward == "regret":  # the final reward already includes the cost
            return np.zeros(len(mask))
        gained = after.cell_accuracy - before.cell_accuracy if self.reward == "delta" else 0.0
        return np.where(mask, gained - self.segment_cost, 0.0)

    # ---- what is shown ---------------------------------------------------------------------------

    def observe(self, state: HaltingState) -> np.ndarray:
        """Observations, float32 (N, 1 + F)."""
        segment = (state.segment / self.max_segments).astype(np.float32)
        return np.concatenate((segment[:, None], state.features), axis=1)

    def info(self, state: HaltingState) -> dict[str, np.ndarray]:
        """Return the information for learners and evaluators, one array (N,) per key."""
        return {
            "is_success": state.right.copy(),
            "cell_accuracy": state.cell_accuracy.copy(),
            "segment": state.segment.copy(),
            "index": state.puzzle.copy(),
        }
