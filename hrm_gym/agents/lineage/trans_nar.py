"""TransNAR (Bounsi et al., arXiv 2406.09308): a transformer that attends to a graph network trained on an algorithm.

Idea: a *neural algorithmic reasoner*, a message-passing network, is trained to imitate an algorithm step by step. Then
it is frozen, and the tokens of a transformer cross-attend to its nodes through initially closed gates:

    nodes = nodes + MLP([nodes, token, max over neighbours of message(nodes)])        `nar_steps` times per segment
    z     = block(z);  z = z + tanh(gate) * attention(queries of z, keys and values of nodes)         in each layer

The graph joins cells that share a group or a link. It determines the algorithm (`algorithms`): propagation of
candidates in groups (Sudoku), or breadth-first search over links (mazes).

Carried: the nodes, (B, L, H), the algorithm's table, bool (B, L, C), and the number of segments. The transformer itself
carries nothing: only the algorithm continues from segment to segment.

Faithful: two phases, hints at every step, maximum as aggregation, the frozen reasoner, cross-attention in every layer,
gates from zero. Adapted: nodes are the board's cells, while the paper's tokens and nodes differ. Both phases are one
run: during `pretrain_steps` the reasoner learns from the hints (`Output.aux_loss`) and the transformer learns alone,
with closed gates. The reasoner is a simple max network instead of a triplet network. It learns only from the algorithm,
never from the solution.

Known failures: it needs a graph and a helpful algorithm; where propagation gets stuck (hard Sudokus), so does it. Set
`closed` to measure the contribution of the reasoner.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hrm_gym.agents.agent import Output, TaskSpec
from hrm_gym.agents.lineage.algorithms import Algorithm, Propagation, Spreading, neighbours_of
from hrm_gym.agents.models.board import Board
from hrm_gym.agents.models.layers import Block, Blocks, Linear, rms_norm, truncated_normal_
from hrm_gym.errors import HrmGymError
from hrm_gym.options import depth, number


@dataclasses.dataclass(frozen=True)
class TransNARConfig(Blocks):
    """Options of `trans_nar`."""

    layers: int = depth(2)
    """Number of blocks of the transformer, each followed by gated cross-attention to the reasoner."""
    node_size: int = number(64, least=1)
    """Features per node, H."""
    nar_steps: int = depth(2)
    """Steps of the algorithm per segment."""
    pretrain_steps: int = number(200, least=0)
    """Number of training steps before the reasoner is frozen and the gates may open."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.hidden_size % self.num_heads:
            raise HrmGymError(f"hidden_size {self.hidden_size} does not split into {self.num_heads} heads")


class Reasoned(NamedTuple):
    """The state between segments."""

    nodes: Tensor
    """Nodes of the reasoner, (B, L, H)."""
    table: Tensor
    """Table of the algorithm, bool (B, L, C)."""
    thought: Tensor
    """Number of segments, int64 (B,)."""


class Reasoner(nn.Module):
    """A message-passing network with the maximum over neighbours, and a head for the algorithm's bits."""

    neighbours: Tensor

    def __init__(self, num_tokens: int, size: int, num_bits: int, neighbours: Tensor) -> None:
        super().__init__()
        self.register_buffer("neighbours", neighbours, persistent=False)
        self.embed = nn.Embedding(num_tokens, size)
        self.message = nn.Linear(2 * size, size)
        self.update = nn.Sequential(nn.Linear(3 * size, 2 * size), nn.ReLU(), nn.Linear(2 * size, size))
        self.hint = nn.Linear(size, num_bits)

    def step(self, nodes: Tensor, puzzle: Tensor) -> Tensor:
        """One step, (B, L, H)."""
        token = self.embed(puzzle)
        message = F.relu(self.message(torch.cat((nodes, token), dim=-1)))  # non-negative, so padding (0) never wins
        padded = torch.cat((message, torch.zeros_like(message[:, :1])), dim=1)
        heard = padded[:, self.neighbours].amax(2)
        return rms_norm(nodes + self.update(torch.cat((nodes, token, heard), dim=-1)))


