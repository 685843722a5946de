"""Converting words of a command line to typed values and back.

Supported types are numbers, bool, str, paths, `Literal`, enums and their unions, and lists and tuples, which take
several words.
"""

from __future__ import annotations

import argparse
import dataclasses
import enum
import types
from collections.abc import Sequence
from pathlib import PurePath
from typing import Any, Literal, Union, get_args, get_origin

from hrm_gym.errors import HrmGymError, unknown

_WORDS = {int: "an integer", float: "a number", bool: "true or false"}
_TRUTH = {"true": True, "false": False}


def readable(kind: Any) -> bool:
    """Return whether values of this type can be given on a command line."""
    if several := _several(kind):
        return all(map(readable, several[0])) and not any(map(_several, several[0]))
    if choices(kind) or kind in (str, *_WORDS):
        return True
    parts = _parts(kind)
    if parts != (kind,):
        return all(readable(part) for part in parts)
    return isinstance(kind, type) and issubclass(kind, PurePath)


def arguments(kind: Any) -> dict[str, Any]:
    """Return the argparse arguments for a type: number of words and metavar."""
    if several := _several(kind):
        kinds, fixed = several
        return {"nargs": len(kinds) if fixed else "*", "metavar": _called(kinds[0])}
    if _parts(kind) == (bool,):
        return {"action": argparse.BooleanOptionalAction}
    return {"metavar": _called(kind)}


def read(flag: str, given: Any, kind: Any) -> Any:
    """Convert an option's words from argparse to a value of its type.

    Raises:
        HrmGymError: if a word is not allowed; the message names the option, the word and the allowed values.
    """
    if isinstance(given, bool):
        return given
    if several := _several(kind):
        kinds, fixed = several
        kinds = kinds if fixed else kinds * len(given)
        parts_read = [read(flag, word, part) for word, part in zip(given, kinds, strict=True)]
        return parts_read if (get_origin(kind) or kind) is list else tuple(parts_read)
    parts = _parts(kind)
    if given == "None" and len(parts) < len(get_args(kind)):
        return None
    refusals = []
    for part in parts:
        try:
            return _read(flag, given, part)
        except HrmGymError as error:
            refusals.append(error)
    raise refusals[0]


def _read(flag: str, word: str, kind: Any) -> Any:
    if known := choices(kind):
        if word not in known:
            raise unknown(flag, word, known)
        return known[word]
    try:
        return _TRUTH[word.lower()] if kind is bool else kind(word)
    except (KeyError, ValueError):
        raise HrmGymError(f"{flag} {word!r}: give {_WORDS[kind]}") from None


def choices(kind: Any) -> dict[str, Any]:
    """Return the values of a `Literal` or an enum by their words; empty for other types."""
    if get_origin(kind) is Literal:
        return {str(value): value for value in get_args(kind)}
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return dict(kind.__members__)
    return {}


def written(value: Any) -> str:
    """Format a default for the help; empty if there is nothing to show."""
    if isinstance(value, enum.Enum):
        return value.name
    if isinstance(value, list | tuple):
        return " ".join(map(written, value))
    return "" if value is None or value is False or value is dataclasses.MISSING else str(value)


def _several(kind: Any) -> tuple[tuple[Any, ...], bool] | None:
    """Return the item types of a list or tuple and whether its length is fixed; None for other types."""
    parts = get_args(kind) or (str, ...)
    if (get_origin(kind) or kind) not in (list, tuple, Sequence):
        return None
    fixed = (get_origin(kind) or kind) is tuple and parts[-1] is not ...
    return (parts, True) if fixed else (parts[:1], False)


def _parts(kind: Any) -> tuple[Any, ...]:
    """Return the types of a union without None, or the type itself."""
    if get_origin(kind) not in (Union, types.UnionType):
        return (kind,)
    return tuple(part for part in get_args(kind) if part is not type(None))


def _called(kind: Any) -> str:
    """Return the metavar of a word of this type."""
    (first, *_) = _parts(kind)
    if known := choices(first):
        return "{" + ",".join(known) + "}"
    return {int: "INT", float: "FLOAT", str: "TEXT", bool: "{true,false}"}.get(first, "PATH")
