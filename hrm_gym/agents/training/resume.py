"""Resuming a run: which options may change, and which folder it writes to."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from hrm_gym.agents.registry import import_named
from hrm_gym.agents.saved import checkpoint as checkpoints
from hrm_gym.agents.saved.checkpoint import Checkpoint
from hrm_gym.agents.saved.config import Config, assemble
from hrm_gym.agents.saved.devices import choose_device, choose_dtype
from hrm_gym.agents.training import parallel
from hrm_gym.agents.training.run import free_run_dir
from hrm_gym.envs.registration import canonical_id
from hrm_gym.errors import HrmGymError
from hrm_gym.files import run_to_resume
from hrm_gym.options import option_names

CHANGEABLE = {
    "device",
    "dtype",
    "run_dir",
    "resume",
    "log",
    "max_minutes",
    "max_steps",
    "target_accuracy",
    "eval_minutes",
    "eval_steps",
    "eval_puzzles",
    "test_puzzles",
    "save_minutes",
}
"""Options that may change on resume: budget, device, folder and evaluations."""
NAMES: dict[str, Callable[[str], str]] = {
    "env": canonical_id,
    "agent": import_named,
    "halting": import_named,
    "preset": str,
    "device": str,
}
"""Options that are names, and how each name is resolved."""


def resumed(
    folder: str, given: Mapping[str, str], change: Callable[[Config], Config]
) -> tuple[Config, Path, Checkpoint]:
    """The configuration, folder and checkpoint for resuming a run.

    Args:
        folder: the run's.
        given: the user's values of `env`, `agent`, `halting`, `preset` and `device`. A module is imported only if the
            user names it, never because a file does.
        change: turns the run's configuration into the one that the user asks for.

    Returns:
        The configuration, the folder to write to, and the checkpoint. If the user gives a `run_dir`, the old folder
        stays unchanged.

    Raises:
        HrmGymError: if there is no run, its checkpoint holds only weights, an option outside `CHANGEABLE` differs, or
            `run_dir` already holds a run.
    """
    path = run_to_resume(folder)
    names: dict[str, Any] = {
        name: read(given[name]) for name, read in NAMES.items() if given.get(name, "auto") != "auto"
    }
    saved = checkpoints.load(path)
    if not saved.part("model"):  # an optimizer has no state before the first step
        raise HrmGymError(f"{path} holds weights only: start a new run with --init-from {path}")
    asked = change(dataclasses.replace(saved.config, dtype="auto", run_dir="", resume=""))
    asked = dataclasses.replace(asked, **names)
    before, now = _flat(saved.config), _flat(asked)
    for name in before:  # the agent's name precedes its options
        if before[name] != now.get(name) and name not in CHANGEABLE:
            raise HrmGymError(
                f"--{name.replace('_', '-')} {now.get(name)} differs from the run's {before[name]}: a resumed run may "
                f"only change {', '.join(sorted(CHANGEABLE))}; to start a new run from its weights use "
                f"--init-from {path}"
            )
    device, dtype = choose_device(given.get("device", asked.device)), asked.dtype
    if dtype == "auto":  # the device determines the type of activations
        same = device.partition(":")[0] == saved.config.device.partition(":")[0]
        dtype = saved.config.dtype if same else choose_dtype(device)
    target = path
    if asked.run_dir and Path(asked.run_dir).absolute() != path.absolute():
        target = free_run_dir(asked) if parallel.is_leader() else Path(asked.run_dir)  # only the leader writes
    return dataclasses.replace(asked, device=device, dtype=dtype, resume="", run_dir=str(target)), target, saved


def changed(config: Config, options: Mapping[str, Any]) -> Config:
    """The configuration with new values for some options of the run, the agent or the halting rule.

    Raises:
        HrmGymError: on an unknown name or a value out of range.
    """
    parts = config.agent_options, config.halting_options
    own = {name: getattr(part, name) for part in parts for name in option_names(part)}
    return assemble(config, {**own, **options}, config.agent, config.halting)


def _flat(config: Config) -> dict[str, Any]:
    """All options of the run, the agent and the halting rule as JSON, because not every dataclass has equality."""
    options = config.to_dict()
    parts = options.pop("agent_options"), options.pop("halting_options")
    return {**options, **parts[0], **parts[1]}
