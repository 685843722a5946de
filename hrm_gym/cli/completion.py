"""`hrm-gym completion`: print a shell script that completes commands and options."""

from __future__ import annotations

import argparse
import dataclasses
import importlib
from collections.abc import Sequence
from typing import Any, Literal

import shtab

from hrm_gym.cli import values
from hrm_gym.cli.parse import add_options, options_of, parse, positional


@dataclasses.dataclass(frozen=True)
class Arguments:
    """Print a script that completes commands, options and choices. Try it with `eval "$(hrm-gym completion bash)"`."""

    shell: Literal["bash", "zsh"] = positional("SHELL")
    """The shell to write the script for: bash or zsh."""


def run(argv: Sequence[str]) -> int:
    """Print the script."""
    from hrm_gym.cli import COMMANDS

    args = parse(Arguments, argv, "completion")
    parser = argparse.ArgumentParser("hrm-gym")
    commands = parser.add_subparsers()
    for name, form in forms().items():
        options = {".".join(option.path): option for option in options_of(form)}
        command = commands.add_parser(name, help=COMMANDS[name])  # shtab hides commands without help
        add_options(command, options.values(), {})
        for action in command._actions:
            if action.dest in options:
                action.choices = list(values.choices(options[action.dest].kind)) or None
    print(shtab.complete(parser, args.shell))
    return 0


def forms() -> dict[str, Any]:
    """The dataclass of each command's arguments."""
    from hrm_gym.agents.saved.presets import resolve
    from hrm_gym.cli import COMMANDS

    others = {name: importlib.import_module(f"hrm_gym.cli.{name}") for name in COMMANDS if name != "train"}
    return {"train": resolve({}), **{name: module.Arguments for name, module in others.items()}}
