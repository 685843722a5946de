"""The Tolman-Eichenbaum machine (Whittington et al., Cell 2020): location codes bound to observations.

Idea: moves have the same effect in every maze, but contents differ. So one part of the network, a model of the
entorhinal cortex, keeps a code g of the location that only moves change (path integration). The other part, a model of
the hippocampus, binds codes to observations by a Hebbian rule within one walk. When the walk returns to a location, the
code is the same as before, and the memory recalls the observation there. Only the matrices of the moves are learned:
for example, that left undoes right, and that two ways around a corner end at the same place.

    g  = W[move] g                                  in modules of a few features; W are rotations
    prediction = beta * memory g
    memory = decay * memory + rate * seen g'        if there is an observation

Carried: the code, (B, G); the memory, (B, V, G); the number of steps walked; and their predictions.

Faithful: the two parts, one matrix per move in separate modules, the Hebbian memory with its decay (0.9999) and rate
(0.5), the gradient through 20 steps (`steps`, a segment). Adapted: the paper's network samples its variables and
corrects the code by observations; walks here are exact, so it only integrates. The memory is read once; the paper's
settles over a few steps. Matrices are rotations, exponentials of skew-symmetric matrices, so codes keep their norm:
with free matrices, as in the paper, it learns the same five times as slowly. Observations are not compressed.

Known failures: it works only on walks, not on boards. On long walks codes collide when there are more locations than
the code can distinguish. `--no-structure`, where all moves share one matrix, is the ablation without structure.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hrm_gym.agents.agent import Agent, Output, TaskSpec
from hrm_gym.agents.models.reading import same_symbols
from hrm_gym.errors import HrmGymError
from hrm_gym.options import Options, number, share

CERTAIN = 10.0
"""The logit of symbols that the walk shows."""


@dataclasses.dataclass(frozen=True)
class TEMConfig(Options):
    """Options of `tem`."""

    modules: int = number(16, least=1)
    """Number of modules of the location code."""
    module_size: int = number(4, least=1)
    """Features per module; the code has G = modules * module_size features."""
    steps: int = number(20, least=1, most=256)
    """Steps of the walk per segment."""
    decay: float = share(0.9999)
    """Decay factor of the memory per step."""
    rate: float = number(0.5, above=0)
    """Learning rate of the Hebbian memory."""
    structure: bool = True
    """Give each move its own matrix; without it all moves share one, and the code reflects only the number of steps."""


class TEM(Agent):
    """Tolman-Eichenbaum machine: predicts observations at locations that a walk revisits (Cell 2020).

    Raises:
        HrmGymError: if the boards are not walks.
    """

    Config = TEMConfig
    run_defaults = {  # noqa: RUF012 (as in Agent)
        **{"max_segments": 2, "num_envs": 16, "lr": 3e-2, "weight_decay": 0.0, "beta2": 0.99, "loss": "softmax"},
        **{"ema": 0.99},
    }

    def __init__(self, config: Any, spec: TaskSpec) -> None:
        super().__init__(config, spec)
        if not spec.moves:
            raise HrmGymError(
                "agent 'tem' predicts the objects on walks, and this puzzle has no walks: choose --env Walk-v0, "
                "or another --agent"
            )
        self.num_features = 3
        c = config
        num_moves = len(spec.moves) if c.structure else 1
        self.turns = nn.Parameter(torch.randn(num_moves, c.modules, c.module_size, c.module_size) * c.module_size**-0.5)
        self.start = nn.Parameter(torch.randn(c.modules, c.module_size))
        self.beta = nn.Parameter(torch.tensor(5.0 / c.rate))
        self.which: Tensor  # index of the matrix of each token; the last matrix is for tokens that are not moves
        which = torch.full((spec.num_tokens,), num_moves)
        which[list(spec.moves)] = torch.arange(len(spec.moves)) if c.structure else 0
        self.register_buffer("which", which, persistent=False)

    @classmethod
    def fits(cls, trained: TaskSpec, now: TaskSpec) -> bool:
        """On walks of every length with the same symbols."""
        return same_symbols(trained, now) and len(now.moves) > 0

    def initial_state(self, num: int) -> dict[str, Tensor]:
        """See `Agent`: the initial code and an empty memory."""
        c, vocabulary, columns = self.config, self.spec.num_tokens, self.spec.columns
        code = F.normalize(self.start.detach(), dim=-1).expand(num, -1, -1)
        size = c.modules * c.module_size
        return {
            "code": code.clone(),
            "memory": code.new_zeros(num, vocabulary, size),
            "said": code.new_zeros(num, columns, vocabulary),
            "walked": torch.zeros(num, dtype=torch.long, device=code.device),
        }

    def tensors(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """See `Agent`: the code and the memory."""
        return {"code": state["code"].flatten(1), "memory": state["memory"]}

    def forward(self, state: dict[str, Tensor], obs: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], Output]:
        """See `Agent`."""
        c, vocabulary, columns = self.config, self.spec.num_tokens, self.spec.columns
        puzzle = obs["puzzle"]
        move, seen = puzzle[:, :columns], puzzle[:, columns:]
        matrices = self._matrices()
        code, memory, said, walked = state["code"], state["memory"], state["said"], state["walked"]
        code = torch.where((walked == 0).view(-1, 1, 1), F.normalize(self.start, dim=-1), code)
        for _ in range(min(c.steps, columns)):
            here = walked.clamp_max(columns - 1).unsqueeze(1)  # (B, 1)
            goes_on = (walked < columns).view(-1, 1, 1)
            turn = matrices[self.which[move.gather(1, here)[:, 0]]]  # (B, modules, size, size)
            code = torch.where(goes_on, torch.einsum("bmij,bmj->bmi", turn, code), code)
            g = code.flatten(1) * c.modules**-0.5  # of length 1
            expected = self.beta * torch.einsum("bvg,bg->bv", memory, g)
            what = F.one_hot(seen.gather(1, here)[:, 0], vocabulary).to(g.dtype)
            known = 1 - what[:, self.spec.blank, None]  # (B, 1): whether the walk shows the symbol
            now = torch.where(known > 0, CERTAIN * what, expected)
            index = here.unsqueeze(2).expand(-1, -1, vocabulary)
            said = said.scatter(1, index, torch.where(goes_on, now.unsqueeze(1), said.gather(1, index)))
            written = c.decay * memory + c.rate * (known * what).unsqueeze(2) * g.unsqueeze(1)
            memory = torch.where(goes_on, written, memory)
            walked = walked + goes_on[:, 0, 0]
        logits = torch.cat((CERTAIN * F.one_hot(move, vocabulary).to(said.dtype), said), dim=1)
        state = {"code": code, "memory": memory, "said": said, "walked": walked}
        return state, Output(logits, self._features(said, seen, walked))

    def _matrices(self) -> Tensor:
        """The rotations of all moves, and the identity, (moves + 1, modules, size, size)."""
        turns = torch.matrix_exp(self.turns - self.turns.transpose(-1, -2))
        none = torch.eye(turns.shape[-1], device=turns.device).expand_as(turns[:1])
        return torch.cat((turns, none))

    def _features(self, said: Tensor, seen: Tensor, walked: Tensor) -> Tensor:
        """The share of the walk that is done, and the mean and minimum confidence of the answers, (B, 3)."""
        asked = torch.eq(seen, self.spec.blank)
        sure = said.detach().softmax(-1).amax(-1)
        mean = (sure * asked).sum(1) / asked.sum(1).clamp_min(1)
        return torch.stack((walked / seen.shape[1], mean, torch.where(asked, sure, 1.0).amin(1)), dim=1)
