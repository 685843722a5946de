"""Rules for the size of an answer and for the input cells that each of its cells reads.

A reading maps an input to views: grids of the size of the answer with a colour of the input, or `NOTHING`, in every
cell. If answers have the size of the input, the only view is the input. Otherwise these rules are tried in order, and
a rule must hold for all demonstrations: copies of the input, its parts with or without separating lines, a box cut
out of it, one size for all answers.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

import numpy as np

from hrm_gym.envs.arc.grids import SIDE
from hrm_gym.envs.arc.objects import label_objects

NOTHING = -1
"""Value of a cell for which the input has no cell."""
MOST_PARTS = 9
"""Maximum number of parts of an input."""

Pairs = Sequence[tuple[np.ndarray, np.ndarray]]
Box = tuple[int, int, int, int]


@dataclasses.dataclass(frozen=True)
class Reading:
    """A mapping from an input to views of the answer's size."""

    name: str
    """Description in words."""
    look: Callable[[np.ndarray], np.ndarray | None]
    """Returns the views of an input, int64 (V, rows, columns); None if the reading does not apply."""

    def suits(self, pairs: Pairs, inputs: Sequence[np.ndarray]) -> bool:
        """Return whether it predicts the sizes of all outputs and applies to all inputs."""
        views = [self.look(grid) for grid, _ in pairs]
        right = all(
            view is not None and view.shape[1:] == out.shape for view, (_, out) in zip(views, pairs, strict=True)
        )
        return right and all(view is not None and max(view.shape[1:]) <= SIDE for view in map(self.look, inputs))


def reading_of(pairs: Pairs, inputs: Sequence[np.ndarray]) -> Reading | None:
    """Return the first reading that suits all demonstrations and test inputs; None if no rule predicts the sizes.

    Args:
        pairs: inputs and outputs of the demonstrations, as grids.
        inputs: inputs of the tests.
    """
    return next((reading for reading in _readings(pairs) if reading.suits(pairs, inputs)), None)


