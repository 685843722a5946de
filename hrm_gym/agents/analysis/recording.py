"""The named states of an agent, and how far each call of a module moves one, recorded by module hooks."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from hrm_gym.agents.inference.think import boards_of, observation
from hrm_gym.agents.policy import Policy
from hrm_gym.agents.state import State
from hrm_gym.envs.task import Puzzles
from hrm_gym.errors import HrmGymError

LAYERS = "layers"
"""The name for the activations of a stack of layers (`Agent.layers`)."""


class Unsuited(HrmGymError):
    """The agent or the family lacks a requirement of an analysis."""


class Recording(NamedTuple):
    """An agent's states for n puzzles over T segments."""

    states: dict[str, np.ndarray]
    """The named states after each segment, float32 (n, T, ..., F)."""
    residuals: list[dict[str, Any]]
    """One row per call: tensor, segment, position in the segment, and median and quartiles of the residual."""


class StateRecorder:
    """Records every call that updates a named state: its name, and how far each slot moved, (B,).

    A state is recognised by its memory address: that of a tensor passed to the agent or returned by an earlier recorded
    call. It is the first argument of the call, or the second argument of torch's recurrent cells.
    """

    def __init__(self) -> None:
        self.calls: list[tuple[str, Tensor]] = []
        self._names: dict[tuple[int, int], str] = {}
        self._kept: list[Tensor] = []  # keeps tensors alive, so that their addresses are not reused
        self._inside: nn.Module | None = None
        self._slots = 1

    def begin(self, tensors: dict[str, Tensor]) -> None:
        """Start a segment with these states."""
        self.calls, self._kept, self._names = [], [], {}
        for name, tensor in tensors.items():
            self._know(name, tensor)
            self._slots = len(tensor)

    def _know(self, name: str, tensor: Tensor) -> None:
        self._names[_memory(tensor)] = name
        self._kept.append(tensor)

    def _enter(self, module: nn.Module, arguments: tuple[Any, ...]) -> None:
        old = _state_of(module, arguments)
        if self._inside is None and old is not None and _memory(old) in self._names:
            self._inside = module

    def _leave(self, module: nn.Module, arguments: tuple[Any, ...], output: Any) -> None:
        if self._inside is not module:
            return
        self._inside = None
        old = _state_of(module, arguments)
        if old is None or not isinstance(output, Tensor) or output.shape != old.shape:
            return  # a reader of the state, such as the answer head
        name = self._names[_memory(old)]
        self.calls.append((name, change(old, output, self._slots)))
        self._know(name, output)

    def _layer(self, module: nn.Module, arguments: tuple[Any, ...], output: Tensor) -> None:
        self.calls.append((LAYERS, change(arguments[0], output, len(output))))

    @contextlib.contextmanager
    def on(self, agent: nn.Module, layers: Sequence[nn.Module] = ()) -> Iterator[None]:
        """Context that records the modules of an agent, or only its `layers` if it is a stack."""
        hooks = [layer.register_forward_hook(self._layer) for layer in layers]
        for module in () if layers else agent.children():
            for part in module.modules():
                hooks += [part.register_forward_pre_hook(self._enter), part.register_forward_hook(self._leave)]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()


def _memory(tensor: Tensor) -> tuple[int, int]:
    return tensor.data_ptr(), tensor.numel()


def _state_of(module: nn.Module, arguments: tuple[Any, ...]) -> Tensor | None:
    """The argument that could be a state."""
    place = 1 if isinstance(module, nn.RNNCellBase) else 0
    found = arguments[place] if len(arguments) > place else None
    return found if isinstance(found, Tensor) else None


def change(old: Tensor, new: Tensor, slots: int) -> Tensor:
    """|new - old| / |new| for each slot, (B,)."""
    a, b = (tensor.float().reshape(slots, -1) for tensor in (old, new))
    return (b - a).norm(dim=1) / b.norm(dim=1).clamp_min(1e-12)


def named_tensors(policy: Policy, state: State) -> dict[str, Tensor]:
    """The floating-point tensors that an agent names, (B, ..., F), features last; without those of the halting rule.

    Raises:
        Unsuited: if it has none.
    """
    tensors = policy.agent.tensors(policy.of_agent(state))
    offered = {name: t for name, t in tensors.items() if t.is_floating_point() and t.ndim > 1}
    if not offered:
        raise Unsuited(f"the agent {policy.name!r} carries no state that it offers by name (`Agent.tensors`)")
    return offered


@torch.inference_mode()
def record(policy: Policy, puzzles: Puzzles, segments: int) -> Recording:
    """Record the states and residuals for NumPy puzzles over this many segments, without halting.

    Raises:
        Unsuited: if the agent has no named floating-point tensors.
    """
    boards = boards_of(puzzles, policy.device)
    obs = observation(boards.puzzle, boards.identity)
    state = policy.initial_state(len(boards.puzzle))
    recorder, rows = StateRecorder(), []
    kept: dict[str, list[np.ndarray]] = {}
    with recorder.on(policy.agent, policy.agent.layers()):
        for segment in range(1, segments + 1):
            before = named_tensors(policy, state)
            recorder.begin(before)
            state = policy(state, obs)[0]
            after = named_tensors(policy, state)
            for name, tensor in after.items():
                kept.setdefault(name, []).append(tensor.float().cpu().numpy())
            calls = recorder.calls
            if not calls:  # no calls were recorded: use the whole segment
                calls = [(name, change(tensor, after[name], len(tensor))) for name, tensor in before.items()]
            for place, (name, moved) in enumerate(calls):
                low, mid, high = np.percentile(moved.cpu().numpy(), [25, 50, 75])
                rows.append(
                    {
                        **{"tensor": name, "segment": segment, "call": place, "calls": len(calls)},
                        **{"median": float(mid), "quartiles": [float(low), float(high)]},
                    }
                )
    return Recording({name: np.stack(tensors, axis=1) for name, tensors in kept.items()}, rows)
