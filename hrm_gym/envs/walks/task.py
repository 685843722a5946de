"""Walks through hidden mazes: which object is at a place seen before?

The task of the Tolman-Eichenbaum machine (Whittington et al., Cell 2020), as a puzzle of the gym.
"""

from __future__ import annotations

import numpy as np

from hrm_gym.envs.arguments import check_integer
from hrm_gym.envs.arrays import Array, as_int64, like, where
from hrm_gym.envs.jit import njit
from hrm_gym.envs.task import Puzzles, Task
from hrm_gym.envs.walks.view import WalkView
from hrm_gym.errors import HrmGymError

BLANK, BEGIN, FIRST_MOVE, FIRST_OBJECT = 0, 1, 2, 6
DOWN, RIGHT = (-1, 0, 1, 0), (0, 1, 0, -1)  # of the moves up, right, down, left


class WalkTask(Task):
    """Name the objects at places that a walk revisits.

    The board has two rows and one column per step. The upper row has the move (`^>v<`, first `*`), the lower row the
    object seen after it. At every later visit of a place the object is blank and must be filled in. Every walk has a
    random hidden maze with random objects. So an agent can only learn the geometry of moves, such as that four turns
    around a block lead back.

    Tokens: 0 is a blank (`_`), 1 the beginning, 2 to 5 are the moves, then come the objects (`a`, `b`, ...).

    Args:
        steps: columns of the board.
        side: rows and columns of the mazes.
        num_objects: different objects, 2 to 20.
        walls: share of the cells that are walls.

    Raises:
        HrmGymError: for a number out of range.
    """

    blank = BLANK
    violation_name = "wrong cells"
    view = WalkView
    moves = tuple(range(FIRST_MOVE, FIRST_OBJECT))

    def __init__(self, steps: int = 40, side: int = 5, num_objects: int = 8, walls: float = 0.2) -> None:
        check_integer("steps", steps, 2, 1000)
        check_integer("side", side, 2, 100)
        check_integer("num_objects", num_objects, 2, 20)
        if not isinstance(walls, int | float) or isinstance(walls, bool) or not 0 <= walls <= 0.5:
            raise HrmGymError(f"walls={walls!r}: give a share, 0 to 0.5")
        self.steps, self.side, self.num_objects, self.walls = steps, side, num_objects, walls
        self.shape = (2, steps)
        self.symbols = "_*^>v<" + "abcdefghijklmnopqrst"[:num_objects]

    def sample(self, num: int, rng: np.random.Generator) -> Puzzles:
        """As `Task.sample`: random mazes and objects; a walk turns back only at a dead end."""
        cells = self.side**2
        free = rng.random((num, cells)) >= self.walls
        objects = rng.integers(FIRST_OBJECT, self.num_tokens, size=(num, cells))
        uniforms = rng.random((num, self.steps + 1))
        move, place = _walk(free, self.side, uniforms)
        seen = np.take_along_axis(objects, place, axis=1)
        again = (place[:, :, None] == place[:, None]) & np.tri(self.steps, k=-1, dtype=bool)
        asked = again.any(2)
        puzzle = np.concatenate((move, np.where(asked, BLANK, seen)), axis=1).astype(np.uint8)
        return Puzzles(puzzle, np.concatenate((move, seen), axis=1).astype(np.uint8))

    def places(self, puzzle: Array) -> Array:
        """The place after each step of walks, (N, L), relative to the start: one integer per place, int64 (N, T)."""
        move = as_int64(puzzle)[:, : self.steps]
        wide = 2 * self.steps + 1  # wider than any walk
        by_token = np.zeros(self.num_tokens, np.int64)
        by_token[FIRST_MOVE:FIRST_OBJECT] = wide * np.array(DOWN) + np.array(RIGHT)
        return like(by_token, move)[move].cumsum(-1)

    def violations(self, puzzle: Array, answer: Array) -> Array:
        """The number of wrong cells of each answer, int64 (N,)."""
        return (answer != self._solved(puzzle)).sum(-1)

    def count(self, puzzle: np.ndarray, solution: np.ndarray, answer: np.ndarray) -> np.ndarray:
        """As `Task.count`: a walk has one solution."""
        return (answer != solution).sum(-1)

    def _solved(self, puzzle: Array) -> Array:
        puzzle = as_int64(puzzle)
        seen, place = puzzle[:, self.steps :], self.places(puzzle)
        same = place[:, :, None] == place[:, None]  # the object of a place is written once, so the sum is that object
        known = (same * seen[:, None]).sum(-1)
        return where(puzzle == BLANK, _below(known, puzzle), puzzle)

    def rate(self, puzzle: np.ndarray) -> np.ndarray:
        """As `Task.rate`: the number of blank objects."""
        return (puzzle == BLANK).sum(-1).astype(np.int64)

    def check(self, puzzle: np.ndarray) -> None:
        """Reject a board that is not a walk, has a blank at a new place, or an object at a known place.

        Raises:
            HrmGymError: naming the step.
        """
        move, seen, place = puzzle[: self.steps], puzzle[self.steps :], self.places(puzzle[None])[0]
        known: set[int] = set()
        for step in range(self.steps):
            allowed = (BEGIN,) if step == 0 else self.moves
            if move[step] not in allowed:
                wanted = "".join(self.symbols[token] for token in allowed)
                raise HrmGymError(
                    f"step {step + 1} of the walk is {self.symbols[move[step]]!r}: write one of {wanted!r}"
                )
            if seen[step] != BLANK and seen[step] < FIRST_OBJECT:
                raise HrmGymError(f"the object of step {step + 1} is {self.symbols[seen[step]]!r}: write a letter or _")
            if (seen[step] == BLANK) != (int(place[step]) in known):
                raise HrmGymError(f"step {step + 1} of the walk: write an object at a new place, and _ at a known one")
            known.add(int(place[step]))

    def solve(self, puzzle: np.ndarray) -> np.ndarray:
        """As `Task.solve`."""
        self.check(puzzle)
        return self._solved(puzzle[None])[0].astype(np.uint8)


def _below(known: Array, puzzle: Array) -> Array:
    """Boards, (N, 2 T), with `known`, (N, T), in the lower row and zeros in the upper one."""
    board = puzzle * 0
    board[:, known.shape[1] :] = known
    return board


@njit(cache=True, nogil=True)
def _walk(free: np.ndarray, side: int, uniforms: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Moves as tokens and places as cells, int64 (N, T) each, in mazes with the given free cells, bool (N, cells).

    A walk begins in any cell. This cell and one neighbour are made free, so that the walk can continue.
    """
    num, steps = uniforms.shape[0], uniforms.shape[1] - 1
    move, place = np.zeros((num, steps), np.int64), np.zeros((num, steps), np.int64)
    options = np.zeros(4, np.int64)
    for i in range(num):
        cell = int(uniforms[i, steps] * side * side)
        free[i, cell] = free[i, cell + side if cell < side else cell - side] = True
        move[i, 0], place[i, 0], last = BEGIN, cell, -1
        for step in range(1, steps):
            count = 0
            for way in range(4):
                row, column = cell // side + DOWN[way], cell % side + RIGHT[way]
                back = last >= 0 and way == (last + 2) % 4
                if 0 <= row < side and 0 <= column < side and free[i, row * side + column] and not back:
                    options[count] = way
                    count += 1
            last = options[int(uniforms[i, step] * count)] if count else (last + 2) % 4
            cell += DOWN[last] * side + RIGHT[last]
            move[i, step], place[i, step] = FIRST_MOVE + last, cell
    return move, place
