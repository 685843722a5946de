"""Agents that think in segments, rules for when to stop, and how both learn.

Training steps a `gymnasium.vector.VectorEnv` of torch tensors. `agents` imports `envs`; `envs` never imports `agents`.
Names are loaded on first use, because registries and configurations are read without torch.
"""

from typing import TYPE_CHECKING

from hrm_gym.linked import link, on_first_use
from hrm_gym.options import Options, number, share

__all__ = [
    "Agent",
    "Callback",
    "Experience",
    "HaltingRule",
    "LearnedRule",
    "Options",
    "Output",
    "Policy",
    "Protocol",
    "Scores",
    "TaskSpec",
    "agent_names",
    "evaluate",
    "halting_names",
    "load_agent",
    "number",
    "register_agent",
    "register_halting",
    "share",
    "think",
]

if TYPE_CHECKING:
    from hrm_gym.agents.agent import Agent, Output, TaskSpec
    from hrm_gym.agents.halting.rule import Experience, HaltingRule, LearnedRule
    from hrm_gym.agents.inference.evaluation import evaluate
    from hrm_gym.agents.inference.protocol import Protocol
    from hrm_gym.agents.inference.think import think
    from hrm_gym.agents.policy import Policy
    from hrm_gym.agents.registry import agent_names, halting_names, register_agent, register_halting
    from hrm_gym.agents.saved.load import load_agent
    from hrm_gym.agents.training.callbacks import Callback, Scores
else:  # loaded on first use; type checkers would take any name for known
    _MODULES = {
        "Agent": "agent",
        "Output": "agent",
        "TaskSpec": "agent",
        "Experience": "halting.rule",
        "HaltingRule": "halting.rule",
        "LearnedRule": "halting.rule",
        "evaluate": "inference.evaluation",
        "Protocol": "inference.protocol",
        "think": "inference.think",
        "Policy": "policy",
        "agent_names": "registry",
        "halting_names": "registry",
        "register_agent": "registry",
        "register_halting": "registry",
        "load_agent": "saved.load",
        "Callback": "training.callbacks",
        "Scores": "training.callbacks",
    }

    __getattr__ = on_first_use("hrm_gym.agents", _MODULES)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


if __name__ == "agents":  # imported through the link at the repository's root
    link(__name__)
