"""`hrm` and `trm` with convolutions: every cell reads its eight neighbours, on a board of any size.

The network knows neither positions nor the board's size, and no step reads the whole board. So its weights work on
boards of any size; larger boards need proportionally more segments, because information travels further. A segment is
that of `hrm` or `trm`, with blocks

    x = norm(x + silu(gate x) * convolution of x by 3x3 matrices)
    x = norm(x + SwiGLU(x))

and the answer is read from z_H and from the cell's own token. Everything outside the board is zero and stays zero,
because no block has a bias. "End-to-end Algorithm Synthesis with Recurrent Networks" (arXiv 2202.05826) showed that
recurrent convolutions that see their input at every step generalise to larger mazes than in training. The two states,
the gate and halting are ours.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hrm_gym.agents.agent import Output, TaskSpec
from hrm_gym.agents.models.hrm import Cycles, TwoModules
from hrm_gym.agents.models.layers import Linear, rms_norm
from hrm_gym.agents.models.nodes import NodeAgent, NodeBlock, NodeNetwork, matrix, swiglu
from hrm_gym.agents.models.reading import Reader, same_symbols
from hrm_gym.agents.models.trm import OneNetwork, Recursion
from hrm_gym.agents.models.two_states import Carry
from hrm_gym.options import Options, number

COMPILED_SIZES = 3
"""Number of batch sizes to compile a network for: one for training, one for evaluation, one spare."""

LEAST_SURE = 16
"""Number of cells that halting reads."""

MOST_SURE = 10.0
"""Leads of a symbol, in logits, are clipped to this."""


@dataclasses.dataclass(frozen=True)
class Grid(Options):
    """Sizes of the blocks over a board."""

    hidden_size: int = number(48, least=1)
    """Features per cell, D."""
    mlp_size: int = number(64, least=1)
    """Inner width of the SwiGLU."""


class GridBlock(NodeBlock):
    """See `NodeBlock`."""

    NAMES = ("mix", "gate", "mlp_gate", "mlp_up", "mlp_down")

    def __init__(self, config: Any) -> None:
        super().__init__()
        size, inner = config.hidden_size, config.mlp_size
        self.mix, self.gate = matrix(size, 9 * size), matrix(size, size)
        self.mlp_gate, self.mlp_up, self.mlp_down = matrix(inner, size), matrix(inner, size), matrix(size, inner)


def refine(x: Tensor, injected: Tensor, weights: list[Tensor]) -> Tensor:
    """A network over boards: the next state from state and injected input, each (B, rows, columns, D)."""
    x = x + injected
    for first in range(0, len(weights), len(GridBlock.NAMES)):
        mix, gate, mlp_gate, mlp_up, mlp_down = weights[first : first + len(GridBlock.NAMES)]
        kernel = mix.unflatten(1, (3, 3, -1)).permute(0, 3, 1, 2)  # (D, D, 3, 3), features last in memory
        mixed = F.conv2d(x.permute(0, 3, 1, 2), kernel, padding=1).permute(0, 2, 3, 1)  # (B, rows, columns, D)
        x = rms_norm(x + F.silu(F.linear(x, gate)) * mixed)
        x = rms_norm(x + swiglu(x, mlp_gate, mlp_up, mlp_down))
    return x


class GridAgent(NodeAgent):
    """An agent that convolves the board; its positions are the cells. See `TwoStates`."""

    form = "neighbours"
    resizable = True

    def __init__(self, config: Any, spec: TaskSpec) -> None:
        super().__init__(config, spec)
        size = config.hidden_size
        self.num_features = LEAST_SURE
        self.read = Reader(spec, size)
        # A cell's own token often determines its answer: walls stay walls. Without this shortcut a network that finds
        # paths well may for a while get the single start cell wrong.
        self.prior = nn.Embedding(spec.num_tokens, spec.num_tokens)
        nn.init.zeros_(self.prior.weight)
        self.lm_head = Linear(size, spec.num_tokens)

    @classmethod
    def fits(cls, trained: TaskSpec, now: TaskSpec) -> bool:
        """On every board with the same symbols: the weights do not depend on its size."""
        return same_symbols(trained, now)

    @property
    def num_positions(self) -> int:
        """See `TwoStates`."""
        return self.spec.num_cells

    def module(self, num_layers: int) -> NodeNetwork:
        """See `TwoStates`."""
        return NodeNetwork([GridBlock(self.config) for _ in range(num_layers)], refine)

    def compiled(self, refine: Callable[..., Tensor], mode: str | None) -> Callable[..., Tensor]:
        """See `NodeAgent`: compiled for the first few batch sizes, uncompiled for others.

        The compiler needs a fixed batch size for convolutions, and compiling for the last few puzzles of an evaluation
        takes longer than running them. On a GPU this holds for a whole evaluation.
        """
        for_size, sizes = torch.compile(refine, dynamic=False, mode=mode), set[int]()

        def chosen(x: Tensor, *rest: Any) -> Tensor:
            if x.is_cuda and torch.is_inference_mode_enabled():
                return refine(x, *rest)
            if len(sizes) < COMPILED_SIZES:
                sizes.add(len(x))
            return for_size(x, *rest) if len(x) in sizes else refine(x, *rest)

        return chosen

    def forward(self, state: Carry, obs: Mapping[str, Tensor]) -> tuple[Carry, Output]:
        """See `Agent`."""
        x, z_h, z_l = (z.unflatten(1, self.spec.shape) for z in (self.read(obs).to(self.dtype), *state))
        z_h, z_l = (z.flatten(1, 2) for z in self.think(z_h, z_l, x, self.context()))
        logits = self.lm_head(z_h) + self.prior(obs["puzzle"])
        return Carry(z_h, z_l), Output(logits, sureness(logits.detach()))


def sureness(logits: Tensor) -> Tensor:
    """The input of the halting rule, (B, 16): the confidence of the 16 least certain cells, in increasing order.

    Confidence is the lead of a cell's first symbol over its second, in logits (B, L, V). A single wrong cell makes an
    answer wrong, whatever the board's size. Features pooled over the board would depend on its size, and an agent that
    halts by them stops at once on boards larger than in training.
    """
    best = logits.float().topk(2, dim=-1).values
    lead = (best[..., 0] - best[..., 1]).clamp(max=MOST_SURE)  # (B, L)
    lead = F.pad(lead, (0, LEAST_SURE), value=MOST_SURE)  # boards may have fewer cells
    return lead.topk(LEAST_SURE, largest=False).values


@dataclasses.dataclass(frozen=True)
class GridTRMConfig(Recursion, Grid):
    """Options of `trm_grid`."""


class GridTRM(OneNetwork, GridAgent):
    """`trm` with convolutions, for boards of any size."""

    Config = GridTRMConfig


@dataclasses.dataclass(frozen=True)
class GridHRMConfig(Cycles, Grid):
    """Options of `hrm_grid`."""


class GridHRM(TwoModules, GridAgent):
    """`hrm` with convolutions, for boards of any size."""

    Config = GridHRMConfig
