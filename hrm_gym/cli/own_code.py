"""Agents and halting rules from outside the package, for commands that open a checkpoint.

A checkpoint names its agent and never imports code by itself. The command line does: every command takes
`--agent module:NAME` and `--halting module:NAME`, imports the module, and then knows the name.
"""

from __future__ import annotations

from collections.abc import Sequence

OPTIONS = ("--agent", "--halting")


def import_own_code(argv: Sequence[str]) -> list[str]:
    """Import what `argv` names as module:NAME; gives the arguments without that.

    Raises:
        HrmGymError: where there is no such module, or importing it fails, with file and line.
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
