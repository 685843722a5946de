"""The rules of halting, written once, for batches: `HaltingEnv` is a batch of one.

Whether an episode ends is known before the next segment is thought. So one call of the thinker serves all
slots of a step: those that go on, and those that begin anew.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from gymnasium import spaces

from hrm_gym.envs.halting.thinkers import FEATURES, STATE_BOUND, Thinker
from hrm_gym.errors import HrmGymError, unknown

REWARDS = ("success", "delta", "regret")


def check_arguments(reward: str, segment_cost: float, max_segments: int | None, recorded: bool) -> None:
    """Refuse what `HaltingRules` does not take, before anybody spends time on a thinker.

    Raises:
        HrmGymError: on an unknown reward, a number out of range, or regrets without recorded episodes.
    """
    if reward not in REWARDS:
        raise unknown("reward", reward, REWARDS)
    if not segment_cost >= 0:
        raise HrmGymError(f"segment_cost={segment_cost}: a cost is taken off the reward, give 0 or more")
    if max_segments is not None and max_segments < 1:
        raise HrmGymError(f"max_segments={max_segments}: give at least 1, or leave it out")
    if reward == "regret" and not recorded:
        raise HrmGymError(
            "reward='regret' compares with the best moment of the whole episode, which a live agent has not "
            "thought yet: give recorded=True, or reward='success'"
        )


class State(NamedTuple):
    """Where each of N slots stands."""

    puzzle: np.ndarray
    """Number of the puzzle it thinks about, int64 (N,)."""
    segment: np.ndarray
    """How many segments it has thought, int64 (N,)."""
    features: np.ndarray
    """What it says after the last of them, float32 (N, F)."""
    right: np.ndarray
    """Whether its answer is right, bool (N,)."""
    cell_accuracy: np.ndarray
    """Share of right cells, float64 (N,)."""


class HaltingRules:
    """The rules under one choice of arguments.

    Args:
        thinker: who thinks, in `thinker.num_slots` slots.
        reward: "success", "delta" or "regret".
        segment_cost: what every segment after the first costs, 0 or more.
        max_segments: T, the last segment; None takes that of recorded episodes, else 16.
        truncate: whether going on in the last segment truncates an episode; False terminates it.

    Raises:
        HrmGymError: on an unknown reward, a number out of range, or more segments than were recorded.
    """

    def __init__(
        self,
        thinker: Thinker,
        *,
        reward: str = "success",
        segment_cost: float = 0.0,
        max_segments: int | None = None,
        truncate: bool = True,
    ) -> None:
        episodes = thinker.episodes
        default = 16 if episodes is None else episodes.max_segments
        check_arguments(reward, segment_cost, max_segments, episodes is not None)
        if episodes is not None and max_segments is not None and max_segments > default:
            raise HrmGymError(f"max_segments={max_segments}: only {default} were recorded; record more or give fewer")
        self.thinker = thinker
        self.reward = reward
        self.segment_cost = float(segment_cost)
        self.max_segments = default if max_segments is None else int(max_segments)
        self.truncate = truncate
        self.names = ("segment", *thinker.names)
        self._best = np.zeros(0)
        if reward == "regret":
            assert episodes is not None
            spent = self.segment_cost * np.arange(self.max_segments)
            self._best = (episodes.right[:, : self.max_segments] - spent).max(1)

    # ---- spaces ----------------------------------------------------------------------------------

    @property
    def action_space(self) -> spaces.Discrete:
        """What a single environment is told."""
        return spaces.Discrete(2)

    @property
    def observation_space(self) -> spaces.Box:
        """What a single environment shows."""
        unit = np.array([name == "segment" or name in FEATURES for name in self.names])
        low, high = np.where(unit, 0.0, -STATE_BOUND), np.where(unit, 1.0, STATE_BOUND)
        return spaces.Box(low.astype(np.float32), high.astype(np.float32), dtype=np.float32)

    # ---- the beginning of an episode -------------------------------------------------------------

    def blank(self) -> State:
        """N slots in which nothing has begun."""
        num = self.thinker.num_slots
        zero = np.zeros(num, np.int64)
        features = np.zeros((num, len(self.thinker.names)), np.float32)
        return State(zero, zero, features, np.zeros(num, bool), np.zeros(num))

    def pick(self, uniforms: np.ndarray) -> np.ndarray:
        """Puzzles, int64 (M,), from numbers in [0, 1) of shape (M, 1)."""
        return (uniforms[:, 0] * self.thinker.num_puzzles).astype(np.int64)

    def chosen(self, options: dict[str, Any]) -> np.ndarray | None:
        """The puzzles, int64 (N,), that the options of `reset` ask for; None where they ask for none.

        Raises:
            HrmGymError: on an unknown option or an index out of range.
        """
        for name in options:
            if name != "index":
                raise unknown("option of reset", name, ("index", "reset_mask"))
        if "index" not in options:
            return None
        index, num, size = np.asarray(options["index"]), self.thinker.num_slots, self.thinker.num_puzzles
        if index.dtype.kind not in "iu" or index.shape not in ((), (num,)):
            raise HrmGymError(f"option 'index' is {options['index']!r}: give an integer, or one per slot")
        if index.min() < 0 or index.max() >= size:
            raise HrmGymError(f"option 'index' is {options['index']!r}: there are puzzles 0 to {size - 1}")
        return np.broadcast_to(index, (num,)).astype(np.int64)

    def begin(self, state: State, slots: np.ndarray, index: np.ndarray) -> State:
        """Put puzzles `index`, (M,), into `slots`, (M,); their first segment is thought by the next `think`."""
        self.thinker.start(slots, index)
        numbers, segment = state.puzzle.copy(), state.segment.copy()
        numbers[slots], segment[slots] = index, 0
        return state._replace(puzzle=numbers, segment=segment)

    # ---- a step ----------------------------------------------------------------------------------

    def check(self, actions: np.ndarray) -> np.ndarray:
        """`actions` as int64 of shape (N,).

        Raises:
            HrmGymError: naming the shape, the type or the value that does not fit.
        """
        num = self.thinker.num_slots
        if actions.shape != (num,) or actions.dtype.kind not in "iu":
            raise HrmGymError(
                f"actions have shape {actions.shape} and type {actions.dtype}: give integers of shape ({num},), "
                "0 to continue and 1 to halt"
            )
        if ((actions != 0) & (actions != 1)).any():
            raise HrmGymError(f"actions are {actions.min()} to {actions.max()}: 0 continues and 1 halts")
        return actions.astype(np.int64)

    def outcome(self, state: State, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Terminated, truncated and what is paid for ending, each (N,), before anything more is thought."""
        halt = actions == 1
        last = (state.segment >= self.max_segments) & ~halt
        over = halt | last
        paid = np.zeros(len(over))
        if self.reward == "success":
            paid = (over & state.right) * 1.0
        elif self.reward == "regret":
            value = state.right - self.segment_cost * (state.segment - 1)
            paid = np.where(over, value - self._best[state.puzzle], 0.0)
        return (halt, last, paid) if self.truncate else (over, last & False, paid)

    def think(self, state: State, mask: np.ndarray) -> State:
        """The state after one more segment in the slots of `mask`, bool (N,)."""
        slots = np.flatnonzero(mask)
        if not len(slots):
            return state
        thought = self.thinker.think(slots)
        if len(slots) == len(mask):
            return State(state.puzzle, state.segment + 1, *thought)
        parts = [array.copy() for array in state[2:]]
        for array, new in zip(parts, thought, strict=True):
            array[slots] = new
        return State(state.puzzle, state.segment + mask, *parts)

    def gain(self, before: State, after: State, mask: np.ndarray) -> np.ndarray:
        """What the segment between two states is worth to the slots of `mask`, which went on: (N,)."""
        if self.reward == "regret":  # the cost is part of what is compared, on ending
            return np.zeros(len(mask))
        gained = after.cell_accuracy - before.cell_accuracy if self.reward == "delta" else 0.0
        return np.where(mask, gained - self.segment_cost, 0.0)

    # ---- what is shown ---------------------------------------------------------------------------

    def observe(self, state: State) -> np.ndarray:
        """Observations, float32 (N, 1 + F)."""
        segment = (state.segment / self.max_segments).astype(np.float32)
        return np.concatenate((segment[:, None], state.features), axis=1)

    def info(self, state: State) -> dict[str, np.ndarray]:
        """What learners and evaluators want beside the observation, an array (N,) a name."""
        return {
            "is_success": state.right.copy(),
            "cell_accuracy": state.cell_accuracy.copy(),
            "segment": state.segment.copy(),
            "index": state.puzzle.copy(),
        }
