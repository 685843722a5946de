"""Continuous reasoning tokens (Coconut, Hao et al., arXiv 2412.06769): thoughts that are never written down.

Idea: a transformer reads the question and a row of thought tokens. The hidden state at the last thought is not turned
into a word but fed back as the input of the next thought; after k thoughts it answers. So it makes k + 1 passes, and
all that goes from one to the next is the thoughts.

    k times: h = blocks([thoughts, puzzle]);  thoughts[j] = h at thought j - 1
    answer = head(blocks([thoughts, puzzle]))

Carried: the K thoughts, (B, K, D); the next segment goes on after the last one, overwriting the oldest. The cells are
read again in every pass: nothing else is remembered of them.

Faithful: hidden states as inputs, k + 1 passes with the gradient through all of them, a curriculum by the number of
thoughts. Adapted: the board takes the place of the text, so there is no causal order, and cells and thoughts mix both
ways; and the curriculum. Coconut starts from written chains of reasoning and replaces one written step by a thought in
each stage. Here an agent sees no solver's steps, so the stages add thoughts alone: none at first, one more every
`stage_steps` training steps, up to K. `--hints 0.4`, which shows some puzzles partly solved, is the nearest thing to
written steps.

Known to fail: without a staged curriculum the thoughts gain nothing (the paper's ablation, which falls back to the
accuracy without any); and a few vectors are a narrow channel for a board of many undecided cells.
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
    """K, thoughts of a segment in the last stage."""
    layers: int = depth(2)
    """Blocks of a pass."""
    stage_steps: int = number(50, least=0)
    """Training steps of a stage; 0: all thoughts from the beginning, without a curriculum."""


class LatentTokens(Board):
    """Continuous reasoning tokens: hidden states fed back as inputs, with a staged curriculum (Coconut, 2412.06769)."""

    Config = LatentTokensConfig
    run_defaults = {"weight_decay": 0.1}  # noqa: RUF012 (as in Agent)
    trained: Tensor
    thought_init: Tensor

    def __init__(self, config: Any, spec: TaskSpec) -> None:
        super().__init__(config, spec)
        self.net = Module(config, config.layers, spec.shape)
        # Random, but fixed for the model's life, as the initial states of `hrm`. Zeros would stay zero where a gate
        # is all that moves a position.
        self.register_buffer("thought_init", truncated_normal_(torch.empty(config.hidden_size), 1.0))
        self.register_buffer("trained", torch.zeros((), dtype=torch.long))  # training steps so far

    @property
    def num_thoughts(self) -> int:
        """Thoughts of a segment in the present stage."""
        c = self.config
        return min(c.prefix_tokens, int(self.trained) // c.stage_steps) if c.stage_steps else c.prefix_tokens

    def initial_state(self, num: int) -> Tensor:
        """See `Agent`: nothing thought yet, (num, K, D)."""
        return self.thought_init.to(self.dtype).expand(num, self.config.prefix_tokens, -1).contiguous()

    def forward(self, state: Tensor, obs: Mapping[str, Tensor]) -> tuple[Tensor, Output]:
        """See `Agent`."""
        x = self.embed(obs)  # its first K positions are the thoughts'
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
        """The input of a pass: the embedded puzzle, (B, K + L, D), with the thoughts on its first positions."""
        num = len(thoughts)
        return torch.cat((x[:, :num] + torch.stack(thoughts, dim=1), x[:, num:]), dim=1)
