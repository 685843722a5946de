"""Networks that think in segments, and how they learn. They know environments only by the Gymnasium interface."""

from hrm_gym.agents.checkpoint import load_agent
from hrm_gym.agents.config import Config
from hrm_gym.agents.evaluator import evaluate
from hrm_gym.agents.inference import think
from hrm_gym.agents.reasoner import Carry, Output, Reasoner
from hrm_gym.agents.registry import AGENTS, PRESETS, build_reasoner

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
