"""Adaptive evaluation: slots of a batch are refilled as soon as their puzzle is halted on.

So fewer segments are less time, not only a smaller number in a table.
"""

from __future__ import annotations

import dataclasses
import time
from typing import Any

import numpy as np
import torch

from hrm_gym.agents.halting.policy import learned
from hrm_gym.agents.inference.think import attempts, moved, observation
from hrm_gym.agents.models.reasoner import Carry, Reasoner
from hrm_gym.envs.task import Puzzles, Task
from hrm_gym.errors import HrmGymError, unknown

HALTING = ("learned", "fixed")
SELECT = ("q_halt", "residual", "rules")
VARY = ("noise", "symmetry")


@dataclasses.dataclass
class Evaluation:
    """What came out for N puzzles."""

    answers: np.ndarray
    """Final answers, int64 (N, L)."""
    right: np.ndarray
    """Whether they equal the given solutions (see `Task.match`), bool (N,)."""
    valid: np.ndarray
    """Whether they satisfy the rules, bool (N,)."""
    q_halt: np.ndarray
    """Values of halting on the final answers, logits, float32 (N,)."""
    residual: np.ndarray
    """How far the slow state still moved in the last segment, in [0, 1], float32 (N,)."""
    segments: np.ndarray
    """Segments thought, int64 (N,): of all rollouts together."""
    right_after: np.ndarray
    """Share of right answers after each segment, float (max_segments,); halted puzzles keep their answer."""
    cell_accuracy: float
    seconds: float

    def summary(self) -> dict[str, Any]:
        """The figures of the command line's JSON object."""
        num = len(self.right)
        return {
            "exact_accuracy": float(self.right.mean()),
            "valid_accuracy": float(self.valid.mean()),
            "cell_accuracy": self.cell_accuracy,
            "mean_segments": float(self.segments.mean()),
            "num_puzzles": num,
            "seconds": round(self.seconds, 3),
            "puzzles_per_second": round(num / self.seconds, 2) if self.seconds else 0.0,
        }


