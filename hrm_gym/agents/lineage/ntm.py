"""The Neural Turing Machine (Graves, Wayne and Danihelka, arXiv 1410.5401).

Idea: a recurrent network with a memory that it reads and writes by attention, so that memory size is independent of the
number of weights. A head is addressed by content (the word most similar to a key), or by a shift of one from its last
place:

    w_c = softmax(strength * cosine(key, word))          by content
    w_g = gate w_c + (1 - gate) w                        or where the head was
    w   = sharpened(shift * w_g)                         and from there a step left, none, or right
    word = word (1 - w erase) + w add                    written
    read = sum of w word

Faithful: both kinds of addressing, erase and add, an LSTM controller, the gradient through the whole scan. The memory
starts with a small constant and the heads at its first place (arXiv 1807.08518: a constant learns fastest).

Adapted: a board is read cell by cell and answered in a second scan (`scan.py`). The controller gets no position.
Memory, heads and controller form the state between segments.

Known failures: slow, because a segment has two sequential steps per cell; training is unstable, so gradients are
clipped. It learns little about Sudoku: every answer depends on cells all over the board, which it must look up one at a
time.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from hrm_gym.agents.agent import TaskSpec
from hrm_gym.agents.lineage.scan import Memory, ScanAgent, by_content

SHIFTS = (-1, 0, 1)


class TuringMemory(Memory):
    """Memory with heads addressed by content and by shifts: one write head, then the read heads."""

    def __init__(self, config: Any) -> None:
        self.num_heads = 1 + config.read_heads
        self.per_head = config.word + 3 + len(SHIFTS)  # key, strength, gate, sharpness, shifts
        super().__init__(config, self.num_heads * self.per_head + 2 * config.word)
        # Initially the write head moves along the memory and the read heads stay in place.
        bias = self.heads.bias.data[: -2 * config.word].view(self.num_heads, self.per_head)
        bias[:, -5] = -2.0  # the gate
        bias[0, -1], bias[1:, -2] = 3.0, 1.0  # steps to the right, none

    def initial_state(self, num: int) -> dict[str, Tensor]:
        """See `Memory`; `places`, (num, 1 + heads, N), puts all heads at the first place."""
        state = super().initial_state(num)
        places = state["words"].new_zeros(num, self.num_heads, self.config.slots)
        places[:, :, 0] = 1
        return {**state, "places": places}

    def forward(self, state: dict[str, Tensor], controller: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """See `Memory`."""
        word = self.config.word
        signals = self.heads(controller)
        erase, add = signals[:, -2 * word : -word].sigmoid(), signals[:, -word:].tanh()  # (B, M) each
        heads = signals[:, : -2 * word].view(-1, self.num_heads, self.per_head)
        places = self._move(state["words"], state["places"], heads)
        write = places[:, 0, :, None]  # (B, N, 1)
        words = state["words"] * (1 - write * erase[:, None]) + write * add[:, None]
        return {"words": words, "places": places}, places[:, 1:] @ words

    def _move(self, words: Tensor, places: Tensor, heads: Tensor) -> Tensor:
        """The new attention of the heads, (B, H, N), from their signals `heads`, (B, H, per_head)."""
        key, (strength, gate, sharpness) = heads[..., : self.config.word], heads[..., -6:-3].unbind(-1)
        found = by_content(words, key, torch.nn.functional.softplus(strength))
        gate = gate.sigmoid()[..., None]
        stays = gate * found + (1 - gate) * places
        shift = heads[..., -3:].softmax(-1)
        moved = sum(shift[..., i, None] * stays.roll(by, -1) for i, by in enumerate(SHIFTS))
        # The gradient of the exponent needs the logarithm, which zero does not have.
        sharp = torch.as_tensor(moved).clamp_min(1e-6) ** (1 + torch.nn.functional.softplus(sharpness))[..., None]
        return sharp / sharp.sum(-1, keepdim=True)


class NTM(ScanAgent):
    """Neural Turing Machine: an LSTM with a memory addressed by content and by shifts (arXiv 1410.5401)."""

    def __init__(self, config: Any, spec: TaskSpec) -> None:
        super().__init__(config, spec)
        self.memory = TuringMemory(config)
