"""`hrm-gym train`: the configuration from preset and command line, then the training loop."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from copy import copy
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import tyro

from hrm_gym.agents.saved.config import Config, RunOptions
from hrm_gym.agents.saved.presets import resolve
from hrm_gym.agents.training import parallel
from hrm_gym.agents.training.resume import resumed
from hrm_gym.agents.training.run import free_run_dir, train
from hrm_gym.cli.parse import Parser, parse
from hrm_gym.options import check_options

_RUN = tuple(field.name for field in dataclasses.fields(RunOptions))
_FIRST = ("env", "agent", "halting", "preset", "device", "dtype", "task_args", "dataset", "resume")
"""Options from which preset, agent and rule follow, and with them what other options there are."""


def run(argv: Sequence[str]) -> int:
    """Train as the arguments say."""
    first = Parser(add_help=False, allow_abbrev=False)
    for name in _FIRST:
        first.add_argument(f"--{name.replace('_', '-')}", f"--{name}", dest=name)
    chosen, _ = first.parse_known_args(list(argv))
    given = {name: value for name, value in vars(chosen).items() if value is not None}
    if "resume" in given:
        return _resume(given, argv)
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


def form(default: Config) -> Any:
    """The dataclass of the arguments: those of the run, the agent and the rule as one list, over `default`.

    An own dataclass need not check its values, so they are checked here.
    """
    run = RunOptions(**{name: getattr(default, name) for name in _RUN})
    parts = {"run": run, "agent_options": default.agent_options, "halting_options": default.halting_options}
    fields: list[Any] = []
    for name, part in parts.items():
        usual = dataclasses.field(default_factory=partial(copy, part))  # a field may have no mutable default itself
        fields.append((name, Annotated[type(part), tyro.conf.OmitArgPrefixes], usual))
    return dataclasses.make_dataclass("Arguments", fields, namespace={"__post_init__": check_options})


def _parse(argv: Sequence[str], default: Config, description: str) -> Config:
    """The command line over `default`."""
    told: Any = parse(form(default), argv, "train", description)
    fields = {name: getattr(told.run, name) for name in _RUN}
    # The names are resolved already; the user may have written "auto" or a module.
    fields |= {name: getattr(default, name) for name in ("env", "agent", "halting", "preset", "device", "dtype")}
    if told.run.dtype != "auto":
        fields["dtype"] = told.run.dtype
    return Config(**fields, agent_options=told.agent_options, halting_options=told.halting_options)


def _resume(given: dict[str, str], argv: Sequence[str]) -> int:
    config, folder, saved = resumed(given["resume"], given, lambda usual: _parse(argv, usual, "Go on with a run."))
    train(dataclasses.replace(config, device=parallel.join(config.device)), folder, saved)
    parallel.leave()
    return 0
