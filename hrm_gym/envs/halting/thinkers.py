"""Who thinks in the halting environment: the interface, and a thinker that replays recorded episodes.

The environment asks *when to stop*; that which it stops is handed to it. So this side of the house needs no
network: the thinker over a live agent stands in `hrm_gym.agents.inference.live`.
"""

from __future__ import annotations

import dataclasses
import zipfile
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np

from hrm_gym.errors import HrmGymError, unknown
from hrm_gym.files import save_arrays

FEATURES = (
    "q_halt",  # learned value of halting now: the probability that the answer is right
    "q_continue",  # learned value of going on; 1/2 for agents that learned none, which halt where q_halt > 1/2
    "confidence_mean",  # probability of the chosen symbol, mean over the cells
    "confidence_min",  # the same in the least certain cell
    "entropy",  # of a cell's symbol, mean over the cells, as a share of the highest possible one
    "changed",  # share of cells whose symbol differs from the segment before; 1 after the first segment
    "moved_h",  # how far the slow state moved: |new - old| / (|new| + |old|) over all its numbers
    "moved_l",  # the same of the fast state
    "violations",  # broken rules a cell, at most 1
)
"""What a thinker over an agent says after each segment, in this order; all in [0, 1]."""

STATE_BOUND = 10.0
"""Features of other names, such as pooled states, lie in [-STATE_BOUND, STATE_BOUND]."""


class Segment(NamedTuple):
    """What M slots came to in one segment."""

    features: np.ndarray
    """Float32 (M, F)."""
    right: np.ndarray
    """Whether the answer now is exactly right, bool (M,)."""
    cell_accuracy: np.ndarray
    """Share of cells that are right, float64 (M,)."""


class Thinker(Protocol):
    """Thinks about puzzles, segment by segment, in `num_slots` slots that begin and go on independently."""

    num_slots: int
    num_puzzles: int
    names: tuple[str, ...]
    """Of the F features."""
    episodes: Episodes | None
    """Everything it will ever think, where that is known beforehand."""

    def start(self, slots: np.ndarray, index: np.ndarray) -> None:
        """Put the puzzles numbered `index`, int64 (M,), into `slots`, int64 (M,); nothing is thought yet."""

    def think(self, slots: np.ndarray) -> Segment:
        """One more segment in the M slots `slots`, all of them distinct and started."""


@dataclasses.dataclass(frozen=True, eq=False)
class Episodes:
    """All segments of N puzzles: T segments each, whether or not anybody would have halted before."""

    features: np.ndarray
    """Float32 (N, T, F)."""
    right: np.ndarray
    """Whether the answer after each segment is right, bool (N, T)."""
    cell_accuracy: np.ndarray
    """Share of cells that are right, float64 (N, T)."""
    names: tuple[str, ...] = FEATURES
    """Of the F features."""

    def __post_init__(self) -> None:
        """Refuse arrays that do not belong together."""
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

    def column(self, name: str) -> np.ndarray:
        """One feature after each segment, float32 (N, T).

        Raises:
            HrmGymError: where it was not recorded.
        """
        if name not in self.names:
            raise unknown("feature", name, self.names)
        return self.features[:, :, self.names.index(name)]

    def save(self, path: str | Path) -> None:
        """Write them to `path`, a NumPy .npz file, whole or not at all.

        Raises:
            HrmGymError: where it cannot be written.
        """
        arrays = {"features": self.features, "right": self.right, "cell_accuracy": self.cell_accuracy}
        save_arrays({**arrays, "names": np.array(self.names)}, path)

    @staticmethod
    def load(path: str | Path) -> Episodes:
        """Read what `save` wrote.

        Raises:
            HrmGymError: where there is no such file, or another one.
        """
        try:
            with np.load(path, allow_pickle=False) as file:
                arrays = {name: file[name] for name in ("features", "right", "cell_accuracy", "names")}
        except FileNotFoundError:
            raise HrmGymError(f"there is no file {path}: write one with Episodes.save") from None
        except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile):
            raise HrmGymError(f"{path} holds no recorded episodes: give a file that Episodes.save wrote") from None
        return Episodes(**{**arrays, "names": tuple(map(str, arrays["names"]))})


class RecordedThinker:
    """Replays episodes: no network, and a step costs an indexing.

    Args:
        episodes: what to replay; several thinkers may share it.
        num_slots: how many puzzles at once.
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
        """See `Thinker`."""
        self._index[slots], self._segment[slots] = index, 0

    def think(self, slots: np.ndarray) -> Segment:
        """See `Thinker`."""
        place = self._index[slots], self._segment[slots]
        self._segment[slots] += 1
        return Segment(*(array[place] for array in self._arrays()))

    def _arrays(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return self._recorded.features, self._recorded.right, self._recorded.cell_accuracy
