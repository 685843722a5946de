"""The choice of a preset for board, agent and device, and the resolution of options to a complete configuration."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from typing import Any

from hrm_gym.agents.registry import agent_class, halting_class, import_named
from hrm_gym.agents.saved.config import Config, RunOptions, assemble
from hrm_gym.agents.saved.devices import choose_device, choose_dtype
from hrm_gym.agents.saved.preset_table import PRESETS
from hrm_gym.envs.guesses import can_guess
from hrm_gym.envs.registration import canonical_id, make_task, task_arguments
from hrm_gym.envs.task import Task
from hrm_gym.errors import HrmGymError, unknown

SMALL = 36
"""Boards up to this many cells are learned quickly cell by cell."""


def choose_preset(task: Task, env: str, device: str, agent: str = "auto") -> str:
    """The preset for `auto`: the first suitable one in the table.

    Args:
        task: the puzzle family.
        env: its id.
        device: the run's device.
        agent: a name, or "auto" for one whose form suits the board.
    """
    form = _form(task) if agent == "auto" else agent_class(agent).form
    on_gpu = device.startswith("cuda")
    # Ask for the class last: it imports the agent.
    suited = (name for name, preset in PRESETS.items() if preset.suits(task, env, on_gpu))
    return next(name for name in suited if agent_class(PRESETS[name].agent).form == form)


def _form(task: Task) -> str:
    """The best form of agents for a family's boards."""
    if task.num_cells <= SMALL:
        return "cells"
    return "groups" if task.groups and task.hintable else "neighbours" if task.local else "cells"


def as_text(value: Any) -> Any:
    """Convert paths, and runs (to their folders), to text; everything else is unchanged."""
    value = getattr(value, "folder", value)
    return os.fsdecode(os.fspath(value)) if isinstance(value, os.PathLike) else value


def resolve(options: Mapping[str, Any]) -> Config:
    """Resolve options to a complete configuration, with defaults from preset, agent and rule.

    Args:
        options: options of run, agent and halting rule, by name; `env`, `agent`, `halting`, `preset` and `device` may
            be "auto" or missing.

    Raises:
        HrmGymError: on an unknown name, a value out of range, or a missing device.
    """
    options = {name: as_text(value) for name, value in options.items()}
    run = RunOptions()
    named = {name: options.get(name, getattr(run, name)) for name in ("env", "agent", "halting", "preset", "device")}
    for name, value in named.items():
        if not isinstance(value, str) and name != "device":
            raise HrmGymError(f"{name} is {str(value)[:60]!r}: give a text")
    device, env = choose_device(named["device"]), canonical_id(named["env"])
    preset, agent, halting = named["preset"], import_named(named["agent"]), import_named(named["halting"])
    task = make_task(env, options.get("dataset") or None, **task_arguments(options.get("task_args", "")))
    if preset == "auto":
        preset = choose_preset(task, env, device, agent)
    if preset not in PRESETS:
        raise unknown("preset", preset, [*PRESETS, "auto"])
    chosen = PRESETS[preset]
    agent = chosen.agent if agent == "auto" else agent
    halting = (chosen.halting or agent_class(agent).halting) if halting == "auto" else halting
    classes = RunOptions, agent_class(agent).Config, halting_class(halting).Config
    known = {field.name for cls in classes for field in dataclasses.fields(cls)}
    suits = {name: value for name, value in chosen.options.items() if name in known}
    if not task.hintable:
        suits.pop("hints", None)
    if not can_guess(task):
        suits = {name: value for name, value in suits.items() if name not in ("guesses", "give_up")}
    # A course starts from other boards and untrained weights.
    if env not in chosen.envs or options.get("init_from") or options.get("dataset"):
        suits = {name: value for name, value in suits.items() if name not in ("course", "task_args")}
    whole = {**suits, **agent_class(agent).run_defaults, **options, "env": env, "preset": preset, "device": device}
    if whole.get("dtype", "auto") == "auto":
        whole["dtype"] = choose_dtype(device)
    return assemble(run, whole, agent, halting)