def _readings(pairs: Pairs) -> Iterator[Reading]:
    first, output = pairs[0]
    yield Reading("as large as the input", _same)
    yield Reading("the input on its side", _turned)
    (rows, columns), (out_rows, out_columns) = first.shape, output.shape
    if out_rows % rows == 0 and out_columns % columns == 0:
        yield _repeated(out_rows // rows, out_columns // columns)
    yield from (_as_many_as(name, count) for name, count in _COUNTS.items())
    yield _parted_by_lines()
    if rows % out_rows == 0 and columns % out_columns == 0:
        yield _parted(rows // out_rows, columns // out_columns)
    # Among boxes of the right size, choose the one that agrees best with the answers.
    boxes = [_boxed(name, box) for name, box in _BOXES.items()]
    yield from sorted((reading for reading in boxes if reading.suits(pairs, [])), key=lambda r: -_agreement(r, pairs))
    if rows % out_rows == 0 and columns % out_columns == 0:
        yield _coarse(rows // out_rows, columns // out_columns)
    yield _fixed(out_rows, out_columns)


def _same(grid: np.ndarray) -> np.ndarray:
    return grid[None].astype(np.int64)


def _turned(grid: np.ndarray) -> np.ndarray:
    turns = grid.T, grid[::-1, ::-1].T, np.rot90(grid), np.rot90(grid, -1)
    return np.stack(turns).astype(np.int64)


def _agreement(reading: Reading, pairs: Pairs) -> float:
    views = [(reading.look(grid), output) for grid, output in pairs]
    return float(np.mean([(view[0] == output).mean() for view, output in views if view is not None]))


# ---- larger answers ----------------------------------------------------------------------------------


def _repeated(a: int, b: int) -> Reading:
    return Reading(f"{a} times {b} of the input", lambda grid: _copies(grid, a, b))


def _as_many_as(name: str, count: Callable[[np.ndarray], int]) -> Reading:
    return Reading(f"of the input as many as {name}", lambda grid: _copies(grid, count(grid), count(grid)))


def _copies(grid: np.ndarray, a: int, b: int) -> np.ndarray | None:
    """Return views of each cell as a block, of tiled inputs, and of tiled inputs with every second tile mirrored."""
    if not (1 <= a <= SIDE and 1 <= b <= SIDE):
        return None
    scaled = np.kron(grid, np.ones((a, b), np.int64))
    tiled = np.tile(grid, (a, b))
    down, across = [grid, grid[::-1]], [slice(None), slice(None, None, -1)]
    mirrored = np.block([[down[i % 2][:, across[j % 2]] for j in range(b)] for i in range(a)])
    return np.stack([scaled, tiled, mirrored]).astype(np.int64)


_COUNTS: dict[str, Callable[[np.ndarray], int]] = {
    "its colours but black": lambda grid: len(set(grid.ravel().tolist()) - {0}),
    "its colours": lambda grid: len(np.unique(grid)),
    "its cells that are not black": lambda grid: int((grid != 0).sum()),
    "its columns": lambda grid: grid.shape[1],
    "its cells of the most frequent colour": lambda grid: int(np.bincount(grid.ravel()).max()),
}


# ---- parts -------------------------------------------------------------------------------------------


def _parted(a: int, b: int) -> Reading:
    def look(grid: np.ndarray) -> np.ndarray | None:
        rows, columns = grid.shape
        if rows % a or columns % b or a * b > MOST_PARTS:
            return None
        return np.stack([part for band in np.split(grid, a) for part in np.split(band, b, 1)]).astype(np.int64)

    return Reading(f"{a} times {b} parts of the input", look)


def _parted_by_lines() -> Reading:
    def look(grid: np.ndarray) -> np.ndarray | None:
        for colour in np.unique(grid):
            bands, strips = (_between((grid == colour).all(axis)) for axis in (1, 0))
            parts = [grid[r0:r1, c0:c1] for r0, r1 in bands for c0, c1 in strips]
            if 1 < len(parts) <= MOST_PARTS and len({part.shape for part in parts}) == 1:
                return np.stack(parts).astype(np.int64)
        return None

    return Reading("the parts between lines", look)


def _between(line: np.ndarray) -> list[tuple[int, int]]:
    """Return begin and end of each run of false values."""
    marks = np.flatnonzero(np.concatenate([[True], line, [True]]))
    return [(int(a), int(b) - 1) for a, b in pairwise(marks) if b - a > 1]


def _coarse(a: int, b: int) -> Reading:
    """Views of each block: its most frequent colour (background only if there is no other), and its corner."""

    def look(grid: np.ndarray) -> np.ndarray | None:
        rows, columns = grid.shape
        if rows % a or columns % b:
            return None
        blocks = grid.reshape(rows // a, a, columns // b, b).transpose(0, 2, 1, 3).reshape(rows // a, columns // b, -1)
        counts = np.stack([(blocks == colour).sum(-1) for colour in range(10)], -1).astype(float)
        counts[..., 0] *= 0.5 / (a * b)
        return np.stack([counts.argmax(-1), grid[::a, ::b]]).astype(np.int64)

    return Reading(f"blocks of {a} times {b} cells", look)


def _fixed(rows: int, columns: int) -> Reading:
    """One size for all answers; views are the upper left corner and the input rescaled to the answer's size."""

    def look(grid: np.ndarray) -> np.ndarray:
        corner = np.full((rows, columns), NOTHING)
        part = grid[:rows, :columns]
        corner[: part.shape[0], : part.shape[1]] = part
        lines = [np.arange(size) * of // size for size, of in zip((rows, columns), grid.shape, strict=True)]
        return np.stack([corner, grid[np.ix_(*lines)]]).astype(np.int64)

    return Reading(f"always {rows} times {columns}", look)


# ---- boxes -------------------------------------------------------------------------------------------


def _boxed(name: str, box: Callable[[np.ndarray], Box | None]) -> Reading:
    def look(grid: np.ndarray) -> np.ndarray | None:
        found = box(grid)
        return None if found is None else grid[found[0] : found[1], found[2] : found[3]][None].astype(np.int64)

    return Reading(f"the box of {name}", look)


def _around(cells: np.ndarray) -> Box | None:
    rows, columns = np.flatnonzero(cells.any(1)), np.flatnonzero(cells.any(0))
    return (int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1) if len(rows) else None


def _inside(box: Box | None) -> Box | None:
    """Return the box without its border."""
    if box is None or box[1] - box[0] < 3 or box[3] - box[2] < 3:
        return None
    return box[0] + 1, box[1] - 1, box[2] + 1, box[3] - 1


def _background(grid: np.ndarray) -> int:
    return int(np.bincount(grid.ravel(), minlength=10).argmax())


def _by_frequency(place: int) -> Callable[[np.ndarray], Box | None]:
    def box(grid: np.ndarray) -> Box | None:
        counts = np.bincount(grid.ravel(), minlength=10)
        counts[_background(grid)] = 0
        colours = sorted(np.flatnonzero(counts), key=lambda colour: counts[colour])
        return _around(grid == colours[place]) if colours else None

    return box


def _object(choose: Callable[[np.ndarray, np.ndarray], float], one_colour: bool) -> Callable[[np.ndarray], Box | None]:
    """Return a function for the box of the object with the unique maximum of `choose(grid, cells of the object)`."""

    def box(grid: np.ndarray) -> Box | None:
        shifted = np.where(grid == _background(grid), 0, grid.astype(np.int64) + 1)
        label, num = label_objects(shifted if one_colour else np.minimum(shifted, 1), False)
        objects = [label == i for i in range(num) if shifted[label == i][0] > 0]
        if not objects:
            return None
        values = [choose(grid, cells) for cells in objects]
        best = int(np.argmax(values))
        return _around(objects[best]) if values.count(values[best]) == 1 else None

    return box


def _colour(colour: int) -> Callable[[np.ndarray], Box | None]:
    return lambda grid: _around(grid == colour)


def _within(box: Callable[[np.ndarray], Box | None]) -> Callable[[np.ndarray], Box | None]:
    return lambda grid: _inside(box(grid))


_CHOICES: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {
    "largest": lambda grid, cells: float(cells.sum()),
    "smallest": lambda grid, cells: -float(cells.sum()),
    "most colourful": lambda grid, cells: float(len(np.unique(grid[cells]))),
    "least colourful": lambda grid, cells: -float(len(np.unique(grid[cells]))),
    "most varied": lambda grid, cells: -float(np.bincount(grid[cells]).max() / cells.sum()),
    "uppermost": lambda grid, cells: -float(np.flatnonzero(cells.any(1))[0]),
    "lowest": lambda grid, cells: float(np.flatnonzero(cells.any(1))[-1]),
    "leftmost": lambda grid, cells: -float(np.flatnonzero(cells.any(0))[0]),
    "rightmost": lambda grid, cells: float(np.flatnonzero(cells.any(0))[-1]),
}
_OUTER: dict[str, Callable[[np.ndarray], Box | None]] = {
    "all but the background": lambda grid: _around(grid != _background(grid)),
    "all but black": lambda grid: _around(grid != 0),
    "the rarest colour": _by_frequency(0),
    "the most frequent colour": _by_frequency(-1),
    **{f"colour {colour}": _colour(colour) for colour in range(10)},
    **{f"the {name} object": _object(choose, False) for name, choose in _CHOICES.items()},
    **{f"the {name} object of one colour": _object(choose, True) for name, choose in _CHOICES.items()},
}
_BOXES = {**_OUTER, **{f"what is within {name}": _within(box) for name, box in _OUTER.items()}}
