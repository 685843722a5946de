"""`hrm` and `trm` with a state for every candidate (cell, symbol), for puzzles whose rules are groups such as Sudoku's.

The network knows which candidates share a group and nothing else: neither digits nor places. So it gives the same
answer under every relabelling, permutation of rows and columns and transposition of the puzzle, need not learn them
from examples, and its weights run on a board of any size. A segment is that of `hrm` or `trm`, with blocks

    p_k[g] = sum of (value x)[n] over the nodes n of group g of partition k
    y[n]   = sum over k of mix_k p_k[the group of n in partition k]
    x      = norm(x + out(silu(gate x) * y))
    x      = norm(x + SwiGLU(x))

The first two partitions, rows and columns, share a matrix, since to transpose a Sudoku changes nothing. A state for
every (cell, symbol), with weights shared over symbols, is the idea of SE-RRM (arXiv 2603.02193); to keep candidates
alone and to sum over groups is ours.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hrm_gym.agents.agent import Output, TaskSpec
from hrm_gym.agents.models.candidates import Graph, Sums, build_graph, candidates
from hrm_gym.agents.models.hrm import Cycles, TwoModules
from hrm_gym.agents.models.layers import Linear, rms_norm, truncated_normal_
from hrm_gym.agents.models.trm import OneNetwork, Recursion
from hrm_gym.agents.models.two_states import Carry, TwoStates
from hrm_gym.errors import HrmGymError
from hrm_gym.options import Options, number

IMPOSSIBLE = -100.0
"""The logit of a symbol that is no candidate."""


@dataclasses.dataclass(frozen=True)
class Nodes(Options):
    """Sizes of the blocks over candidates."""

    hidden_size: int = number(64, least=1)
    """Features a candidate, D."""
    message_size: int = number(64, least=1)
    """Features that are summed over a group, M."""
    mlp_size: int = number(128, least=1)
    """Inner width of the SwiGLU."""


class Context(NamedTuple):
    """What the networks need beside the states of the nodes."""

    graph: Graph
    weights: dict[nn.Module, list[Tensor]]
    """Of each network, in the type of the activations: cast once a segment."""


class NodeBlock(nn.Module):
    """The weights of one block; `refine` applies them."""

    NAMES = ("value", "gate", "mix", "out", "mlp_gate", "mlp_up", "mlp_down")

    def __init__(self, config: Any, num_kinds: int) -> None:
        super().__init__()
        size, messages, inner = config.hidden_size, config.message_size, config.mlp_size

        def matrix(rows: int, columns: int) -> nn.Parameter:
            return nn.Parameter(truncated_normal_(torch.empty(rows, columns), columns**-0.5))

        self.value, self.gate, self.out = matrix(messages, size), matrix(size, size), matrix(size, size)
        # A group has some four candidates and a node four groups: their sum begins at a size of about one.
        mix = truncated_normal_(torch.empty(num_kinds, messages, size), (16 * messages) ** -0.5)
        self.mix = nn.Parameter(mix)
        self.mlp_gate, self.mlp_up, self.mlp_down = matrix(inner, size), matrix(inner, size), matrix(size, inner)


def refine(
    x: Tensor, injected: Tensor, weights: list[Tensor], kinds: list[int], incidence: tuple[Tensor, ...]
) -> Tensor:
    """A network over nodes: the next state, (N, D), from the state and what is injected into it.

    Args:
        x: the state, (N, D).
        injected: (N, D).
        weights: of all blocks, in the order of `NodeBlock.NAMES`.
        kinds: which of the matrices of `mix` each partition takes, K numbers.
        incidence: of the graph.
    """
    member, member_offsets, group, group_offsets = incidence
    x = x + injected
    for first in range(0, len(weights), len(NodeBlock.NAMES)):
        value, gate, mix, out, mlp_gate, mlp_up, mlp_down = weights[first : first + len(NodeBlock.NAMES)]
        pooled = Sums.apply(F.linear(x, value), member, member_offsets, group, group_offsets)  # (K * G, M)
        mixed = torch.bmm(pooled.view(len(kinds), -1, pooled.shape[-1]), mix[kinds])  # (K, G, D)
        mixed = Sums.apply(mixed.flatten(0, 1), group, group_offsets, member, member_offsets)  # (N, D)
        x = rms_norm(x + F.linear(F.silu(F.linear(x, gate)) * mixed, out))
        x = rms_norm(x + F.linear(F.silu(F.linear(x, mlp_gate)) * F.linear(x, mlp_up), mlp_down))
    return x


class NodeNetwork(nn.Module):
    """A stack of blocks over nodes."""

    def __init__(self, config: Any, num_layers: int, num_partitions: int) -> None:
        super().__init__()
        # Rows and columns are alike; every other partition, and the cells, has a matrix of its own.
        self.kinds = [0, *range(num_partitions)]
        self.layers = nn.ModuleList(NodeBlock(config, num_partitions) for _ in range(num_layers))
        self.refine = refine

    def cast(self, dtype: torch.dtype) -> list[Tensor]:
        """All weights in the type of the activations."""
        return [getattr(layer, name).to(dtype) for layer in self.layers for name in NodeBlock.NAMES]

    def forward(self, state: Tensor, injected: Tensor, context: Context) -> Tensor:
        """The next state, (N, D)."""
        return self.refine(state, injected, context.weights[self], self.kinds, context.graph.incidence)


class SymbolAgent(TwoStates):
    """An agent whose positions are the pairs of a cell and a symbol. See `TwoStates`.

    The states of all L * S pairs are carried; those that are no candidates stay as they were at first.

    Raises:
        HrmGymError: where the family names no groups, or has cells that are in none.
    """

    equivariant = True

    def __init__(self, config: Any, spec: TaskSpec) -> None:
        _check(spec)
        super().__init__(config, spec)
        size = config.hidden_size
        self.start = nn.Parameter(truncated_normal_(torch.empty(size), 1.0))  # what is injected into every node
        self.symbol_head = Linear(size, 1)
        self.feature = Linear(size, size)
        for i, groups in enumerate(spec.groups):
            self.register_buffer(f"groups_{i}", torch.as_tensor(groups).long(), persistent=False)
        self.symbol_tokens: Tensor
        self.register_buffer("symbol_tokens", torch.tensor(spec.group_symbols), persistent=False)

    @classmethod
    def fits(cls, trained: TaskSpec, now: TaskSpec) -> bool:
        """On every board with groups: the weights know nothing of its size."""
        return len(now.groups) > 0

    @property
    def num_positions(self) -> int:
        """See `TwoStates`."""
        return self.spec.num_cells * len(self.spec.group_symbols)

    def module(self, num_layers: int) -> NodeNetwork:
        """See `TwoStates`."""
        return NodeNetwork(self.config, num_layers, len(self.spec.groups))

    def matrices(self) -> list[nn.Parameter]:
        """See `Agent`: those of the blocks."""
        blocks = [module for module in self.modules() if isinstance(module, NodeBlock)]
        return [p for block in blocks for p in block.parameters() if p.ndim == 2]

    def compile(self, *args: Any, **kwargs: Any) -> None:
        """Compile the networks alone: the number of nodes changes with every batch, and the rest is small."""
        compiled = torch.compile(refine, dynamic=True)
        for module in self.modules():
            if isinstance(module, NodeNetwork):
                module.refine = compiled

    def forward(self, state: Carry, obs: Mapping[str, Tensor]) -> tuple[Carry, Output]:
        """See `Agent`."""
        puzzle = obs["puzzle"]
        given = torch.eq(puzzle.unsqueeze(-1), self.symbol_tokens)  # (B, L, S)
        blank = torch.eq(puzzle, self.spec.blank)
        partitions = [getattr(self, f"groups_{i}") for i in range(len(self.spec.groups))]
        left = candidates(given, blank, partitions)
        graph = build_graph(left, partitions)
        networks = [module for module in self.modules() if isinstance(module, NodeNetwork)]
        context = Context(graph, {network: network.cast(self.dtype) for network in networks})
        z_h, z_l = (z.flatten(0, 1)[graph.node] for z in state)  # (N, D)
        z_h, z_l = self.think(z_h, z_l, self.start.to(self.dtype), context)
        after = Carry(*(_placed(old, graph.node, z) for old, z in zip(state, (z_h, z_l), strict=True)))
        node_logits = self.symbol_head(z_h)[:, 0].float()
        symbols = (
            torch.full_like(given, IMPOSSIBLE, dtype=torch.float)
            .masked_fill(given, -IMPOSSIBLE)
            .flatten()
            .index_copy(0, graph.node, node_logits)
        )
        logits = symbols.new_full((*puzzle.shape, self.spec.num_tokens), IMPOSSIBLE)
        logits = logits.index_copy(2, self.symbol_tokens, symbols.view(given.shape))  # (B, L, V)
        return after, Output(logits, self._features(z_h, node_logits, graph, left, blank))

    def _features(self, z_h: Tensor, logits: Tensor, graph: Graph, left: Tensor, blank: Tensor) -> Tensor:
        """What halting reads, (B, D): of every blank cell its chosen symbols' features, their mean and least summed.

        They are weighted by the probabilities of the symbols, through which no gradient goes.
        """
        batch, cells, symbols = left.shape
        table = logits.detach().new_full((left.numel(),), -torch.inf).index_copy(0, graph.node, logits.detach())
        chosen = table.view(-1, symbols).softmax(-1).flatten()[graph.node]  # (N,)
        features = F.silu(self.feature(z_h)).float() * chosen.unsqueeze(-1)  # (N, D)
        of_cells = features.new_zeros(batch * cells, features.shape[1])
        of_cells = of_cells.index_add(0, graph.node // symbols, features).view(batch, cells, -1)
        mean = of_cells.sum(1) / blank.sum(1, keepdim=True).clamp_min(1)
        least = of_cells.masked_fill(~blank.unsqueeze(-1), torch.inf).amin(1)
        return mean + least.masked_fill(~blank.any(1, keepdim=True), 0.0)


def _placed(state: Tensor, node: Tensor, new: Tensor) -> Tensor:
    """The states of all pairs, (B, L * S, D), with those of the nodes replaced."""
    return state.flatten(0, 1).index_copy(0, node, new.detach()).view(state.shape)


def _check(spec: TaskSpec) -> None:
    if not spec.groups:
        raise HrmGymError(
            "this agent mixes the symbols of cells over groups that hold each symbol once, and this puzzle names no "
            "groups: choose another --agent, or give its Task `groups` and `group_symbols`"
        )
    every = np.arange(spec.num_cells)
    if any(not np.array_equal(np.sort(groups, axis=None), every) for groups in spec.groups):
        raise HrmGymError(
            "this agent knows no rules but the groups of the puzzle, and here some cells are in none of them: choose "
            "another --agent"
        )


@dataclasses.dataclass(frozen=True)
class SymbolTRMConfig(Recursion, Nodes):
    """Options of `trm_symbols`."""


class SymbolTRM(OneNetwork, SymbolAgent):
    """`trm` with a state for every candidate (cell, symbol), for puzzles whose rules are groups."""

    Config = SymbolTRMConfig


@dataclasses.dataclass(frozen=True)
class SymbolHRMConfig(Cycles, Nodes):
    """Options of `hrm_symbols`."""


class SymbolHRM(TwoModules, SymbolAgent):
    """`hrm` with a state for every candidate (cell, symbol), for puzzles whose rules are groups."""

    Config = SymbolHRMConfig
