"""Loading the mazes that ship with the package, and regenerating their files bit for bit."""

from __future__ import annotations

import os

import numpy as np

from hrm_gym.envs.maze import solver
from hrm_gym.envs.maze.generator import generate, generate_validation
from hrm_gym.envs.maze.solver import FREE, GOAL, START, WALL
from hrm_gym.envs.task import SPLITS, Puzzles
from hrm_gym.errors import unknown
from hrm_gym.files import save_arrays, shipped_arrays

SIZES = {"small": 10, "hard": 30}
"""Rows and columns of the mazes of each set."""

MIN_PATHS = {"small": 20, "hard": 110}
"""Minimum number of cells of shortest paths, including start and goal: more than any path without walls needs."""

COUNTS = {
    "small": {"train": 20_000, "validation": 1_000, "test": 1_000},
    "hard": {"train": 1_000, "validation": 500, "test": 1_000},
}
"""Number of mazes of each set."""

SEED = 0


def generate_split(name: str, split: str, num: int | None = None) -> Puzzles:
    """Generate the first `num` mazes of a shipped split (default: all)."""
    if name not in COUNTS:
        raise unknown("set of mazes", name, COUNTS)
    size, min_path = SIZES[name], MIN_PATHS[name]
    num = COUNTS[name][split] if num is None else num
    if split == "validation":
        return generate_validation(size, min_path, num, SEED, load(name, "test").puzzle)
    return generate(size, min_path, num, SEED, split)


def pack(puzzles: np.ndarray) -> dict[str, np.ndarray]:
    """Return the arrays to store: walls, 8 per byte, and the cells of start and goal, shape (N, 2)."""
    ends = [np.argmax(puzzles == token, axis=1) for token in (START, GOAL)]
    return {"walls": np.packbits(puzzles == WALL, axis=1), "ends": np.stack(ends, axis=1).astype(np.uint16)}


def unpack(walls: np.ndarray, ends: np.ndarray, size: int) -> np.ndarray:
    """Return the puzzles, uint8 of shape (N, L), from the arrays of `pack`."""
    free = 1 - np.unpackbits(walls, axis=1, count=size * size)
    puzzles = np.where(free, FREE, WALL).astype(np.uint8)
    np.put_along_axis(puzzles, ends.astype(np.int64), np.array([[START, GOAL]], np.uint8), axis=1)
    return puzzles


def write_shipped(name: str, path: str | os.PathLike[str]) -> None:
    """Generate the shipped set `name` and write it to `path`, with the same bytes for the same version of zlib.

    Raises:
        HrmGymError: if the name is unknown or the file cannot be written.
    """
    arrays = {
        f"{split}_{key}": array for split in SPLITS for key, array in pack(generate_split(name, split).puzzle).items()
    }
    save_arrays(arrays, path)


def load(name: str, split: str) -> Puzzles:
    """Load a shipped split, uint8 arrays of shape (N, L), and solve its mazes.

    Raises:
        HrmGymError: if the split is unknown or the file is missing.
    """
    if split not in SPLITS:
        raise unknown("split", split, SPLITS)
    arrays = shipped_arrays(__package__, name)
    puzzles = unpack(arrays[f"{split}_walls"], arrays[f"{split}_ends"], SIZES[name])
    return Puzzles(puzzles, solver.solve(puzzles, SIZES[name]))
