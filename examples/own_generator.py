"""Other puzzles for a family that exists: mazes of corridors, and Sudokus with a number of givens that you choose.

    hrm-gym train --env MazeSmall-v0 --task-args size=11,min_path=2,generator=examples.own_generator:corridors
    hrm-gym generate --env Sudoku9x9-v0 --task-args generator=examples.own_generator:easy --out easy.csv

A generator is called with a number and a random generator, and returns that many puzzles. The family solves them, and
gives them its rules, splits, agents and pictures.
"""

import dataclasses

import gymnasium as gym
import numpy as np

import hrm_gym
from hrm_gym.envs.task import Puzzles

WALL, FREE, START, GOAL = range(4)  # MazeTask.symbols is "# SGo"


def corridors(num: int, rng: np.random.Generator, size: int = 11, loops: float = 0.2) -> np.ndarray:
    """Mazes (num, size * size): a random tree of corridors, in which this share of the other walls is open."""
    mazes, cells = np.full((num, size, size), WALL, np.uint8), (size + 1) // 2
    right = rng.random((num, cells, cells)) < 0.5  # every crossing opens the wall on its right, or else below
    right[:, -1], right[:, :, -1] = True, False
    more = rng.random((2, num, cells, cells)) < loops
    mazes[:, ::2, ::2] = FREE
    mazes[:, ::2, 1::2] = np.where((right | more[0])[:, :, :-1], FREE, WALL)
    mazes[:, 1::2, ::2] = np.where((~right | more[1])[:, :-1], FREE, WALL)
    mazes = mazes.reshape(num, -1)
    ends = (rng.random(mazes.shape) * (mazes == FREE)).argsort(1)[:, -2:]
    np.put_along_axis(mazes, ends, np.array([[START, GOAL]], np.uint8), 1)
    return mazes


@dataclasses.dataclass(frozen=True)
class Givens:
    """Sudokus with this many givens: a hard puzzle with cells of its solution filled in."""

    givens: int = 40

    def __call__(self, num: int, rng: np.random.Generator) -> Puzzles:
        """The puzzles and their solutions."""
        puzzles = hrm_gym.make_task("Sudoku9x9-v0").sample(num, rng)
        for puzzle, solution in zip(puzzles.puzzle, puzzles.solution, strict=True):
            blank = np.flatnonzero(puzzle == 0)
            more = rng.choice(blank, max(0, self.givens - (81 - len(blank))), replace=False)
            puzzle[more] = solution[more]
        return puzzles


easy = Givens(50)

if __name__ == "__main__":
    sudokus = gym.make("hrm_gym:Sudoku9x9-v0", generator=Givens(40))
    mazes = gym.make_vec("hrm_gym:MazeSmall-v0", num_envs=8, size=11, min_path=2, generator=corridors)
    print((sudokus.reset(seed=0)[0]["puzzle"] > 0).sum(), "givens")
    maze = mazes.reset(seed=0)[0]["puzzle"][0].reshape(11, 11)
    print("\n".join("".join("# SGo"[cell] for cell in row) for row in maze))
