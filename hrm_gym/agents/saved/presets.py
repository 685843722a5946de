"""Which preset suits a board, an agent and a device, and the complete configuration that some options stand for."""

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
"""Cells of a board that is soon learned cell by cell."""


def choose_preset(task: Task, env: str, device: str, agent: str = "auto") -> str:
    """The preset that `auto` stands for: the first of the table that suits.

    Args:
        task: the family.
        env: its id.
        device: where the run computes.
        agent: a name, or "auto", for the form that suits the board.
    """
    form = _form(task) if agent == "auto" else agent_class(agent).form
    suited = {name: preset for name, preset in PRESETS.items() if agent_class(preset.agent).form == form}
    return next(name for name, preset in suited.items() if preset.suits(task, env, device.startswith("cuda")))


def _form(task: Task) -> str:
    """The form in which agents see a family's boards best."""
    if task.num_cells <= SMALL:
        return "cells"
    return "groups" if task.groups and task.hintable else "neighbours" if task.local else "cells"


def as_text(value: Any) -> Any:
    """Paths, and runs by their folders, as texts; everything else as it is."""
    value = getattr(value, "folder", value)
    return os.fsdecode(os.fspath(value)) if isinstance(value, os.PathLike) else value


def resolve(options: Mapping[str, Any]) -> Config:
    """The complete configuration that some options stand for; all others are those of preset, agent and rule.

    Args:
        options: of a run, an agent and a halting rule, by name; `env`, `agent`, `halting`, `preset` and `device` may be
            "auto" or missing.

    Raises:
        HrmGymError: on an unknown name, a value that is not allowed, or a device that is not there.
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
    # A course begins with certain other boards and untrained weights.
    if env not in chosen.envs or options.get("init_from") or options.get("dataset"):
        suits = {name: value for name, value in suits.items() if name not in ("course", "task_args")}
    whole = {**suits, **agent_class(agent).run_defaults, **options, "env": env, "preset": preset, "device": device}
    if whole.get("dtype", "auto") == "auto":
        whole["dtype"] = choose_dtype(device)
    return assemble(run, whole, agent, halting)
