"""The loop of training: HRM's own, seen as reinforcement learning in a batch of environments.

A slot holds a puzzle, a step of its environment is one segment of thought, and the agent learns from every segment at
once: the state that it carries on is detached, so no gradient reaches an earlier segment.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from torch import Tensor

from hrm_gym.agents.halting.rule import Experience
from hrm_gym.agents.state import detach, select
from hrm_gym.agents.training.trainer import Trainer


class Record(NamedTuple):
    """What one pass through the loop gives, for those who report on it."""

    transition: Experience
    """Of every slot of this process."""
    losses: dict[str, Tensor]
    """Their means, which stay on the device."""
    cell_accuracy: Tensor
    """The share of right cells, (B,)."""


def segments(trainer: Trainer) -> Iterator[Record]:
    """Train: one segment in every slot and one gradient step a time, until the budget is used up.

    Between two steps the trainer holds all that a checkpoint needs (`Trainer.snapshot`).
    """
    while not trainer.is_over:
        trainer.prepare()  # a stage, a curriculum or a growing recursion may be due
        obs = trainer.obs
        agent_state, output, signals = trainer.policy(trainer.agent_state, obs)  # think for one segment
        answer, decision = trainer.act(output, signals, obs["segment"] + 1)
        next_obs, graded, cells = trainer.envs.step(obs, answer, decision)  # graded and paid
        agent_state = detach(agent_state)
        ahead = trainer.look_ahead(agent_state, obs)
        transition = Experience(output=output, signals=signals, look_ahead=ahead, **graded)
        losses = trainer.learner.step(transition, trainer.progress)  # learn from it at once
        # Finished slots think afresh.
        trainer.agent_state = select(transition.ended, trainer.initial_state(), agent_state)
        trainer.obs = next_obs
        yield Record(transition, losses, cells)
