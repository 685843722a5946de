"""The symmetry group of Sudoku: random images for augmentation.

These operations turn a Sudoku into a Sudoku: relabel the digits, permute the bands, the rows within a band, the stacks
or the columns within a stack, and, if boxes are square, transpose. A band is a row of boxes, a stack a column of boxes.
"""

from __future__ import annotations

import numpy as np

from hrm_gym.envs.arrays import Array, as_int64, gather, where
from hrm_gym.envs.sudoku import counting


def num_uniforms(boxes: tuple[int, int]) -> int:
    """The number of uniform numbers for one random symmetry, with boxes of (rows, columns)."""
    height, width = boxes
    return 3 * height * width + height + width + (height == width)


def random_image(tokens: tuple[Array, ...], uniforms: Array, boxes: tuple[int, int]) -> tuple[Array, ...]:
    """Applies one random symmetry per row to all arrays of `tokens`; the blank (0) stays blank.

    The permutations are the ranks of uniform numbers, so tensors on a GPU need no transfer. NumPy arrays take a
    compiled version.

    Args:
        tokens: arrays of shape (N, L), for instance puzzles and their solutions.
        uniforms: numbers in [0, 1), shape (N, num_uniforms(boxes)).
        boxes: rows and columns of a box.

    Returns:
        The images, of the shapes and types of `tokens`.
    """
    if isinstance(uniforms, np.ndarray):
        compiled = counting.symmetries(np.ascontiguousarray(uniforms), *boxes)
        return tuple(counting.images(np.ascontiguousarray(array), *compiled) for array in tokens)
    source, label = _symmetries(uniforms, boxes)
    return tuple(_relabel(gather(array, source), label + 1) for array in tokens)


def undo_image(tokens: Array, uniforms: Array, boxes: tuple[int, int]) -> Array:
    """The inverse of `random_image` for one array of shape (N, L)."""
    source, label = _symmetries(uniforms, boxes)
    return gather(_relabel(tokens, label.argsort(-1) + 1), source.argsort(-1))


def _symmetries(uniforms: Array, boxes: tuple[int, int]) -> tuple[Array, Array]:
    """The source of each cell, (N, L), and the image of each digit, counted from 0, (N, size)."""
    height, width = boxes
    size = height * width
    ends = np.cumsum([size, width, size, height, size])
    digits, bands, rows, stacks, columns = (
        uniforms[:, end - length : end] for end, length in zip(ends, (size, width, size, height, size), strict=True)
    )
    row = _nested(bands, rows.reshape(-1, width, height))
    column = _nested(stacks, columns.reshape(-1, height, width))
    source = row[:, :, None] * size + column[:, None, :]
    if height == width:
        flip = uniforms[:, -1, None, None] < 0.5
        source = where(flip, row[:, None, :] * size + column[:, :, None], source)
    source = source.reshape(-1, size * size)
    return source, digits.argsort(-1)


def _nested(outer: Array, inner: Array) -> Array:
    """Permutations of lines, (N, size), from ranks of groups, (N, G), and ranks within groups, (N, G, S)."""
    groups, lines = outer.argsort(-1), inner.argsort(-1)
    return (groups[:, :, None] * inner.shape[2] + lines).reshape(len(outer), -1)


def _relabel(tokens: Array, label: Array) -> Array:
    given = as_int64(tokens > 0)
    image = gather(label, as_int64(tokens) - given) * given
    return image.astype(tokens.dtype) if isinstance(tokens, np.ndarray) else image.to(tokens.dtype)
