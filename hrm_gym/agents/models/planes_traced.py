"""`planes` in torch operations alone, for `torch.export`: every (cell, colour) pair of the canvas, behind a mask.

It computes the same numbers as the loops of `planes_loops` and the lists of `planes_layout`, more slowly. All tensors
have the axes (B, rows, columns, C, ...): boards, cells of a view of the canvas, colours.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from hrm_gym.agents.agent import TaskSpec
from hrm_gym.agents.models.layers import rms_norm
from hrm_gym.agents.models.objects_traced import object_features
from hrm_gym.agents.models.planes_loops import ALIKE, BEAM_C, BEAM_R, DC, DR, KEYS, WIDTH
from hrm_gym.agents.models.symbols import IMPOSSIBLE

LOW = -9.0
"""Below every key, which lie in [-1, 1]."""


@dataclasses.dataclass(frozen=True)
class TracedLayout:
    """The nodes of a batch of boards, with the methods of `planes_layout.Layout`."""

    nodes: Tensor
    """Which pairs are nodes, bool (B, rows, columns, C, 1)."""
    first: Tensor
    """First row and column of the bounding box of each board, int64 (B, 2)."""
    size: Tensor
    """Height and width of the box, int64 (B, 2); 0 if it is empty."""
    shown: Tensor
    """1 where a node's cell shows its colour, for each view; float32 (..., V)."""
    others: Tensor
    """1 where it shows another colour, float32 (..., V)."""
    objects: Tensor
    """Features of its cell's object in the first view, float32 (..., `NUM_FEATURES`)."""
    background: Tensor
    """1 where its colour is the background, float32 (B, rows, columns, C)."""
    fixed: Tensor
    """Fixed logits, (B, L, V), as in `Layout`."""
    tokens: Tensor
    """The token of each colour, int64 (C,)."""

    def take(self, states: Tensor) -> Tensor:
        """The states of all pairs, (B, cells * C, D), by cell and colour; zero outside the boards."""
        return torch.where(self.nodes, states.unflatten(1, tuple(self.nodes.shape[1:4])).float(), 0.0)

    def put(self, states: Tensor, nodes: Tensor) -> Tensor:
        """Write the nodes into `states`, (B, cells * C, D)."""
        old = states.unflatten(1, tuple(self.nodes.shape[1:4]))
        return torch.where(self.nodes, nodes.to(states.dtype), old).flatten(1, 3)

    def logits(self, nodes: Tensor) -> Tensor:
        """The logits of all cells, (B, L, V), from those of the nodes, (B, rows, columns, C)."""
        cells = self.nodes.shape[1] * self.nodes.shape[2]
        answer, rest = self.fixed[:, :cells], self.fixed[:, cells:]
        mine = torch.where(self.nodes.squeeze(-1), nodes, answer[..., self.tokens].unflatten(1, nodes.shape[1:3]))
        return torch.cat((answer.index_copy(2, self.tokens, mine.flatten(1, 2)), rest), dim=1)

    def with_task(self, x: Tensor, task: Tensor, names: bool) -> Tensor:
        """Add each task's own vectors, (B, vectors, D), to the nodes."""
        x = x + task[:, None, None, :1]
        return x + task[:, None, None, 1:] if names else x

    def refine(self, x: Tensor, injected: Tensor, weights: Sequence[Tensor], directional: bool) -> Tensor:
        """See `planes.refine`."""
        x = torch.where(self.nodes, x + injected, 0.0)
        for first in range(0, len(weights), 4):
            keys_gate, mix, mlp_gate_up, mlp_down = weights[first : first + 4]
            keys, gate = F.linear(x, keys_gate).split((KEYS * WIDTH, x.shape[-1]), dim=-1)
            read = self._read(x, torch.tanh(keys), directional)
            x = rms_norm(x + F.silu(gate) * F.linear(read, mix))
            gated, up = F.linear(x, mlp_gate_up).chunk(2, dim=-1)
            x = rms_norm(x + F.linear(F.silu(gated) * up, mlp_down))
            x = torch.where(self.nodes, x, 0.0)
        return x

    def _read(self, x: Tensor, keys: Tensor, directional: bool) -> Tensor:
        """The features that every node reads, in the order of `planes_loops.read`."""
        near = [_shifted(x, -dr, -dc, 0.0) for dr, dc in zip(DR, DC, strict=True)]
        if not directional:
            near = [near[0] + near[1] + near[2] + near[3], near[4] + near[5] + near[6] + near[7]]
        of_rays, of_pools, of_mirrors, of_beams, gates = keys.split(WIDTH, dim=-1)
        rays = self._rays(torch.where(self.nodes, of_rays, LOW), directional)
        pools = [*self._pool(of_pools, (3,)), *self._pool(of_pools, (1, 2))]
        mirrors, beams = self._mirrors(of_mirrors, directional), self._beams(of_beams, gates, directional)
        return torch.cat([x, *near, *rays, *pools, *mirrors, *beams], dim=-1)

    def _rays(self, keys: Tensor, directional: bool) -> list[Tensor]:
        left, right, up, down = (_running_max(keys, *way) for way in ((0, 1), (0, -1), (1, 0), (-1, 0)))
        row, column = torch.minimum(left, right), torch.minimum(up, down)
        any_row, any_column = torch.maximum(left, right), torch.maximum(up, down)
        if directional:
            return [left, right, up, down, row, column, any_row, any_column]
        mean = 0.25 * ((left + right) + (up + down))
        return [mean, torch.maximum(row, column), torch.minimum(row, column), torch.maximum(any_row, any_column)]

    def _beams(self, keys: Tensor, gates: Tensor, directional: bool) -> list[Tensor]:
        passes = torch.where(self.nodes, 0.5 + 0.5 * gates, 0.0)
        sent = torch.where(self.nodes, (1 - passes) * keys, 0.0)
        beams = [_beam(sent, passes, *way) for way in zip(BEAM_R, BEAM_C, strict=True)]
        if directional:
            return beams
        found = []
        for left, right, up, down in (beams[:4], beams[4:]):
            row, column = torch.minimum(left, right), torch.minimum(up, down)
            most = torch.maximum(torch.maximum(left, right), torch.maximum(up, down))
            found += [0.25 * ((left + right) + (up + down)), torch.maximum(row, column), most]
        return found

    def _pool(self, keys: Tensor, axes: tuple[int, ...]) -> tuple[Tensor, Tensor]:
        """Mean and maximum over the nodes along some axes."""
        num = self.nodes.sum(axes, keepdim=True).clamp_min(1)
        mean = torch.where(self.nodes, keys, 0.0).sum(axes, keepdim=True) / num
        best = torch.where(self.nodes, keys, LOW).amax(axes, keepdim=True)
        return mean.expand_as(keys), best.expand_as(keys)

    def _mirrors(self, keys: Tensor, directional: bool) -> list[Tensor]:
        """Each node's images under the rotations and reflections of its box; see `planes_loops.image`."""
        _, rows, columns, colours, width = keys.shape
        top, left = (part[:, None, None] for part in self.first.unbind(1))
        height, across = (part[:, None, None] for part in self.size.unbind(1))
        r = torch.arange(rows)[None, :, None] - top
        c = torch.arange(columns)[None, None, :] - left
        last_r, last_c = height - 1 - r, across - 1 - c
        images, square = [], (height == across)[..., None, None]
        places = ((r, last_c), (last_r, c), (last_r, last_c), (c, r), (last_c, last_r), (c, last_r), (last_c, r))
        for kind, (row, column) in enumerate(places):
            at = ((row + top).clamp(0, rows - 1) * columns + (column + left).clamp(0, columns - 1)).flatten(1)
            index = at[..., None, None].expand(-1, -1, colours, width)
            image = keys.flatten(1, 2).gather(1, index).unflatten(1, (rows, columns))
            images.append(image if kind < 3 else torch.where(square, image, 0.0))
        if directional:
            return images
        alike: list[list[Tensor]] = [[] for _ in range(4)]
        for image, slot in zip(images, ALIKE, strict=True):
            alike[slot].append(image)
        return [sum(group[1:], start=group[0]) for group in alike]


