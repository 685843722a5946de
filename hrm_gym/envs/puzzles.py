"""Named tuples of batched arrays for puzzles, answers and grades, one row per puzzle or slot."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from hrm_gym.envs.arrays import Array, as_int64, as_tokens, copy


class Puzzles(NamedTuple):
    """Puzzles and their solutions as tokens: two arrays of shape (N, L)."""

    puzzle: Array
    solution: Array
    identity: Array | None = None
    """Identity of each puzzle, integers of shape (N,), if the family has identities."""

    def map(self, function: Callable[[Array], Array]) -> Puzzles:
        """Apply a function to each array: `puzzles.map(lambda array: array[:10])`."""
        return Puzzles(*(None if array is None else function(array) for array in self))


class Match(NamedTuple):
    """Comparison of N answers with their solutions."""

    right: Array
    """Whether each answer equals its solution in all cells that count, bool (N,); False if no cell counts."""
    cell_accuracy: Array
    """Share of the cells that count that equal the solution, in [0, 1], (N,)."""


class Grade(NamedTuple):
    """Grades of N answers, each of shape (N,)."""

    right: Array
    """Whether each answer is correct, by the rules or by the solution, bool."""
    valid: Array
    """Whether each answer satisfies the rules, bool."""
    cell_accuracy: Array
    """Share of the cells that count that equal the solution, in [0, 1]."""


class Ballots(NamedTuple):
    """M answers to N puzzles, each shown in any number of forms, in any order."""

    example: np.ndarray
    """Index of the puzzle of each answer, integers below N, (M,)."""
    number: np.ndarray
    """Form in which the puzzle was shown, (M,)."""
    answer: np.ndarray
    """Tokens, (M, L)."""
    q_value: np.ndarray
    """Value of halting with this answer, (M,)."""


class Traces(NamedTuple):
    """Steps by which a solver finds the solutions of N puzzles, as statements (cell, token).

    Later statements override earlier ones about the same cell; a solver backtracks this way. Tokens from V on are
    notes, such as the cost of a cell that a search visits, and do not change the board.
    """

    search: np.ndarray
    """The solver's steps, int64 (N, room, 2)."""
    num_search: np.ndarray
    """Number of steps of each solver, int64 (N,); more than `room` if the trace was cut."""
    answer: np.ndarray
    """The statements that lead from the puzzle to its solution, int64 (N, L, 2)."""
    num_answer: np.ndarray
    """Number of these statements, int64 (N,)."""

    def at(self, place: np.ndarray) -> np.ndarray:
        """The statements of the search followed by the answer, int64 (N, T, 2), at places, int64 (N or 1, T)."""
        searched = place < self.num_search[:, None]
        of_search = place.clip(0, self.search.shape[1] - 1)
        of_answer = (place - self.num_search[:, None]).clip(0, self.answer.shape[1] - 1)
        return np.where(
            searched[..., None],
            np.take_along_axis(self.search, of_search[..., None], axis=1),
            np.take_along_axis(self.answer, of_answer[..., None], axis=1),
        )


class VoteResult(NamedTuple):
    """Result of a vote over several forms."""

    answers: np.ndarray
    """Best answer to each puzzle, in form 0, tokens of shape (N, L)."""
    scores: dict[str, float]
    """The family's own scores, such as "pass@2", in [0, 1]."""
    submission: dict[str, Any]
    """Submission to the family's competition, serializable as JSON."""


class PuzzleState(NamedTuple):
    """The state of N slots: three boards of shape (N, L) and two numbers of shape (N,).

    All are int64, except boards in NumPy, which are uint8 to reduce memory and copying time by a factor of eight.
    """

    puzzle: Array
    solution: Array
    answer: Array
    segment: Array
    identity: Array

    @staticmethod
    def of(puzzle: Array, solution: Array, answer: Array, segment: Array, identity: Array) -> PuzzleState:
        """Copy arrays of any integer type to a state."""
        boards = as_tokens(puzzle), as_tokens(solution), as_tokens(answer)
        return PuzzleState(*boards, copy(as_int64(segment)), copy(as_int64(identity)))


class Graded(NamedTuple):
    """Grades of N answers, each of shape (N,)."""

    right: Array
    """Whether each answer is correct, by the rules or by the solution, bool."""
    cell_accuracy: Array
    """Share of the cells that count that equal the solution, in [0, 1], float64."""
    violations: Array | None
    """Number of rules that each answer breaks, int64; None if not computed."""
