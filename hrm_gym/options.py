"""Options as dataclasses: any dataclass whose fields all have defaults. Fields may have bounds.

    @dataclasses.dataclass
    class Config:
        depth: int = 4
        lr: float = number(1e-3, above=0)

Choices are `Literal` types. All numbers must be finite and fit into tensors, even without bounds.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
import json
import math
import types
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any, Literal, Self, TypeVar, Union, get_args, get_origin, get_type_hints

import numpy as np

from hrm_gym.errors import HrmGymError, unknown

T = TypeVar("T")


@dataclasses.dataclass(frozen=True)
class Bounds:
    """The allowed range of a number; None: no bound on that side."""

    least: float | None = None
    above: float | None = None
    most: float | None = None
    below: float | None = None

    def allow(self, value: float) -> bool:
        """Whether `value` is within the bounds."""
        return (
            (self.least is None or value >= self.least)
            and (self.above is None or value > self.above)
            and (self.most is None or value <= self.most)
            and (self.below is None or value < self.below)
        )

    def __str__(self) -> str:
        parts = [
            f"{words} {bound:g}"
            for words, bound in (
                ("at least", self.least),
                ("above", self.above),
                ("at most", self.most),
                ("below", self.below),
            )
            if bound is not None
        ]
        return " and ".join(parts)


def number(
    default: float | None,
    *,
    least: float | None = None,
    above: float | None = None,
    most: float | None = None,
    below: float | None = None,
) -> Any:
    """A dataclass field for a number within these bounds."""
    return dataclasses.field(default=default, metadata={"bounds": Bounds(least, above, most, below)})


def share(default: float) -> Any:
    """A dataclass field between 0 and 1."""
    return number(default, least=0, most=1)


LARGEST_INTEGER, LARGEST_FLOAT = 2**63 - 1, 3e38
"""The largest 64-bit integer, and about the largest 32-bit float."""
DEPTH = 256
"""Maximum number of layers, or of repetitions in a segment, for one option."""
CYCLES = 32
"""The maximum for options that multiply with another one."""


def depth(default: int, *, least: int = 1, most: int = DEPTH) -> Any:
    """A dataclass field for a number of layers, or of repetitions in a segment.

    It is bounded, because a hostile checkpoint could set it.
    """
    return number(default, least=least, most=most)


class Options:
    """Base class for dataclasses of options, frozen or not, which validate their fields on construction.

    Raises:
        HrmGymError: naming the field, its value and the allowed ones.
    """

    def __post_init__(self) -> None:
        for name in _fields(type(self)):  # type: ignore[arg-type]  # every class can be hashed
            value = getattr(self, name)
            if isinstance(value, np.generic):  # NumPy scalars, such as computed arguments
                object.__setattr__(self, name, value.item())
        check_options(self)

    def to_dict(self) -> dict[str, Any]:
        """See `to_dict`."""
        return to_dict(self)

    def to_json(self) -> str:
        """All fields as JSON."""
        return json.dumps(to_dict(self), indent=2)

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Self:
        """See `from_dict`."""
        return from_dict(cls, fields)


@dataclasses.dataclass(frozen=True)
class NoOptions(Options):
    """For agents and halting rules without options."""


def option_names(cls: Any) -> list[str]:
    """Names of the constructor fields of a dataclass."""
    return [field.name for field in dataclasses.fields(cls) if field.init]


def check_options(options: Any) -> None:
    """Validate the fields of a dataclass, including nested dataclasses.

    Raises:
        HrmGymError: naming the field, its value and the allowed ones.
    """
    for name, (kinds, bounds) in _fields(type(options)).items():  # type: ignore[arg-type]
        value = getattr(options, name)
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            check_options(value)
        else:
            _check(name, value, kinds, bounds)


def to_dict(options: Any) -> dict[str, Any]:
    """The fields of a dataclass in JSON types; `from_dict` reads them back.

    Raises:
        HrmGymError: on a value without a JSON form.
    """
    return {name: _plain(name, getattr(options, name)) for name in option_names(options)}


def from_dict(cls: type[T], fields: Mapping[str, Any]) -> T:
    """Build a dataclass of options from a mapping; missing fields get their defaults.

    Raises:
        HrmGymError: on an unknown name, or a value of the wrong type or out of bounds.
    """
    known, kinds = option_names(cls), get_type_hints(cls)
    for name in fields:
        if name not in known:
            raise unknown("option", name, known)
    options = cls(**{name: _read(name, value, kinds[name]) for name, value in fields.items()})
    check_options(options)
    return options


def _plain(name: str, value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return to_dict(value)
    if isinstance(value, enum.Enum):
        return value.name
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(name, part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(name, part) for part in value]
    if value is None or isinstance(value, str | int | float):
        return value
    raise HrmGymError(
        f"{name} is {value!r}, which a checkpoint cannot hold: use numbers, texts, lists, tuples, enums or dataclasses"
    )


def _read(name: str, value: Any, kind: Any) -> Any:
    """Convert a value from JSON or Python to the type `kind` of its field."""
    origin, parts = get_origin(kind), get_args(kind)
    if kind in _KINDS and not _fits(value, kind):
        raise HrmGymError(f"{name} is {_shown(value)}: give {_KINDS[kind]}")
    if origin in (Union, types.UnionType):
        return _read_union(name, value, parts)
    if dataclasses.is_dataclass(kind) and isinstance(kind, type) and isinstance(value, Mapping):
        return from_dict(kind, value)
    if isinstance(kind, type) and issubclass(kind, enum.Enum) and not isinstance(value, kind):
        if value not in kind.__members__:
            raise unknown(name, value, kind.__members__)
        return kind[value]
    if isinstance(kind, type) and issubclass(kind, PurePath) and isinstance(value, str):
        return kind(value)
    if isinstance(value, list | tuple) and (origin or kind) in (list, tuple, Sequence):
        if (origin or kind) is tuple and parts and parts[-1] is not ... and len(parts) != len(value):
            raise HrmGymError(f"{name} is {value!r}: it must have {len(parts)} values")
        inner = parts if parts and len(parts) == len(value) and parts[-1] is not ... else parts[:1] * len(value)
        read = [_read(name, part, of) for part, of in zip(value, inner or [Any] * len(value), strict=True)]
        return tuple(read) if (origin or kind) is tuple else read
    return value


def _read_union(name: str, value: Any, parts: Sequence[Any]) -> Any:
    """Convert a value to the first of several types that accepts it."""
    if value is None and type(None) in parts:
        return None
    refusals = []
    for kind in parts:
        if kind is type(None):
            continue
        try:
            return _read(name, value, kind)
        except HrmGymError as error:
            refusals.append(error)
    raise refusals[0]


_KINDS = {int: "an integer", float: "a number", bool: "True or False", str: "a text", type(None): "None"}
"""The checked types and their names in errors."""


@functools.cache
def _fields(cls: Any) -> dict[str, tuple[tuple[Any, ...], Bounds | None]]:
    """The allowed types of each field, and its bounds."""
    hints = get_type_hints(cls)
    unions = Union, types.UnionType
    kinds = {name: get_args(kind) if get_origin(kind) in unions else (kind,) for name, kind in hints.items()}
    return {field.name: (kinds[field.name], field.metadata.get("bounds")) for field in dataclasses.fields(cls)}


def _fits(value: Any, kind: Any) -> bool:
    if get_origin(kind) is Literal:
        return isinstance(value, str | int) and value in get_args(kind)
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    return kind not in _KINDS or type(value) is kind


def _shown(value: Any) -> str:
    """A value for an error message; long or multi-line values, such as arrays, by their type."""
    text = repr(value) if isinstance(value, str | int | float | type(None)) else ""
    text = text or (repr(value) if isinstance(value, list | tuple | dict | set) and len(value) <= 4 else "")
    return text if text and len(text) <= 80 else f"a {type(value).__name__}"


def _check(name: str, value: Any, kinds: tuple[Any, ...], bounds: Bounds | None) -> None:
    if not any(_fits(value, kind) for kind in kinds):
        if get_origin(kinds[0]) is Literal:
            raise unknown(name, value, get_args(kinds[0]))
        raise HrmGymError(f"{name} is {_shown(value)}: give {' or '.join(_KINDS[kind] for kind in kinds)}")
    if isinstance(value, bool) or not isinstance(value, int | float):
        return
    if isinstance(value, float) and not math.isfinite(value):
        raise HrmGymError(f"{name} is {value}: give a finite number")
    if abs(value) > (most := LARGEST_FLOAT if isinstance(value, float) else LARGEST_INTEGER):
        raise HrmGymError(f"{name} is beyond {most:g}, as far as can be computed with: it must be smaller")
    if bounds is not None and not bounds.allow(value):
        raise HrmGymError(f"{name} is {value}: it must be {bounds}")
