"""Objects on a board: connected cells of one colour, or of any colours except the background. Found once per board.

A network on planes needs many steps to count cells and compare counts. Sizes of objects are invariant under rotations,
reflections and recolourings of the board, so nodes may read them as features without breaking the symmetry.
"""

from __future__ import annotations

import numpy as np

from hrm_gym.envs.arc.objects import label_objects

NUM_FEATURES = 9
"""For the cell's object of one colour: size, largest, smallest, unique size, at the border, around a hole. For its
object of any colours: size, largest, smallest."""


def object_features(board: np.ndarray) -> np.ndarray:
    """The features of each cell's object, float32 (`NUM_FEATURES`, rows, columns).

    Args:
        board: colours, int64 (rows, columns); the background is 0, cells without colour are negative.
    """
    same, num_same = label_objects(board, True)
    whole, num_whole = label_objects(np.minimum(board, 1), False)
    return np.stack([*_of(board, same, num_same), *_of(board, whole, num_whole)[:3]]).astype(np.float32)


def _of(board: np.ndarray, label: np.ndarray, num: int) -> list[np.ndarray]:
    sizes = np.bincount(label.ravel(), minlength=num)
    first = np.full(num, -1)
    first[label.ravel()] = board.ravel()
    coloured = first > 0
    border = np.zeros(num, bool)
    for line in (label[0], label[-1], label[:, 0], label[:, -1]):
        border[line] = True
    largest, smallest, alone = (np.zeros(num, bool) for _ in range(3))
    for group in (coloured, first == 0):  # compare objects with objects, and rooms with rooms
        if group.any():
            values, counts = np.unique(sizes[group], return_counts=True)
            largest[group], smallest[group] = sizes[group] == values[-1], sizes[group] == values[0]
            alone[group] = np.isin(sizes[group], values[counts == 1])
    around = np.zeros(num, bool)
    for room in np.flatnonzero((first == 0) & ~border):
        around[_neighbours(label, int(room))] = True
    size = np.log1p(sizes) / np.log1p(board.size)
    return [feature[label] for feature in (size, largest, smallest, alone, border, around & coloured)]


def _neighbours(label: np.ndarray, room: int) -> np.ndarray:
    inside = np.pad(label == room, 1)
    near = inside[:-2, 1:-1] | inside[2:, 1:-1] | inside[1:-1, :-2] | inside[1:-1, 2:]
    return np.unique(label[near & (label != room)])
