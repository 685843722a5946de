"""Pictures of a frozen agent: a puzzle of a halting environment is thought about again when somebody looks."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator

import numpy as np
import torch

from hrm_gym.agents.inference.think import think
from hrm_gym.agents.policy import Policy
from hrm_gym.envs.drawing.frame import Frame, right_cells
from hrm_gym.envs.task import Puzzles, Task

_KEPT = 64  # puzzles whose frames are kept, so that each is thought about once per episode


class Replays:
    """Frames of an agent's puzzles: the `hrm_gym.envs.halting.frozen_model.Pictures` of a `FrozenAgent`.

    Args:
        policy: on its device.
        task: the puzzle family.
        puzzles: NumPy arrays of N puzzles, (N, L), with their solutions.
        max_segments: number of segments of an episode.
    """

    def __init__(self, policy: Policy, task: Task, puzzles: Puzzles, max_segments: int) -> None:
        self.task = task
        self._policy, self._puzzles, self._max_segments = policy, puzzles, max_segments
        self._frames = functools.lru_cache(_KEPT)(lambda index: tuple(self._replay(index)))

    def frame(self, index: int, segment: int) -> Frame:
        """See `Pictures`."""
        return self._frames(index)[segment - 1]

    def _replay(self, index: int) -> Iterator[Frame]:
        one = self._puzzles.map(lambda array: np.asarray(array[index : index + 1]).astype(np.int64))
        frame = Frame(
            puzzle=one.puzzle[0],
            answer=one.puzzle[0],
            solution=one.solution[0],
            identity=None if one.identity is None else int(one.identity[0]),
            max_segments=self._max_segments,
            decides=True,
        )
        identity = None if one.identity is None else torch.as_tensor(one.identity, device=self._policy.device)
        for thought in think(self._policy, torch.as_tensor(one.puzzle), self._max_segments, identity):
            belief = None if thought.belief is None else float(thought.belief[0])
            frame = dataclasses.replace(
                frame,
                answer=thought.answer[0].cpu().numpy(),
                previous=frame.answer if frame.segment else None,  # the first segment fills every cell
                confidence=thought.confidence[0].float().cpu().numpy(),
                belief=belief,
                beliefs=frame.beliefs if belief is None else (*frame.beliefs, belief),
                signals=self._policy.halting.worded({name: float(one[0]) for name, one in thought.signals.items()}),
                segment=frame.segment + 1,
            )
            if (share := right_cells(self.task, frame)) is not None:
                frame = dataclasses.replace(frame, accuracies=(*frame.accuracies, share))
            yield frame
