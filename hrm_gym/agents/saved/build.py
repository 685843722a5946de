"""From a configuration to an untrained policy."""

from __future__ import annotations

import torch

from hrm_gym.agents.agent import TaskSpec
from hrm_gym.agents.policy import Policy
from hrm_gym.agents.registry import agent_class, halting_class
from hrm_gym.agents.saved.config import Config

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def build(config: Config, spec: TaskSpec) -> Policy:
    """The untrained agent with its halting rule that `config` describes, for the board `spec`."""
    agent = agent_class(config.agent)(config.agent_options, spec)
    agent.dtype = DTYPES[config.dtype]
    rule = halting_class(config.halting)(config.halting_options, agent.num_features)
    return Policy(config.agent, agent, rule, config.loss)
