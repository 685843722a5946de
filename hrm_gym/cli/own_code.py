"""Importing users' agents and halting rules for commands that open a checkpoint.

A checkpoint only names its agent; loading it never imports code. So every command accepts `--agent module:NAME` and
`--halting module:NAME` and imports the module, which registers the name.
"""

from __future__ import annotations

from collections.abc import Sequence

OPTIONS = ("--agent", "--halting")


def import_own_code(argv: Sequence[str]) -> list[str]:
    """Import the modules that `argv` names as module:NAME and return the other arguments.

    Raises:
        HrmGymError: if the module does not exist or its import fails, with file and line.
    """
    left: list[str] = []
    arguments = iter(argv)
    for argument in arguments:
        option, equals, value = argument.partition("=")
        if option in OPTIONS:
            value = value if equals else next(arguments, "")
            if ":" in value:
                from hrm_gym.agents.registry import import_named  # needs torch

                import_named(value)
                continue
            argument, more = (argument, []) if equals else (option, [value])
            left += [argument, *more]
            continue
        left.append(argument)
    return left
