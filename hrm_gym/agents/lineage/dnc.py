"""The Differentiable Neural Computer (Graves et al., Nature 538, 2016).

Idea: a Neural Turing Machine with memory management. It tracks which places are in use and allocates free ones. It also
stores the order of writes, so that a head can follow that order forwards and backwards:

    usage  = (usage + w - usage w) * product over the read heads of (1 - free r)
    w      = write (allocate a + (1 - allocate) c)            a: the least used place, c: by content
    link   = (1 - w_i - w_j) link + w_i precedence_j          place i was written just after place j
    r      = back (link' r) + content c + forward (link r)

Faithful: usage, allocation, temporal links, read modes, free gates, an LSTM controller that answers from its output and
the read vectors, and the gradient through the whole scan. This is our own batched implementation in tensor operations:
the package `dnc` on PyPI does not work with current torch, and its state cannot be carried per slot.

Adapted: the first place of the memory marks the beginning, and the first write is linked to it, so that the order has a
start. A board is read cell by cell and answered in a second scan (`scan.py`). The controller gets no position. There is
one layer. Usage stays slightly above zero, because the product of sorted usages has no gradient at zero. Known
failures: slow, for the same reason as `ntm` and with about three times its operations; the links take N^2 numbers per
slot. Like `ntm` it learns little about Sudoku.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from hrm_gym.agents.agent import TaskSpec
from hrm_gym.agents.lineage.scan import EMPTY, Memory, ScanAgent, by_content


class ManagedMemory(Memory):
    """Memory with usage, allocation and temporal links: one write head and several read heads."""

    def __init__(self, config: Any) -> None:
        heads, word = config.read_heads, config.word
        # Each read head: key, strength, free gate, three modes. The write head: key, erase, add, strength, gates.
        self.sizes = [heads * word, heads, heads, 3 * heads, word, word, word, 1, 1, 1]
        super().__init__(config, sum(self.sizes))
        # Initially it writes to free places and frees none. Read heads attend half to the mark of the beginning, which
        # their keys match, and half to the next place in write order. More weight on the mark was worse.
        parts = self.heads.bias.data.split(self.sizes)
        for i, value in ((0, 1.0), (1, 5.0), (2, -5.0), (8, 4.0), (9, 4.0)):
            parts[i].fill_(value)
        parts[3].view(heads, 3)[:, 0] = -2.0

    def initial_state(self, num: int) -> dict[str, Tensor]:
        """See `Memory`. The first place is in use and marks the beginning: the first write is linked to it."""
        words, slots = super().initial_state(num)["words"], self.config.slots
        words[:, 0] = 1
        first = torch.zeros_like(words[:, :, 0])  # (num, N)
        first[:, 0] = 1
        return {
            "words": words,
            "usage": first,
            "written": torch.zeros_like(first),
            "precedence": first.clone(),
            "link": words.new_zeros(num, slots, slots),
            "places": first[:, None].repeat(1, self.config.read_heads, 1),
        }

    def forward(self, state: dict[str, Tensor], controller: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """See `Memory`."""
        heads, word = self.config.read_heads, self.config.word
        parts = self.heads(controller).split(self.sizes, dim=1)
        keys, modes = parts[0].view(-1, heads, word), parts[3].view(-1, heads, 3).softmax(-1)
        strength, free = 1 + F.softplus(parts[1]), parts[2].sigmoid()  # (B, heads) each
        key, erase, add = parts[4][:, None], parts[5].sigmoid()[:, None], parts[6].tanh()[:, None]  # (B, 1, M) each
        key_strength, allocate, write = 1 + F.softplus(parts[7]), parts[8].sigmoid(), parts[9].sigmoid()  # (B, 1) each

        kept = (1 - free[..., None] * state["places"]).prod(dim=1)
        usage = (state["usage"] + state["written"] - state["usage"] * state["written"]) * kept
        found = by_content(state["words"], key, key_strength)[:, 0]
        written = write * (allocate * least_used(usage) + (1 - allocate) * found)  # (B, N)
        words = state["words"] * (1 - written[..., None] * erase) + written[..., None] * add

        link = follow(state["link"], state["precedence"], written)
        precedence = (1 - written.sum(-1, keepdim=True)) * state["precedence"] + written
        back, onward = state["places"] @ link, state["places"] @ link.transpose(1, 2)
        found = by_content(words, keys, strength)
        places = modes[..., :1] * back + modes[..., 1:2] * found + modes[..., 2:] * onward
        state = {"words": words, "usage": usage, "written": written, "precedence": precedence}
        return {**state, "link": link, "places": places}, places @ words


def least_used(usage: Tensor) -> Tensor:
    """Allocation weights: the least used place first, the next one as far as that is in use: (B, N) -> (B, N)."""
    usage = EMPTY + (1 - EMPTY) * usage
    ordered, order = usage.sort(dim=-1, stable=True)
    before = F.pad(ordered.cumprod(-1)[:, :-1], (1, 0), value=1.0)
    return torch.zeros_like(usage).scatter(1, order, (1 - ordered) * before)


def follow(link: Tensor, precedence: Tensor, written: Tensor) -> Tensor:
    """The links after a write, (B, N, N): entry (i, j) is how far place i was written directly after place j."""
    after = written[:, :, None]
    link = (1 - after - written[:, None]) * link + after * precedence[:, None]
    return link * (1 - torch.eye(link.shape[-1], device=link.device))


class DNC(ScanAgent):
    """Differentiable Neural Computer: an LSTM and a memory with usage, allocation and temporal links (Nature 2016)."""

    def __init__(self, config: Any, spec: TaskSpec) -> None:
        super().__init__(config, spec)
        self.memory = ManagedMemory(config)
