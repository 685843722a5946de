"""Recurrent depth (Geiping et al., arXiv 2502.05171): a core looped for any number of steps, even more than trained.

Idea: a prelude embeds the puzzle as e; a core reads e at each step and refines a random initial state; a coda answers
from the state. In training the number of steps r is drawn for each batch from a Poisson distribution with a log-normal
rate (usually few steps, sometimes many), and the gradient runs through the last k steps. Because starts and lengths
vary, the core learns to approach the answer rather than to count steps, and keeps improving beyond the trained number
of steps (cf. looped transformers, arXiv 2311.12424).

    e = prelude(puzzle);   s ~ N(0, 1);   r times: s = core(adapter([s, e]));   answer = head(coda(s))

Carried: s, (B, P + L, D); random only at the start of an episode.

Faithful: prelude, core and coda, the adapter over both, the input at every step, the random state, r, the truncated
gradient. Adapted: a segment is one such loop and the state is carried on, so an episode has up to 16 loops with a loss
after each. r is small (8 on average, 32 in the paper; k is 4, 8 in the paper), and so are the parts (1, 2, 1 blocks; 2,
4, 2 in the paper). The blocks are those of `hrm`. In inference every segment has `test_steps` steps. Training draws
random states from torch's generator. In inference all puzzles start from one random state with a fixed seed, so answers
do not depend on the batch or the evaluation.

Known failures: without a random initial state the core may ignore its state; with a small k it learns slowly. With
`--max-segments 1` it is the paper's network.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from hrm_gym.agents.agent import Output, TaskSpec
from hrm_gym.agents.models.board import Board
from hrm_gym.agents.models.layers import Blocks, Linear, Module, rms_norm
from hrm_gym.options import DEPTH, depth, number


@dataclasses.dataclass(frozen=True)
class LoopedConfig(Blocks):
    """Options of `looped`."""

    prelude_layers: int = depth(1)
    """Number of blocks in the prelude, which embeds the puzzle."""
    core_layers: int = depth(2)
    """Number of blocks in the looped core."""
    coda_layers: int = depth(1)
    """Number of blocks in the coda, which answers."""
    mean_steps: int = depth(8)
    """Mean number of steps per segment in training."""
    steps_spread: float = number(0.5, least=0, most=2)
    """Standard deviation of the logarithm of the Poisson rate of the number of steps."""
    gradient_steps: int = depth(4)
    """Backpropagate through this many last steps, k."""
    test_steps: int = depth(0, least=0)
    """Steps per segment in inference; 0: the mean of training."""


class Looped(Board):
    """Recurrent depth: prelude, looped core, coda; random states, random numbers of steps (2502.05171)."""

    Config = LoopedConfig
    run_defaults = {"weight_decay": 0.1}  # noqa: RUF012 (as in Agent)

    def __init__(self, config: Any, spec: TaskSpec) -> None:
        super().__init__(config, spec)
        c = config
        self.prelude, self.core, self.coda = (
            Module(c, layers, spec.shape) for layers in (c.prelude_layers, c.core_layers, c.coda_layers)
        )
        self.adapter = Linear(2 * c.hidden_size, c.hidden_size)
        self.test_steps = c.test_steps or c.mean_steps
        """Steps per segment in inference; studies change it."""

    def initial_state(self, num: int) -> Tensor:
        """See `Agent`: normal noise, (num, P + L, D)."""
        device = self.adapter.weight.device
        shape = self.num_positions, self.config.hidden_size
        if self.training:
            return torch.randn((num, *shape), device=device).to(self.dtype)
        drawn = torch.randn(shape, generator=torch.Generator(device).manual_seed(0), device=device)
        return drawn.to(self.dtype).expand(num, *shape).contiguous()

    def forward(self, state: Tensor, obs: Mapping[str, Tensor]) -> tuple[Tensor, Output]:
        """See `Agent`."""
        x = self.embed(obs)
        e = self.prelude(x, torch.zeros_like(x), self.rotary)
        steps = self._draw_steps() if self.training else self.test_steps
        with_gradient = min(steps, self.config.gradient_steps)
        with torch.no_grad():
            for _ in range(steps - with_gradient):
                state = self._step(state, e)
        for _ in range(with_gradient):
            state = self._step(state, e)
        return state, self.answer(self.coda(state, torch.zeros_like(state), self.rotary))

    def _step(self, state: Tensor, e: Tensor) -> Tensor:
        """One step of the core."""
        fed = rms_norm(self.adapter(torch.cat((state, e), dim=-1)))
        return self.core(fed, torch.zeros_like(fed), self.rotary)

    def _draw_steps(self) -> int:
        """Draw 1 + Poisson(exp(N)), with N normal so that the mean is `mean_steps`; at most four times `DEPTH`."""
        c, spread = self.config, self.config.steps_spread
        if c.mean_steps == 1:
            return 1
        log_rate = math.log(c.mean_steps - 1) - spread**2 / 2 + spread * torch.randn(())
        return min(4 * DEPTH, 1 + int(torch.poisson(log_rate.exp())))
