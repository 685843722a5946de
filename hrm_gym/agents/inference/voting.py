"""Evaluation by votes over several forms of a puzzle, as in ARC's protocol.

Each form of a test puzzle is a separate puzzle with its own embedding. The family transforms the answers back, counts
them and scores the best ones (HRM, arXiv 2506.21734, section 3.1).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np

from hrm_gym.agents.inference.evaluation import Evaluation, evaluate
from hrm_gym.agents.inference.protocol import Protocol
from hrm_gym.agents.policy import Policy
from hrm_gym.envs.task import Ballots, Puzzles, Task, VoteResult


def evaluate_by_votes(
    policy: Policy,
    task: Task,
    puzzles: Puzzles,
    protocol: Protocol,
    *,
    batch_size: int = 256,
    tell: Callable[[int, int], None] | None = None,
) -> tuple[Evaluation, VoteResult]:
    """Run an agent on several forms of each puzzle, and let the answers vote.

    Args:
        policy: on its device.
        task: a family with several forms per puzzle.
        puzzles: N puzzles in form 0, with identities.
        protocol: how to evaluate; `votes` is the number of forms that vote.
        batch_size: number of slots.
        tell: see `evaluate`.

    Returns:
        The evaluation of the winning answers, with segments summed over all forms, and the family's own scores. Its
        `after` is about the single forms before the vote: the share of right answers among all N x `votes`.

    Raises:
        HrmGymError: on more votes than forms, and as `evaluate`.
    """
    protocol = protocol.for_family(task)
    num, forms = len(puzzles.puzzle), protocol.votes
    example, number = np.divmod(np.arange(num * forms), forms)
    images = task.variants(puzzles.map(lambda array: array[example]), number)
    thought = evaluate(policy, task, images, protocol, batch_size=batch_size, tell=tell)
    counted = task.count_votes(puzzles, Ballots(example, number, thought.answers, thought.belief))
    grade = task.grade(puzzles.puzzle, puzzles.solution, counted.answers, by="solution")
    result = dataclasses.replace(
        thought,
        answers=counted.answers,
        exact=np.asarray(grade.right),
        valid=np.asarray(grade.valid),
        belief=thought.belief.reshape(num, forms).max(1),
        residual=thought.residual.reshape(num, forms).mean(1),
        segments=thought.segments.reshape(num, forms).sum(1),
        cell_accuracy=float(grade.cell_accuracy.mean()),
    )
    return result, counted
