"""A policy: an agent and its halting rule, trained, saved, evaluated and watched together."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from hrm_gym import apple
from hrm_gym.agents import state as nests
from hrm_gym.agents.agent import Agent, Output
from hrm_gym.agents.halting.rule import HaltingRule, Signals
from hrm_gym.agents.state import State
from hrm_gym.errors import HrmGymError


class Search(NamedTuple):
    """The progress of a policy that guesses, for B puzzles of L cells."""

    open: Tensor
    """Boards that it thinks about in parallel, including the puzzle itself, int64 (B,)."""
    waiting: Tensor
    """Boards with guesses that wait for a free place, int64 (B,)."""
    given_up: Tensor
    """Boards given up so far because they seemed hopeless, int64 (B,)."""
    guesses: Tensor
    """Guesses on the board that gave the answer, tokens (B, L); blank in all other cells."""


class Policy(nn.Module):
    """An agent that knows when to stop.

    Args:
        name: the agent's registered name.
        agent: the network.
        halting: the rule that reads its outputs.
        loss: how the cross-entropy normalised the logits in training, "softmax" or "stablemax".
    """

    boards = 1
    """Boards that it thinks about in parallel for each puzzle."""

    def __init__(self, name: str, agent: Agent, halting: HaltingRule, loss: str = "softmax") -> None:
        super().__init__()
        self.name = name
        self.loss = loss
        self.agent = agent
        self.halting = halting
        self.source: Path | None = None
        """The file or run that it was loaded from."""
        self._carries = bool(halting.carried(1, torch.device("cpu")))

    @staticmethod
    def from_pretrained(source: Any, env: str = "", device: str = "auto") -> Policy:
        """Load a trained policy. See `hrm_gym.agents.inference.publishing.from_pretrained`."""
        policy: Policy = _publishing().from_pretrained(source, env, device)
        return policy

    def push_to_hub(self, repo: str, *, private: bool = False, license: str = "") -> str:
        """Upload the file that it was loaded from. See `hrm_gym.agents.inference.publishing.upload`."""
        return str(_publishing().upload(self, repo, private=private, license=license))

    def initial_state(self, num: int) -> State:
        """The state of `num` slots before their first segment: the agent's, and the halting rule's if it has one."""
        state, carried = self.agent.initial_state(num), self.halting.carried(num, self.device)
        return {"agent": state, "halting": carried} if carried else state

    def forward(self, state: State, obs: Mapping[str, Tensor]) -> tuple[State, Output, Signals]:
        """Think for one segment; returns the new state, the output and the halting rule's signals.

        Raises:
            HrmGymError: if the puzzles are not a tensor, or have another shape than the agent's board.
        """
        puzzle, spec = obs["puzzle"], self.agent.spec
        if not isinstance(puzzle, Tensor) or puzzle.ndim != 2 or puzzle.shape[1] != spec.num_cells:
            raise HrmGymError(
                f"obs['puzzle'] is a {type(puzzle).__name__} of shape {tuple(getattr(puzzle, 'shape', ()))}: give an "
                f"integer tensor of shape (B, {spec.num_cells}), the {spec.rows}x{spec.columns} board row by row"
            )
        if not self._carries:
            state, output = self.agent(state, obs)
            return state, output, self.halting.read(output)
        thought, output = self.agent(state["agent"], obs)
        signals, carried = self.halting.follow(self.halting.read(output), state["halting"])
        return {"agent": thought, "halting": carried}, output, signals

    def search(self, state: State) -> Search | None:
        """The progress of its search; None for a policy that makes no guesses."""
        return None

    def of_agent(self, state: State) -> State:
        """The agent's part of a state."""
        return state["agent"] if self._carries else state

    def with_agent(self, state: State, thought: State) -> State:
        """The state with its agent's part replaced by `thought`."""
        return {**state, "agent": thought} if self._carries else thought

    def perturbed(self, state: State, noise: float, generator: torch.Generator) -> State:
        """The state with normal noise of this standard deviation on the agent's part."""
        return self.with_agent(state, nests.perturb(self.of_agent(state), noise, generator))

    def probabilities(self, output: Output) -> Tensor:
        """The distribution over the symbols of each cell, float32 (B, L, V)."""
        return probabilities(output.logits, self.loss)

    @property
    def device(self) -> torch.device:
        """The device of its parameters."""
        return next(self.parameters()).device

    @property
    def num_parameters(self) -> int:
        """Number of trainable parameters of the agent and the halting rule."""
        return sum(p.numel() for p in self.parameters())


def _publishing() -> Any:
    """The module that knows files and the hub; it stands above policies, so it is loaded when it is called."""
    return importlib.import_module("hrm_gym.agents.inference.publishing")


def probabilities(logits: Tensor, kind: str) -> Tensor:
    """The distribution over symbols under the loss of this `kind`, float32: (..., V) -> (..., V)."""
    if kind == "stablemax":
        return stablemax_log_probabilities(logits).exp().float()
    return logits.float().softmax(-1)


def stablemax_log_probabilities(logits: Tensor) -> Tensor:
    """Log of s(x) / sum s(x), with s(x) = x + 1 for x >= 0 and 1 / (1 - x) below, in float64 where the device has it.

    Grows linearly where softmax grows exponentially, so that logits need not be driven to infinity
    (arXiv 2501.04697). (..., V) -> (..., V).
    """
    x = logits.to(apple.precise(logits.device))
    s = torch.where(x < 0, 1 / (1 - x + 1e-30), x + 1)
    return torch.log(s / s.sum(dim=-1, keepdim=True))
