"""Base of agents over nodes: weights are cast once per segment, and one function is compiled.

A *node* is a unit with its own state: a cell of the board in `grid`, a candidate (cell, symbol) in `symbols`. The
number of candidates varies from batch to batch.
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
    """Names of the weights, in the order that `refine` expects."""


def matrix(rows: int, columns: int) -> nn.Parameter:
    """A weight (rows, columns) whose products preserve the scale of their input."""
    return nn.Parameter(truncated_normal_(torch.empty(rows, columns), columns**-0.5))


def swiglu(x: Tensor, gate: Tensor, up: Tensor, down: Tensor) -> Tensor:
    """down(silu(gate x) * up x) of nodes, (..., D), in the type of the nodes."""
    return F.linear(F.silu(F.linear(x, gate)) * F.linear(x, up), down)


class Context(NamedTuple):
    """The inputs of the networks besides the states of the nodes."""

    structure: tuple[Any, ...]
    """The structure over the nodes: the last arguments of `refine`."""
    weights: dict[nn.Module, list[Tensor]]
    """The weights of each network in the type of the activations, cast once per segment."""


class NodeNetwork(nn.Module):
    """A stack of blocks over nodes.

    Args:
        blocks: blocks of one class.
        refine: computes the next state, (N, D), from the state, the injected input, the weights of all blocks in the
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
        """One network, or one for each state."""
        return [module for module in self.modules() if isinstance(module, NodeNetwork)]

    def context(self, *structure: Any) -> Context:
        """The context of a segment over nodes with this structure."""
        return Context(structure, {network: network.cast(self.dtype) for network in self.networks()})

    def matrices(self) -> list[nn.Parameter]:
        """See `Agent`: the matrices of the blocks."""
        blocks = [module for module in self.modules() if isinstance(module, NodeBlock)]
        return [p for block in blocks for p in block.parameters() if p.ndim == 2]

    def compile(self, *args: Any, mode: str | None = None, **kwargs: Any) -> None:
        """Compile only the networks; the rest is small."""
        networks = self.networks()
        compiled = self.compiled(networks[0].refine, mode)
        for network in networks:
            network.refine = compiled

    def compiled(self, refine: Callable[..., Tensor], mode: str | None) -> Callable[..., Tensor]:
        """The compiled form of `refine`; here for lists whose length changes with every batch."""
        return torch.compile(refine, dynamic=True, mode=mode)
