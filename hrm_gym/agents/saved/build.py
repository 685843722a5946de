"""Build an untrained policy from a configuration."""

from __future__ import annotations

import torch

from hrm_gym.agents.agent import TaskSpec
from hrm_gym.agents.policy import Policy
from hrm_gym.agents.registry import agent_class, halting_class
from hrm_gym.agents.saved.config import Config
from hrm_gym.errors import HrmGymError
from hrm_gym.outside import calling, defined

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def build(config: Config, spec: TaskSpec) -> Policy:
    """Build the agent and the halting rule of `config`, untrained, for the board `spec`.

    Raises:
        HrmGymError: if user code fails, with file and line, or the agent does not fit the board.
    """
    agent_type, rule_type = agent_class(config.agent), halting_class(config.halting)
    with calling(agent_type):
        agent = agent_type(config.agent_options, spec)
        agent.dtype = DTYPES[config.dtype]
        if not isinstance(getattr(agent, "num_features", None), int):
            raise HrmGymError(
                f"{defined(agent_type, '__init__')}: {agent_type.__name__} sets no number of features: write "
                "self.num_features = ..., the F of its features (B, F)"
            )
    with calling(rule_type):
        rule = rule_type(config.halting_options, agent.num_features)
    return Policy(config.agent, agent, rule, config.loss)
