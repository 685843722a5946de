"""The one exception that is meant for people: a line that names the value, what is allowed and the remedy."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Iterable
from typing import Any


class HrmGymError(ValueError):
    """Bad input, told in one line. The command line prints it without a traceback and exits with status 2."""

    def __init__(self, message: str) -> None:
        """The line; where a value in it is written in several, such as an array, they are joined."""
        super().__init__(
            " ".join(line.strip() for line in lines) if len(lines := message.splitlines()) > 1 else message
        )


def first_line(error: BaseException) -> str:
    """What another library's error says, as the reason in a line of ours; its kind where it says nothing."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


def extra(module: str, name: str, what: str, instead: str = "") -> Any:
    """A module of an optional library.

    Args:
        module: to be imported.
        name: of the extra that brings it.
        what: needs it.
        instead: what can be done without it, such as "leave out --at-once".

    Raises:
        HrmGymError: where it is missing, with the command that installs it.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        missing = (error.name or module).partition(".")[0]
        choice = f", or {instead}" if instead else ""
        raise HrmGymError(f'{what} needs the package {missing!r}: pip install "hrm-gym[{name}]"{choice}') from None


def unknown(kind: str, name: object, allowed: Iterable[str]) -> HrmGymError:
    """The error for a `name` that is not among the `allowed` ones, with the nearest of them proposed."""
    allowed = list(allowed)
    near = nearest(name, allowed)
    hint = f"did you mean {near!r}? " if near else ""
    return HrmGymError(f"unknown {kind} {str(name)!r}: {hint}known are {', '.join(allowed)}")


def nearest(name: object, allowed: Iterable[str]) -> str:
    """The one of the `allowed` names that is spelled most like `name`; empty where none is."""
    return next(iter(difflib.get_close_matches(str(name), list(allowed), n=1, cutoff=0.5)), "")
