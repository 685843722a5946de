"""The nodes of `planes` for a batch of boards, and their positions."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from hrm_gym.agents.agent import TaskSpec
from hrm_gym.agents.models.planes_objects import NUM_FEATURES, object_features
from hrm_gym.agents.models.symbols import IMPOSSIBLE


@dataclasses.dataclass(frozen=True)
class Layout:
    """N nodes of B boards: board by board, colour by colour, row by row."""

    puzzle: Tensor
    """The puzzles of this layout, int64 (B, L)."""
    added: Tensor
    """The colours added to every board, bool (C,)."""
    boards: np.ndarray
    """First node and number of colours, rows and columns of each board, int64 (B, 4)."""
    board: Tensor
    """Index of the board of each node, int64 (N,)."""
    colour: Tensor
    """Index of the colour of each node, int64 (N,)."""
    position: Tensor
    """Index of each node among all B * L * C pairs, int64 (N,)."""
    shown: Tensor
    """1 where a node's cell shows its colour, for each view; float32 (N, V)."""
    others: Tensor
    """1 where it shows another colour, float32 (N, V)."""
    objects: Tensor
    """Features of its cell's object in the first view, float32 (N, `NUM_FEATURES`); see `planes_objects`."""
    background: Tensor
    """1 where its colour is the background, float32 (N,)."""
    symbol: Tensor
    """Index of each node's logit among all B * L * V, int64 (N,)."""
    fixed: Tensor
    """Fixed logits, (B, L, V): cells outside the boards keep their token; `IMPOSSIBLE` elsewhere."""

    def suits(self, puzzle: Tensor, added: Tensor) -> bool:
        """Whether it is the layout of these puzzles."""
        return torch.equal(self.puzzle, puzzle) and torch.equal(self.added, added)

    def take(self, states: Tensor) -> Tensor:
        """Gather the nodes from the states of all pairs: (B, L * C, D) -> (N, D), float32."""
        return states.reshape(-1, states.shape[-1])[self.position].float()

    def put(self, states: Tensor, nodes: Tensor) -> Tensor:
        """Write the nodes into `states`, (B, L * C, D)."""
        flat = states.reshape(-1, states.shape[-1])
        return flat.index_copy(0, self.position, nodes.to(states.dtype)).view_as(states)

    def with_task(self, x: Tensor, task: Tensor, names: bool) -> Tensor:
        """Add each task's own vectors, (B, vectors, D), to the nodes: one for all, and one per colour if named."""
        x = x + task[self.board, 0]
        return x + task[self.board, 1 + self.colour] if names else x

    def logits(self, nodes: Tensor) -> Tensor:
        """The logits of all cells, (B, L, V), from those of the nodes, (N,)."""
        return self.fixed.flatten().index_copy(0, self.symbol, nodes).view_as(self.fixed)


def lay_out(puzzle: Tensor, spec: TaskSpec, colours: Sequence[int], num_views: int, added: Tensor) -> Layout:
    """Lay out the nodes of boards.

    A board is the bounding box of its cells over all views.

    Args:
        puzzle: tokens, int64 (B, L).
        spec: the spec of the canvas.
        colours: tokens with a plane, the background first.
        num_views: V, the number of views stacked vertically.
        added: colours for which every board has a plane, bool (C,); other colours only on boards that show them.
    """
    index = np.full(spec.num_tokens, -1)
    index[list(colours)] = np.arange(len(colours))
    tokens = puzzle.cpu().numpy()
    shape = spec.rows // num_views, spec.columns
    num_cells, always = shape[0] * shape[1], np.flatnonzero(added.cpu().numpy()).tolist()
    boards, start = [], 0
    objects = [np.zeros((NUM_FEATURES, 0), np.float32)]
    nodes, views = [np.zeros((3, 0), np.int64)], [np.zeros((2, num_views, 0), bool)]
    for number, board in enumerate(index[tokens].reshape(-1, num_views, *shape)):
        inside = ((board >= 0) | (tokens[number].reshape(board.shape) == spec.uncoloured)).any(0)
        rows, columns = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
        height, width = (int(line[-1] - line[0]) + 1 if len(line) else 0 for line in (rows, columns))
        alive = np.array(sorted({*always, *board[board >= 0].tolist()}), np.int64)
        boards.append([start, len(alive), height, width])
        start += len(alive) * height * width
        if not height:
            continue
        window = np.s_[rows[0] : rows[0] + height, columns[0] : columns[0] + width]
        cell = np.arange(num_cells).reshape(shape)[window].ravel()
        colour = np.repeat(alive, len(cell))
        nodes.append(np.stack([np.full(len(colour), number), colour, np.tile(cell, len(alive))]))
        objects.append(np.tile(object_features(board[0][window]).reshape(NUM_FEATURES, -1), len(alive)))
        seen = board[:, *window].reshape(num_views, 1, -1)
        shown = seen == alive[:, None]  # (V, alive, cells)
        views.append(np.stack([shown, (seen >= 0) & ~shown]).reshape(2, num_views, -1))
    device = puzzle.device
    board_of, colour_of, cell_of = (torch.from_numpy(part).to(device) for part in np.concatenate(nodes, axis=1))
    seen_by = np.concatenate(views, axis=2).astype(np.float32)
    shown, others = (torch.from_numpy(part.T.copy()).to(device) for part in seen_by)
    fixed = torch.full((*puzzle.shape, spec.num_tokens), IMPOSSIBLE, device=device)
    # The answer is for the first view; the rest of the canvas keeps its tokens.
    answered = index[tokens] >= 0
    answered[:, num_cells:] = False
    kept = torch.from_numpy(np.where(answered, IMPOSSIBLE, -IMPOSSIBLE)).to(fixed)
    fixed.scatter_(2, puzzle.unsqueeze(-1), kept.unsqueeze(-1))
    tokens_of = torch.tensor(colours, device=device)[colour_of]
    return Layout(
        puzzle=puzzle.clone(),
        added=added.clone(),
        boards=np.array(boards, np.int64).reshape(-1, 4),
        board=board_of,
        colour=colour_of,
        position=(board_of * num_cells + cell_of) * len(colours) + colour_of,
        shown=shown,
        others=others,
        objects=torch.from_numpy(np.concatenate(objects, axis=1).T.copy()).to(device),
        background=(colour_of == 0).float(),
        symbol=(board_of * spec.num_cells + cell_of) * spec.num_tokens + tokens_of,
        fixed=fixed,
    )
