"""The background of an ARC task, which networks and rules of size expect to be black (colour 0)."""

from __future__ import annotations

import numpy as np

from hrm_gym.agents.arc.boards import Grid
from hrm_gym.envs.arc.sources import Examples, Pair


def background_of(examples: Examples) -> int:
    """The colour that is the most frequent one in every input, tests included; otherwise 0, black."""
    counts = [np.bincount(pair.input.ravel(), minlength=10) for pair in (*examples.demonstrations, *examples.tests)]
    most = {int(count.argmax()) for count in counts}
    return most.pop() if len(most) == 1 else 0


def with_black_background(examples: Examples, background: int) -> Examples:
    """The task with its background and black exchanged; outputs of tests are left out."""
    if not background:
        return examples
    table = np.arange(10, dtype=np.uint8)
    table[[0, background]] = background, 0

    def recoloured(pair: Pair) -> Pair:
        return Pair(table[pair.input], None if pair.output is None else table[pair.output])

    return Examples(
        tuple(recoloured(pair) for pair in examples.demonstrations),
        tuple(recoloured(pair)._replace(output=None) for pair in examples.tests),
    )


def exchanged(grid: Grid, background: int) -> Grid:
    """A grid with background and black exchanged."""
    if not background:
        return grid
    swap = {0: background, background: 0}
    return tuple(tuple(swap.get(colour, colour) for colour in row) for row in grid)