class Look(nn.Module):
    """Gated cross-attention of positions to nodes, initially closed.

    Queries and keys share a position embedding, so that a cell initially attends to its own node.
    """

    def __init__(self, size: int, node_size: int, num_heads: int, num_positions: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.query, self.key_value, self.out = Linear(size, size), Linear(node_size, 2 * size), Linear(size, size)
        self.place = nn.Parameter(torch.randn(num_positions, size))
        self.gate = nn.Parameter(torch.zeros(()))

    def forward(self, z: Tensor, nodes: Tensor) -> Tensor:
        """The update of z, (B, S, D), from the nodes, (B, L, H); the last L positions are the cells."""
        place = self.place.to(z.dtype)
        key, value = self.key_value(nodes).chunk(2, dim=-1)
        query, key = self.query(z) + place, key + place[-nodes.shape[1] :]
        query, key, value = (t.unflatten(-1, (self.num_heads, -1)).transpose(1, 2) for t in (query, key, value))
        seen = F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)
        return self.gate.tanh().to(z.dtype) * self.out(seen)


class TransNAR(Board):
    """TransNAR: tokens cross-attend to a graph network trained on an algorithm's steps (2406.09308)."""

    Config = TransNARConfig
    run_defaults = {"weight_decay": 0.1}  # noqa: RUF012 (as in Agent)
    trained: Tensor
    start: Tensor

    def __init__(self, config: Any, spec: TaskSpec) -> None:
        super().__init__(config, spec)
        # Added to the embedding: prefix positions would otherwise be zero, and a gate maps zero to zero.
        self.register_buffer("start", truncated_normal_(torch.empty(config.hidden_size), 1.0))
        c, neighbours = config, neighbours_of(spec)
        self.algorithm: Algorithm = Propagation(spec) if spec.groups else Spreading(spec, neighbours)
        self.reasoner = Reasoner(spec.num_tokens, c.node_size, self.algorithm.num_bits, neighbours)
        self.blocks = nn.ModuleList(Block(c, spec.shape) for _ in range(c.layers))
        sizes = c.hidden_size, c.node_size, c.num_heads, self.num_positions
        self.looks = nn.ModuleList(Look(*sizes) for _ in range(c.layers))
        self.register_buffer("trained", torch.zeros((), dtype=torch.long))  # training steps so far
        self.closed = False
        """Whether the gates are forced shut; studies set it."""

    def initial_state(self, num: int) -> Reasoned:
        """See `Agent`: all zero."""
        device, cells = self.trained.device, self.spec.num_cells
        return Reasoned(
            torch.zeros(num, cells, self.config.node_size, device=device),
            torch.zeros(num, cells, self.algorithm.num_bits, dtype=torch.bool, device=device),
            torch.zeros(num, dtype=torch.long, device=device),
        )

    def forward(self, state: Reasoned, obs: Mapping[str, Tensor]) -> tuple[Reasoned, Output]:
        """See `Agent`."""
        puzzle = obs["puzzle"]
        learning = int(self.trained) < self.config.pretrain_steps
        with torch.set_grad_enabled(torch.is_grad_enabled() and learning):
            nodes, table, error = self._reason(state, puzzle)
        z = self.embed(obs) + self.start.to(self.dtype)
        for block, look in zip(self.blocks, self.looks, strict=True):
            z = block(z, self.rotary)
            if not (learning or self.closed):
                z = rms_norm(z + look(z, nodes.detach().to(z.dtype)))
        if self.training and torch.is_grad_enabled():
            self.trained += 1
        return Reasoned(nodes, table, state.thought + 1), self.answer(z, error)

    def _reason(self, state: Reasoned, puzzle: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Nodes and table after a segment, and the mean loss of the hints, (B,)."""
        fresh = (state.thought == 0)[:, None, None]
        table = torch.where(fresh, self.algorithm.start(puzzle), state.table)
        nodes, error = state.nodes, torch.zeros(len(puzzle), device=puzzle.device)
        for _ in range(self.config.nar_steps):
            table = self.algorithm.step(puzzle, table)
            nodes = self.reasoner.step(nodes, puzzle)
            hints = F.binary_cross_entropy_with_logits(self.reasoner.hint(nodes), table.float(), reduction="none")
            error = error + hints.mean((1, 2)) / self.config.nar_steps
        return nodes, table, error
