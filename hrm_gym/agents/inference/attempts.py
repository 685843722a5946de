"""Several attempts at one puzzle, and the choice of one of them without its solution.

The first attempt gets the puzzle unchanged. The others differ from it in one of three ways:

    noise      their initial states have noise
    symmetry   they get the puzzle under random symmetries; their answers are transformed back
    guess      they get the puzzle with a guess: a random candidate of a cell is filled in
"""

from __future__ import annotations

from typing import NamedTuple, get_args

import torch
from torch import Tensor

from hrm_gym.agents import state as nests
from hrm_gym.agents.inference.protocol import Vary
from hrm_gym.agents.policy import Policy
from hrm_gym.agents.state import State
from hrm_gym.envs.guesses import can_guess, possible
from hrm_gym.envs.task import Puzzles, Task
from hrm_gym.errors import HrmGymError, unknown


class Shown(NamedTuple):
    """The boards of J attempts."""

    boards: Puzzles
    """int64 (J, L)."""
    uniforms: Tensor
    """Random numbers that choose the symmetry of each, float32 (J, U); U is 0 without symmetries."""


class Attempts:
    """How the attempts at each of N puzzles differ.

    Args:
        policy: makes the attempts, on its device.
        task: the puzzle family.
        boards: the puzzles, int64 tensors (N, L) on the policy's device.
        vary: one of `Vary`.
        generator: draws noise, symmetries and guesses.
        noise: standard deviation of the noise on initial states.

    Raises:
        HrmGymError: if the family cannot undo symmetries, or has no guesses.
    """

    def __init__(
        self, policy: Policy, task: Task, boards: Puzzles, vary: str, generator: torch.Generator, noise: float = 1.0
    ) -> None:
        self.policy, self.task, self.boards, self.generator, self.noise = policy, task, boards, generator, noise
        self.vary = vary
        self.num_uniforms = 0
        if vary == "symmetry":
            self.num_uniforms = task.num_uniforms
            task.restore(boards.puzzle[:1], torch.zeros((1, task.num_uniforms), device=generator.device))  # or refuses
        elif vary == "guess":
            if not can_guess(task):
                raise HrmGymError(
                    f"vary 'guess': {type(task).__name__} does not say which symbols the givens rule out (`groups`), "
                    "or its givens are no cells of the solution (`hintable`): give 'noise' or 'symmetry'"
                )
            places = task.num_cells * len(task.group_symbols)
            self.order = torch.rand((len(boards.puzzle), places), generator=generator, device=generator.device)
        elif vary != "noise":
            raise unknown("vary", vary, get_args(Vary))

    def show(self, puzzle: Tensor, number: Tensor) -> Shown:
        """The boards of J attempts.

        Args:
            puzzle: index of each attempt's puzzle among the N, int64 (J,).
            number: its number among the attempts at that puzzle, from 0, int64 (J,).
        """
        plain = self.boards.map(lambda array: array[puzzle])
        later = (number > 0)[:, None]
        device = self.generator.device
        uniforms = torch.rand((len(puzzle), self.num_uniforms), generator=self.generator, device=device)
        if self.vary == "symmetry":
            images = self.task.augment(plain, uniforms)
            boards = [torch.where(later, *pair) for pair in zip(images[:2], plain[:2], strict=True)]
            return Shown(Puzzles(boards[0], boards[1], plain.identity), uniforms)
        if self.vary == "guess" and later.any():
            return Shown(plain._replace(puzzle=self._guessed(plain.puzzle, puzzle, number)), uniforms)
        return Shown(plain, uniforms)

    def _guessed(self, boards: Tensor, puzzle: Tensor, number: Tensor) -> Tensor:
        """The boards (J, L) of attempts 1, 2, ... with one candidate filled in each, in a random order.

        After all candidates have been used, boards get two guesses, then three; the further guesses are new draws.
        """
        left = possible(self.task, boards).flatten(1)  # (J, L * S)
        count = left.sum(1).clamp_min(1)
        ranked = torch.where(left, self.order[puzzle], torch.inf).argsort(1)  # candidates come first
        place = ranked.gather(1, ((number - 1).clamp_min(0) % count)[:, None])[:, 0]
        boards = self._fill(boards, place, (number > 0) & left.any(1))
        further = torch.where(number > 0, (number - 1) // count, 0)
        while bool((further > 0).any()):
            left = possible(self.task, boards).flatten(1)
            drawn = torch.rand(left.shape, generator=self.generator, device=self.generator.device)
            boards = self._fill(boards, (drawn * left).argmax(1), (further > 0) & left.any(1))
            further = further - 1
        return boards

    def _fill(self, boards: Tensor, place: Tensor, where: Tensor) -> Tensor:
        symbols = torch.tensor(self.task.group_symbols, device=boards.device)
        rows = where.nonzero()[:, 0]
        filled = boards.clone()
        filled[rows, place[rows] // len(symbols)] = symbols[place[rows] % len(symbols)]
        return filled

    def initial(self, number: Tensor) -> State:
        """The initial states of attempts, J slots."""
        state = self.policy.initial_state(len(number))
        if self.vary != "noise" or not bool((number > 0).any()):
            return state
        return nests.select(number == 0, state, self.policy.perturbed(state, self.noise, self.generator))

    def answers(self, answers: Tensor, uniforms: Tensor, number: Tensor) -> Tensor:
        """Transform answers, (J, L), from the symmetric images back to the original puzzles."""
        if self.vary != "symmetry":
            return answers
        return torch.where((number > 0)[:, None], self.task.restore(answers, uniforms), answers)


def best_attempts(
    task: Task, select: str, puzzle: Tensor, answers: Tensor, belief: Tensor, residual: Tensor, num: int
) -> Tensor:
    """The index of the chosen attempt, among n * `num`, for each of n puzzles, int64 (n,).

    Args:
        task: checks the rules.
        select: "belief", "residual" or "rules".
        puzzle: tokens, (n, L).
        answers: tokens, (n * num, L), with the attempts at one puzzle adjacent.
        belief: the agent's belief that each is right, logits (n * num,).
        residual: how far the state moved in the last segment, (n * num,).
        num: attempts per puzzle.
    """
    score = belief
    if select == "residual":
        score = -residual
    elif select == "rules":  # break ties by belief
        broken = task.violations(puzzle.repeat_interleave(num, 0), answers)
        score = belief.sigmoid() - broken
    first = torch.arange(len(puzzle), device=puzzle.device) * num
    return first + score.view(len(puzzle), num).argmax(1)
