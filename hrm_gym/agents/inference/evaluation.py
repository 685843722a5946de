"""Adaptive evaluation: a slot takes the next puzzle as soon as the agent halts on its current one.

Halting early therefore saves wall time.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hrm_gym.agents import state as nests
from hrm_gym.agents.halting.rule import Signals
from hrm_gym.agents.inference.attempts import Attempts, best_attempts
from hrm_gym.agents.inference.protocol import Protocol
from hrm_gym.agents.inference.think import boards_of, observation
from hrm_gym.agents.policy import Policy
from hrm_gym.agents.state import State
from hrm_gym.envs.task import Puzzles, Task
from hrm_gym.errors import HrmGymError


@dataclasses.dataclass
class Evaluation:
    """The results for N puzzles."""

    answers: np.ndarray
    """Final answers, int64 (N, L)."""
    exact: np.ndarray
    """Whether they equal the given solutions, bool (N,)."""
    valid: np.ndarray
    """Whether they satisfy the rules, bool (N,)."""
    belief: np.ndarray
    """The agent's belief that they are right, logits, float32 (N,); 0 if its halting rule has no belief."""
    residual: np.ndarray
    """How far the state moved in the last segment, in [0, 1], float32 (N,)."""
    segments: np.ndarray
    """Segments used, summed over all attempts, int64 (N,)."""
    after: np.ndarray
    """Share of right answers after each segment, float (max_segments,), judged by the rules if they decide. Halted
    puzzles keep their answer. Of several attempts at a puzzle, only the first counts, which gets it unchanged."""
    cell_accuracy: float
    seconds: float


