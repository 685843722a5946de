"""The exception for users: one line with the value, the allowed values and the remedy."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Iterable
from typing import Any


class HrmGymError(ValueError):
    """Bad input, explained in one line. The command line prints it without a traceback and exits with status 2."""

    def __init__(self, message: str) -> None:
        """Set the message; line breaks, such as in a printed array, are joined."""
        super().__init__(
            " ".join(line.strip() for line in lines) if len(lines := message.splitlines()) > 1 else message
        )


def first_line(error: BaseException) -> str:
    """The message of another library's error, shortened for one line; its type if the message is empty."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


def extra(module: str, name: str, what: str, instead: str = "") -> Any:
    """Import a module of an optional dependency.

    Args:
        module: the module to import.
        name: the extra that installs it.
        what: the feature that needs it.
        instead: an alternative without it, such as "leave out --at-once".

    Raises:
        HrmGymError: if it is missing, with the command that installs it.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        missing = (error.name or module).partition(".")[0]
        choice = f", or {instead}" if instead else ""
        raise HrmGymError(f'{what} needs the package {missing!r}: pip install "hrm-gym[{name}]"{choice}') from None


def unknown(kind: str, name: object, allowed: Iterable[str]) -> HrmGymError:
    """The error for a `name` that is not `allowed`, with the nearest allowed name as a suggestion."""
    allowed = list(allowed)
    near = nearest(name, allowed)
    hint = f"did you mean {near!r}? " if near else ""
    return HrmGymError(f"unknown {kind} {str(name)!r}: {hint}known are {', '.join(allowed)}")


def nearest(name: object, allowed: Iterable[str]) -> str:
    """The `allowed` name with the most similar spelling; empty if none is similar."""
    return next(iter(difflib.get_close_matches(str(name), list(allowed), n=1, cutoff=0.5)), "")