def trace_layout(puzzle: Tensor, spec: TaskSpec, colours: Sequence[int], num_views: int, added: Tensor) -> TracedLayout:
    """Lay out the nodes of boards; arguments as of `planes_layout.lay_out`."""
    rows, columns = spec.rows // num_views, spec.columns
    tokens = torch.tensor(list(colours))
    index = torch.full((spec.num_tokens,), -1).index_copy(0, tokens, torch.arange(len(colours)))
    seen = index[puzzle].unflatten(1, (num_views, rows, columns))  # (B, V, rows, columns)
    inside = ((seen >= 0) | (puzzle == spec.uncoloured).view(seen.shape)).any(1)
    spans = [_span(inside.any(axis)) for axis in (2, 1)]
    first, size = (torch.stack(parts, dim=1) for parts in zip(*spans, strict=True))
    line = [torch.arange(n) for n in (rows, columns)]
    within = [(at >= f[:, None]) & (at < (f + s)[:, None]) for at, (f, s) in zip(line, spans, strict=True)]
    box = within[0][:, :, None] & within[1][:, None, :]  # (B, rows, columns)
    equal = seen.unsqueeze(-1) == torch.arange(len(colours))  # (B, V, rows, columns, C)
    alive = added | equal.any(3).any(2).any(1)  # (B, C)
    shown = equal.permute(0, 2, 3, 4, 1)
    others = (seen >= 0).permute(0, 2, 3, 1).unsqueeze(3) & ~shown
    answered = torch.cat((seen[:, 0].flatten(1) >= 0, torch.zeros_like(puzzle[:, rows * columns :]).bool()), dim=1)
    kept = torch.where(answered, IMPOSSIBLE, -IMPOSSIBLE).unsqueeze(-1)
    own = puzzle.unsqueeze(-1) == torch.arange(spec.num_tokens)
    return TracedLayout(
        nodes=(box.unsqueeze(-1) & alive[:, None, None]).unsqueeze(-1),
        first=first,
        size=size,
        shown=shown.float(),
        others=others.float(),
        objects=object_features(seen[:, 0], box).unsqueeze(3).expand(-1, -1, -1, len(colours), -1),
        background=(torch.arange(len(colours)) == 0).float().expand(shown.shape[:4]),
        fixed=torch.where(own, kept, IMPOSSIBLE),
        tokens=tokens,
    )


