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
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hrm_gym.agents.agent import Output, TaskSpec
from hrm_gym.agents.models.candidates import Graph, build_graph, candidates
from hrm_gym.agents.models.gathering import pooled, spread
from hrm_gym.agents.models.hrm import Cycles, TwoModules
from hrm_gym.agents.models.layers import Linear, rms_norm, truncated_normal_
from hrm_gym.agents.models.nodes import NodeAgent, NodeBlock, NodeNetwork, matrix, swiglu
from hrm_gym.agents.models.padded import PaddedGraph, pad_graph
from hrm_gym.agents.models.trm import OneNetwork, Recursion
from hrm_gym.agents.models.two_states import Carry
from hrm_gym.errors import HrmGymError
from hrm_gym.options import Options, number

IMPOSSIBLE = -100.0
"""The logit of a symbol that a cell cannot hold."""


@dataclasses.dataclass(frozen=True)
class Nodes(Options):
    """Sizes of the blocks over candidates."""

    hidden_size: int = number(64, least=1)
    """Features a candidate, D."""
    message_size: int = number(64, least=1)
    """Features that are summed over a group, M."""
    mlp_size: int = number(128, least=1)
    """Inner width of the SwiGLU."""
    nodes_per_board: int = number(0, least=0)
    """Candidates a board that a training step has room for, on average over the batch; 0: a list as long as there are.
    With room all shapes are fixed, so that the host never waits for a GPU and the network is compiled once."""


class SymbolBlock(NodeBlock):
    """See `NodeBlock`."""

    NAMES = ("value", "gate", "mix", "out", "mlp_gate", "mlp_up", "mlp_down")

    def __init__(self, config: Any, num_kinds: int) -> None:
        super().__init__()
        size, messages, inner = config.hidden_size, config.message_size, config.mlp_size
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
        weights: of all blocks, in the order of `SymbolBlock.NAMES`.
        kinds: which of the matrices of `mix` each partition takes, K numbers.
        incidence: of the graph.
    """
    x = x + injected
    for first in range(0, len(weights), len(SymbolBlock.NAMES)):
        value, gate, mix, out, mlp_gate, mlp_up, mlp_down = weights[first : first + len(SymbolBlock.NAMES)]
        groups = pooled(F.linear(x, value), incidence)  # (K * G, M)
        mixes = torch.stack([mix[kind] for kind in kinds])  # an index that is a list would be sent to the device
        mixed = torch.bmm(groups.view(len(kinds), -1, groups.shape[-1]), mixes)  # (K, G, D)
        mixed = spread(mixed.flatten(0, 1), incidence)  # (N, D)
        x = rms_norm(x + F.linear(F.silu(F.linear(x, gate)) * mixed, out))
        x = rms_norm(x + swiglu(x, mlp_gate, mlp_up, mlp_down))
    return x


class SymbolAgent(NodeAgent):
    """An agent whose positions are the pairs of a cell and a symbol. See `TwoStates`.

    The states of all L * S pairs are carried; those that are no candidates stay as they were at first.

    Raises:
        HrmGymError: where the family names no groups, or has cells that are in none.
    """

    equivariant = True
    form = "groups"

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
        self.beyond: Tensor  # how many candidates the fullest batch had for which there was no room
        self.register_buffer("beyond", torch.tensor(0), persistent=False)

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
        # Rows and columns are alike; every other partition, and the cells, has a matrix of its own.
        context = self.context([0, *range(len(partitions))], graph.incidence)
        z_h, z_l = (graph.take(z) for z in state)  # (N, D)
        z_h, z_l = self.think(z_h, z_l, self.start.to(self.dtype), context)
        after = Carry(*(graph.put(old, z.detach()) for old, z in zip(state, (z_h, z_l), strict=True)))
        node_logits = self.symbol_head(z_h).float()  # (N, 1)
        symbols = torch.full_like(given, IMPOSSIBLE, dtype=torch.float).masked_fill(given, -IMPOSSIBLE)
        symbols = graph.put(symbols.view(len(puzzle), -1, 1), node_logits)
        logits = symbols.new_full((*puzzle.shape, self.spec.num_tokens), IMPOSSIBLE)
        logits = logits.index_copy(2, self.symbol_tokens, symbols.view(given.shape))  # (B, L, V)
        return after, Output(
            logits, self._features(F.silu(self.feature(z_h)), node_logits.detach(), graph, left, blank)
        )

    def _graph(self, left: Tensor, partitions: list[Tensor]) -> Graph | PaddedGraph:
        """That of the candidates `left`: in training of a fixed size, if that is asked for."""
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
        """See `NodeAgent`: graphs of a fixed size are compiled for it; lists, in evaluation, then stay as they are."""
        if not self.config.nodes_per_board:
            return super().compiled(refine, mode)
        fixed = torch.compile(refine, dynamic=False, mode=mode)

        def chosen(x: Tensor, *rest: Any) -> Tensor:
            return (fixed if len(rest[-1]) == 2 else refine)(x, *rest)

        return chosen

    def _features(
        self, of_nodes: Tensor, logits: Tensor, graph: Graph | PaddedGraph, left: Tensor, blank: Tensor
    ) -> Tensor:
        """What halting reads, (B, D): of every blank cell its chosen symbols' features, their mean and least summed.

        They are weighted by the probabilities of the symbols, through which no gradient goes.
        """
        batch, cells, symbols = left.shape
        table = graph.put(logits.new_full((batch, cells * symbols, 1), -torch.inf), logits)
        chosen = table.view(-1, symbols).softmax(-1)
        of_cells = graph.weighted(of_nodes, chosen, batch * cells).view(batch, cells, -1)
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