@torch.inference_mode()
def evaluate(
    agent: Reasoner,
    task: Task,
    puzzles: Puzzles,
    *,
    max_segments: int = 16,
    halting: str = "fixed",
    halt_margin: float = 0.0,
    rollouts: int = 1,
    vary: str = "noise",
    noise: float = 1.0,
    select: str = "q_halt",
    batch_size: int = 256,
    seed: int = 0,
) -> Evaluation:
    """Let an agent think about puzzles and grade its last answers.

    Args:
        agent: on its device.
        task: for grading by the rules.
        puzzles: N puzzles and solutions.
        max_segments: segments after which an answer is taken in any case.
        halting: "fixed" (all segments) or "learned" (the agent's own decision).
        halt_margin: by how many logits the value of halting must lead for the agent to halt.
        rollouts: K attempts a puzzle, of which one is taken without a look at the solutions.
        vary: how all of them but the first differ: they begin from initial states with noise ("noise"), or they are
            about the puzzle under random symmetries of its family, and their answers are brought back ("symmetry").
        noise: standard deviation of that noise.
        select: the attempt that is taken: the one with the highest value of halting ("q_halt"), the one whose slow
            state moved least in its last segment ("residual"), or the one that breaks fewest rules of the puzzle,
            which a Sudoku can be checked by without its solution ("rules"). Report the last one apart.
        batch_size: slots.
        seed: of the noise or the symmetries.

    Raises:
        HrmGymError: on an empty set or arguments out of range.
    """
    if halting not in HALTING:
        raise unknown("halting", halting, HALTING)
    if select not in SELECT:
        raise unknown("select", select, SELECT)
    if vary not in VARY:
        raise unknown("vary", vary, VARY)
    if select == "rules" and not task.verifiable:
        raise HrmGymError("select='rules': the rules of this family do not tell right answers; give q_halt or residual")
    for name, value in (("max_segments", max_segments), ("rollouts", rollouts), ("batch_size", batch_size)):
        if value < 1:
            raise HrmGymError(f"{name} is {value}: give at least 1")
    num = len(puzzles.puzzle)
    if not num:
        raise HrmGymError("there are no puzzles to evaluate on")
    began = time.perf_counter()
    device = agent.h_init.device
    generator = torch.Generator(device).manual_seed(seed)
    boards = puzzles.map(lambda array: torch.as_tensor(np.ascontiguousarray(array), device=device).long())
    puzzle, solution = boards[:2]
    total = num * rollouts  # job j is rollout j % rollouts of puzzle j // rollouts
    shown, restore = attempts(task, boards, rollouts, generator, symmetry=vary == "symmetry")

    answers = torch.zeros((total, task.num_cells), dtype=torch.long, device=device)
    q_halt = torch.zeros(total, device=device)
    residual = torch.zeros(total, device=device)
    segments = torch.zeros(total, dtype=torch.long, device=device)
    right_after = torch.zeros(max_segments, device=device)

    def fresh(jobs: torch.Tensor) -> Carry:
        carry = agent.initial_carry(len(jobs))
        if rollouts == 1 or vary != "noise":
            return carry
        noisy = agent.initial_carry(len(jobs), noise, generator)
        first = (jobs % rollouts == 0).view(-1, 1, 1)
        return Carry(*(torch.where(first, a, b) for a, b in zip(carry, noisy, strict=True)))

    jobs = torch.arange(min(batch_size, total), device=device)
    waiting = len(jobs)  # the next job that has no slot yet
    carry = fresh(jobs)
    segment = torch.zeros_like(jobs)
    while len(jobs):
        before = carry
        now = shown.map(lambda array: array[jobs])  # noqa: B023 (called at once)
        carry, out = agent(carry, observation(now.puzzle, now.identity))
        segment = segment + 1
        answer = out.logits.argmax(-1)
        right = task.match(now.solution, answer).right
        done = segment >= max_segments
        if halting == "learned":
            done = done | learned(out, agent.config.halting, halt_margin)
        # A halted puzzle counts with its last answer in all the segments that it was spared.
        counted = right & ~done
        right_after.index_add_(0, segment - 1, counted.float())
        for s in segment[done & right].tolist():
            right_after[s - 1 :] += 1
        finished = jobs[done]
        answers[finished], q_halt[finished], segments[finished] = (
            answer[done],
            out.q_halt[done],
            segment[done],
        )
        if not len(finished):
            continue
        residual[finished] = moved(before.z_h[done], carry.z_h[done])
        # Finished slots take the jobs that wait; where none are left, the batch shrinks.
        new = torch.arange(waiting, min(waiting + len(finished), total), device=device)
        waiting += len(new)
        kept = ~done
        added = fresh(new) if len(new) else None
        jobs = torch.cat((jobs[kept], new))
        segment = torch.cat((segment[kept], torch.zeros_like(new)))
        states = [state[kept] for state in carry]
        if added is not None:
            states = [torch.cat(pair) for pair in zip(states, added, strict=True)]
        carry = Carry(*states)

    answers = restore(answers)
    score = q_halt
    if select == "residual":
        score = -residual
    elif select == "rules":  # of equals, the one with the highest value
        broken = task.violations(puzzle.repeat_interleave(rollouts, 0), answers)
        score = q_halt.sigmoid() - broken
    best = torch.arange(num, device=device) * rollouts + score.view(num, rollouts).argmax(1)
    chosen = answers[best]
    match = task.match(solution, chosen)
    return Evaluation(
        answers=chosen.cpu().numpy(),
        right=match.right.cpu().numpy(),
        valid=(task.violations(puzzle, chosen) == 0).cpu().numpy(),
        q_halt=q_halt[best].cpu().numpy(),
        residual=residual[best].cpu().numpy(),
        segments=segments.view(num, rollouts).sum(1).cpu().numpy(),
        right_after=(right_after / total).cpu().numpy(),
        cell_accuracy=float(match.cell_accuracy.mean()),
        seconds=time.perf_counter() - began,
    )
