"""The one exception that is meant for people: a line that names the value, what is allowed and the remedy."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class HrmGymError(ValueError):
    """Bad input, told in one line. The command line prints it without a traceback and exits with status 2."""


def unknown(kind: str, name: object, allowed: Iterable[str]) -> HrmGymError:
    """The error for a `name` that is not among the `allowed` ones, with the nearest of them proposed."""
    allowed = list(allowed)
    near = difflib.get_close_matches(str(name), allowed, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return HrmGymError(f"unknown {kind} {str(name)!r}: {hint}known are {', '.join(allowed)}")
