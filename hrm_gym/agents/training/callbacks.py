"""Callbacks of a run: a base class to derive from, and the arguments of its methods.

A run that ends after five evaluations without progress:

    class Patience(Callback):
        best, since = 0.0, 0

        def evaluated(self, scores):
            better = scores.figures["exact_accuracy"] > self.best
            self.best, self.since = (scores.figures["exact_accuracy"], 0) if better else (self.best, self.since + 1)
            return self.since < 5  # False ends the run

    hrm_gym.train(env="Sudoku4x4-v0", callbacks=[Patience()])
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from hrm_gym.agents.inference.evaluation import Evaluation
from hrm_gym.agents.saved.config import Config
from hrm_gym.errors import HrmGymError

SHOWN_SEGMENTS = (1, 2, 4, 8, 16)
"""The segments after which accuracies and pictures are reported."""


class Scores(NamedTuple):
    """An evaluation of the averaged weights."""

    split: str
    """`validation` while the run goes, and `test` once at its end. Choose by validation only."""
    step: int
    """The number of optimizer steps so far."""
    seconds: float
    """The time that the run has taken so far."""
    figures: Mapping[str, float]
    """`exact_accuracy`, `valid_accuracy` and `cell_accuracy` after all segments; on validation puzzles also
    `exact_accuracy_by_itself` and `segments_by_itself`, with learned halting."""
    after: Mapping[int, float]
    """The exact accuracy after 1, 2, 4, 8 and 16 segments."""
    boards: Callable[[], Mapping[int, np.ndarray]]
    """Draws the answers to one puzzle after these segments, uint8 (H, W, 3); takes a moment. Empty for `test`."""

    @classmethod
    def of(
        cls,
        split: str,
        step: int,
        seconds: float,
        result: Evaluation,
        by_itself: Evaluation | None = None,
        boards: Callable[[], Mapping[int, np.ndarray]] = dict,
    ) -> Scores:
        """The scores of evaluations after all segments, and `by_itself` with learned halting."""
        figures = {"exact_accuracy": float(result.exact.mean()), "valid_accuracy": float(result.valid.mean())}
        figures["cell_accuracy"] = float(result.cell_accuracy)
        if by_itself is not None:
            figures["exact_accuracy_by_itself"] = float(by_itself.exact.mean())
            figures["segments_by_itself"] = float(by_itself.segments.mean())
        shown = [segment for segment in SHOWN_SEGMENTS if segment <= len(result.after)]
        after = {segment: float(result.after[segment - 1]) for segment in shown}
        return cls(split, step, seconds, figures, after, boards)

    def named(self) -> dict[str, float]:
        """All figures under the names that every logger uses, such as `validation/exact_accuracy`."""
        after = {f"{self.split}_after/{segment:02}_segments": share for segment, share in self.after.items()}
        return {f"{self.split}/{name}": value for name, value in self.figures.items()} | after


class Callback:
    """Methods that a run calls at its events; override what you need.

    `logged` and `evaluated` may return False to end the run early. It is then saved and tested, as when it reaches
    its target accuracy. An exception in any method ends the run at once: the last checkpoint stays, and `train` raises
    the exception. In a run of several processes only the first one has callbacks.
    """

    def begins(self, config: Config, folder: Path) -> None:
        """The run begins or resumes; `folder` is its folder."""

    def logged(self, step: int, figures: Mapping[str, float], ended_after: np.ndarray) -> bool | None:
        """About once a second: means over the last steps, such as `answer_loss`.

        Args:
            step: the number of optimizer steps so far.
            figures: the means by name.
            ended_after: lengths in segments of the training episodes that ended since the last call, int64 (M,).
        """

    def evaluated(self, scores: Scores) -> bool | None:
        """The run was evaluated on validation puzzles or, at its end, on test puzzles."""

    def saved(self, step: int, path: Path) -> None:
        """The checkpoint at `path` was written."""

    def ended(self, result: dict[str, Any] | None) -> None:
        """The run has ended, with the content of `result.json`; None: stopped by a signal or an exception.

        Called for each callback whose `begins` returned, whatever happens.
        """


def checked(callbacks: Any) -> list[Callback]:
    """The callbacks as a list.

    Raises:
        HrmGymError: if one is not an instance of a class derived from `Callback`.
    """
    for callback in (found := list(callbacks) if isinstance(callbacks, list | tuple) else [callbacks]):
        if not isinstance(callback, Callback):
            raise HrmGymError(
                f"callbacks has {callback!r}: give instances of classes derived from hrm_gym.agents.Callback"
            )
    return found
