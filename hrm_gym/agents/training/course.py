"""Courses: a run in stages with different puzzles, such as small boards before large ones.

A course is a text, `SHARE name=value name=value; SHARE; ...`: each stage's share of the run's budget and its changed
options. Network, optimizer, averaged weights, learning-rate schedule and clock continue through all stages. Shares
scale with the budget: half the time still runs the whole course, and gives a weaker agent.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from hrm_gym.agents.saved.config import Config, RunOptions
from hrm_gym.errors import HrmGymError, unknown

CHANGES = {"env": str, "task_args": str, "hints": float, "guesses": float, "num_envs": int, "max_segments": int}
"""The options that a stage may change, with their types."""


@dataclasses.dataclass(frozen=True)
class Stage:
    """One stage of a course."""

    begins: float
    """The share of the budget, in [0, 1), at which it begins."""
    config: Config
    """The run's configuration with the changes of the stage."""


def stages(config: Config) -> list[Stage]:
    """The stages of a run; a single one if it has no course.

    Raises:
        HrmGymError: if the course cannot be read, its shares do not add up to 1, or the run has no budget.
    """
    if not config.course:
        return [Stage(0.0, config)]
    if not (config.max_steps or config.max_minutes):
        raise HrmGymError("a course has shares of the budget, and this run has none: give --max-minutes or --max-steps")
    found, begins = [], 0.0
    for part in config.course.split(";"):
        share, *changes = part.split() or [""]
        try:
            length = float(share)
        except ValueError:
            length = 0.0
        if not 0 < length <= 1:
            raise _refused(config.course, f"a stage begins with {share!r}, not with its share of the budget")
        found.append(Stage(begins, dataclasses.replace(config, **_changes(config, changes))))
        begins += length
    if abs(begins - 1) > 1e-6:
        raise _refused(config.course, f"its shares add up to {begins:.4g}, not to 1")
    return found


def _changes(config: Config, words: list[str]) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    for word in words:
        name, _, value = word.partition("=")
        if name not in CHANGES:
            raise unknown("change of a course", name, list(CHANGES))
        try:
            changes[name] = CHANGES[name](value)
        except ValueError:
            raise _refused(config.course, f"{word!r} has no {CHANGES[name].__name__}") from None
    RunOptions.from_dict({**dataclasses.asdict(RunOptions()), **changes})  # refuses values out of range
    if changes.get("env", config.env) != config.env:  # dataset and arguments belong to the other family
        changes = {"dataset": "", "task_args": "", "num_examples": 0} | changes
    return changes


def _refused(course: str, why: str) -> HrmGymError:
    return HrmGymError(
        f"course is {course!r}: {why}; give it as '0.2 env=Sudoku6x6-v0 guesses=0; 0.8', shares and what they change"
    )
