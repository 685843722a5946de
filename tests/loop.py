"""The lines of `train`, one step at a time, without what watches over them."""

import dataclasses
import importlib.util

from hrm_gym.agents.halting.rule import Experience
from hrm_gym.agents.presets import resolve
from hrm_gym.agents.registry import agent_class, agent_names
from hrm_gym.agents.state import detach, select
from hrm_gym.agents.training.trainer import Trainer

NEEDS = {"spaun": "nengo"}
"""Agents that need a package which is an extra."""
TINY = {
    **{"env": "Sudoku4x4-v0", "agent": "hrm", "preset": "tiny", "device": "cpu", "dtype": "float32"},
    **{"hidden_size": 16, "num_heads": 2, "h_layers": 1, "l_layers": 1, "num_envs": 8, "max_segments": 3},
    **{"max_steps": 100, "max_minutes": 0.0},
}
"""Options of a small HRM on 4x4 Sudokus."""


def agents_here():
    """All registered agents but those whose extra is missing."""
    return [name for name in agent_names() if name not in NEEDS or importlib.util.find_spec(NEEDS[name])]


def tiny(**options):
    """The configuration of `TINY` with other options; those of `TINY` that another agent lacks are left out."""
    config = agent_class(options.get("agent", TINY["agent"])).Config
    lacks = {"hidden_size", "num_heads", "h_layers", "l_layers"} - {field.name for field in dataclasses.fields(config)}
    return resolve({name: value for name, value in TINY.items() if name not in lacks} | options)


class Loop:
    """A run that is stepped by hand."""

    def __init__(self, config, saved=None, wrap=None):
        self.trainer = Trainer(config, saved, wrap)
        self.policy = self.trainer.policy
        self.obs, self.state = self.trainer.start()

    def step(self):
        """One segment in every slot and one gradient step; gives its mean losses."""
        trainer = self.trainer
        state, output, signals = trainer.policy(self.state, self.obs)
        answer, halt = trainer.act(output, signals, self.obs["segment"] + 1)
        after, told, self.cells = trainer.envs.step(self.obs, answer, halt)
        state = detach(state)
        ahead = trainer.look_ahead(state, self.obs)
        self.experience = Experience(output=output, signals=signals, look_ahead=ahead, **told)
        losses = trainer.learner.step(self.experience, trainer.progress)
        self.state = select(self.experience.ended, trainer.initial_state(), state)
        self.obs = after
        return losses

    def snapshot(self):
        return self.trainer.snapshot(self.state)
