"""A puzzle of your own: Futoshiki, a Latin square with signs of less and greater between its cells.

    hrm-gym train --env examples.own_puzzle:Futoshiki4x4-v0 --agent trm --preset small --run-dir runs/futoshiki
    hrm-gym play --env examples.own_puzzle:Futoshiki4x4-v0 --checkpoint runs/futoshiki

docs/own_puzzles.md walks through it.
"""

import itertools

import numpy as np

import hrm_gym
from hrm_gym.envs.arrays import like
from hrm_gym.envs.task import Puzzles, Task

# All 576 Latin squares of order 4, (576, 4, 4), and each as a board of 7x7 with every sign between its cells.
_LINES = np.array(list(itertools.permutations(range(1, 5))))
_SQUARES = _LINES[np.indices((24,) * 4).reshape(4, -1).T]
_SQUARES = _SQUARES[(np.sort(_SQUARES, axis=1) == np.arange(1, 5)[:, None]).all((1, 2))]
BLANK, LESS, GREATER, ABOVE_LESS, ABOVE_GREATER, NOTHING = 0, 5, 6, 7, 8, 9
_BOARDS = np.full((len(_SQUARES), 7, 7), NOTHING)
_BOARDS[:, ::2, ::2] = _SQUARES
_BOARDS[:, ::2, 1::2] = np.where(_SQUARES[:, :, :-1] < _SQUARES[:, :, 1:], LESS, GREATER)
_BOARDS[:, 1::2, ::2] = np.where(_SQUARES[:, :-1] < _SQUARES[:, 1:], ABOVE_LESS, ABOVE_GREATER)
_BOARDS = _BOARDS.reshape(-1, 49)
_CELLS = np.arange(49).reshape(7, 7)[::2, ::2]  # where the square stands, (4, 4)
_DIGIT = (np.indices((7, 7)) % 2 == 0).all(0).ravel()  # the cells of the square
# Bit c of entry (i, j): squares i and j differ in cell c. So clues tell i from j where they share a bit with it.
_BITS = np.uint64(1) << np.arange(49, dtype=np.uint64)
_DIFFER = np.stack([((board != _BOARDS) * _BITS).sum(1) for board in _BOARDS])


class Futoshiki(Task):
    """Every row and column holds 1 to 4; a sign points at the smaller of its two neighbours."""

    shape = (7, 7)
    symbols = ".1234<>^v·"
    groups = (_CELLS, _CELLS.T)  # rows and columns: sets of cells that hold each of these tokens once
    group_symbols = (1, 2, 3, 4)

    def sample(self, num, rng):
        """Puzzles with one solution that need every one of their clues."""
        square = rng.integers(len(_BOARDS), size=num)
        differ = _DIFFER[square]  # (num, 576)
        differ[np.arange(num), square] = _BITS.sum()  # a square need not differ from itself
        clues = np.full(num, _BITS.sum())
        for cell in rng.permuted(np.tile(np.arange(49), (num, 1)), axis=1).T:  # each puzzle in an order of its own
            fewer = clues & ~_BITS[cell]
            clues = np.where(((differ & fewer[:, None]) != 0).all(1), fewer, clues)
        board = _BOARDS[square]
        puzzle = np.where(clues[:, None] & _BITS, board, np.where(_DIGIT, BLANK, NOTHING))
        return Puzzles(puzzle.astype(np.uint8), np.where(_DIGIT, board, puzzle).astype(np.uint8))

    def violations(self, puzzle, answer):
        """Digits missing in rows and columns, signs that do not hold, and clues altered."""
        signs, digits = puzzle.reshape(-1, 7, 7), answer.reshape(-1, 7, 7)[:, ::2, ::2]
        held = digits[..., None] == like(np.arange(1, 5), answer)  # (N, 4, 4, digit)
        missing = sum((held.sum(axis) == 0).sum(-1).sum(-1) for axis in (1, 2))
        broken = puzzle[:, 0] * 0
        for sign, less, greater, first, second in (
            (signs[:, ::2, 1::2], LESS, GREATER, digits[:, :, :-1], digits[:, :, 1:]),
            (signs[:, 1::2, ::2], ABOVE_LESS, ABOVE_GREATER, digits[:, :-1], digits[:, 1:]),
        ):
            wrong = ((sign == less) & (first >= second)) | ((sign == greater) & (first <= second))
            broken = broken + wrong.sum(-1).sum(-1)
        return missing + broken + ((puzzle != BLANK) & (puzzle != answer)).sum(-1)


hrm_gym.register_task("Futoshiki4x4-v0", f"{__name__}:Futoshiki")
