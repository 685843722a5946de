"""Puzzles of reasoning-gym as families: eight queens and 4x4 Sudokus, drawn by the library, graded by their rules.

    pip install "hrm-gym[reasoning-gym]"
    hrm-gym train --env examples.reasoning_gym_boards:Queens8x8-v0 --max-minutes 0 --max-steps 500 --run-dir runs/queens
    hrm-gym train --env examples.reasoning_gym_boards:MiniSudoku-v0 --max-minutes 0 --max-steps 500 --run-dir runs/mini

After 500 steps (seed 0) the HRM solves 96.5 % (93.5 to 98.1) of 256 validation puzzles of MiniSudoku-v0, after some
minutes of one core, and 61.4 % (58.3 to 64.4) of 1,000 test puzzles of Queens8x8-v0, after 25 minutes; on those it is
still learning.

Any of its puzzles that is a board of a fixed size fits the same class: say which tokens its boards have, and what is
wrong with an answer.
"""

import numpy as np

import hrm_gym
from hrm_gym.envs.task import Puzzles, Task
from hrm_gym.errors import extra

library = extra("reasoning_gym", "reasoning-gym", "examples.reasoning_gym_boards")


class ReasoningGymTask(Task):
    """Boards of one of the library's data sets."""

    source: str
    """The name of the data set; the library's defaults apply."""

    def sample(self, num, rng):
        """Draw puzzles with the library's own generator, seeded from ours."""
        entries = library.create_dataset(self.source, seed=int(rng.integers(2**31)), size=num)
        boards = [self.boards(entry) for entry in entries]
        return Puzzles(*(np.array(part, np.uint8).reshape(num, -1) for part in zip(*boards, strict=True)))

    def boards(self, entry):
        """The tokens of an entry's puzzle and of a solution, each (rows, columns)."""
        raise NotImplementedError


class Queens(ReasoningGymTask):
    """Eight queens, of which no two attack each other; some of them are given."""

    source = "n_queens"
    shape = (8, 8)
    symbols = ".-Q"  # open, empty, a queen
    _rows, _columns = np.indices((8, 8)).reshape(2, 64)
    lines = (*(_rows == np.arange(8)[:, None]), *(_columns == np.arange(8)[:, None]))
    diagonals = (
        *(_rows + _columns == np.arange(1, 14)[:, None]),
        *(_rows - _columns == np.arange(-6, 7)[:, None]),
    )

    def boards(self, entry):
        """Of an answer, every cell is empty or holds a queen."""
        puzzle = [[2 * (cell == "Q") for cell in row] for row in entry["metadata"]["puzzle"]]
        return puzzle, [[1 + (cell == "Q") for cell in row.split()] for row in entry["answer"].splitlines()]

    def violations(self, puzzle, answer):
        """Rows and columns without their queen, diagonals with several, open cells, and queens that were moved."""
        queen = answer == 2
        broken = (answer == 0).sum(1) + ((puzzle == 2) & ~queen).sum(1)
        for cells in map(np.flatnonzero, self.lines):
            broken = broken + (queen[:, cells].sum(1) != 1)
        for cells in map(np.flatnonzero, self.diagonals):
            broken = broken + (queen[:, cells].sum(1) > 1)
        return broken


class MiniSudoku(ReasoningGymTask):
    """A Sudoku of 4x4."""

    source = "mini_sudoku"
    shape = (4, 4)
    symbols = ".1234"
    _cells = np.arange(16).reshape(4, 4)
    groups = (_cells, _cells.T, _cells.reshape(2, 2, 2, 2).swapaxes(1, 2).reshape(4, 4))  # rows, columns, boxes
    group_symbols = (1, 2, 3, 4)
    boxes = (2, 2)

    def boards(self, entry):
        """Both are in the entry's metadata."""
        return entry["metadata"]["puzzle"], entry["metadata"]["solution"]

    def violations(self, puzzle, answer):
        """Digits missing in rows, columns and boxes, and givens that were overwritten."""
        broken = ((puzzle != 0) & (answer != puzzle)).sum(1)
        for cells in np.concatenate(self.groups):
            for digit in self.group_symbols:
                broken = broken + ((answer[:, cells] == digit).sum(1) != 1)
        return broken


hrm_gym.register_task("Queens8x8-v0", f"{__name__}:Queens")
hrm_gym.register_task("MiniSudoku-v0", f"{__name__}:MiniSudoku")
