"""Pictures of one puzzle being solved, for the loggers of a run."""

from __future__ import annotations

import functools

import numpy as np

from hrm_gym.agents.inference.think import boards_of, think
from hrm_gym.agents.policy import Policy
from hrm_gym.agents.training.callbacks import SHOWN_SEGMENTS
from hrm_gym.envs.drawing.frame import Frame
from hrm_gym.envs.drawing.renderer import Renderer
from hrm_gym.envs.task import Puzzles, Task

_renderer = functools.lru_cache(maxsize=1)(Renderer)


def answers_drawn(task: Task, title: str, policy: Policy, puzzles: Puzzles) -> dict[int, np.ndarray]:
    """Draw the answers to the first of the puzzles after some segments, uint8 (H, W, 3) each."""
    first = puzzles.map(lambda array: np.asarray(array[:1]).astype(np.int64))
    puzzle, solution = first.puzzle[0], first.solution[0]
    boards = boards_of(first, policy.device)
    pictures, previous, most = {}, puzzle, SHOWN_SEGMENTS[-1]
    for i, thought in enumerate(think(policy, boards.puzzle, most, boards.identity), start=1):
        answer = thought.answer[0].cpu().numpy()
        if i in SHOWN_SEGMENTS:
            frame = Frame(
                puzzle=puzzle,
                answer=answer,
                segment=i,
                max_segments=most,
                solution=solution,
                identity=None if first.identity is None else int(first.identity[0]),
                previous=previous,
                confidence=thought.confidence[0].cpu().numpy(),
                belief=None if thought.belief is None else float(thought.belief[0]),
                signals=policy.halting.worded({name: float(value[0]) for name, value in thought.signals.items()}),
                reveal=True,
            )
            pictures[i] = _renderer(task, title).rgb(frame)
        previous = answer
    return pictures
