"""What an analysis is, and what it finds: figures, a paragraph, a picture."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from hrm_gym.agents.analysis.style import new_figure
from hrm_gym.agents.analysis.subject import Subject


@dataclasses.dataclass(frozen=True)
class Analysis:
    """One question that is asked of an agent."""

    name: str
    title: str
    measure: Callable[[Subject], dict[str, Any]]
    """The figures, as JSON has them; raises `Unsuited` where the agent or the family lacks what is asked for."""
    describe: Callable[[dict[str, Any]], str]
    """A paragraph about them."""
    draw: Callable[[Any, dict[str, Any]], None]
    """Draws them on a matplotlib figure."""


@dataclasses.dataclass(frozen=True)
class Finding:
    """The answer."""

    analysis: Analysis
    conditions: dict[str, Any]
    """Agent, puzzles, segments and whatever else a reader must know."""
    figures: dict[str, Any]
    text: str

    def to_dict(self) -> dict[str, Any]:
        """All of it, as JSON has it."""
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
            HrmGymError: where matplotlib is missing.
        """
        figure = new_figure()
        self.analysis.draw(figure, self.figures)
        env, agent = self.conditions["env"], self.conditions["agent"]
        figure.suptitle(f"{self.analysis.title} · {env}, {agent}", fontsize=11, x=0.01, ha="left")
        return figure
