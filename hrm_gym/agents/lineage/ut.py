"""Universal Transformer (Dehghani et al., arXiv 1807.03819): one block, repeated as often as each cell needs.

Idea: a transformer whose layers share their weights and receive an embedding of position and time.
Each cell halts separately by adaptive computation time (Graves, arXiv 1603.08983):

    p_t   = sigmoid(halt(state))             at each step t of a cell, until their sum reaches 1 - epsilon
    state = block(state + position + time)   while the cell runs; afterwards its state is copied
    mean  = sum over t of w_t * state_t      w_t = p_t; at the cell's last step N, the remainder R

The ponder cost is tau * (N + R), averaged over cells (`Output.aux_loss`).

Carried: `mean`, (B, P + L, D), and the number of steps of each position in the last segment, `steps`, (B, P + L).

Faithful: the shared block, sinusoids for position and time at every step, halting per cell with copied states, the
weighted mean, the ponder cost, the gradient through all steps of a segment. Adapted: positions are mixed by an MLP;
`--mixer attention` selects the paper's self-attention, which learns far more slowly on small boards. Positions have two
coordinates, row and column, each with half of the features. A segment starts from the previous segment's mean plus the
puzzle, so the first segment is the paper's whole network and further ones continue from it. The block is that of `hrm`
(post-norm, SwiGLU). Prefix positions serve as memory.

Known failure: the shallow trap. With a halting bias of 0 or +1 (the paper's code), 70 % of runs stopped after two to
seven steps on any input; with -3 none did (arXiv 2604.21999). Hence the default of -3. That study also needed 8 to 32
memory tokens (`--prefix-tokens`) to learn anything about hard Sudokus. With attention, 4x4 Sudokus are not learned in
two minutes on one core.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from hrm_gym.agents.agent import Output, TaskSpec
from hrm_gym.agents.models.board import Board, places
from hrm_gym.agents.models.layers import Blocks, Module
from hrm_gym.options import depth, number


@dataclasses.dataclass(frozen=True)
class UTConfig(Blocks):
    """Options of `ut`."""

    steps: int = depth(6)
    """Maximum number of steps per segment."""
    cell_ponder_cost: float = number(0.01, least=0)
    """Weight tau of the ponder cost, averaged over cells, relative to the cross-entropy."""
    cell_epsilon: float = number(0.01, above=0, below=1)
    """A cell stops once the sum of its halting probabilities reaches 1 minus this."""
    cell_halt_bias: float = number(-3.0)
    """Initial logit of a cell's halting probability."""


class Pondered(NamedTuple):
    """The state between segments."""

    cells: Tensor
    """The mean state of each position, (B, P + L, D)."""
    steps: Tensor
    """Number of steps of each position in the last segment, int64 (B, P + L)."""


class UT(Board):
    """Universal Transformer: one shared block; each cell halts by adaptive computation time (1807.03819)."""

    Config = UTConfig
    run_defaults = {"weight_decay": 0.1}  # noqa: RUF012 (as in Agent)
    coordinates: Tensor

    def __init__(self, config: Any, spec: TaskSpec) -> None:
        super().__init__(config, spec)
        size = config.hidden_size
        self.block = Module(config, 1, spec.shape)
        self.halt = nn.Linear(size, 1)
        nn.init.zeros_(self.halt.weight)
        nn.init.constant_(self.halt.bias, config.cell_halt_bias)
        place = places(config.prefix_tokens, spec.shape)  # (S, 2)
        rows = sinusoids(place[:, 0], size // 2)
        columns = sinusoids(place[:, 1], size - size // 2)
        position = torch.cat((rows, columns), dim=1)  # (S, D)
        time = sinusoids(torch.arange(1, config.steps + 1), size)  # (T, D)
        self.register_buffer("coordinates", time[:, None] + position, persistent=False)  # (T, S, D)

    def initial_state(self, num: int) -> Pondered:
        """See `Agent`: zeros."""
        shape, device = (num, self.coordinates.shape[1]), self.coordinates.device
        cells = torch.zeros(*shape, self.config.hidden_size, device=device, dtype=self.dtype)
        return Pondered(cells, torch.zeros(shape, dtype=torch.long, device=device))

    def forward(self, state: Pondered, obs: Mapping[str, Tensor]) -> tuple[Pondered, Output]:
        """See `Agent`."""
        c = self.config
        z = state.cells + self.embed(obs)
        mean, left = torch.zeros_like(z), torch.ones_like(z[..., 0], dtype=torch.float32)
        running = torch.ones_like(left, dtype=torch.bool)  # (B, S), as are `left`, `steps` and `remainder`
        steps, remainder = torch.zeros_like(state.steps), torch.zeros_like(left)
        for t in range(c.steps):
            p = self.halt(z.float())[..., 0].sigmoid()
            last = running & ((left - p <= c.cell_epsilon) if t < c.steps - 1 else running)
            weight = torch.where(last, left, p) * running
            remainder = torch.where(last, left, remainder)
            fresh = self.block(z, self.coordinates[t].to(z.dtype), self.rotary)
            z = torch.where(running[..., None], fresh, z)
            mean = mean + weight[..., None].to(z.dtype) * z
            steps = steps + running
            left, running = torch.where(running, left - p, left), running & ~last
        ponder = (steps + remainder).mean(1)
        return Pondered(mean, steps), self.answer(mean, c.cell_ponder_cost * ponder)


def sinusoids(place: Tensor, size: int) -> Tensor:
    """Sinusoidal embedding of places, (N,), with wavelengths from 2 pi to 10,000 * 2 pi: (N, size)."""
    frequencies = torch.exp(-math.log(10_000.0) * torch.arange(0, size, 2) / max(size, 2))
    angles = place[:, None].float() * frequencies
    return torch.cat((angles.sin(), angles.cos()), dim=1)[:, :size]
