"""Thinking without learning: one batch of puzzles, segment by segment."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from hrm_gym.agents.policy import Policy, Search
from hrm_gym.agents.state import State
from hrm_gym.envs.task import Puzzles
from hrm_gym.errors import HrmGymError


class Thought(NamedTuple):
    """The output of one segment, for n puzzles of L cells."""

    answer: Tensor
    """The most probable symbols, int64 (n, L)."""
    confidence: Tensor
    """Their probabilities, float32 (n, L)."""
    belief: Tensor | None
    """Estimated probability that the answer is right, in [0, 1], (n,); None if the halting rule has no belief."""
    signals: dict[str, Tensor]
    """The halting rule's signals by name, in [0, 1], (n,) each."""
    halt: Tensor
    """Whether the policy would halt now, bool (n,)."""
    search: Search | None = None
    """The progress of its search; None if it makes no guesses."""


def observation(puzzle: Tensor, identity: Tensor | None) -> dict[str, Tensor]:
    """The observation of an agent: puzzles, int64 (n, L), and identities, int64 (n,), if the family has them."""
    return {"puzzle": puzzle} if identity is None else {"puzzle": puzzle, "puzzle_id": identity}


def think(
    policy: Policy,
    puzzles: Tensor,
    max_segments: int,
    identities: Tensor | None = None,
    initial: State | None = None,
) -> Iterator[Thought]:
    """Think about puzzles; every `next` is one more segment.

    Args:
        policy: on its device.
        puzzles: tokens, integers of shape (n, L), a tensor or NumPy array.
        max_segments: number of segments.
        identities: integers of shape (n,), if the family has identities.
        initial: the initial state; None for the agent's own.

    Raises:
        HrmGymError: on boards of another shape, or tokens outside the agent's vocabulary.
    """
    spec = policy.agent.spec
    puzzles = torch.as_tensor(puzzles, device=policy.device).long()
    if puzzles.ndim != 2 or puzzles.shape[1] != spec.num_cells:
        raise HrmGymError(
            f"puzzles of shape {tuple(puzzles.shape)}: this agent takes (n, {spec.num_cells}), a row of "
            f"{spec.rows}x{spec.columns} tokens a puzzle"
        )
    if puzzles.numel() and not 0 <= int(puzzles.min()) <= int(puzzles.max()) < spec.num_tokens:
        raise HrmGymError(
            f"tokens {int(puzzles.min())} to {int(puzzles.max())}: allowed are 0 to {spec.num_tokens - 1}"
        )
    state = policy.initial_state(len(puzzles)) if initial is None else initial
    return _think(policy, state, observation(puzzles, identities), max_segments)


def _think(policy: Policy, state: State, obs: dict[str, Tensor], max_segments: int) -> Iterator[Thought]:
    segment = torch.zeros(len(obs["puzzle"]), dtype=torch.long, device=policy.device)
    for _ in range(max_segments):
        with torch.inference_mode():
            segment = segment + 1
            state, output, signals = policy(state, obs)
            confidence, answer = policy.probabilities(output).max(-1)
            halt = policy.halting.decide(signals, segment)
            belief, search = policy.halting.belief(signals), policy.search(state)
        shown = {name: signal.sigmoid() for name, signal in signals.items()}
        yield Thought(answer, confidence, None if belief is None else belief.sigmoid(), shown, halt, search)


def boards_of(puzzles: Puzzles, device: torch.device) -> Puzzles:
    """Puzzles as int64 tensors on a device."""
    return puzzles.map(lambda array: torch.as_tensor(np.ascontiguousarray(array), device=device).long())
