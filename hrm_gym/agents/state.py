"""Nests of tensors: the state that an agent carries from segment to segment, opaque to everything else.

A nest is a tensor, or a tuple, named tuple, list, dictionary or dataclass of nests. The first axis of every tensor
is the slot. The loop, the evaluator and the checkpoint handle nests only through these functions.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from hrm_gym.errors import HrmGymError

State = Any
"""A nest of tensors whose first axis is the slot, of B slots."""


def map_tensors(function: Callable[..., Tensor], nest: State, *others: State) -> State:
    """Apply `function` to each tensor of `nest` and the tensors in the same place of `others`; returns the nest."""
    if isinstance(nest, Tensor):
        return function(nest, *others)
    if isinstance(nest, Mapping):
        return {key: map_tensors(function, nest[key], *(other[key] for other in others)) for key in nest}
    if isinstance(nest, tuple | list):
        parts = [map_tensors(function, *places) for places in zip(nest, *others, strict=True)]
        return type(nest)(*parts) if hasattr(nest, "_fields") else type(nest)(parts)
    if dataclasses.is_dataclass(nest) and not isinstance(nest, type):
        names = [field.name for field in dataclasses.fields(nest)]
        changed = {n: map_tensors(function, getattr(nest, n), *(getattr(o, n) for o in others)) for n in names}
        return dataclasses.replace(nest, **changed)
    raise TypeError(
        f"a state holds a {type(nest).__name__}: use tensors in tuples, lists, dictionaries and dataclasses"
    )


def items(nest: State, prefix: str = "") -> Iterator[tuple[str, Tensor]]:
    """Pairs of place and tensor, such as "cells/0"; a single tensor is called "state"."""
    if isinstance(nest, Tensor):
        yield prefix or "state", nest
        return
    if isinstance(nest, Mapping):
        places = [(str(key), part) for key, part in nest.items()]
    elif hasattr(nest, "_fields"):
        places = list(zip(nest._fields, nest, strict=True))
    elif isinstance(nest, tuple | list):
        places = [(str(i), part) for i, part in enumerate(nest)]
    else:
        places = [(field.name, getattr(nest, field.name)) for field in dataclasses.fields(nest)]
    for name, part in places:
        yield from items(part, f"{prefix}/{name}" if prefix else name)


def restore(like: State, tensors: Mapping[str, Tensor]) -> State:
    """Rebuild a nest from the tensors that `items` gave, with the structure, device and types of `like`.

    Raises:
        HrmGymError: if a tensor is missing, left over, or of another shape.
    """
    wanted = dict(items(like))
    if set(wanted) != set(tensors):
        raise HrmGymError(f"the saved state has {sorted(tensors)}; this agent's has {sorted(wanted)}")
    for name, tensor in wanted.items():
        if tensor.shape != tensors[name].shape:
            shapes = tuple(tensors[name].shape), tuple(tensor.shape)
            raise HrmGymError(f"the saved state's {name!r} has shape {shapes[0]}; this agent's has {shapes[1]}")
    saved = iter([tensors[name].to(tensor) for name, tensor in wanted.items()])
    return map_tensors(lambda _: next(saved), like)


def select(choice: Tensor, chosen: State, others: State) -> State:
    """For each slot, `chosen` where `choice`, bool (B,), is true and `others` elsewhere."""

    def pick(a: Tensor, b: Tensor) -> Tensor:
        return torch.where(choice.view(-1, *[1] * (a.ndim - 1)), a, b)

    return map_tensors(pick, chosen, others)


def take(nest: State, slots: Any) -> State:
    """The given `slots`: an index, a mask or a slice of the first axis."""
    return map_tensors(lambda tensor: tensor[slots], nest)


def put(nest: State, slots: Tensor, new: State) -> State:
    """`nest` with its `slots`, int64 (M,), replaced by the M slots of `new`."""
    return map_tensors(lambda old, fresh: old.index_copy(0, slots, fresh), nest, new)


def join(first: State, second: State) -> State:
    """The slots of `first`, then those of the second nest."""
    return map_tensors(lambda a, b: torch.cat((a, b)), first, second)


def detach(nest: State) -> State:
    """The same values, detached from the graph."""
    return map_tensors(Tensor.detach, nest)


def perturb(nest: State, noise: float, generator: torch.Generator) -> State:
    """The nest plus normal noise with standard deviation `noise` on its floating-point tensors."""

    def add(tensor: Tensor) -> Tensor:
        if not tensor.is_floating_point():
            return tensor
        drawn = torch.randn(tensor.shape, generator=generator, device=tensor.device)
        return tensor + (noise * drawn).to(tensor.dtype)

    return map_tensors(add, nest)


def residual(before: State, after: State) -> Tensor:
    """How far each slot's state moved, |after - before| / (|after| + |before|) over all its real numbers: (B,).

    0 is a fixed point; 1 is the greatest possible change.
    """

    def flat(nest: State) -> Tensor:
        numbers = [tensor.float().reshape(len(tensor), -1) for _, tensor in items(nest) if tensor.is_floating_point()]
        return torch.cat(numbers, dim=1)  # (B, all numbers of a slot)

    a, b = flat(before), flat(after)
    return (b - a).norm(dim=1) / (a.norm(dim=1) + b.norm(dim=1)).clamp_min(1e-12)
