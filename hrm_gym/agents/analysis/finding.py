"""An analysis and its finding: figures, a paragraph, a plot."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from hrm_gym.agents.analysis.settings import TITLES
from hrm_gym.agents.analysis.style import new_figure
from hrm_gym.agents.analysis.subject import Subject


@dataclasses.dataclass(frozen=True)
class Analysis:
    """One question about an agent."""

    name: str
    """One of `TITLES`."""
    measure: Callable[[Subject], dict[str, Any]]
    """Computes the figures, in JSON types; raises `Unsuited` if the agent or the family lacks a requirement."""
    describe: Callable[[dict[str, Any]], str]
    """Writes a paragraph about the figures."""
    draw: Callable[[Any, dict[str, Any]], None]
    """Draws the figures on a matplotlib figure."""

    @property
    def title(self) -> str:
        """Its title in the report."""
        return TITLES[self.name]


@dataclasses.dataclass(frozen=True)
class Finding:
    """The result of an analysis."""

    analysis: Analysis
    conditions: dict[str, Any]
    """Agent, puzzles, segments and all other conditions for the reader."""
    figures: dict[str, Any]
    text: str

    def to_dict(self) -> dict[str, Any]:
        """The whole finding in JSON types."""
        return {
            "analysis": self.analysis.name,
            "title": self.analysis.title,
            "text": self.text,
            "conditions": self.conditions,
            "figures": self.figures,
        }

    def plot(self) -> Any:
        """A matplotlib figure.

        Raises:
            HrmGymError: if matplotlib is missing.
        """
        figure = new_figure()
        self.analysis.draw(figure, self.figures)
        env, agent = self.conditions["env"], self.conditions["agent"]
        figure.suptitle(f"{self.analysis.title} · {env}, {agent}", fontsize=11, x=0.01, ha="left")
        return figure
