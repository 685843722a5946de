"""An agent and a halting rule outside the package, which the tests register as anyone could."""

import dataclasses

import torch
from torch import nn

from hrm_gym.agents import Agent, HaltingRule, Options, Output, number, register_agent, register_halting, share

register_agent("own_gru", "own_doors:Gru")
register_halting("own_patience", "own_doors:Patience")


@dataclasses.dataclass(frozen=True)
class GruConfig(Options):
    channels: int = number(6, least=1)


class Gru(Agent):
    """A convolutional gated unit. Its state: maps of two sizes, a number of counts, and a history without channels."""

    Config = GruConfig
    run_defaults = {"lr": 2e-3, "loss": "softmax"}  # noqa: RUF012

    def __init__(self, config, spec):
        super().__init__(config, spec)
        c = config.channels
        self.num_features = c + 3
        self.embed = nn.Embedding(spec.num_tokens, c)
        self.gates = nn.Conv2d(2 * c, 3 * c, 3, padding=1)
        self.slow = nn.Linear(c, 3)
        self.answer = nn.Conv2d(c, spec.num_tokens, 1)

    def initial_state(self, num):
        weight = self.embed.weight
        return {
            "cells": weight.new_zeros(num, self.config.channels, *self.spec.shape),
            "slow": {
                "mood": weight.new_zeros(num, 3),
                "count": torch.zeros(num, dtype=torch.long, device=weight.device),
            },
            "history": [weight.new_zeros(num, self.spec.rows, 1, 2), weight.new_zeros(num)],
        }

    def forward(self, state, obs):
        cells, (rows, level) = state["cells"], state["history"]
        x = self.embed(obs["puzzle"]).unflatten(1, self.spec.shape).movedim(-1, 1)
        keep, fresh, gate = self.gates(torch.cat((cells, x), dim=1)).chunk(3, dim=1)
        keep = keep.sigmoid()
        cells = keep * cells + (1 - keep) * fresh.tanh() * gate.sigmoid()
        mean = cells.mean((2, 3))
        mood = 0.5 * state["slow"]["mood"] + self.slow(mean).tanh()
        rows = torch.cat((rows[..., 1:], cells.mean((1, 3))[..., None, None]), dim=-1)
        state = {
            "cells": cells,
            "slow": {"mood": mood, "count": state["slow"]["count"] + 1},
            "history": [rows, 0.5 * level + mean.mean(1)],
        }
        logits = self.answer(cells).flatten(2).transpose(1, 2)
        return state, Output(logits, torch.cat((mean, mood), dim=1), aux_loss=mood.square().mean(1))


@dataclasses.dataclass(frozen=True)
class PatienceConfig(Options):
    patience: int = number(2, least=1)
    rise: float = share(0.5)


class Patience(HaltingRule):
    """Believes what a small network says and halts once it has waited; it remembers each slot's best belief."""

    Config = PatienceConfig
    signals = ("hope",)
    num_uniforms = 1

    def __init__(self, config, num_features):
        super().__init__(config, num_features)
        self.net = nn.Sequential(nn.Linear(num_features, 4), nn.Tanh(), nn.Linear(4, 1))

    def begin(self, num, max_segments, device):
        super().begin(num, max_segments, device)
        self.memory = {"best": torch.zeros(num, device=device)}

    def read(self, output):
        return {"hope": self.net(output.features.float())[:, 0]}

    def lead(self, signals, segment):
        return torch.where(segment >= self.config.patience, signals["hope"], -1.0)

    def belief(self, signals):
        return signals["hope"]

    def explore(self, signals, segment, uniforms):
        return self.decide(signals, segment) & (uniforms[:, 0] < self.config.rise)

    def loss(self, experience):
        hope = experience.signals["hope"].sigmoid()
        best = torch.maximum(self.memory["best"], hope.detach())
        error = (hope - experience.right.float()).square() + 0.1 * (best - hope).square()
        self.memory = {"best": torch.where(experience.ended, 0.0, best)}
        return error
