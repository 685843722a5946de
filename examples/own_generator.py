"""Other puzzles for a family that exists: mazes with loops, and Sudokus with a number of givens that you choose.

    hrm-gym train --env MazeSmall-v0 --task-args size=11,min_path=2,generator=examples.own_generator:braided
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


def braided(num: int, rng: np.random.Generator, size: int = 11) -> np.ndarray:
    """Mazes (num, size * size) without dead ends: a random tree of corridors in which each dead end is opened."""
    mazes = np.full((num, size, size), WALL, np.uint8)
    for maze in mazes:
        corridor = [tuple(2 * rng.integers(0, (size + 1) // 2, 2))]
        maze[corridor[0]] = FREE
        while corridor:
            ways = _ways(maze, corridor[-1], WALL)
            if ways:
                between, cell = ways[rng.integers(len(ways))]
                maze[between] = maze[cell] = FREE
                corridor.append(cell)
                continue
            cell = corridor.pop()
            closed = [between for between, _ in _ways(maze, cell, FREE) if maze[between] == WALL]
            if closed and len(closed) == len(_ways(maze, cell, FREE)) - 1:
                maze[closed[rng.integers(len(closed))]] = FREE
        ends = rng.choice(np.flatnonzero(maze.ravel() == FREE), 2, replace=False)
        maze.ravel()[ends] = START, GOAL
    return mazes.reshape(num, -1)


def _ways(maze: np.ndarray, cell: tuple[int, int], to: int) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """The crossings two steps away that are `to`, each after the cell between."""
    row, column = (int(place) for place in cell)
    steps = [(row + 2 * i, column + 2 * j) for i, j in ((0, 1), (1, 0), (0, -1), (-1, 0))]
    inside = [there for there in steps if 0 <= min(there) <= max(there) < len(maze) and maze[there] == to]
    return [(((row + there[0]) // 2, (column + there[1]) // 2), there) for there in inside]


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
    mazes = gym.make_vec("hrm_gym:MazeSmall-v0", num_envs=8, size=11, min_path=2, generator=braided)
    print((sudokus.reset(seed=0)[0]["puzzle"] > 0).sum(), "givens")
    maze = mazes.reset(seed=0)[0]["puzzle"][0].reshape(11, 11)
    print("\n".join("".join("# SGo"[cell] for cell in row) for row in maze))
