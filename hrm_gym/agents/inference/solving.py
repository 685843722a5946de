"""Solving: attempts until the rules are satisfied, or the time is up."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch

from hrm_gym.agents import state as nests
from hrm_gym.agents.inference.attempts import shown_as
from hrm_gym.agents.inference.think import boards_of, think
from hrm_gym.agents.policy import Policy
from hrm_gym.envs.task import Puzzles, Task

BATCH_SIZE = 256
NOISE = 1.0
"""Standard deviation of the noise on the initial states of further attempts."""


class Solution(NamedTuple):
    """An answer."""

    tokens: np.ndarray
    """Of the board, int64 (L,)."""
    text: str
    """The same as the family writes it."""
    valid: bool
    """Whether it satisfies the rules; where the rules do not decide, whether the agent halted on it."""
    attempts: int
    """Attempts made."""
    segments: int
    """Segments of the attempt that gave it."""


def solve_puzzles(
    policy: Policy,
    task: Task,
    puzzles: Puzzles,
    rollouts: int = 1,
    max_segments: int = 64,
    seconds: float = 0.0,
    seed: int = 0,
    tell: Callable[[int, int], None] | None = None,
) -> list[Solution]:
    """Answers that satisfy the rules, else the last ones.

    The first attempt is about the puzzle as it is. The others are about images of it under random symmetries of the
    family; where it has none that can be undone, or the agent answers all images alike, they begin from initial states
    with noise. Where the rules cannot tell, the answer on which the agent halts
    counts.

    Args:
        policy: on its device.
        task: for the rules.
        puzzles: N puzzles; nobody looks at their solutions.
        rollouts: attempts side by side.
        max_segments: segments of an attempt.
        seconds: a puzzle; a batch gets further rounds of attempts for as long as that is for all of it; 0: one round.
        seed: of the symmetries.
        tell: is told how many puzzles are done, and of how many.
    """
    generator = torch.Generator(policy.device).manual_seed(seed)
    boards = boards_of(puzzles, policy.device)
    found: list[Solution] = []
    batch_size = max(1, BATCH_SIZE // rollouts)
    for start in range(0, len(boards.puzzle), batch_size):
        chunk = boards.map(lambda array, start=start: array[start : start + batch_size])  # type: ignore[misc]
        found += _solve_batch(policy, task, chunk, rollouts, max_segments, seconds, generator)
        if tell is not None:
            tell(len(found), len(boards.puzzle))
    return found


def _solve_batch(
    policy: Policy,
    task: Task,
    boards: Puzzles,
    rollouts: int,
    max_segments: int,
    seconds: float,
    generator: torch.Generator,
) -> list[Solution]:
    num, device = len(boards.puzzle), boards.puzzle.device
    deadline = time.monotonic() + seconds * num
    answers = torch.zeros_like(boards.puzzle)
    valid = torch.zeros(num, dtype=torch.bool, device=device)
    tried, segments = torch.zeros_like(valid, dtype=torch.long), torch.zeros_like(valid, dtype=torch.long)
    has_images = task.num_uniforms > 0 and type(task).restore is not Task.restore and not policy.agent.equivariant
    again = True
    while again:
        open_ = (~valid).nonzero()[:, 0]  # puzzles without a valid answer, (m,)
        left = boards.map(lambda array: array[open_])  # noqa: B023 (called at once)
        # The first round begins with the puzzles as they are; later ones are about images alone.
        first = bool((tried == 0).all())
        width = rollouts if first else rollouts + 1
        shown, restore = shown_as(task, left, width, generator, symmetry=has_images)
        initial = policy.initial_state(len(shown.puzzle))
        if not has_images:
            as_it_is = torch.arange(len(shown.puzzle), device=device) % width == 0
            initial = nests.select(as_it_is, initial, nests.perturb(initial, NOISE, generator))
        asked = left.puzzle.repeat_interleave(width, 0)  # (m * width, L), as they are
        tried[open_] += width if first else width - 1
        rows = torch.arange(len(open_), device=device)
        todo = torch.ones_like(rows, dtype=torch.bool)
        for segment, thought in enumerate(think(policy, shown.puzzle, max_segments, shown.identity, initial), start=1):
            answer = restore(thought.answer)
            broken = task.violations(asked, answer) if task.verifiable else (~thought.halt).int()
            least = broken.view(-1, width).argmin(1)  # the first of equals, which is the puzzle as it is
            now, slots = answer.view(len(open_), width, -1)[rows, least], open_[todo]
            answers[slots], segments[slots] = now[todo], segment
            valid[slots] = (broken.view(-1, width)[rows, least] == 0)[todo]
            todo &= ~valid[open_]
            if not todo.any() or (seconds and time.monotonic() > deadline):
                break
        again = bool(seconds) and time.monotonic() < deadline and not bool(valid.all())
    tokens = answers.cpu().numpy()
    columns = (tokens, valid.tolist(), tried.tolist(), segments.tolist())
    return [Solution(t, task.format(t), v, a, s) for t, v, a, s in zip(*columns, strict=True)]
