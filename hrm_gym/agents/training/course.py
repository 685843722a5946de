"""Courses: a run in stages that differ in what is shown, such as small boards before large ones.

A course is a text, `SHARE name=value name=value; SHARE; ...`: for each stage its share of the run's budget and what it
changes. The network, the optimizer, the averaged weights, the learning rate's schedule and the clock go on through all
stages. Since every stage has a share, half the time gives a whole course, and a weaker agent.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from hrm_gym.agents.saved.config import Config, RunOptions
from hrm_gym.errors import HrmGymError, unknown

CHANGES = {"env": str, "task_args": str, "hints": float, "guesses": float, "num_envs": int, "max_segments": int}
"""What a stage may change, with the types."""


@dataclasses.dataclass(frozen=True)
class Stage:
    """A part of a course."""

    begins: float
    """The share of the budget after which it begins, in [0, 1)."""
    config: Config
    """The run's, with what the stage changes."""


def stages(config: Config) -> list[Stage]:
    """The stages of a run; one, where it has no course.

    Raises:
        HrmGymError: on a course that cannot be read, with shares that do not add up to 1, or without a budget.
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
    if changes.get("env", config.env) != config.env:  # the file and the arguments are the other family's
        changes = {"dataset": "", "task_args": "", "num_examples": 0} | changes
    return changes


def _refused(course: str, why: str) -> HrmGymError:
    return HrmGymError(
        f"course is {course!r}: {why}; give it as '0.2 env=Sudoku6x6-v0 guesses=0; 0.8', shares and what they change"
    )
