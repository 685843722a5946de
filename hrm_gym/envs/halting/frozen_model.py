"""The frozen model of the halting environment: its interface, and a model that replays recorded episodes.

Nothing here needs a network; models that wrap an agent are in `hrm_gym.agents`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import numpy as np

from hrm_gym.envs.drawing.frame import Frame
from hrm_gym.envs.task import Task
from hrm_gym.errors import HrmGymError, unknown

STATE = "state_"
"""Prefix of the names of features of the agent's state, which lie in [-STATE_BOUND, STATE_BOUND]. All other features
lie in [0, 1]."""

STATE_BOUND = 10.0


class Segment(NamedTuple):
    """The results of one segment in M slots."""

    features: np.ndarray
    """Float32 (M, F)."""
    right: np.ndarray
    """Whether the current answer is correct, bool (M,)."""
    cell_accuracy: np.ndarray
    """Share of correct cells, float64 (M,)."""


class FrozenModel(Protocol):
    """A model that processes puzzles segment by segment in `num_slots` independent slots."""

    num_slots: int
    num_puzzles: int
    names: tuple[str, ...]
    """Names of the F features. For agents they are, in this order: the signals of the halting rule (such as `q_halt`
    and `q_continue`), `confidence_mean`, `confidence_min`, `entropy`, `changed`, `residual`, `violations`."""
    episodes: Episodes | None
    """All segments of all puzzles, if they are recorded; otherwise None."""

    def start(self, slots: np.ndarray, index: np.ndarray) -> None:
        """Put puzzles `index`, int64 (M,), into `slots`, int64 (M,), without running a segment."""

    def think(self, slots: np.ndarray) -> Segment:
        """Run one segment in the M `slots`, which must be distinct and started."""


class Pictures(Protocol):
    """What pictures of a model's puzzles show; only rendering asks for them."""

    task: Task

    def frame(self, index: int, segment: int) -> Frame:
        """Return the model's answer to puzzle `index` after `segment` segments, at least 1."""


@dataclasses.dataclass(frozen=True, eq=False)
class Episodes:
    """Recordings of N puzzles with T segments each, regardless of halting decisions."""

    features: np.ndarray
    """Float32 (N, T, F)."""
    right: np.ndarray
    """Whether the answer after each segment is correct, bool (N, T)."""
    cell_accuracy: np.ndarray
    """Share of correct cells, float64 (N, T)."""
    names: tuple[str, ...]
    """Names of the F features."""

    def __post_init__(self) -> None:
        """Check that the shapes of the arrays agree."""
        shape = self.right.shape
        fits = self.cell_accuracy.shape == shape and self.features.shape == (*shape, len(self.names))
        if not fits or len(shape) != 2 or 0 in shape:
            raise HrmGymError(
                f"recorded episodes need features (N, T, {len(self.names)}), right (N, T) and cell_accuracy (N, T), "
                f"N and T at least 1: got {self.features.shape}, {shape} and {self.cell_accuracy.shape}"
            )

    def __len__(self) -> int:
        """N."""
        return len(self.right)

    @property
    def max_segments(self) -> int:
        """T."""
        return self.right.shape[1]

    def first(self, num: int | None) -> Episodes:
        """The first `num` puzzles; None: all."""
        return Episodes(self.features[:num], self.right[:num], self.cell_accuracy[:num], self.names)

    def need(self, index: np.ndarray) -> None:
        """Ensure that puzzles `index` are recorded; here all are."""

    def column(self, name: str) -> np.ndarray:
        """Return one feature after each segment, float32 (N, T).

        Raises:
            HrmGymError: if it was not recorded.
        """
        if name not in self.names:
            raise unknown("feature", name, self.names)
        return self.features[:, :, self.names.index(name)]


class LazyEpisodes(Episodes):
    """Episodes that are recorded on demand, a block of puzzles at a time.

    Args:
        num: N.
        max_segments: T.
        names: names of the F features.
        record: records the puzzles from a first index (included) to a last index (excluded).
        block: number of consecutive puzzles to record together.
    """

    _record: Callable[[int, int], Episodes]
    _block: int
    _known: np.ndarray

    def __init__(
        self, num: int, max_segments: int, names: tuple[str, ...], record: Callable[[int, int], Episodes], block: int
    ) -> None:
        shape = num, max_segments
        super().__init__(np.zeros((*shape, len(names)), np.float32), np.zeros(shape, bool), np.zeros(shape), names)
        object.__setattr__(self, "_record", record)
        object.__setattr__(self, "_block", block)
        object.__setattr__(self, "_known", np.zeros(-(-num // block), bool))

    def need(self, index: np.ndarray) -> None:
        """See `Episodes`."""
        for block in np.unique(index // self._block):
            if self._known[block]:
                continue
            here = slice(block * self._block, min((block + 1) * self._block, len(self)))
            found = self._record(here.start, here.stop)
            self.features[here], self.right[here], self.cell_accuracy[here] = (
                found.features,
                found.right,
                found.cell_accuracy,
            )
            self._known[block] = True

    def __reduce__(self) -> tuple[Any, ...]:
        """Record all puzzles and pickle the recordings without the model."""
        self.need(np.arange(len(self)))
        return Episodes, (self.features, self.right, self.cell_accuracy, self.names)


class RecordedModel:
    """Replays recorded episodes without a network; a step is a table lookup.

    Args:
        episodes: the episodes to replay; several models may share them.
        num_slots: number of puzzles processed in parallel.
    """

    def __init__(self, episodes: Episodes, num_slots: int = 1) -> None:
        self.episodes: Episodes | None = episodes
        self.num_slots = num_slots
        self.num_puzzles = len(episodes)
        self.names = episodes.names
        self._recorded = episodes
        self._index = np.zeros(num_slots, np.int64)
        self._segment = np.zeros(num_slots, np.int64)

    def start(self, slots: np.ndarray, index: np.ndarray) -> None:
        """See `FrozenModel`."""
        self._recorded.need(index)
        self._index[slots], self._segment[slots] = index, 0

    def think(self, slots: np.ndarray) -> Segment:
        """See `FrozenModel`."""
        place = self._index[slots], self._segment[slots]
        self._segment[slots] += 1
        recorded = self._recorded
        return Segment(recorded.features[place], recorded.right[place], recorded.cell_accuracy[place])