def evaluate(
    policy: Policy,
    task: Task,
    puzzles: Puzzles,
    protocol: Protocol | None = None,
    *,
    batch_size: int = 256,
    tell: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Run an agent on puzzles and grade its final answers.

    Args:
        policy: on its device.
        task: grades the answers.
        puzzles: N puzzles and solutions.
        protocol: how to evaluate; by default one pass of at most 16 segments.
        batch_size: number of slots.
        tell: called with the number of finished attempts and the total.

    Raises:
        HrmGymError: on an empty set, or a protocol that the agent or the family does not support.
    """
    return evaluate_stops(policy, task, puzzles, [protocol or Protocol()], batch_size=batch_size, tell=tell)[0]


@torch.inference_mode()
def evaluate_stops(
    policy: Policy,
    task: Task,
    puzzles: Puzzles,
    protocols: Sequence[Protocol],
    *,
    batch_size: int = 256,
    tell: Callable[[int, int], None] | None = None,
) -> list[Evaluation]:
    """Like `evaluate`, for several protocols that differ only in when they stop, in a single pass.

    A puzzle runs until it has ended under every protocol, so `seconds` are those of the longest.

    Args:
        policy: see `evaluate`.
        task: see `evaluate`.
        puzzles: see `evaluate`.
        protocols: equal except for `halting`, `halt_margin` and `max_segments`.
        batch_size: see `evaluate`.
        tell: see `evaluate`.

    Raises:
        HrmGymError: as `evaluate`, and if the protocols differ in another field.
    """
    p = protocols[0]
    if any(dataclasses.replace(other, **_ends(p)) != p for other in protocols):
        raise HrmGymError("protocols of one pass may differ in halting, halt_margin and max_segments alone")
    num = len(puzzles.puzzle)
    if not num:
        raise HrmGymError("there are no puzzles to evaluate on")
    if batch_size < 1:
        raise HrmGymError(f"batch_size is {batch_size}: give at least 1")
    if p.select == "rules" and not task.verifiable:
        raise HrmGymError("select 'rules': the rules of this family do not tell right answers; give belief or residual")
    if p.rollouts > 1 and p.select != "residual" and not policy.halting.signals:
        raise HrmGymError("this agent's halting rule has no belief to choose attempts by: give --select residual")
    began = time.perf_counter()
    if p.boards != 1:
        from hrm_gym.agents.inference.guessing import guessing

        policy = guessing(policy, task, p.boards)
    batch_size = max(1, batch_size // p.boards)
    device = policy.device
    generator = torch.Generator(device).manual_seed(p.seed)
    boards = boards_of(puzzles, device)
    total = num * p.rollouts  # job j is attempt j % rollouts at puzzle j // rollouts
    jobs = torch.arange(total, device=device)
    number = jobs % p.rollouts
    attempts = Attempts(policy, task, boards, p.vary if p.rollouts > 1 else "noise", generator, p.noise)
    shown = attempts.show(jobs // p.rollouts, number)
    first = number == 0
    thoughts = _think_all(
        policy, task, shown.boards, lambda jobs: attempts.initial(number[jobs]), protocols, first, batch_size, tell
    )
    results = []
    for thought in thoughts:
        answers = attempts.answers(thought.answers, shown.uniforms, number)
        best = best_attempts(task, p.select, boards.puzzle, answers, thought.belief, thought.residual, p.rollouts)
        chosen = answers[best]
        grade = task.grade(boards.puzzle, boards.solution, chosen, by="solution")
        result = Evaluation(
            answers=chosen.cpu().numpy(),
            exact=grade.right.cpu().numpy(),
            valid=grade.valid.cpu().numpy(),
            belief=thought.belief[best].cpu().numpy(),
            residual=thought.residual[best].cpu().numpy(),
            segments=thought.segments.view(num, p.rollouts).sum(1).cpu().numpy(),
            after=(thought.right_after / num).cpu().numpy(),
            cell_accuracy=float(grade.cell_accuracy.mean()),
            seconds=0.0,
        )
        results.append(result)
    seconds = time.perf_counter() - began
    return [dataclasses.replace(result, seconds=seconds) for result in results]


def _ends(protocol: Protocol) -> dict[str, Any]:
    """The fields that determine when a puzzle ends."""
    return {name: getattr(protocol, name) for name in ("halting", "halt_margin", "max_segments")}


class _Thought:
    """Results of M jobs under one protocol."""

    def __init__(self, num: int, num_cells: int, protocol: Protocol, device: torch.device) -> None:
        self.protocol = protocol
        self.answers = torch.zeros((num, num_cells), dtype=torch.long, device=device)
        self.belief = torch.zeros(num, device=device)
        self.residual = torch.zeros(num, device=device)
        self.segments = torch.zeros(num, dtype=torch.long, device=device)
        self.right_after = torch.zeros(protocol.max_segments, device=device)

    def ends(self, policy: Policy, signals: Signals, segment: Tensor) -> Tensor:
        """Which jobs end with this segment, bool (J,), unless they ended earlier."""
        last = segment >= self.protocol.max_segments
        if self.protocol.halting == "learned":
            last = last | policy.halting.decide(signals, segment, self.protocol.halt_margin)
        return last

    def count(self, segment: Tensor, right: Tensor, done: Tensor) -> None:
        """Count the answers after a segment of jobs that had not ended before; all arguments are (J,).

        The last answer of a job that ends also counts for all later segments.
        """
        self.right_after.index_add_(0, segment - 1, (right & ~done).float())
        for s in segment[done & right].tolist():
            self.right_after[s - 1 :] += 1


def _think_all(
    policy: Policy,
    task: Task,
    shown: Puzzles,
    fresh: Callable[[Tensor], State],
    protocols: Sequence[Protocol],
    counted: Tensor,
    batch_size: int,
    tell: Callable[[int, int], None] | None,
) -> list[_Thought]:
    """Think about M boards until each has ended under every protocol; finished slots take the next boards.

    `right_after` counts the boards where `counted`, bool (M,), is true.
    """
    total, device = len(shown.puzzle), policy.device
    thoughts = [_Thought(total, task.num_cells, protocol, device) for protocol in protocols]
    jobs = torch.arange(min(batch_size, total), device=device)
    waiting = len(jobs)  # the next job without a slot
    state = fresh(jobs)
    segment = torch.zeros_like(jobs)
    goes_on = torch.ones((len(thoughts), len(jobs)), dtype=torch.bool, device=device)  # under each protocol
    while len(jobs):
        now = shown.map(lambda array: array[jobs])  # noqa: B023 (called at once)
        before = state
        state, output, signals = policy(before, observation(now.puzzle, now.identity))
        segment = segment + 1
        answer = output.logits.argmax(-1)
        right = task.grade(now.puzzle, now.solution, answer).right
        belief = policy.halting.belief(signals)
        for row, thought in enumerate(thoughts):
            here = goes_on[row]
            ended = thought.ends(policy, signals, segment) & here
            counts = here & counted[jobs]
            thought.count(segment[counts], right[counts], ended[counts])
            goes_on[row] &= ~ended
            finished = jobs[ended]
            if not len(finished):
                continue
            thought.answers[finished], thought.segments[finished] = answer[ended], segment[ended]
            if belief is not None:
                thought.belief[finished] = belief[ended].float()
            thought.residual[finished] = nests.residual(nests.take(before, ended), nests.take(state, ended))
        kept = goes_on.any(0)
        num_done = len(jobs) - int(kept.sum())
        if not num_done:
            continue
        # Finished slots take waiting jobs; the batch shrinks when none are left.
        new = torch.arange(waiting, min(waiting + num_done, total), device=device)
        waiting += len(new)
        if tell is not None:
            tell(waiting - int(kept.sum()) - len(new), total)
        jobs = torch.cat((jobs[kept], new))
        segment = torch.cat((segment[kept], torch.zeros_like(new)))
        goes_on = torch.cat((goes_on[:, kept], goes_on.new_ones(len(thoughts), len(new))), dim=1)
        state = nests.take(state, kept)
        if len(new):
            state = nests.join(state, fresh(new))
    return thoughts
