"""`hrm-gym train`: build the configuration from preset and command line, then train."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

from hrm_gym.agents.registry import agent_names, halting_names
from hrm_gym.agents.saved.config import Config, RunOptions
from hrm_gym.agents.saved.preset_table import PRESETS
from hrm_gym.cli.parse import Parser, check_values, parse
from hrm_gym.envs.registration import canonical_id, task_class, task_ids
from hrm_gym.errors import HrmGymError, unknown
from hrm_gym.files import run_to_resume

COMMON = (
    *("env", "agent", "halting", "preset", "seed", "device", "run_dir", "resume", "init_from", "max_minutes"),
    *("max_steps", "num_examples", "dataset", "num_envs", "lr", "hidden_size"),
)
"""The options that `--help` shows."""
_FIRST = ("env", "agent", "halting", "preset", "device", "dtype", "task_args", "dataset", "init_from", "resume")
"""Options that determine the preset, agent and halting rule, and so which other options exist."""


def run(argv: Sequence[str]) -> int:
    """Run the command."""
    first = Parser()
    for name in _FIRST:
        first.add_argument(f"--{name.replace('_', '-')}", f"--{name}", dest=name)
    chosen, _ = first.parse_known_args(list(argv))
    given = {name: value for name, value in vars(chosen).items() if value is not None}
    _check_early(given, argv)
    # Imported late: torch takes seconds, and the checks above do not need it.
    from hrm_gym.agents.saved.presets import resolve
    from hrm_gym.agents.training import parallel
    from hrm_gym.agents.training.run import free_run_dir, train

    if "resume" in given:
        return _resume(given, argv)
    config = _parse(
        argv,
        resolve(given),
        "Train an agent. Defaults below are those of the chosen env, agent, halting rule, preset and device.",
    )
    _refuse_hopeless(config, given)
    run_dir = free_run_dir(config) if parallel.is_leader() else Path(config.run_dir)  # other processes write nothing
    config = dataclasses.replace(config, run_dir=str(run_dir), device=parallel.join(config.device))
    train(config, run_dir)
    parallel.leave()
    return 0


def _check_early(given: Mapping[str, str], argv: Sequence[str]) -> None:
    """Refuse names and values that are wrong for every agent and halting rule."""
    canonical_id(given.get("env", RunOptions().env))
    for name, known in (("agent", agent_names()), ("halting", halting_names()), ("preset", tuple(PRESETS))):
        value = given.get(name, "auto")
        if value not in ("auto", *known) and ":" not in value:
            raise unknown("halting rule" if name == "halting" else name, value, (*known, "auto"))
    if "resume" in given:
        run_to_resume(given["resume"])
    check_values(RunOptions(), argv, "train")


def _refuse_hopeless(config: Config, given: dict[str, str]) -> None:
    """Reject a run over all tasks that is too long for a CPU, unless the user set its options explicitly."""
    chosen = {"agent", "preset", "dataset", "task_args"} & set(given)
    if task_class(config.env).by_examples and config.device == "cpu" and not (chosen or config.init_from):
        raise HrmGymError(
            f"one agent for all tasks of {config.env} takes a GPU (--device cuda, or name an --agent or --dataset); a "
            f"processor learns each on the spot: hrm-gym solve --env {config.env} TASK.json"
        )


def _parse(argv: Sequence[str], default: Config, description: str) -> Config:
    """Parse the command line, with defaults from `default`."""
    choices = {
        "env": task_ids(),
        "agent": ("auto", *agent_names()),
        "halting": ("auto", *halting_names()),
        "preset": ("auto", *PRESETS),
    }
    config = parse(Config, argv, "train", description, default=default, common=COMMON, choices=choices)
    # `default` holds the resolved names; the user may have written "auto" or a module.
    names = {name: getattr(default, name) for name in ("env", "agent", "halting", "preset", "device")}
    dtype = default.dtype if config.dtype == "auto" else config.dtype
    return dataclasses.replace(config, **names, dtype=dtype)


def _resume(given: dict[str, str], argv: Sequence[str]) -> int:
    from hrm_gym.agents.training import parallel
    from hrm_gym.agents.training.resume import resumed
    from hrm_gym.agents.training.run import train

    config, folder, saved = resumed(given["resume"], given, lambda usual: _parse(argv, usual, "Go on with a run."))
    train(dataclasses.replace(config, device=parallel.join(config.device)), folder, saved)
    parallel.leave()
    return 0