def _span(inside: Tensor) -> tuple[Tensor, Tensor]:
    """The first true place of each row of flags, bool (B, n), and the length up to the last one; 0 if none is true."""
    at = torch.arange(inside.shape[1])
    first = torch.where(inside, at, inside.shape[1]).amin(1)
    last = torch.where(inside, at, -1).amax(1)
    return first, (last - first + 1).clamp_min(0)


def _shifted(x: Tensor, down: int, right: int, fill: float) -> Tensor:
    """Every cell moved by this many rows and columns; what comes in from outside is `fill`."""
    rows, columns = x.shape[1:3]
    padding = (0, 0) * (x.ndim - 3) + (max(right, 0), max(-right, 0), max(down, 0), max(-down, 0))
    padded = F.pad(x, padding, value=fill)
    return padded[:, max(-down, 0) :, max(-right, 0) :][:, :rows, :columns]


def _running_max(x: Tensor, down: int, right: int) -> Tensor:
    """The maximum over all cells up to each one in a direction, by steps that double."""
    step = 1
    while step < (x.shape[1] if down else x.shape[2]):
        x = torch.maximum(x, _shifted(x, step * down, step * right, LOW))
        step *= 2
    return x


def _beam(sent: Tensor, passes: Tensor, down: int, right: int) -> Tensor:
    """What arrives at every cell: h[n] = passes[n - 1] h[n - 1] + sent[n - 1] in a direction, by steps that double."""
    arrived, passes = (_shifted(x, down, right, 0.0) for x in (sent, passes))
    step = 1
    while step < (sent.shape[1] if down else sent.shape[2]):
        arrived = arrived + passes * _shifted(arrived, step * down, step * right, 0.0)
        passes = passes * _shifted(passes, step * down, step * right, 0.0)
        step *= 2
    return arrived
