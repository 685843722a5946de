"""Adaptive evaluation: slots of a batch are refilled as soon as their puzzle is halted on.

So halting early saves wall time.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from hrm_gym.agents import state as nests
from hrm_gym.agents.halting.rule import Signals
from hrm_gym.agents.inference.attempts import Attempts, Vary, best_attempts
from hrm_gym.agents.inference.guessing import guessing
from hrm_gym.agents.inference.think import boards_of, observation
from hrm_gym.agents.policy import Policy
from hrm_gym.agents.state import State
from hrm_gym.envs.task import Puzzles, Task
from hrm_gym.errors import HrmGymError
from hrm_gym.options import Options, number

StopBy = Literal["learned", "fixed"]
"""Who decides when an evaluation stops thinking: the agent's own halting rule, whichever it is, or nobody."""


@dataclasses.dataclass(frozen=True)
class Protocol(Options):
    """How an agent is evaluated; part of every figure."""

    halting: StopBy = "learned"
    """Who decides when to stop. `learned`: the agent, by the halting rule that it was trained with (the rule is
    `--halting` of `hrm-gym train`). `fixed`: nobody; every puzzle gets all segments."""
    max_segments: int = number(16, least=1, most=10_000)
    """Segments after which an answer is taken in any case."""
    halt_margin: float = number(0.0)
    """By how many logits halting must lead for the agent to halt."""
    rollouts: int = number(1, least=1, most=1 << 20)
    """Attempts a puzzle, of which one is graded (no solution is looked at)."""
    select: Literal["belief", "residual", "rules"] = "belief"
    """The attempt that is graded: the one that the agent is surest of, the one whose state moved least in its last
    segment, or the one that breaks fewest rules of the puzzle, which a Sudoku can be checked by without its
    solution."""
    vary: Vary = "noise"
    """How all attempts but the first differ: initial states with noise, the puzzle under random symmetries, or the
    puzzle with a guess that is taken for a given."""
    noise: float = number(1.0, least=0)
    """Standard deviation of the noise on the initial states of all attempts but the first."""
    boards: int = number(1, least=1, most=1 << 20)
    """Boards that are thought about side by side in each attempt: the puzzle, and the puzzle with guesses that the
    agent makes and gives up (for one trained with `--halting soundness`). A segment is one about every board."""
    votes: int = number(0, least=0)
    """Forms of each puzzle that vote on its answer, where a family has several (ARC); 0: all of them."""
    seed: int = number(0, least=0, most=2**63 - 1)
    """Of the noise, the symmetries or the guesses."""

    def for_family(self, task: Task) -> Protocol:
        """The same with the number of votes that a family's puzzles get.

        Raises:
            HrmGymError: for votes where each puzzle has one form, and for more votes than forms.
        """
        forms = task.num_variants
        if self.votes and forms == 1:
            raise HrmGymError(f"votes is {self.votes}: each puzzle of this family has one form; leave it out")
        if self.votes > forms:
            raise HrmGymError(f"votes is {self.votes}: each puzzle has {forms} forms; give at most so many")
        return dataclasses.replace(self, votes=self.votes or (forms if forms > 1 else 0))


@dataclasses.dataclass
class Evaluation:
    """What came out for N puzzles."""

    answers: np.ndarray
    """Final answers, int64 (N, L)."""
    exact: np.ndarray
    """Whether they equal the given solutions, bool (N,)."""
    valid: np.ndarray
    """Whether they satisfy the rules, bool (N,)."""
    belief: np.ndarray
    """How sure the agent is of them, logits, float32 (N,); 0 where its halting rule has no belief."""
    residual: np.ndarray
    """How far the state still moved in the last segment, in [0, 1], float32 (N,)."""
    segments: np.ndarray
    """Segments thought, int64 (N,): of all attempts together."""
    after: np.ndarray
    """Share of answers that are right, by the rules where they decide, after each segment, float (max_segments,);
    halted puzzles keep their answer."""
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
    """Let an agent think about puzzles and grade its last answers.

    Args:
        policy: on its device.
        task: for grading.
        puzzles: N puzzles and solutions.
        protocol: how; by default one pass of at most 16 segments.
        batch_size: slots.
        tell: called with the number of attempts that are done, and that of all.

    Raises:
        HrmGymError: on an empty set, or a protocol that the agent or the family cannot follow.
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
    """As `evaluate`, under several protocols that differ in when a puzzle ends, from one pass for all of them.

    A puzzle is thought about until it ends under each, so `seconds` are those of the longest.

    Args:
        policy: as there.
        task: as there.
        puzzles: as there.
        protocols: alike except for `halting`, `halt_margin` and `max_segments`.
        batch_size: as there.
        tell: as there.

    Raises:
        HrmGymError: as there, and where the protocols differ in something else.
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
    thoughts = _think_all(
        policy, task, shown.boards, lambda jobs: attempts.initial(number[jobs]), protocols, batch_size, tell
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
            after=(thought.right_after / total).cpu().numpy(),
            cell_accuracy=float(grade.cell_accuracy.mean()),
            seconds=0.0,
        )
        results.append(result)
    seconds = time.perf_counter() - began
    return [dataclasses.replace(result, seconds=seconds) for result in results]


def _ends(protocol: Protocol) -> dict[str, Any]:
    """What says when a puzzle ends."""
    return {name: getattr(protocol, name) for name in ("halting", "halt_margin", "max_segments")}


class _Thought:
    """What M jobs come to under one protocol."""

    def __init__(self, num: int, num_cells: int, protocol: Protocol, device: torch.device) -> None:
        self.protocol = protocol
        self.answers = torch.zeros((num, num_cells), dtype=torch.long, device=device)
        self.belief = torch.zeros(num, device=device)
        self.residual = torch.zeros(num, device=device)
        self.segments = torch.zeros(num, dtype=torch.long, device=device)
        self.right_after = torch.zeros(protocol.max_segments, device=device)

    def ends(self, policy: Policy, signals: Signals, segment: Tensor) -> Tensor:
        """Which jobs end with this segment, bool (J,), if they have not ended before."""
        last = segment >= self.protocol.max_segments
        if self.protocol.halting == "learned":
            last = last | policy.halting.decide(signals, segment, self.protocol.halt_margin)
        return last

    def count(self, segment: Tensor, right: Tensor, done: Tensor) -> None:
        """Count the answers after a segment, of jobs that had not ended before: all (J,).

        A job that ends counts with its last answer in all the segments that it is spared.
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
    batch_size: int,
    tell: Callable[[int, int], None] | None,
) -> list[_Thought]:
    """Think about all M puzzles that are shown until they end under every protocol, refilling slots that are done."""
    total, device = len(shown.puzzle), policy.device
    thoughts = [_Thought(total, task.num_cells, protocol, device) for protocol in protocols]
    jobs = torch.arange(min(batch_size, total), device=device)
    waiting = len(jobs)  # the next job that has no slot yet
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
            thought.count(segment[here], right[here], ended[here])
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
        # Finished slots take the jobs that wait; where none are left, the batch shrinks.
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
