"""`hrm-gym completion`: a script that completes commands and options in a shell."""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Sequence
from typing import Any, Literal

import tyro

from hrm_gym.cli.parse import parse


@dataclasses.dataclass(frozen=True)
class Arguments:
    """Print a script that completes commands, options and choices. `eval "$(hrm-gym completion bash)"` tries it."""

    shell: tyro.conf.Positional[Literal["bash", "zsh"]]
    """Whose script."""


def run(argv: Sequence[str]) -> int:
    """Print the script."""
    args = parse(Arguments, argv, "completion")
    script = ["--tyro-print-completion", args.shell]
    try:
        tyro.extras.subcommand_cli_from_dict(forms(), prog="hrm-gym", args=script)
    except SystemExit as stop:  # as tyro ends once it has printed
        return int(stop.code or 0)
    return 0


def forms() -> dict[str, Any]:
    """The dataclass of each command's arguments."""
    from hrm_gym.agents.saved.presets import resolve
    from hrm_gym.cli import COMMANDS, train

    others = {name: importlib.import_module(f"hrm_gym.cli.{name}") for name in COMMANDS if name != "train"}
    return {"train": train.form(resolve({})), **{name: module.Arguments for name, module in others.items()}}
