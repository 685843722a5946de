"""Puzzles in batches, and what is said about answers to them: named groups of arrays, one row a puzzle or a slot."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from hrm_gym.envs.arrays import Array, as_int64, as_tokens, copy


class Puzzles(NamedTuple):
    """Puzzles and their solutions as tokens, row by row: two arrays of shape (N, L)."""

    puzzle: Array
    solution: Array
    identity: Array | None = None
    """Which puzzle it is an example of, integers of shape (N,), where the family has identities."""

    def map(self, function: Callable[[Array], Array]) -> Puzzles:
        """The same operation on each array: `puzzles.map(lambda array: array[:10])`."""
        return Puzzles(*(None if array is None else function(array) for array in self))


class Match(NamedTuple):
    """How N answers compare with their solutions."""

    right: Array
    """Whether each equals its solution wherever that counts, bool (N,); never where nothing counts."""
    cell_accuracy: Array
    """Share of the cells that count in which they are equal, in [0, 1], (N,)."""


class Grade(NamedTuple):
    """What N answers are worth, each of shape (N,)."""

    right: Array
    """Whether each is right, by the rules or by the solution, bool."""
    valid: Array
    """Whether each satisfies the rules, bool."""
    cell_accuracy: Array
    """Share of the cells that count in which it equals the solution, in [0, 1]."""


class Ballots(NamedTuple):
    """M answers to N puzzles that were shown in several forms, in any order and number."""

    example: np.ndarray
    """Which puzzle each is for, integers below N, (M,)."""
    number: np.ndarray
    """In which form it was shown, (M,)."""
    answer: np.ndarray
    """Tokens, (M, L)."""
    q_value: np.ndarray
    """The value of halting on it, (M,)."""


class Traces(NamedTuple):
    """How a solver finds the solutions of N puzzles: statements that a cell holds a token, in the order of its steps.

    A statement is a pair (cell, token). The last one about a cell holds, so a solver takes something back by stating a
    cell anew. Tokens from V on are notes, such as the cost of a cell that a search looks at: they change nothing.
    """

    search: np.ndarray
    """The solver's steps, int64 (N, room, 2)."""
    num_search: np.ndarray
    """How many steps each takes, int64 (N,): more than `room` where not all of them are told."""
    answer: np.ndarray
    """The statements that lead from the puzzle to its solution, int64 (N, L, 2)."""
    num_answer: np.ndarray
    """How many these are, int64 (N,)."""


class VoteResult(NamedTuple):
    """What the votes of several forms come to."""

    answers: np.ndarray
    """The best answer to each puzzle in form 0, tokens of shape (N, L)."""
    scores: dict[str, float]
    """The family's own scores, such as "pass@2", in [0, 1]."""
    submission: dict[str, Any]
    """What a competition wants handed in, as JSON has it."""


class PuzzleState(NamedTuple):
    """Where each of N slots stands: three boards of shape (N, L) and two numbers of shape (N,).

    All are int64, except that boards in NumPy are uint8: an eighth of the memory, and of the time to copy it.
    """

    puzzle: Array
    solution: Array
    answer: Array
    segment: Array
    identity: Array

    @staticmethod
    def of(puzzle: Array, solution: Array, answer: Array, segment: Array, identity: Array) -> PuzzleState:
        """A state of its own from arrays of any integers."""
        boards = as_tokens(puzzle), as_tokens(solution), as_tokens(answer)
        return PuzzleState(*boards, copy(as_int64(segment)), copy(as_int64(identity)))


class Graded(NamedTuple):
    """What N answers are worth, each of shape (N,)."""

    right: Array
    """Whether each is right, by the rules or by the solution, bool."""
    cell_accuracy: Array
    """Share of the cells that count in which it equals the solution, in [0, 1], float64."""
    violations: Array | None
    """How many rules each breaks, int64; None where that need not be known."""
