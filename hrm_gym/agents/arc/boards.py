"""An ARC task as boards for an agent on planes: a board has the size of the answer and views of the input."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from hrm_gym.agents.agent import TaskSpec
from hrm_gym.envs.arc.grids import COLOURS, FIRST_COLOUR, PADDING
from hrm_gym.envs.arc.shapes import NOTHING, reading_of
from hrm_gym.envs.arc.sources import Examples
from hrm_gym.errors import HrmGymError

Grid = tuple[tuple[int, ...], ...]
"""Colours, row by row, in a hashable form."""

OPEN = FIRST_COLOUR + len(COLOURS)
"""The token of a cell of the answer without a matching cell of the input."""


@dataclasses.dataclass(frozen=True)
class Board:
    """A demonstration or a test input as an agent sees it."""

    views: np.ndarray
    """The colour of the input, or `NOTHING`, for each cell of the answer in V views, int64 (V, rows, columns)."""
    answer: Grid | None
    """The output; None for a test input."""

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the answer."""
        return self.views.shape[1:]  # type: ignore[return-value]

    @property
    def colours(self) -> frozenset[int]:
        """The colours in the views."""
        return frozenset(self.views[self.views != NOTHING].tolist())

    @property
    def fallback(self) -> Grid:
        """The answer without a network: the first view, with black for `NOTHING`."""
        return frozen(np.maximum(self.views[0], 0))


@dataclasses.dataclass(frozen=True)
class Boards:
    """A task."""

    shown: list[Board]
    """The demonstrations; empty if no rule predicts the size of the answers."""
    asked: list[Board]
    """The test inputs."""
    reading: str
    """The rule that aligns answers with inputs, in words."""

    @property
    def views(self) -> int:
        """The number of views V."""
        return len(self.asked[0].views)


def boards_of_task(examples: Examples) -> Boards:
    """The boards of a task. The outputs of its tests are not read.

    Raises:
        HrmGymError: if it has no demonstration.
    """
    pairs = [(pair.input, pair.output) for pair in examples.demonstrations if pair.output is not None]
    if not pairs:
        raise HrmGymError("the task has no demonstration with an output: there is nothing to learn from")
    inputs = [pair.input for pair in examples.tests]
    reading = reading_of(pairs, inputs)
    if reading is None:  # without a rule for the size, the answer is the input
        return Boards([], [Board(grid[None].astype(np.int64), None) for grid in inputs], "no rule gives its size")

    def board(grid: np.ndarray, output: np.ndarray | None) -> Board:
        views = reading.look(grid)
        assert views is not None  # the reading was chosen to fit all inputs
        return Board(views, None if output is None else frozen(output))

    return Boards([board(*pair) for pair in pairs], [board(grid, None) for grid in inputs], reading.name)


def frozen(grid: np.ndarray) -> Grid:
    """The grid as a key."""
    return tuple(map(tuple, np.asarray(grid).tolist()))


def added_colours(shown: Sequence[Board]) -> Tensor:
    """The colours that an answer may use although its input lacks them, bool (10,).

    These are the colours common to all outputs. If those do not explain all outputs, the colours that any output adds
    are included.
    """
    wanted = [{colour for row in board.answer or () for colour in row} for board in shown]
    common = set.intersection(*wanted)
    if any(not after <= board.colours | common for board, after in zip(shown, wanted, strict=True)):
        common = common.union(*(after - board.colours for board, after in zip(shown, wanted, strict=True)))
    return torch.tensor([colour in common for colour in range(len(COLOURS))])


def spec_of(boards: Sequence[Board]) -> TaskSpec:
    """The canvas that all boards fit on, with their views stacked vertically."""
    rows, columns = (max(board.shape[i] for board in boards) for i in range(2))
    return TaskSpec(rows * len(boards[0].views), columns, OPEN + 1, colours=COLOURS, uncoloured=OPEN)


def puzzles_of(boards: Sequence[Board], spec: TaskSpec) -> Tensor:
    """Tokens of boards, int64 (B, L)."""
    num_views = len(boards[0].views)
    canvas = np.full((len(boards), num_views, spec.rows // num_views, spec.columns), PADDING)
    for place, board in zip(canvas, boards, strict=True):
        tokens = np.where(board.views == NOTHING, OPEN, board.views + FIRST_COLOUR)
        place[:, : board.shape[0], : board.shape[1]] = tokens
    return torch.from_numpy(canvas.reshape(len(boards), -1)).long()


def solutions_of(boards: Sequence[Board], spec: TaskSpec) -> Tensor:
    """Tokens of their answers, int64 (B, L), with padding in cells that need no answer."""
    canvas = np.full((len(boards), spec.rows, spec.columns), PADDING)
    for place, board in zip(canvas, boards, strict=True):
        place[: board.shape[0], : board.shape[1]] = np.array(board.answer) + FIRST_COLOUR
    return torch.from_numpy(canvas.reshape(len(boards), -1)).long()


def grid_of(answer: Tensor, board: Board, spec: TaskSpec) -> Grid:
    """The answer grid of a board from tokens, (L,)."""
    tokens = answer.view(spec.shape)[: board.shape[0], : board.shape[1]] - FIRST_COLOUR
    return tuple(map(tuple, tokens.clamp(0, len(COLOURS) - 1).tolist()))
