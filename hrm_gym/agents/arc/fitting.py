"""A network for one ARC task, trained on the task's demonstrations alone.

It uses the loop, losses, optimizer and halting rule of any run, with one gradient step per segment. The batch always
consists of all demonstrations.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor

from hrm_gym.agents.agent import Output
from hrm_gym.agents.arc.boards import Board, Grid, added_colours, grid_of, puzzles_of, solutions_of, spec_of
from hrm_gym.agents.halting.rule import Signals
from hrm_gym.agents.registry import agent_class, halting_class
from hrm_gym.agents.saved.build import build
from hrm_gym.agents.saved.config import Config, RunOptions, assemble
from hrm_gym.agents.state import State
from hrm_gym.agents.training.learner import Learner
from hrm_gym.agents.training.loop import segments
from hrm_gym.agents.training.trainer import Trainer
from hrm_gym.envs.arc.grids import PADDING

SETTINGS: dict[str, Any] = {
    "h_layers": 1,
    "l_layers": 1,
    "layers": 1,
    "h_cycles": 1,
    "l_cycles": 2,
    "gradient": "last_cycle",
    "max_segments": 2,
    "gamma": 0.9,
    "halt_target": "next_segment",
    "loss": "softmax",
    "lr": 5e-3,
    "warmup_steps": 30,
    "decay_from": 0.5,
    "lr_end": 0.1,
    "weight_decay": 0.05,
    "clip": 1.0,
    "ema": 0.98,
    "dtype": "float32",
}
"""Options for an agent on planes that learns one task within seconds."""

LOOK_EVERY = 20
"""Gradient steps between two evaluations of the averaged network."""


class Look(NamedTuple):
    """The answers of the averaged network after some steps."""

    steps: int
    fitted: bool
    """Whether it reproduces every demonstration."""
    answers: list[list[Grid]]
    """For each test input, the grid after each segment."""


def configuration(agent: str, num_envs: int, **options: Any) -> Config:
    """The configuration for `num_envs` demonstrations: `SETTINGS` and then `options`, without those the agent lacks."""
    halting = agent_class(agent).halting
    classes = RunOptions, agent_class(agent).Config, halting_class(halting).Config
    known = {field.name for cls in classes for field in dataclasses.fields(cls)}
    chosen = {name: value for name, value in {**SETTINGS, **options}.items() if name in known}
    return assemble(RunOptions(), {**chosen, "env": "ARC1-v0", "num_envs": num_envs}, agent, halting)


class Demonstrations:
    """The environments of a task: each slot repeats one demonstration, episode after episode.

    Args:
        puzzle: tokens, int64 (B, L).
        solution: tokens, int64 (B, L).
        max_segments: maximum length of an episode.
    """

    def __init__(self, puzzle: Tensor, solution: Tensor, max_segments: int) -> None:
        self.puzzle, self.solution, self._max_segments = puzzle, solution, max_segments

    def reset(self) -> dict[str, Tensor]:
        """The observations of all slots at the beginning of an episode."""
        return {"puzzle": self.puzzle, "segment": torch.zeros(len(self.puzzle), dtype=torch.long)}

    def step(
        self, obs: dict[str, Tensor], answer: Tensor, decision: Tensor
    ) -> tuple[dict[str, Tensor], dict[str, Any], Tensor]:
        """The next observations, the graded fields of `Experience`, and the share of right cells, (B,)."""
        counts = self.solution != PADDING
        same = (answer == self.solution) & counts
        segment, halted, right = obs["segment"] + 1, decision.bool(), self.right(answer)
        ended = halted | (segment >= self._max_segments)
        graded = {
            "obs": obs,
            "segment": segment,
            "halted": halted,
            "reward": (right & ended).float(),
            "ended": ended,
            "right": right,
            "solution": self.solution,
        }
        return {**obs, "segment": torch.where(ended, 0, segment)}, graded, same.sum(1) / counts.sum(1)

    def right(self, answer: Tensor) -> Tensor:
        """Whether each answer, (B, L), reproduces its demonstration, bool (B,)."""
        return ((answer == self.solution) | (self.solution == PADDING)).all(1)


class Fit:
    """A network in training on demonstrations; offers `segments` what a `Trainer` does, without files and evaluations.

    Args:
        shown: boards with known answers, to learn from.
        asked: boards that `look` answers.
        seed: seed of the weights and of the exploration.
        agent: a registered agent on planes.
        **options: options of the run, the agent and the halting rule; they override `SETTINGS`.
    """

    def __init__(
        self,
        shown: Sequence[Board],
        asked: Sequence[Board],
        seed: int = 0,
        agent: str = "hrm_planes",
        **options: Any,
    ) -> None:
        self.seconds, self._budget = 0.0, math.inf
        self.config = configuration(agent, len(shown), views=len(asked[0].views), **options)
        self._boards, self._spec = asked, spec_of([*shown, *asked])
        with torch.random.fork_rng(devices=()):
            torch.manual_seed(seed)
            self.policy = build(self.config, self._spec)
        self.policy.agent.added.copy_(added_colours(shown))  # type: ignore[operator, union-attr]
        self._generator = torch.Generator().manual_seed(seed)
        puzzle, solution = puzzles_of(shown, self._spec), solutions_of(shown, self._spec)
        self.envs = Demonstrations(puzzle, solution, self.config.max_segments)
        self._asked = torch.cat((puzzle, puzzles_of(asked, self._spec)))
        self.policy.halting.begin(len(shown), self.config.max_segments, self.policy.device)
        self.learner = Learner(self.config, self.policy, PADDING)
        self.obs, self.agent_state = self.envs.reset(), self.initial_state()
        self._segments = segments(cast(Trainer, self))

    def train(self, seconds: float) -> Iterator[Look]:
        """Train for `seconds` of a core; yields a look every `LOOK_EVERY` steps and at the end."""
        began, self._budget = time.thread_time() - self.seconds, seconds
        for _ in self._segments:
            if self.learner.steps % LOOK_EVERY == 0:
                yield self.look()
            self.seconds = time.thread_time() - began
        if self.learner.steps % LOOK_EVERY:
            yield self.look()

    def step(self) -> None:
        """One segment and one gradient step."""
        next(self._segments)

    # ---- the interface of `segments` -------------------------------------------------------------

    @property
    def progress(self) -> float:
        """The share of the budget that is spent; the learning rate follows it."""
        return min(1.0, self.seconds / self._budget)

    @property
    def is_over(self) -> bool:
        """Whether the budget is spent."""
        return self.seconds >= self._budget

    def prepare(self) -> None:
        """Do nothing: these networks do not grow."""

    def initial_state(self) -> State:
        """The state at the beginning of an episode, for all slots."""
        return self.policy.initial_state(len(self.envs.puzzle))

    def act(self, output: Output, signals: Signals, segment: Tensor) -> tuple[Tensor, Tensor]:
        """The current answers, (B, L), and the decisions with exploration, int64 (B,)."""
        rule = self.policy.halting
        uniforms = torch.rand((len(segment), rule.num_uniforms), generator=self._generator)
        with torch.no_grad():
            return output.logits.argmax(-1), rule.explore(signals, segment, uniforms).long()

    # ---- looking ---------------------------------------------------------------------------------

    @torch.inference_mode()
    def look(self) -> Look:
        """The averaged network's answers after every segment."""
        policy, num = self.learner.average.policy, len(self.envs.puzzle)
        state = policy.initial_state(len(self._asked))
        answers = []
        for _ in range(self.config.max_segments):
            state, output, _ = policy(state, {"puzzle": self._asked})
            answers.append(output.logits.argmax(-1))
        fitted = bool(self.envs.right(answers[-1][:num]).all())
        tests = [[grid_of(a[i], board, self._spec) for a in answers] for i, board in enumerate(self._boards, num)]
        return Look(self.learner.steps, fitted, tests)
