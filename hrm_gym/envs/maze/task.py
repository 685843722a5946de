"""Mazes as a puzzle family: find a shortest path from the start to the goal."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import numpy as np

from hrm_gym.envs.arrays import Array, as_bytes
from hrm_gym.envs.maze import counting, shipped, sizes, solver, symmetry, trace
from hrm_gym.envs.maze.view import MazeView
from hrm_gym.envs.task import SPLITS, Puzzles, Task, Traces
from hrm_gym.errors import HrmGymError, unknown


class MazeTask(Task):
    """Mark the cells of a shortest path from S to G, up, down, left and right; keep all other cells.

    Tokens: 0 is a wall, 1 a free cell, 2 the start, 3 the goal, 4 a cell of the path between them. If there are
    several shortest paths, the solution is the one that the Maze-Hard benchmark uses; `violations` is 0 for all of
    them.

    Args:
        size: rows and columns of the board.
        min_path: minimum number of cells, including S and G, of the shortest path of generated mazes. Mazes from files
            may have shorter paths.
        smallest: rows and columns of the smallest generated mazes; None: all have `size`. All sizes are equally
            frequent. Smaller mazes are placed anywhere on the board, surrounded by walls, and `min_path` is scaled down
            for them.
        shortest: minimum number of cells of the shortest path of the easiest generated mazes; None: `min_path` for all.
            Four lengths between the two are equally frequent. Long paths need many walls; mazes with shorter paths also
            have open areas.
        redrawn: number of additional training mazes per training maze, with the same walls but another start and goal.

    Raises:
        HrmGymError: if the size is out of range, or the path is too long for it.
    """

    symbols = "# SGo"
    aliases: ClassVar[Mapping[str, str]] = {
        **dict.fromkeys("1Xx█▓▒■▪⬛", "#"),
        **dict.fromkeys("0._·□⬜", " "),
        **{"s": "S", "g": "G", "E": "G", "e": "G", "O": "o"},
    }
    blank = solver.FREE
    keeps_blanks = True
    local = True
    view = MazeView
    another_solution = "another shortest path"

    def __init__(
        self,
        size: int = 30,
        min_path: int = 110,
        smallest: int | None = None,
        shortest: int | None = None,
        redrawn: int = 0,
    ) -> None:
        sizes.check_sizes(size, min_path, smallest, shortest)
        if not (isinstance(redrawn, int) and 0 <= redrawn <= 100):
            raise HrmGymError(f"redrawn={redrawn!r}: give 0 to 100 mazes more for each training maze")
        self.size = size
        self.min_path = min_path
        self.smallest = smallest
        self.shortest = shortest
        self.redrawn = redrawn
        self.shape = (size, size)
        self.num_notes = size * size
        cells = np.arange(size * size).reshape(size, size)
        down = np.stack((cells[:-1].ravel(), cells[1:].ravel()), axis=1)
        right = np.stack((cells[:, :-1].ravel(), cells[:, 1:].ravel()), axis=1)
        self.links = np.concatenate((down, right))

    def sample(self, num: int, rng: np.random.Generator) -> Puzzles:
        """As `Task.sample`: mazes from both splits, with the distribution of `generator`."""
        return self.generate(num, int(rng.integers(2**60)))

    def generate(self, num: int, seed: int, split: str | None = None) -> Puzzles:
        """Generate random mazes, uint8 arrays of shape (num, L), determined by the arguments."""
        return sizes.generate(self.size, self.min_path, self.smallest, self.shortest, num, seed, split)

    def violations(self, puzzle: Array, answer: Array) -> Array:
        """Return how far each answer is from a shortest path, int64 of shape (N,); 0 if and only if it is one.

        The sum of three counts:

        - cells that changed in any other way than from free to path;
        - missing or surplus neighbours: each cell of the path must have two neighbours on the path, S and G one (S
        and G count as neighbours);
        - the difference in cells between the path and the shortest path.

        If the second count is 0, the marked cells are a path from S to G, possibly with separate closed rings. The path
        alone is at least as long as the shortest one, so if the third count is 0, it is shortest and there is no ring.
        """
        return counting.violations(puzzle, answer, self.shape)

    def count(self, puzzle: np.ndarray, solution: np.ndarray, answer: np.ndarray) -> np.ndarray:
        """As `Task.count`, without a search."""
        return counting.count(puzzle, solution, answer, self.size)

    def valid(self, puzzle: Array, solution: Array, answer: Array) -> Array:
        """As `Task.valid`, without a search, because the solution gives the length of a shortest path."""
        if isinstance(answer, np.ndarray):
            return self.count(*map(as_bytes, (puzzle, solution, answer))) == 0
        return counting.is_shortest(puzzle, solution, answer, self.shape)

    def images(self, puzzles: Puzzles) -> Puzzles:
        """As `Task.images`: the eight rotations and reflections of each maze, each solved again."""
        sources = symmetry.images(self.size)
        images = np.concatenate([puzzles.puzzle[:, source] for source in sources])
        identity = None if puzzles.identity is None else np.tile(puzzles.identity, len(sources))
        return Puzzles(images, solver.solve(images, self.size).astype(puzzles.solution.dtype), identity)

    def keys(self, puzzles: Puzzles) -> list[bytes]:
        """As `Task.keys`: the smallest of the eight rotations and reflections."""
        forms = symmetry.canonical_forms(np.ascontiguousarray(puzzles.puzzle, np.uint8), self.size)
        return [form.tobytes() for form in forms]

    def solve(self, puzzle: np.ndarray) -> np.ndarray:
        """As `Task.solve`; the benchmark's rule chooses among several shortest paths (see `solver.solve`)."""
        return solver.solve_one(puzzle, self.size)

    def trace(self, puzzles: np.ndarray, room: int) -> Traces:
        """As `Task.trace`: A*; its notes are the number of steps from the start to each closed cell."""
        return Traces(*trace.trace(np.ascontiguousarray(puzzles, np.uint8), self.size, self.num_tokens, room))

    def check(self, puzzle: np.ndarray) -> None:
        """Reject a maze, shape (L,), without exactly one S and one G and a path between them.

        Raises:
            HrmGymError: with the missing or duplicate cell.
        """
        solver.solve_one(puzzle, self.size)

    def rate(self, puzzle: np.ndarray) -> np.ndarray:
        """Cells of a shortest path, including S and G, per puzzle, shape (N, L); int64 of shape (N,)."""
        return solver.path_cells(puzzle, self.size)

    def dataset(self, split: str) -> Puzzles:
        """As `Task.dataset`: the shipped mazes, or for other sizes 10,000, 500 and 1,000 generated ones.

        Training mazes with another start and goal (`redrawn`) follow the original mazes.
        """
        return _dataset(self, split)

    def write_shipped(self, path: Path) -> None:
        """As `Task.write_shipped`; `MazeHard-v0` takes a few minutes."""
        if self.name is None:
            super().write_shipped(path)
        else:
            shipped.write_shipped(self.name, path)

    @property
    def name(self) -> str | None:
        """The name of the shipped set, small or hard; None if there is none."""
        for name, size in shipped.SIZES.items():
            least = shipped.MIN_PATHS[name]
            one_kind = self.smallest in (None, size) and self.shortest in (None, least)
            if (self.size, self.min_path) == (size, least) and one_kind:
                return name
        return None

    def parse(self, text: str) -> np.ndarray:
        """As `Task.parse`, for mazes and solved mazes; spaces are free cells.

        Raises:
            HrmGymError: as in `Task.parse`, or if S or G is missing or occurs twice.
        """
        tokens = super().parse(text)
        solver.check_ends(tokens, self.size)
        return tokens


@functools.lru_cache(maxsize=8)
def _dataset(task: MazeTask, split: str) -> Puzzles:
    if split not in SPLITS:
        raise unknown("split", split, SPLITS)
    if task.name is not None:
        puzzles = shipped.load(task.name, split)
    else:
        num = {"train": 10_000, "validation": 500, "test": sizes.NUM_TEST}[split]
        puzzles = task.generate(num, 0, split)
    if split == "train" and task.redrawn:
        # Shipped mazes have one size, and so a place that does not depend on their lengths.
        places = sizes.places_of(task.size, task.min_path, task.smallest, task.shortest, len(puzzles.puzzle), 0)
        puzzles = sizes.with_other_ends(puzzles, task.size, task.redrawn, places)
    return puzzles
