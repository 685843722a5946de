"""Evaluation of families whose puzzles appear in several forms, by ARC's protocol: all forms vote.

Each form of a test puzzle is thought about as a puzzle of its own, with its own embedding; the family turns the
answers back, counts them and scores the best ones (HRM, arXiv 2506.21734, section 3.1).
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from hrm_gym.agents.inference.evaluator import Evaluation, evaluate
from hrm_gym.agents.models.reasoner import Reasoner
from hrm_gym.envs.task import Ballots, Puzzles, Standing, Task
from hrm_gym.errors import HrmGymError


def evaluate_by_votes(
    agent: Reasoner, task: Task, puzzles: Puzzles, *, forms: int = 0, **options: Any
) -> tuple[Evaluation, Standing]:
    """Let an agent think about puzzles in their first forms, and let the answers vote.

    Args:
        agent: on its device.
        task: with several forms a puzzle.
        puzzles: N puzzles in form 0, with identities.
        forms: how many forms of each vote; 0: all.
        **options: of `evaluate`.

    Returns:
        The winning answers and what they are worth, and the family's own scores. Segments are those of all
        forms together.

    Raises:
        HrmGymError: for more forms than there are, and as `evaluate`.
    """
    if not 0 <= forms <= task.num_variants:
        raise HrmGymError(f"{forms} forms: each puzzle has {task.num_variants}; give 1 to {task.num_variants}, or 0")
    num, forms = len(puzzles.puzzle), forms or task.num_variants
    example, number = np.divmod(np.arange(num * forms), forms)
    thought = evaluate(agent, task, task.variants(puzzles.map(lambda array: array[example]), number), **options)
    ballots = Ballots(example, number, thought.answers, thought.q_halt)
    standing = task.standing(puzzles, ballots)
    answers = standing.answers
    match = task.match(puzzles.solution, answers)
    result = dataclasses.replace(
        thought,
        answers=answers,
        right=match.right,
        valid=np.asarray(task.violations(puzzles.puzzle, answers)) == 0,
        q_halt=thought.q_halt.reshape(num, forms).max(1),
        residual=thought.residual.reshape(num, forms).mean(1),
        segments=thought.segments.reshape(num, forms).sum(1),
        cell_accuracy=float(match.cell_accuracy.mean()),
    )
    return result, standing
