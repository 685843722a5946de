"""The Neural GPU (Kaiser and Sutskever, arXiv 1511.08228): a convolutional gated unit, applied repeatedly.

Idea: the state is an image of the board. At every step the same convolutional gated recurrent unit (CGRU) computes all
cells from their neighbours. A segment has as many steps as a message needs to cross the board. So the same weights work
on longer inputs with more steps, and can learn algorithms such as addition.

    gate  = sigmoid(U * s),  reset = sigmoid(R * s)
    s     = gate s' + (1 - gate) tanh(C * (reset s))

Faithful: the puzzle is read only once, into the first image; s' is s; the gradient runs through all steps of a segment.
`gates="hard"` and `shifts=True` add the improvements of Freivalds and Liepins (arXiv 1702.08727), which learn addition
faster and generalise better: piecewise linear gates with a cost for saturation, and s' with part of the features of s
shifted by one cell each way ("diagonal gates"), so that symbols move without being recomputed. Left out: the original's
sets of weights that are annealed into one, and its noise.

Adapted: the image has the shape of the board instead of four lines; on boards with several rows features also shift up
and down; an episode has several segments, which carry the image.

Known failure: few seeds generalise to much longer inputs, and long carries fail first (arXiv 1611.00736).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hrm_gym.agents.agent import Agent, Output, TaskSpec
from hrm_gym.agents.models.reading import Reader, begin, same_symbols
from hrm_gym.options import Options, depth, number, share

SATURATED = 0.9
"""A hard gate counts as saturated when the absolute value of its input exceeds this."""


@dataclasses.dataclass(frozen=True)
class NeuralGPUConfig(Options):
    """Options of `neural_gpu`."""

    width: int = number(48, least=5)
    """Features per cell."""
    steps: int = depth(0, least=0)
    """Applications of the unit per segment; 0: rows + columns, enough for a message to cross the board."""
    gates: Literal["soft", "hard"] = "soft"
    """Gate functions: sigmoid and tanh (`soft`), or piecewise linear (`hard`)."""
    shifts: bool = False
    """Shift part of the carried features by one cell at every step."""
    saturation_cost: float = number(1e-3, least=0)
    """Weight of the mean excess of the gates' inputs over 0.9 (only with hard gates)."""
    dropout: float = share(0.0)
    """Dropout rate of the candidate features in training."""


class NeuralGPU(Agent):
    """Neural GPU: a convolutional gated unit, applied repeatedly (arXiv 1511.08228, 1702.08727)."""

    Config = NeuralGPUConfig
    run_defaults = {  # noqa: RUF012 (as in Agent)
        **{"lr": 3e-3, "weight_decay": 0.01, "beta2": 0.99, "loss": "softmax", "clip": 1.0, "ema": 0.99},
    }

    def __init__(self, config: Any, spec: TaskSpec) -> None:
        super().__init__(config, spec)
        size = config.width
        self.num_features = size
        self.steps = config.steps or spec.rows + spec.columns
        self.read = Reader(spec, size)
        # A board with one row has no neighbours above and below.
        kernel = (1 if spec.rows == 1 else 3, 3)
        padding = (kernel[0] // 2, 1)
        self.gating = nn.Conv2d(size, 2 * size, kernel, padding=padding)
        self.candidate = nn.Conv2d(size, size, kernel, padding=padding)
        if config.gates == "soft":
            nn.init.ones_(self.gating.bias)  # type: ignore[arg-type]  # initially it carries its state
        self.answer = nn.Linear(size, spec.num_tokens)

    @classmethod
    def fits(cls, trained: TaskSpec, now: TaskSpec) -> bool:
        """On boards of every size with the same symbols, but not between single rows and boards with several rows."""
        return same_symbols(trained, now) and (trained.rows == 1) == (now.rows == 1)

    def initial_state(self, num: int) -> dict[str, Tensor]:
        """The image, (num, width, rows, columns), and whether it holds the puzzle yet, (num,)."""
        image = self.answer.weight.new_zeros(num, self.config.width, *self.spec.shape)
        return {"image": image, "started": torch.zeros(num, dtype=torch.bool, device=image.device)}

    def forward(self, state: Any, obs: Mapping[str, Tensor]) -> tuple[Any, Output]:
        """See `Agent`."""
        x = self.read(obs).unflatten(1, self.spec.shape).permute(0, 3, 1, 2)  # (B, width, rows, columns)
        image = begin(state["started"], x.tanh(), state["image"])
        cost = image.new_zeros(len(image))
        for _ in range(self.steps):
            image, excess = self._unit(image)
            cost = cost + excess
        cells = image.flatten(2).transpose(1, 2)  # (B, L, width)
        state = {"image": image, "started": torch.ones_like(state["started"])}
        aux = self.config.saturation_cost * cost if self.config.gates == "hard" else None
        return state, Output(self.answer(cells), cells.mean(1), aux)

    def _unit(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """One application: the next image, and the saturation of its gates, (B,)."""
        gates = self.gating(image)  # (B, 2 width, rows, columns)
        keep, reset = self._sigmoid(gates).chunk(2, dim=1)
        raw = self.candidate(reset * image)
        new = F.dropout(self._tanh(raw), self.config.dropout, self.training)
        moved = self._moved(image) if self.config.shifts else image
        excess = sum(F.relu(x.abs() - SATURATED).mean((1, 2, 3)) for x in (gates, raw))
        return keep * moved + (1 - keep) * new, torch.as_tensor(excess)

    def _sigmoid(self, x: Tensor) -> Tensor:
        return ((x + 1) / 2).clamp(0, 1) if self.config.gates == "hard" else x.sigmoid()

    def _tanh(self, x: Tensor) -> Tensor:
        return x.clamp(-1, 1) if self.config.gates == "hard" else x.tanh()

    def _moved(self, image: Tensor) -> Tensor:
        """Equal parts of the features stay, move left and right and, on boards with several rows, up and down."""
        ways = [(0, 0), (0, 1), (0, -1)] + ([(1, 0), (-1, 0)] if self.spec.rows > 1 else [])
        parts = image.tensor_split(len(ways), dim=1)
        return torch.cat([_shift(part, *way) for part, way in zip(parts, ways, strict=True)], dim=1)


def _shift(x: Tensor, down: int, right: int) -> Tensor:
    """Shift (B, C, rows, columns) by at most one cell, with zero padding."""
    rows, columns = x.shape[-2:]
    padded = F.pad(x, (max(right, 0), max(-right, 0), max(down, 0), max(-down, 0)))
    top, left = max(-down, 0), max(-right, 0)
    return padded[..., top : top + rows, left : left + columns]
