"""The eight symmetries of the square: images of mazes, canonical forms, and the split by them.

A fixed function of the canonical form decides whether a maze is for training or for testing. All images of a maze share
the form, so the two splits share nothing up to symmetry, however many mazes are generated.
"""

from __future__ import annotations

import functools

import numpy as np

from hrm_gym.envs.jit import njit
from hrm_gym.envs.splitmix import is_one_in

TEST_ONE_IN = 10
"""One of this many canonical forms is for testing."""


@functools.cache
def images(size: int) -> np.ndarray:
    """The symmetries as an array (8, L): cell `i` of image `g` comes from cell `[g, i]`. The first is the identity."""
    cells = np.arange(size * size).reshape(size, size)
    turned = [np.rot90(board, turns) for board in (cells, cells.T) for turns in range(4)]
    return np.stack([board.reshape(-1) for board in turned])


@njit(cache=True, nogil=True)
def least_image(puzzle: np.ndarray, images: np.ndarray, best: np.ndarray) -> None:
    """Writes the lexicographically least image of `puzzle`, shape (L,), into `best`."""
    best[:] = puzzle
    for image in images[1:]:
        less = False
        for i, source in enumerate(image):
            token = puzzle[source]
            if not less and token > best[i]:
                break
            less = less or token < best[i]
            if less:
                best[i] = token


@njit(cache=True, nogil=True)
def form_is_test(form: np.ndarray) -> bool:
    """Whether a canonical form belongs to the test split."""
    return is_one_in(form, TEST_ONE_IN)


@njit(cache=True, nogil=True)
def _all_forms(puzzles: np.ndarray, images: np.ndarray) -> np.ndarray:
    forms = np.empty_like(puzzles)
    for i in range(len(puzzles)):
        least_image(puzzles[i], images, forms[i])
    return forms


def canonical_forms(puzzles: np.ndarray, size: int) -> np.ndarray:
    """The least image of each puzzle, uint8 of the same shape (N, L); it decides the split."""
    return _all_forms(np.ascontiguousarray(puzzles, np.uint8), images(size))


def is_test(puzzles: np.ndarray, size: int) -> np.ndarray:
    """Whether each puzzle, shape (N, L), belongs to the test split, bool of shape (N,)."""
    return np.array([form_is_test(form) for form in canonical_forms(puzzles, size)], dtype=bool)
