"""Thinking without learning: one puzzle batch, segment by segment."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from hrm_gym.agents.halting.policy import learned
from hrm_gym.agents.models.reasoner import Reasoner
from hrm_gym.agents.training.losses import probabilities
from hrm_gym.envs.task import Puzzles, Task


class Thought(NamedTuple):
    """What an agent says after a segment, for n puzzles of L cells."""

    answer: Tensor
    """The most probable symbols, int64 (n, L)."""
    confidence: Tensor
    """Their probabilities, float32 (n, L)."""
    q_halt: Tensor
    """Value of halting, a logit, (n,)."""
    q_continue: Tensor
    """Value of continuing, a logit, (n,)."""
    halt: Tensor
    """Whether the learned policy would halt now, bool (n,)."""


def observation(puzzle: Tensor, identity: Tensor | None) -> dict[str, Tensor]:
    """What an agent sees: puzzles, int64 (n, L), and identities, int64 (n,), where the family has such."""
    return {"puzzle": puzzle} if identity is None else {"puzzle": puzzle, "puzzle_id": identity}


def attempts(
    task: Task, puzzles: Puzzles, num: int, generator: torch.Generator, *, symmetry: bool
) -> tuple[Puzzles, Callable[[Tensor], Tensor]]:
    """Each of n puzzles, int64 tensors (n, L), `num` times in a row.

    Args:
        task: the puzzle family.
        puzzles: on the generator's device.
        num: attempts a puzzle.
        generator: draws the symmetries.
        symmetry: show all attempts but the first under random symmetries of the family.

    Returns:
        What is shown, (n * num, L), and what brings answers to it, (n * num, L), back to the puzzles as they are.

    Raises:
        HrmGymError: where the family's symmetries are not undone.
    """
    repeated = puzzles.map(lambda array: array.repeat_interleave(num, 0))
    if not symmetry or num == 1:
        return repeated, lambda answers: answers
    total, device = len(repeated.puzzle), generator.device
    uniforms = torch.rand((total, task.num_uniforms), generator=generator, device=device)
    task.restore(repeated.puzzle[:1], uniforms[:1])  # refuses before the work, not after it
    first = (torch.arange(total, device=device) % num == 0)[:, None]
    images = task.augment(repeated, uniforms)
    shown = Puzzles(
        torch.where(first, repeated.puzzle, images.puzzle),
        torch.where(first, repeated.solution, images.solution),
        repeated.identity,
    )
    return shown, lambda answers: torch.where(first, answers, task.restore(answers, uniforms))


def moved(before: Tensor, after: Tensor) -> Tensor:
    """How far a state moved, |after - before| / (|after| + |before|), which is in [0, 1]: (n, P + L, D) -> (n,)."""
    a, b = before.float().flatten(1), after.float().flatten(1)
    return (b - a).norm(dim=1) / (a.norm(dim=1) + b.norm(dim=1)).clamp_min(1e-12)


def think(agent: Reasoner, puzzles: Tensor, max_segments: int, identities: Tensor | None = None) -> Iterator[Thought]:
    """Think about puzzles, int64 (n, L), of identities, int64 (n,); every `next` is one more segment."""
    obs = observation(puzzles, identities)
    carry = agent.initial_carry(len(puzzles))
    for _ in range(max_segments):
        with torch.inference_mode():
            carry, out = agent(carry, obs)
            confidence, answer = probabilities(out.logits, agent.config.loss).max(-1)
            halt = learned(out, agent.config.halting)
        yield Thought(answer, confidence, out.q_halt, out.q_continue, halt)
