"""Agents that think in segments, rules for when to stop, and how both learn.

Training steps a `gymnasium.vector.VectorEnv` of torch tensors. `agents` imports `envs`; `envs` never imports `agents`.
"""

from hrm_gym.agents.agent import Agent, Output, TaskSpec
from hrm_gym.agents.halting.rule import Experience, HaltingRule, LearnedRule
from hrm_gym.agents.inference.evaluation import Protocol, evaluate
from hrm_gym.agents.inference.think import think
from hrm_gym.agents.policy import Policy
from hrm_gym.agents.registry import agent_names, halting_names, register_agent, register_halting
from hrm_gym.agents.saved.load import load_agent
from hrm_gym.options import Options, number, share

__all__ = [
    "Agent",
    "Experience",
    "HaltingRule",
    "LearnedRule",
    "Options",
    "Output",
    "Policy",
    "Protocol",
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
