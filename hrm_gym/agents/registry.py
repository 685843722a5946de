"""The architectures by name, and the presets: sizes and settings that are known to work.

A preset is a set of `Config` fields. Which one `auto` means depends on the board, the agent and the device, as
measured: small boards on a processor want token mixing and weight decay 1.0 and learn in minutes.
"""

from __future__ import annotations

from typing import Any

from hrm_gym.agents.config import Config
from hrm_gym.agents.hrm import HRM
from hrm_gym.agents.reasoner import Reasoner
from hrm_gym.agents.trm import TRM
from hrm_gym.errors import unknown

AGENTS: dict[str, type[Reasoner]] = {"hrm": HRM, "trm": TRM}


def build_reasoner(config: Config, num_tokens: int, num_cells: int) -> Reasoner:
    """The untrained model that `config` describes, for boards of `num_cells` cells and `num_tokens` symbols."""
    if config.agent not in AGENTS:
        raise unknown("agent", config.agent, AGENTS)
    return AGENTS[config.agent](config, num_tokens, num_cells)


PRESETS: dict[str, dict[str, Any]] = {}
