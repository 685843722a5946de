"""`hrm` and `trm` with a state for every candidate (cell, symbol), for puzzles with groups, such as Sudoku.

The network knows only which candidates share a group; it knows neither digits nor positions. So it is equivariant under
relabelling, permutation of rows and columns, and transposition without learning these from examples, and its weights
work on boards of any size. A segment is that of `hrm` or `trm`, with blocks

    p_k[g] = sum of (value x)[n] over the nodes n of group g of partition k
    y[n]   = sum over k of mix_k p_k[the group of n in partition k]
    x      = norm(x + out(silu(gate x) * y))
    x      = norm(x + SwiGLU(x))

Rows and columns, the first two partitions, share a matrix, because transposition is a symmetry of Sudoku. A state for
every (cell, symbol) with weights shared over symbols is the idea of SE-RRM (arXiv 2603.02193). Keeping only candidates
and summing over groups is ours.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hrm_gym import apple
from hrm_gym.agents.agent import Output, TaskSpec
from hrm_gym.agents.models.candidates import Graph, build_graph, candidates
from hrm_gym.agents.models.gathering import pooled, spread
from hrm_gym.agents.models.hrm import Cycles, TwoModules
from hrm_gym.agents.models.layers import Linear, rms_norm, truncated_normal_
from hrm_gym.agents.models.nodes import NodeAgent, NodeBlock, NodeNetwork, matrix, swiglu
from hrm_gym.agents.models.padded import PaddedGraph, pad_graph
from hrm_gym.agents.models.traced import TracedGraph, trace_graph
from hrm_gym.agents.models.trm import OneNetwork, Recursion
from hrm_gym.agents.models.two_states import Carry
from hrm_gym.errors import HrmGymError
from hrm_gym.options import Options, number

AnyGraph = Graph | PaddedGraph | TracedGraph

IMPOSSIBLE = -100.0
"""The logit of a symbol that a cell cannot hold."""


@dataclasses.dataclass(frozen=True)
class Nodes(Options):
    """Sizes of the blocks over candidates."""

    hidden_size: int = number(64, least=1)
    """Features per candidate, D."""
    message_size: int = number(64, least=1)
    """Features summed over a group, M."""
    mlp_size: int = number(128, least=1)
    """Inner width of the SwiGLU."""
    nodes_per_board: int = number(0, least=0)
    """Room for candidates in a training step, per board, averaged over the batch. All shapes are then fixed, so the
    host never waits for the GPU and the network is compiled once. 0: no fixed room, lists of exact length."""


class SymbolBlock(NodeBlock):
    """See `NodeBlock`."""

    NAMES = ("value", "gate", "mix", "out", "mlp_gate", "mlp_up", "mlp_down")

    def __init__(self, config: Any, num_kinds: int) -> None:
        super().__init__()
        size, messages, inner = config.hidden_size, config.message_size, config.mlp_size
        self.value, self.gate, self.out = matrix(messages, size), matrix(size, size), matrix(size, size)
        # About four candidates per group and four groups per node: this gives their sum an initial scale of one.
        mix = truncated_normal_(torch.empty(num_kinds, messages, size), (16 * messages) ** -0.5)
        self.mix = nn.Parameter(mix)
        self.mlp_gate, self.mlp_up, self.mlp_down = matrix(inner, size), matrix(inner, size), matrix(size, inner)


def refine(
    x: Tensor, injected: Tensor, weights: list[Tensor], kinds: list[int], incidence: tuple[Tensor, ...]
) -> Tensor:
    """A network over nodes: the next state, (N, D), from state and injected input.

    Args:
        x: the state, (N, D).
        injected: the injected input, (N, D).
        weights: the weights of all blocks, in the order of `SymbolBlock.NAMES`.
        kinds: index of the `mix` matrix of each partition, K integers.
        incidence: the graph's.
    """
    x = x + injected
    for first in range(0, len(weights), len(SymbolBlock.NAMES)):
        value, gate, mix, out, mlp_gate, mlp_up, mlp_down = weights[first : first + len(SymbolBlock.NAMES)]
        groups = pooled(F.linear(x, value), incidence)  # (K * G, M)
        mixes = torch.stack([mix[kind] for kind in kinds])  # indexing by a list would copy it to the device
        mixed = torch.bmm(groups.view(len(kinds), -1, groups.shape[-1]), mixes)  # (K, G, D)
        mixed = spread(mixed.flatten(0, 1), incidence)  # (N, D)
        x = rms_norm(x + F.linear(F.silu(F.linear(x, gate)) * mixed, out))
        x = rms_norm(x + swiglu(x, mlp_gate, mlp_up, mlp_down))
    return x


class SymbolAgent(NodeAgent):
    """An agent whose positions are (cell, symbol) pairs. See `TwoStates`.

    It carries the states of all L * S pairs; pairs that are not candidates keep their initial state.

    Raises:
        HrmGymError: if the family has no groups, or a cell belongs to none.
    """

    equivariant = True
    form = "groups"

    def __init__(self, config: Any, spec: TaskSpec) -> None:
        _check(spec)
        super().__init__(config, spec)
        size = config.hidden_size
        self.start = nn.Parameter(truncated_normal_(torch.empty(size), 1.0))  # the injected input of every node
        self.symbol_head = Linear(size, 1)
        self.feature = Linear(size, size)
        for i, groups in enumerate(spec.groups):
            self.register_buffer(f"groups_{i}", torch.as_tensor(groups).long(), persistent=False)
        self.symbol_tokens: Tensor
        self.register_buffer("symbol_tokens", torch.tensor(spec.group_symbols), persistent=False)
        self.beyond: Tensor  # the largest number of candidates of a batch beyond the room
        self.register_buffer("beyond", torch.tensor(0), persistent=False)

    @classmethod
    def fits(cls, trained: TaskSpec, now: TaskSpec) -> bool:
        """On every board with groups: the weights do not depend on its size."""
        return len(now.groups) > 0

    @property
    def num_positions(self) -> int:
        """See `TwoStates`."""
        return self.spec.num_cells * len(self.spec.group_symbols)

    def module(self, num_layers: int) -> NodeNetwork:
        """See `TwoStates`."""
        kinds = len(self.spec.groups)
        return NodeNetwork([SymbolBlock(self.config, kinds) for _ in range(num_layers)], refine)

    def forward(self, state: Carry, obs: Mapping[str, Tensor]) -> tuple[Carry, Output]:
        """See `Agent`."""
        puzzle = obs["puzzle"]
        given = torch.eq(puzzle.unsqueeze(-1), self.symbol_tokens)  # (B, L, S)
        blank = torch.eq(puzzle, self.spec.blank)
        partitions = [getattr(self, f"groups_{i}") for i in range(len(self.spec.groups))]
        left = candidates(given, blank, partitions)
        graph = self._graph(left, partitions)
        # Rows and columns share a matrix; every other partition, and the cells, has its own.
        context = self.context([0, *range(len(partitions))], graph.incidence)
        z_h, z_l = (graph.take(z) for z in state)  # (N, D)
        z_h, z_l = self.think(z_h, z_l, self.start.to(self.dtype), context)
        after = Carry(*(graph.put(old, z.detach()) for old, z in zip(state, (z_h, z_l), strict=True)))
        node_logits = self.symbol_head(z_h).float()  # (N, 1)
        symbols = torch.full_like(given, IMPOSSIBLE, dtype=torch.float).masked_fill(given, -IMPOSSIBLE)
        symbols = graph.put(symbols.flatten(1).unsqueeze(-1), node_logits)
        logits = symbols.new_full((*puzzle.shape, self.spec.num_tokens), IMPOSSIBLE)
        logits = logits.index_copy(2, self.symbol_tokens, symbols.view(given.shape))  # (B, L, V)
        return after, Output(
            logits, self._features(F.silu(self.feature(z_h)), node_logits.detach(), graph, left, blank)
        )

    def _graph(self, left: Tensor, partitions: list[Tensor]) -> AnyGraph:
        """The graph of the candidates `left`; of fixed size in training if configured."""
        if torch.compiler.is_exporting() or apple.is_apple(left.device):
            return trace_graph(left, partitions)
        if not (self.training and self.config.nodes_per_board):
            return build_graph(left, partitions)
        room = len(left) * min(self.config.nodes_per_board, self.num_positions)
        self.beyond.copy_(torch.maximum(self.beyond, left.sum() - room))
        return pad_graph(left, partitions, room)

    def check(self) -> None:
        """See `Agent`."""
        if (beyond := int(self.beyond)) > 0:
            raise HrmGymError(
                f"there was a batch with {beyond:,} candidates more than --nodes-per-board "
                f"{self.config.nodes_per_board} leaves room for, which were not thought about: give a larger one, or 0"
            )

    def compiled(self, refine: Callable[..., Tensor], mode: str | None) -> Callable[..., Tensor]:
        """See `NodeAgent`: with graphs of fixed size, lists (in evaluation) stay uncompiled."""
        if not self.config.nodes_per_board:
            return super().compiled(refine, mode)
        fixed = torch.compile(refine, dynamic=False, mode=mode)

        def chosen(x: Tensor, *rest: Any) -> Tensor:
            return (fixed if len(rest[-1]) == 2 else refine)(x, *rest)

        return chosen

    def _features(self, of_nodes: Tensor, logits: Tensor, graph: AnyGraph, left: Tensor, blank: Tensor) -> Tensor:
        """The input of the halting rule, (B, D): the mean plus the minimum over blank cells of their symbols' features.

        Symbols are weighted by their probabilities, without gradient.
        """
        batch, cells, symbols = left.shape
        table = graph.put(logits.new_full((batch, cells * symbols, 1), -torch.inf), logits)
        chosen = table.view(batch * cells, symbols).softmax(-1)
        of_cells = graph.weighted(of_nodes, chosen, batch * cells).view(batch, cells, of_nodes.shape[1])
        mean = of_cells.sum(1) / blank.sum(1, keepdim=True).clamp_min(1)
        least = of_cells.masked_fill(~blank.unsqueeze(-1), torch.inf).amin(1)
        return mean + least.masked_fill(~blank.any(1, keepdim=True), 0.0)


def _check(spec: TaskSpec) -> None:
    if not spec.groups:
        raise HrmGymError(
            "this agent mixes the symbols of cells over groups that hold each symbol once, and this puzzle names no "
            "groups: choose another --agent, or give its Task `groups` and `group_symbols`"
        )
    every = np.arange(spec.num_cells)
    if any(not np.array_equal(np.sort(groups, axis=None), every) for groups in spec.groups):
        raise HrmGymError(
            "this agent knows only rules that are groups, and some cells of this puzzle are in no group: choose "
            "another --agent"
        )


@dataclasses.dataclass(frozen=True)
class SymbolTRMConfig(Recursion, Nodes):
    """Options of `trm_symbols`."""


class SymbolTRM(OneNetwork, SymbolAgent):
    """`trm` with a state for every candidate (cell, symbol), for puzzles with groups."""

    Config = SymbolTRMConfig


@dataclasses.dataclass(frozen=True)
class SymbolHRMConfig(Cycles, Nodes):
    """Options of `hrm_symbols`."""


class SymbolHRM(TwoModules, SymbolAgent):
    """`hrm` with a state for every candidate (cell, symbol), for puzzles with groups."""

    Config = SymbolHRMConfig
