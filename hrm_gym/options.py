"""Options as dataclasses: each field says its own bounds, and one function checks them all.

    @dataclasses.dataclass(frozen=True)
    class Config(Options):
        lr: float = number(1e-3, above=0)

Choices are `Literal` types. Numbers must be finite, whether they have bounds or not.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import math
from collections.abc import Mapping
from typing import Any, Literal, Self, get_args, get_origin, get_type_hints

from hrm_gym.errors import HrmGymError, unknown


@dataclasses.dataclass(frozen=True)
class Bounds:
    """Where a number may lie; None: no bound on that side."""

    least: float | None = None
    above: float | None = None
    most: float | None = None
    below: float | None = None

    def allow(self, value: float) -> bool:
        """Whether `value` lies within."""
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
    default: float,
    *,
    least: float | None = None,
    above: float | None = None,
    most: float | None = None,
    below: float | None = None,
) -> Any:
    """A dataclass field whose value must lie within these bounds."""
    return dataclasses.field(default=default, metadata={"bounds": Bounds(least, above, most, below)})


def share(default: float) -> Any:
    """A dataclass field between 0 and 1."""
    return number(default, least=0, most=1)


@dataclasses.dataclass(frozen=True)
class Options:
    """A frozen dataclass that refuses values which its fields do not allow.

    Raises:
        HrmGymError: on construction, naming the field, the value and what is allowed.
    """

    def __post_init__(self) -> None:
        kinds = _types(type(self))
        for field in dataclasses.fields(self):
            _check(field.name, getattr(self, field.name), kinds[field.name], field.metadata.get("bounds"))

    def to_dict(self) -> dict[str, Any]:
        """All fields, nested ones as dictionaries."""
        return dataclasses.asdict(self)

    def to_json(self) -> str:
        """All fields as JSON."""
        return json.dumps(self.to_dict(), indent=2)

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Self:
        """Options from their fields.

        Raises:
            HrmGymError: on an unknown name, a value of the wrong type, or one out of bounds.
        """
        known = [field.name for field in dataclasses.fields(cls)]
        kinds = _types(cls)
        for name, value in fields.items():
            if name not in known:
                raise unknown("option", name, known)
            if (kind := kinds[name]) in (int, float, bool, str) and not _fits(value, kind):
                raise HrmGymError(f"{name} is {value!r}: it must be of type {kind.__name__}")
        return cls(**fields)


@functools.cache
def _types(cls: type) -> dict[str, Any]:
    return get_type_hints(cls)


def _fits(value: Any, kind: type) -> bool:
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    return type(value) is kind


def _check(name: str, value: Any, kind: Any, bounds: Bounds | None) -> None:
    if get_origin(kind) is Literal and value not in get_args(kind):
        raise unknown(name, value, get_args(kind))
    if isinstance(value, bool) or not isinstance(value, int | float):
        return
    if not math.isfinite(value):
        raise HrmGymError(f"{name} is {value}: give a finite number")
    if bounds is not None and not bounds.allow(value):
        raise HrmGymError(f"{name} is {value}: it must be {bounds}")
