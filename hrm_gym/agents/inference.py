"""Thinking without learning: one puzzle batch, segment by segment."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from hrm_gym.agents.halting import learned
from hrm_gym.agents.learner import probabilities
from hrm_gym.agents.reasoner import Reasoner


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
