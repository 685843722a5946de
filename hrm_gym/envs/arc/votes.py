"""The benchmark's protocol: answer a test input in every form and submit the most frequent answers.

Each answer is transformed back to form 0, and equal grids vote for each other. The grids with the most votes are
submitted; ties are broken by the value of halting (HRM, arXiv 2506.21734, section 3.1; ARC Prize allows two
attempts). Pure NumPy.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np

from hrm_gym.envs.arc import symmetry
from hrm_gym.envs.arc.grids import decode, encode, side_of
from hrm_gym.envs.task import Ballots, VoteResult

ATTEMPTS = 2
"""Number of answers per test input that ARC Prize accepts."""


def count_votes(names: Sequence[str], solution: np.ndarray, ballots: Ballots, ks: Sequence[int] = (1, 2)) -> VoteResult:
    """Count the votes of M answers to N test inputs.

    Args:
        names: name of the task of each of the N test inputs, the inputs of one task in their order.
        solution: canvases of shape (N, L) in form 0, empty for hidden tests.
        ballots: the answers, canvases with their grids in the upper left corner.
        ks: numbers of attempts to score.

    Returns:
        The canvases of the best grids, empty if there is none; the scores "pass@1" and so on, the mean over tasks of
        the share of their test inputs that were solved (without hidden tests; no scores if all are hidden); and the
        submission to ARC Prize, see `submission`.
    """
    grids: list[list[np.ndarray]] = [[] for _ in names]
    q_values: list[list[float]] = [[] for _ in names]
    for i, number, tokens, q in zip(*ballots, strict=True):
        grids[i].append(symmetry.undo(decode(tokens), int(number)))
        q_values[i].append(float(q))
    ranked = [vote(*ballots) for ballots in zip(grids, q_values, strict=True)]
    solutions = [decode(canvas) for canvas in solution]
    known = [i for i, grid in enumerate(solutions) if grid.size]
    scores = {}
    for k in ks if known else ():
        solved = defaultdict(list)
        for i in known:
            solved[names[i]].append(pass_at(ranked[i], solutions[i], k))
        scores[f"pass@{k}"] = float(np.mean([np.mean(of_task) for of_task in solved.values()]))
    best = [encode(grids[0], side=side_of(solution)) if grids else np.zeros_like(solution[0]) for grids in ranked]
    return VoteResult(np.stack(best), scores, submission(names, ranked))


def vote(grids: Sequence[np.ndarray], q_values: Sequence[float]) -> list[np.ndarray]:
    """Return the distinct grids, ranked by number of votes, then by mean value, then by first occurrence.

    Grids without cells have no vote; NaN counts as the lowest value.
    """
    ballots: dict[tuple[tuple[int, ...], bytes], tuple[np.ndarray, list[float]]] = {}
    for grid, q in zip(grids, q_values, strict=True):
        if grid.size:
            key = grid.shape, np.ascontiguousarray(grid, np.uint8).tobytes()
            ballots.setdefault(key, (grid, []))[1].append(-np.inf if np.isnan(q) else q)
    order = sorted(ballots.values(), key=lambda ballot: (len(ballot[1]), np.mean(ballot[1])), reverse=True)
    return [grid for grid, _ in order]


def pass_at(ranked: Sequence[np.ndarray], solution: np.ndarray, k: int) -> bool:
    """Return whether the solution, a grid, is among the first `k`."""
    return any(np.array_equal(grid, solution) for grid in ranked[:k])


def submission(
    names: Sequence[str], ranked: Sequence[Sequence[np.ndarray]]
) -> dict[str, list[dict[str, list[list[int]]]]]:
    """Return the submission to ARC Prize: `{task: [{"attempt_1": grid, "attempt_2": grid}, ...]}`.

    A missing attempt repeats the best one. If there is no attempt at all, it is a single black cell, because every
    test input needs an answer.

    Args:
        names: name of the task of each test input, the inputs of one task in their order.
        ranked: grids for each test input, best first.
    """
    entries: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for name, grids in zip(names, ranked, strict=True):
        attempts = [*grids[:ATTEMPTS]] or [np.zeros((1, 1), np.uint8)]
        attempts += attempts[:1] * (ATTEMPTS - len(attempts))
        entries[name].append({f"attempt_{i}": grid.tolist() for i, grid in enumerate(attempts, 1)})
    return dict(entries)
