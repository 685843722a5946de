"""Options as dataclasses: each field says its own bounds, and one function checks them all.

    @dataclasses.dataclass(frozen=True)
    class Config(Options):
        lr: float = number(1e-3, above=0)

Choices are `Literal` types. Numbers must be finite and fit into tensors, whether they have bounds
or not.
"""

from __future__ import annotations

import dataclasses
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


LARGEST_INTEGER, LARGEST_FLOAT = 2**63 - 1, 3e38
"""What fits into 64 bits, and into a float of 32."""
DEPTH = 256
"""The most layers, or repetitions in a segment, that one option may ask for."""
CYCLES = 32
"""The same where two such options multiply."""


def depth(default: int, *, least: int = 1, most: int = DEPTH) -> Any:
    """A dataclass field that counts layers, or repetitions in a segment.

    It has an upper bound, for a checkpoint sets it, too: a small file from a stranger must not think for years.
    """
    return number(default, least=least, most=most)


@dataclasses.dataclass(frozen=True)
class Options:
    """A frozen dataclass that refuses values which its fields do not allow.

    Raises:
        HrmGymError: on construction, naming the field, the value and what is allowed.
    """

    def __post_init__(self) -> None:
        kinds = get_type_hints(type(self))
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
        kinds = get_type_hints(cls)
        for name, value in fields.items():
            if name not in known:
                raise unknown("option", name, known)
            if (kind := kinds[name]) in (int, float, bool, str) and not _fits(value, kind):
                raise HrmGymError(f"{name} is {value!r}: it must be of type {kind.__name__}")
        return cls(**fields)


def _fits(value: Any, kind: type) -> bool:
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    return type(value) is kind


def _check(name: str, value: Any, kind: Any, bounds: Bounds | None) -> None:
    if get_origin(kind) is Literal and value not in get_args(kind):
        raise unknown(name, value, get_args(kind))
    if isinstance(value, bool) or not isinstance(value, int | float):
        return
    if isinstance(value, float) and not math.isfinite(value):
        raise HrmGymError(f"{name} is {value}: give a finite number")
    if abs(value) > (most := LARGEST_FLOAT if isinstance(value, float) else LARGEST_INTEGER):
        raise HrmGymError(f"{name} is beyond {most:g}, as far as can be computed with: it must be smaller")
    if bounds is not None and not bounds.allow(value):
        raise HrmGymError(f"{name} is {value}: it must be {bounds}")
