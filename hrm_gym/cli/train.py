"""`hrm-gym train`: the configuration from preset and command line, then the training loop."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hrm_gym.agents.registry import agent_names, halting_names, import_named
from hrm_gym.agents.saved import checkpoint as checkpoints
from hrm_gym.agents.saved.config import Config
from hrm_gym.agents.saved.devices import choose_device, choose_dtype
from hrm_gym.agents.saved.presets import PRESETS, resolve
from hrm_gym.agents.training import parallel
from hrm_gym.agents.training.run import free_run_dir, train
from hrm_gym.cli.parse import Parser, parse
from hrm_gym.envs.registration import canonical_id, task_ids
from hrm_gym.errors import HrmGymError
from hrm_gym.files import is_folder
from hrm_gym.options import to_dict

# What a resumed run may be told anew: how long it goes on, where, and how it is watched.
CHANGEABLE = {
    "device",
    "dtype",
    "run_dir",
    "resume",
    "max_minutes",
    "max_steps",
    "target_accuracy",
    "eval_minutes",
    "eval_steps",
    "eval_puzzles",
    "test_puzzles",
    "save_minutes",
}
COMMON = (
    *("env", "agent", "halting", "preset", "seed", "device", "run_dir", "resume", "init_from", "max_minutes"),
    *("max_steps", "num_examples", "dataset", "num_envs", "lr", "hidden_size"),
)
"""The options that `--help` shows."""
_FIRST = ("env", "agent", "halting", "preset", "device", "dtype", "task_args", "dataset", "resume")
"""Options from which preset, agent and rule follow, and with them what other options there are."""


def run(argv: Sequence[str]) -> int:
    """Train as the arguments say."""
    first = Parser()
    for name in _FIRST:
        first.add_argument(f"--{name.replace('_', '-')}", f"--{name}", dest=name)
    chosen, _ = first.parse_known_args(list(argv))
    given = {name: value for name, value in vars(chosen).items() if value is not None}
    if "resume" in given:
        return _resume(Path(given["resume"]), given, argv)
    config = _parse(
        argv,
        resolve(given),
        "Train an agent. Defaults below are those of the chosen env, agent, halting rule, preset and device.",
    )
    run_dir = free_run_dir(config) if parallel.is_leader() else Path(config.run_dir)  # the others write nothing
    config = dataclasses.replace(config, run_dir=str(run_dir), device=parallel.join(config.device))
    train(config, run_dir)
    parallel.leave()
    return 0


def _parse(argv: Sequence[str], default: Config, description: str) -> Config:
    """The command line over `default`."""
    choices = {
        "env": task_ids(),
        "agent": ("auto", *agent_names()),
        "halting": ("auto", *halting_names()),
        "preset": ("auto", *PRESETS),
    }
    config = parse(default, argv, "train", description, common=COMMON, choices=choices)
    # The names are resolved already; the user may have written "auto" or a module.
    names = {name: getattr(default, name) for name in ("env", "agent", "halting", "preset", "device")}
    dtype = default.dtype if config.dtype == "auto" else config.dtype
    return dataclasses.replace(config, **names, dtype=dtype)


def _resume(run_dir: Path, given: dict[str, str], argv: Sequence[str]) -> int:
    if not given["resume"] or not is_folder(run_dir):
        raise HrmGymError(f"--resume {given['resume']!r}: there is no such folder; give the folder of a run")
    # The user's own command, and no file, says which modules are imported.
    named = {"agent": import_named(given.get("agent", "")), "halting": import_named(given.get("halting", ""))}
    if "env" in given:
        named["env"] = canonical_id(given["env"])
    saved = checkpoints.load(run_dir)
    if not saved.part("model"):  # an optimizer has no state before the first step
        raise HrmGymError(f"{run_dir} holds weights only: start a new run with --init-from {run_dir}")
    told = _parse(argv, saved.config, "Go on with a run.")
    changes: dict[str, Any] = {name: value for name, value in named.items() if value} | {
        name: given[name] for name in ("device", "preset") if name in given
    }
    told = dataclasses.replace(told, **changes)
    for field in dataclasses.fields(Config):
        before, now = (_comparable(getattr(config, field.name)) for config in (saved.config, told))
        if before != now and field.name not in CHANGEABLE:
            raise HrmGymError(
                f"--{field.name.replace('_', '-')} {now} differs from the run's {before}: a resumed run may "
                f"only change {', '.join(sorted(CHANGEABLE))}; to begin anew from its weights use "
                f"--init-from {run_dir}"
            )
    device = parallel.join(choose_device(told.device))
    if device.partition(":")[0] != saved.config.device.partition(":")[0] and "dtype" not in given:
        told = dataclasses.replace(told, dtype=choose_dtype(device))  # the activations follow the device
    told = dataclasses.replace(told, resume="", device=device, run_dir=str(run_dir))
    train(told, run_dir, saved)
    parallel.leave()
    return 0


def _comparable(value: Any) -> Any:
    """An option; a dataclass of options by its fields, since not every dataclass can be compared."""
    return to_dict(value) if dataclasses.is_dataclass(value) else value
