"""What agents of plain matrices share: weights cast once a segment, and one compiled function.

A *node* is whatever has a state of its own: in `grid` a cell of the board, in `symbols` a candidate (cell, symbol),
whose number varies from batch to batch.
"""

from __future__ import annotations

import abc
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hrm_gym.agents.models.layers import truncated_normal_
from hrm_gym.agents.models.two_states import TwoStates


class NodeBlock(nn.Module):
    """The weights of one block; a network's `refine` applies them."""

    NAMES: ClassVar[tuple[str, ...]]
    """Those that `refine` takes, in its order."""


def matrix(rows: int, columns: int) -> nn.Parameter:
    """A weight (rows, columns) whose products keep the size of what they are applied to."""
    return nn.Parameter(truncated_normal_(torch.empty(rows, columns), columns**-0.5))


def swiglu(x: Tensor, gate: Tensor, up: Tensor, down: Tensor) -> Tensor:
    """down(silu(gate x) * up x) of nodes, (..., D), by matrices in their type."""
    return F.linear(F.silu(F.linear(x, gate)) * F.linear(x, up), down)


class Context(NamedTuple):
    """What the networks need beside the states of the nodes."""

    structure: tuple[Any, ...]
    """Which nodes belong together: the last arguments of `refine`."""
    weights: dict[nn.Module, list[Tensor]]
    """Of each network, in the type of the activations: cast once a segment."""


class NodeNetwork(nn.Module):
    """A stack of blocks over nodes.

    Args:
        blocks: of one class.
        refine: gives the next state, (N, D), from the state, what is injected into it, the weights of all blocks in the
            order of `NAMES`, and the structure.
    """

    def __init__(self, blocks: Sequence[NodeBlock], refine: Callable[..., Tensor]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(blocks)
        self.refine = refine
        self._names = blocks[0].NAMES

    def cast(self, dtype: torch.dtype) -> list[Tensor]:
        """All weights in the type of the activations."""
        return [getattr(layer, name).to(dtype) for layer in self.layers for name in self._names]

    def forward(self, state: Tensor, injected: Tensor, context: Context) -> Tensor:
        """The next state, (N, D)."""
        return self.refine(state, injected, context.weights[self], *context.structure)


class NodeAgent(TwoStates, abc.ABC):
    """An agent whose networks run over a list of nodes. See `TwoStates`."""

    def networks(self) -> list[NodeNetwork]:
        """One, or one for each state."""
        return [module for module in self.modules() if isinstance(module, NodeNetwork)]

    def context(self, *structure: Any) -> Context:
        """Of a segment over nodes of this structure."""
        return Context(structure, {network: network.cast(self.dtype) for network in self.networks()})

    def matrices(self) -> list[nn.Parameter]:
        """See `Agent`: those of the blocks."""
        blocks = [module for module in self.modules() if isinstance(module, NodeBlock)]
        return [p for block in blocks for p in block.parameters() if p.ndim == 2]

    def compile(self, *args: Any, mode: str | None = None, **kwargs: Any) -> None:
        """Compile the networks alone; the rest is small."""
        networks = self.networks()
        compiled = self.compiled(networks[0].refine, mode)
        for network in networks:
            network.refine = compiled

    def compiled(self, refine: Callable[..., Tensor], mode: str | None) -> Callable[..., Tensor]:
        """What takes the place of `refine`: here for lists whose length changes with every batch."""
        return torch.compile(refine, dynamic=True, mode=mode)
