"""Continuous reasoning tokens (Coconut, Hao et al., arXiv 2412.06769): thoughts as vectors instead of text.

Idea: a transformer reads the question and a sequence of thought tokens. The hidden state at the last thought is not
decoded into a word but fed back as the input of the next thought. After k thoughts it answers. So it makes k + 1
passes, and only the thoughts carry information from one pass to the next.

    k times: h = blocks([thoughts, puzzle]);  thoughts[j] = h at thought j - 1
    answer = head(blocks([thoughts, puzzle]))

Carried: the K thoughts, (B, K, D); the next segment continues after the last one and overwrites the oldest. Every pass
reads the cells again.

Faithful: hidden states as inputs, k + 1 passes with the gradient through all of them, a curriculum over the number of
thoughts. Adapted: a board replaces the text, so there is no causal order, and cells and thoughts mix both ways. The
curriculum also differs. Coconut starts from written chains of reasoning and replaces one written step by a thought per
stage. Here the agent sees no solver's steps, so stages only add thoughts: none at first, then one more every
`stage_steps` training steps, up to K. The closest substitute for written steps is `--hints 0.4`, which shows some
puzzles partly solved.

Known failures: without a staged curriculum the thoughts bring no gain (the paper's ablation, which drops to the
accuracy without thoughts); a few vectors are a narrow bottleneck for a board with many undecided cells.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from hrm_gym.agents.agent import Output, TaskSpec
from hrm_gym.agents.models.board import Board
from hrm_gym.agents.models.layers import Blocks, Module, rms_norm, truncated_normal_
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

    @property
    def num_thoughts(self) -> int:
        """Thoughts per segment in the current stage."""
        c = self.config
        return min(c.prefix_tokens, int(self.trained) // c.stage_steps) if c.stage_steps else c.prefix_tokens

    def initial_state(self, num: int) -> Tensor:
        """See `Agent`: the initial thoughts, (num, K, D)."""
        return self.thought_init.to(self.dtype).expand(num, self.config.prefix_tokens, -1).contiguous()

    def forward(self, state: Tensor, obs: Mapping[str, Tensor]) -> tuple[Tensor, Output]:
        """See `Agent`."""
        x = self.embed(obs)  # the first K positions are for the thoughts
        nothing = torch.zeros_like(x)
        thoughts = list(state.unbind(1))  # K of (B, D)
        for j in range(self.num_thoughts):
            h = self.net(self._with(x, thoughts), nothing, self.rotary)
            thoughts[j] = rms_norm(h[:, j - 1] if j else h[:, len(thoughts) - 1])
        z = self.net(self._with(x, thoughts), nothing, self.rotary)
        if self.training and torch.is_grad_enabled():
            self.trained += 1
        return torch.stack(thoughts, dim=1), self.answer(z)

    @staticmethod
    def _with(x: Tensor, thoughts: list[Tensor]) -> Tensor:
        """The input of a pass: the embedded puzzle, (B, K + L, D), with the thoughts in its first positions."""
        num = len(thoughts)
        return torch.cat((x[:, :num] + torch.stack(thoughts, dim=1), x[:, num:]), dim=1)
