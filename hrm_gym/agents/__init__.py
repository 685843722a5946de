"""Networks that think in segments, and how they learn. They know environments only by the Gymnasium interface."""

from hrm_gym.agents.inference.evaluator import evaluate
from hrm_gym.agents.inference.think import think
from hrm_gym.agents.models.reasoner import Carry, Output, Reasoner
from hrm_gym.agents.registry import AGENTS, PRESETS, build_reasoner
from hrm_gym.agents.training.checkpoint import load_agent
from hrm_gym.agents.training.config import Config

__all__ = [
    "AGENTS",
    "PRESETS",
    "Carry",
    "Config",
    "Output",
    "Reasoner",
    "build_reasoner",
    "evaluate",
    "load_agent",
    "think",
]
