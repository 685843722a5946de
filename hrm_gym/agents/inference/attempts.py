"""Several attempts at one puzzle, of which one is taken without a look at the solution."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from hrm_gym.envs.task import Puzzles, Task

SELECT = ("belief", "residual", "rules")


def shown_as(
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


def best_attempts(
    task: Task, select: str, puzzle: Tensor, answers: Tensor, belief: Tensor, residual: Tensor, num: int
) -> Tensor:
    """Which of the n * `num` attempts is taken for each of n puzzles, int64 (n,).

    Args:
        task: for the rules.
        select: "belief", "residual" or "rules".
        puzzle: tokens, (n, L).
        answers: tokens, (n * num, L), those to one puzzle in a row.
        belief: how sure the agent is of each, logits (n * num,).
        residual: how far its state moved in the last segment, (n * num,).
        num: attempts a puzzle.
    """
    score = belief
    if select == "residual":
        score = -residual
    elif select == "rules":  # break ties by the belief
        broken = task.violations(puzzle.repeat_interleave(num, 0), answers)
        score = belief.sigmoid() - broken
    first = torch.arange(len(puzzle), device=puzzle.device) * num
    return first + score.view(len(puzzle), num).argmax(1)
