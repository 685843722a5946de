"""The training loop: HRM's, written as reinforcement learning in a batch of environments.

A slot holds a puzzle, and a step of its environment is one segment of thought. The agent learns after every segment.
The state that it carries on is detached, so no gradient crosses segments.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from torch import Tensor

from hrm_gym.agents.halting.rule import Experience
from hrm_gym.agents.state import detach, select
from hrm_gym.agents.training.trainer import Trainer


class Record(NamedTuple):
    """The result of one iteration of the loop, for reporting."""

    transition: Experience
    """The experience of all slots of this process."""
    losses: dict[str, Tensor]
    """Mean losses, on the device."""
    cell_accuracy: Tensor
    """The share of right cells, (B,)."""


def segments(trainer: Trainer) -> Iterator[Record]:
    """Train until the budget is used up; each iteration is one segment in every slot and one gradient step.

    Between iterations the trainer holds everything that a checkpoint needs (`Trainer.snapshot`).
    """
    while not trainer.is_over:
        trainer.prepare()  # advance stage, curriculum and growth if due
        obs = trainer.obs
        agent_state, output, signals = trainer.policy(trainer.agent_state, obs)  # think for one segment
        answer, decision = trainer.act(output, signals, obs["segment"] + 1)
        next_obs, graded, cells = trainer.envs.step(obs, answer, decision)  # graded, with rewards
        agent_state = detach(agent_state)
        ahead = trainer.learner.look_ahead(agent_state, obs)
        transition = Experience(output=output, signals=signals, look_ahead=ahead, **graded)
        losses = trainer.learner.step(transition, trainer.progress)  # learn from it at once
        # Finished slots start from the initial state.
        trainer.agent_state = select(transition.ended, trainer.initial_state(), agent_state)
        trainer.obs = next_obs
        yield Record(transition, losses, cells)
