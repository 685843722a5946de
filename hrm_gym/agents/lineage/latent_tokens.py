"""Continuous reasoning tokens (Coconut, Hao et al., arXiv 2412.06769): thoughts as vectors instead of text.

Idea: a transformer reads the question and a sequence of thought tokens. The hidden state at the last thought is not
decoded into a word but fed back as the input of the next thought. After k thoughts it answers. So it makes k + 1
passes, and only the thoughts carry information from one pass to the next.

    k times: h = blocks([thoughts, puzzle]);  thoughts[j] = h at thought j - 1
    answer = head(blocks([thoughts, puzzle]))

Carried: the K thoughts, (B, K, D); the next segment continues after the last one and overwrites the oldest. Every pass
reads the cells again.

With `steps="replaced"` the agent also learns the steps that a solver writes (`Task.trace`). At first it writes all of
them, one per pass, and every stage replaces one more by a thought, from the first on:

    stage k:  thought ... thought  step ... step  answer       k thoughts, K - k written steps
    a written step: thoughts[j] = embedding(argmax of a head on h at thought j - 1); in training the solver's step

Faithful: hidden states as inputs, k + 1 passes with the gradient through all of them, the curriculum from written steps
to thoughts, the loss on the steps still written and on the answer in every stage. Adapted: a board replaces the text,
so there is no causal order, and cells and thoughts mix both ways; a step is one statement, a cell and its token, at one
position; the trainer keeps its optimizer from stage to stage, where the paper takes a new one (so does
`examples/lineage/latent_tokens_chain.py`). `steps="none"` is a curriculum without a solver: stages only add
thoughts, none at first, then one more every `stage_steps` training steps, up to K.

Known failures: without a staged curriculum the thoughts bring no gain (the paper's ablation, which drops to the
accuracy without thoughts); a few vectors are a narrow bottleneck for a board with many undecided cells.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hrm_gym.agents.agent import Output, TaskSpec
from hrm_gym.agents.models.board import Board
from hrm_gym.agents.models.layers import Blocks, Module, rms_norm, truncated_normal_
from hrm_gym.errors import HrmGymError
from hrm_gym.options import depth, number


@dataclasses.dataclass(frozen=True)
class LatentTokensConfig(Blocks):
    """Options of `latent_tokens`."""

    prefix_tokens: int = depth(4)
    """Thoughts per segment in the last stage, K."""
    layers: int = depth(2)
    """Number of blocks in a pass."""
    stage_steps: int = number(50, least=0)
    """Training steps per stage; 0: all thoughts from the start, without a curriculum."""
    first_stage_steps: int = number(0, least=0)
    """Training steps of the first stage, which has no thoughts; 0: `stage_steps`. Thoughts replace only steps that the
    agent writes without an error, so make it long enough for that."""
    steps: Literal["none", "replaced", "kept"] = "none"
    """What becomes of the steps that a solver writes. `none`: they are not used. `replaced`: thoughts take their place,
    one more in every stage. `kept`: the agent goes on writing them, a chain of thought in words."""


class LatentTokens(Board):
    """Continuous reasoning tokens: hidden states fed back as inputs, with a staged curriculum (Coconut, 2412.06769)."""

    Config = LatentTokensConfig
    run_defaults = {"weight_decay": 0.1}  # noqa: RUF012 (as in Agent)
    trained: Tensor
    thought_init: Tensor

    def __init__(self, config: Any, spec: TaskSpec) -> None:
        super().__init__(config, spec)
        self.net = Module(config, config.layers, spec.shape)
        # Random but fixed, like the initial states of `hrm`. Zeros would stay zero if only a gate changes a position.
        self.register_buffer("thought_init", truncated_normal_(torch.empty(config.hidden_size), 1.0))
        self.register_buffer("trained", torch.zeros((), dtype=torch.long))  # training steps so far
        if config.steps != "none":
            if spec.trace is None:
                raise HrmGymError(
                    f"--steps {config.steps}: this puzzle has no solver that records its steps (`Task.trace`); "
                    "use --steps none"
                )
            num_words = spec.num_tokens + spec.num_notes
            self.cells, self.words = (nn.Embedding(num, config.hidden_size) for num in (spec.num_cells, num_words))
            for table in (self.cells, self.words):
                nn.init.normal_(table.weight, std=config.hidden_size**-0.5)

    @property
    def num_thoughts(self) -> int:
        """Thoughts per segment in the current stage."""
        c = self.config
        if c.steps == "kept":
            return 0
        if not c.stage_steps:
            return c.prefix_tokens
        later = int(self.trained) - (c.first_stage_steps or c.stage_steps)
        return min(c.prefix_tokens, 1 + later // c.stage_steps) if later >= 0 else 0

    def initial_state(self, num: int) -> Tensor:
        """See `Agent`: the initial thoughts, (num, K, D)."""
        return self.thought_init.to(self.dtype).expand(num, self.config.prefix_tokens, -1).contiguous()

    def forward(self, state: Tensor, obs: Mapping[str, Tensor]) -> tuple[Tensor, Output]:
        """See `Agent`. In training `aux_loss` is the loss of the steps that are still written."""
        x = self.embed(obs)  # the first K positions are for the thoughts
        nothing = torch.zeros_like(x)
        thoughts = list(state.unbind(1))  # K of (B, D)
        learns = self.training and torch.is_grad_enabled()
        latent, total = self.num_thoughts, len(thoughts) if self.config.steps != "none" else self.num_thoughts
        solver = self._solver(obs["puzzle"]) if learns and latent < total else None
        losses = []
        for j in range(total):
            h = self.net(self._with(x, thoughts), nothing, self.rotary)
            last = h[:, j - 1] if j else h[:, len(thoughts) - 1]
            if j >= latent:
                step = None if solver is None else solver[:, j]
                last, loss = self._written(last, step)
                losses.append(loss)
            thoughts[j] = rms_norm(last)
        z = self.net(self._with(x, thoughts), nothing, self.rotary)
        if learns:
            self.trained += 1
        output = self.answer(z)
        if solver is not None:
            output = output._replace(aux_loss=torch.stack(losses).mean(0))
        return torch.stack(thoughts, dim=1), output

    def _solver(self, puzzle: Tensor) -> Tensor:
        """The first K steps of the solver, cell and token, int64 (B, K, 2); the last one is repeated where they end."""
        assert self.spec.trace is not None
        room = self.config.prefix_tokens
        traces = self.spec.trace(puzzle.cpu().numpy(), room)
        last = traces.num_search + traces.num_answer - 1
        steps = traces.at(np.minimum(np.arange(room), last[:, None]))
        return torch.as_tensor(steps, device=puzzle.device)

    def _written(self, last: Tensor, solver: Tensor | None) -> tuple[Tensor, Tensor]:
        """A written step as the next input, (B, D), and its loss, (B,): the solver's (B, 2), or the agent's own.

        Input and output share their embeddings, so a hidden state resembles the step that it replaces.
        """
        tables = (self.cells.weight, self.words.weight)
        logits = [F.linear(last, table.to(last.dtype)).float() for table in tables]
        step = torch.stack([z.argmax(-1) for z in logits], 1) if solver is None else solver
        losses = [F.cross_entropy(z, step[:, i], reduction="none") for i, z in enumerate(logits)]
        return (self.cells(step[:, 0]) + self.words(step[:, 1])).to(last.dtype), losses[0] + losses[1]

    @staticmethod
    def _with(x: Tensor, thoughts: list[Tensor]) -> Tensor:
        """The input of a pass: the embedded puzzle, (B, K + L, D), with the thoughts in its first positions."""
        num = len(thoughts)
        return torch.cat((x[:, :num] + torch.stack(thoughts, dim=1), x[:, num:]), dim=1)
