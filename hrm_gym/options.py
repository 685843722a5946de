"""Options as dataclasses: each field says its own bounds, and one function checks them all.

    @dataclasses.dataclass(frozen=True)
    class Config(Options):
        lr: float = number(1e-3, above=0)

Choices are `Literal` types. Numbers must be finite and fit into tensors, whether they have bounds
or not.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import math
import types
from collections.abc import Mapping
from typing import Any, Literal, Self, get_args, get_origin, get_type_hints

import numpy as np

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
    default: float | None,
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
        for name, (kinds, bounds) in _fields(type(self)).items():
            value = getattr(self, name)
            if isinstance(value, np.generic):  # a number of NumPy's, as of an argument that was computed
                value = value.item()
                object.__setattr__(self, name, value)
            _check(name, value, kinds, bounds)

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
        for name in fields:
            if name not in (known := _fields(cls)):
                raise unknown("option", name, known)
        return cls(**fields)


_KINDS = {int: "an integer", float: "a number", bool: "True or False", str: "a text", type(None): "None"}
"""The types whose values are checked, as an error names them."""


@functools.cache
def _fields(cls: type[Options]) -> dict[str, tuple[tuple[Any, ...], Bounds | None]]:
    """The types that each field may have, and its bounds."""
    hints = get_type_hints(cls)
    kinds = {name: get_args(kind) if isinstance(kind, types.UnionType) else (kind,) for name, kind in hints.items()}
    return {field.name: (kinds[field.name], field.metadata.get("bounds")) for field in dataclasses.fields(cls)}


def _fits(value: Any, kind: Any) -> bool:
    if get_origin(kind) is Literal:
        return isinstance(value, str | int) and value in get_args(kind)
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    return kind not in _KINDS or type(value) is kind


def _check(name: str, value: Any, kinds: tuple[Any, ...], bounds: Bounds | None) -> None:
    if not any(_fits(value, kind) for kind in kinds):
        if get_origin(kinds[0]) is Literal:
            raise unknown(name, value, get_args(kinds[0]))
        raise HrmGymError(f"{name} is {value!r}: give {' or '.join(_KINDS[kind] for kind in kinds)}")
    if isinstance(value, bool) or not isinstance(value, int | float):
        return
    if isinstance(value, float) and not math.isfinite(value):
        raise HrmGymError(f"{name} is {value}: give a finite number")
    if abs(value) > (most := LARGEST_FLOAT if isinstance(value, float) else LARGEST_INTEGER):
        raise HrmGymError(f"{name} is beyond {most:g}, as far as can be computed with: it must be smaller")
    if bounds is not None and not bounds.allow(value):
        raise HrmGymError(f"{name} is {value}: it must be {bounds}")
