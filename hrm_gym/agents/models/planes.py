"""`hrm` and `trm` with a state for every (cell, colour) pair, for board transformations given by examples (ARC).

A board has a plane for each of its colours: those that it shows, and those that answers may add. All cells and colours
share weights, so the network is equivariant under permutations of the colours except the background. In the symmetric
form it is also equivariant under the eight rotations and reflections of the board. Each task can learn to distinguish
colours by one vector per colour, initially zero. Together with a vector of the task, these take the place of HRM's
puzzle embedding. A segment is that of `hrm` or `trm`, with blocks

    y = mix * [features read from other nodes, see `planes_mixing`]
    x = norm(x + silu(gate x) * y)
    x = norm(x + SwiGLU(x))

One network for the planes of all colours is the idea of CompressARC (arXiv 2512.06104) and SE-RRM (arXiv 2603.02193).
Keeping only the present colours, reading mirror images, and thinking in cycles and segments is ours.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hrm_gym.agents.agent import Output, TaskSpec
from hrm_gym.agents.models.grid import LEAST_SURE, sureness
from hrm_gym.agents.models.hrm import Cycles, TwoModules
from hrm_gym.agents.models.nodes import NodeAgent, NodeBlock, NodeNetwork, matrix
from hrm_gym.agents.models.planes_fused import GatedNorm, GatedProduct, SumNorm
from hrm_gym.agents.models.planes_layout import Layout, lay_out
from hrm_gym.agents.models.planes_loops import KEYS, WIDTH
from hrm_gym.agents.models.planes_mixing import Reading, num_read
from hrm_gym.agents.models.planes_objects import NUM_FEATURES
from hrm_gym.agents.models.planes_traced import TracedLayout, trace_layout
from hrm_gym.agents.models.trm import OneNetwork, Recursion
from hrm_gym.agents.models.two_states import Carry
from hrm_gym.errors import HrmGymError
from hrm_gym.options import Options, number

PRIOR = 2.0
"""Initial lead, in logits, of the colour that a cell shows."""


@dataclasses.dataclass(frozen=True)
class Planes(Options):
    """Sizes of the blocks over planes, and what they distinguish."""

    hidden_size: int = number(24, least=WIDTH)
    """Features per node, D: a multiple of 8."""
    mlp_size: int = number(48, least=1)
    """Inner width of the SwiGLU."""
    form: Literal["symmetric", "directional"] = "symmetric"
    """`symmetric`: equivariant under rotations and reflections. `directional`: distinguishes left, right, above and
    below."""
    colour_names: bool = True
    """Learn one vector per colour and task; without them only the background is distinguished."""

    objects: bool = True
    """Give each node features of its cell's object, such as its size and whether it is the largest."""
    views: int = number(1, least=1)
    """Number of views of a puzzle, stacked vertically on the canvas, each as large as the answer. The answer is read
    from the first."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.hidden_size % WIDTH:
            raise HrmGymError(f"hidden_size is {self.hidden_size}: give a multiple of {WIDTH}")


class PlanesBlock(NodeBlock):
    """See `NodeBlock`."""

    NAMES = ("keys_gate", "mix", "mlp_gate_up", "mlp_down")

    def __init__(self, config: Any) -> None:
        super().__init__()
        size, inner = config.hidden_size, config.mlp_size
        self.keys_gate = matrix(KEYS * WIDTH + size, size)
        self.mix = matrix(size, num_read(size, config.form == "directional"))
        self.mlp_gate_up, self.mlp_down = matrix(2 * inner, size), matrix(size, inner)


def refine(
    x: Tensor, injected: Tensor, weights: list[Tensor], layout: Layout | TracedLayout, directional: bool
) -> Tensor:
    """A network over nodes: the next state from state and injected input, each (N, D)."""
    if isinstance(layout, TracedLayout):
        return layout.refine(x, injected, weights, directional)
    x = x + injected
    for first in range(0, len(weights), len(PlanesBlock.NAMES)):
        keys_gate, mix, mlp_gate_up, mlp_down = weights[first : first + len(PlanesBlock.NAMES)]
        keys, gate = F.linear(x, keys_gate).split((KEYS * WIDTH, x.shape[1]), dim=1)
        read = Reading.apply(x, torch.tanh(keys), layout.boards, directional)
        x = GatedNorm.apply(x, gate, F.linear(read, mix))
        x = SumNorm.apply(x, F.linear(GatedProduct.apply(F.linear(x, mlp_gate_up)), mlp_down))
    return x


class PlanesAgent(NodeAgent):
    """An agent whose positions are (cell, colour) pairs. See `TwoStates`.

    It carries the states of all L * C pairs; those of absent colours keep their initial value. Nodes are always mixed
    on the CPU in float32, whatever the agent's device.
    """

    form = "neighbours"

    def __init__(self, config: Any, spec: TaskSpec) -> None:
        super().__init__(config, spec)
        size = config.hidden_size
        self.num_features = LEAST_SURE
        self.colours = spec.colours or tuple(range(spec.num_tokens))
        """Tokens with a plane, the background first."""
        self.read = matrix(size, 2 * config.views + 1)
        # Initially zero, so that neighbours and lines explain what they can before properties of objects do.
        self.read_objects = nn.Parameter(torch.zeros(size, NUM_FEATURES)) if config.objects else None
        # The embedding of a task: one vector, and one per colour. A batch uses few tasks, so the gradient is sparse.
        vectors = 1 + len(self.colours) * config.colour_names
        self.embed_task = nn.Embedding(max(1, spec.num_identities), vectors * size, sparse=spec.num_identities > 0)
        nn.init.zeros_(self.embed_task.weight)
        self.head = nn.Parameter(torch.zeros(1, size))
        self.prior = nn.Parameter(torch.full((config.views,), PRIOR / config.views))
        self.added: Tensor  # colours that a board has even if it does not show them, bool (C,)
        self.register_buffer("added", torch.ones(len(self.colours), dtype=torch.bool))
        self._layout: Layout | None = None

    @classmethod
    def fits(cls, trained: TaskSpec, now: TaskSpec) -> bool:
        """On every board with the same symbols and tasks: the weights do not depend on its size."""
        return (trained.num_tokens, trained.num_identities) == (now.num_tokens, now.num_identities)

    @property
    def num_positions(self) -> int:
        """See `TwoStates`."""
        return self.spec.num_cells // self.config.views * len(self.colours)

    def module(self, num_layers: int) -> NodeNetwork:
        """See `TwoStates`."""
        return NodeNetwork([PlanesBlock(self.config) for _ in range(num_layers)], refine)

    def compile(self, *args: Any, mode: str | None = None, **kwargs: Any) -> None:
        """Does nothing: besides the loops of `planes_mixing` there are only matrix products."""

    def forward(self, state: Carry, obs: Mapping[str, Tensor]) -> tuple[Carry, Output]:
        """See `Agent`."""
        layout = self.layout(obs["puzzle"])
        identity = obs["puzzle_id"] if self.spec.num_identities else torch.zeros_like(obs["puzzle"][:, 0])
        task = self.embed_task(identity)
        z_h, z_l = (layout.take(z) for z in state)
        z_h, z_l = self.think(z_h, z_l, self._embed(layout, task), self.context(layout, self._directional))
        after = Carry(*(layout.put(old, z.detach()) for old, z in zip(state, (z_h, z_l), strict=True)))
        logits = layout.logits(F.linear(z_h, self.head).squeeze(-1) + layout.shown @ self.prior)
        return after, Output(logits, sureness(logits.detach()))

    def layout(self, puzzle: Tensor) -> Layout | TracedLayout:
        """The nodes of the boards, cached for the next segment on the same puzzles."""
        if torch.compiler.is_exporting():
            return trace_layout(puzzle, self.spec, self.colours, self.config.views, self.added)
        if self._layout is None or not self._layout.suits(puzzle, self.added):
            self._layout = lay_out(puzzle, self.spec, self.colours, self.config.views, self.added)
        return self._layout

    @property
    def _directional(self) -> bool:
        return self.config.form == "directional"

    def _embed(self, layout: Layout | TracedLayout, task: Tensor) -> Tensor:
        """The injected input of every node, (N, D), from the task embeddings of all boards, (B, ...)."""
        size = self.config.hidden_size
        x = F.linear(torch.cat((layout.shown, layout.others, layout.background.unsqueeze(-1)), dim=-1), self.read)
        if self.read_objects is not None:
            x = x + F.linear(layout.objects, self.read_objects)
        return layout.with_task(x, task.unflatten(1, (-1, size)), self.config.colour_names)


@dataclasses.dataclass(frozen=True)
class PlanesTRMConfig(Recursion, Planes):
    """Options of `trm_planes`."""


class PlanesTRM(OneNetwork, PlanesAgent):
    """`trm` with a state for every (cell, colour) pair."""

    Config = PlanesTRMConfig


@dataclasses.dataclass(frozen=True)
class PlanesHRMConfig(Cycles, Planes):
    """Options of `hrm_planes`."""


class PlanesHRM(TwoModules, PlanesAgent):
    """`hrm` with a state for every (cell, colour) pair."""

    Config = PlanesHRMConfig
