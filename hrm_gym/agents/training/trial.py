"""A trial of user-defined agents and halting rules, which reports their faults before training starts."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from hrm_gym.agents import state as nests
from hrm_gym.agents.agent import Agent, Output
from hrm_gym.agents.halting.rule import Experience, HaltingRule, Signals
from hrm_gym.agents.policy import Policy
from hrm_gym.agents.state import State
from hrm_gym.errors import HrmGymError
from hrm_gym.outside import calling, defined, is_outside

NUM = 3
"""Number of slots in the trial."""
SEGMENTS = 2


def try_out(policy: Policy, envs: Any, max_segments: int) -> None:
    """Run a few segments with a copy of a policy, and check the shapes and types that the loop needs.

    The policy and the random state do not change. Agents and rules of the package are not tried.

    Args:
        policy: on its device.
        envs: the run's slots. `reset()` gives observations; `solution`, (B, L), belongs to the current puzzles.
        max_segments: length limit of an episode.

    Raises:
        HrmGymError: in one line, with the file and line of the method.
    """
    if not (is_outside(type(policy.agent)) or is_outside(type(policy.halting))):
        return
    obs = nests.take(envs.reset(), slice(0, NUM))
    solution = envs.solution[:NUM]
    num, device = len(solution), policy.device
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        with calling(type(policy.agent)):
            policy = copy.deepcopy(policy)  # the averaged weights are also a deep copy
        agent, rule = policy.agent, policy.halting
        state = _initial_state(agent, num, device)
        with calling(type(rule), "begin"):
            rule.begin(num, max_segments, device)
        with calling(type(rule), "carried"):
            carried = rule.carried(num, device)
        for segment in range(1, SEGMENTS + 1):
            state, output = _think(agent, state, obs)
            signals = _read(rule, output, num)
            if carried:
                with calling(type(rule), "follow"):
                    signals, carried = rule.follow(signals, nests.detach(carried))
            _decide(rule, signals, torch.full((num,), segment, device=device))
            experience = _experience(output, signals, segment, obs, solution)
            with calling(type(rule), "loss"):
                loss = rule.loss(experience)
            if loss is not None:
                _numbers(rule, "loss", loss, (num,))


def _initial_state(agent: Agent, num: int, device: torch.device) -> State:
    with calling(type(agent), "initial_state"):
        state = nests.detach(agent.initial_state(num))
    for name, tensor in nests.items(state):
        if tensor.shape[:1] != (num,):
            shape = tuple(tensor.shape)
            raise _wrong(agent, "initial_state", f"gives {name!r} of shape {shape} for {num} slots: the slot is first")
        if tensor.device.type != device.type:
            raise _wrong(agent, "initial_state", f"gives {name!r} on {tensor.device}: it must be on {device}")
    return state


def _think(agent: Agent, state: State, obs: Mapping[str, Tensor]) -> tuple[State, Output]:
    num, spec = len(obs["puzzle"]), agent.spec
    with calling(type(agent), "forward"):
        thought = agent(state, obs)
    if not (isinstance(thought, tuple) and len(thought) == 2 and isinstance(thought[1], Output)):
        raise _wrong(agent, "forward", f"gives a {type(thought).__name__}: give (state, Output(logits, features))")
    after, output = thought
    _numbers(agent, "forward", output.logits, (num, spec.num_cells, spec.num_tokens), "as logits ")
    _numbers(agent, "forward", output.features, (num, agent.num_features), "as features ")
    if output.aux_loss is not None:
        _numbers(agent, "forward", output.aux_loss, (num,), "as aux_loss ")
    losses = [part for part in (output.logits, output.aux_loss) if part is not None]
    if any(p.requires_grad for p in agent.parameters()) and not any(part.requires_grad for part in losses):
        raise _wrong(agent, "forward", "gives logits without a gradient, so the network would not learn")
    with calling(type(agent), "forward"):
        after = nests.detach(after)
        before, now = ({name: tuple(t.shape) for name, t in nests.items(nest)} for nest in (state, after))
    if before != now:
        raise _wrong(agent, "forward", f"gives a state of the shapes {now}, and initial_state one of {before}")
    return after, output


def _read(rule: HaltingRule, output: Output, num: int) -> Signals:
    with calling(type(rule), "read"):
        signals = rule.read(output)
    if not isinstance(signals, Mapping):
        raise _wrong(rule, "read", f"gives a {type(signals).__name__}: give a dictionary of signals by name")
    for name, value in signals.items():
        _numbers(rule, "read", value, (num,), f"as {name} ")
    return dict(signals)


def _decide(rule: HaltingRule, signals: Signals, segment: Tensor) -> None:
    cls, shape = type(rule), tuple(segment.shape)
    if set(signals) != set(rule.signals):
        raise _wrong(rule, "read", f"gives the signals {sorted(signals)}, and `signals` has {sorted(rule.signals)}")
    with calling(cls, "lead"):
        _numbers(rule, "lead", rule.lead(signals, segment), shape)
    with calling(cls, "decide"):
        _choices(rule, "decide", rule.decide(signals, segment), shape, (torch.bool,))
    uniforms = torch.rand((len(segment), rule.num_uniforms), device=segment.device)
    with calling(cls, "explore"), torch.no_grad():
        _choices(rule, "explore", rule.explore(signals, segment, uniforms), shape, (torch.bool, torch.int64))
    with calling(cls, "belief"):
        belief = rule.belief(signals)
    if belief is not None:
        _numbers(rule, "belief", belief, shape)


def _experience(
    output: Output, signals: Signals, segment: int, obs: Mapping[str, Tensor], solution: Tensor
) -> Experience:
    """Experience in which the first slot halts with a right answer and the others continue with wrong ones."""
    first = torch.arange(len(solution), device=solution.device) == 0
    return Experience(
        obs=obs,
        output=output,
        signals=signals,
        segment=torch.full_like(solution[:, 0], segment),
        halted=first,
        reward=first.float(),
        ended=first,
        right=first,
        solution=solution,
        look_ahead=lambda averaged=False: {name: value.detach() for name, value in signals.items()},
    )


def _numbers(owner: Any, method: str, value: Any, shape: tuple[int, ...], what: str = "") -> None:
    if not (isinstance(value, Tensor) and value.shape == shape and value.is_floating_point()):
        raise _wrong(owner, method, f"gives {what}{_kind(value)}: it must be a tensor of real numbers of shape {shape}")


def _choices(owner: Any, method: str, value: Any, shape: tuple[int, ...], dtypes: tuple[torch.dtype, ...]) -> None:
    if not (isinstance(value, Tensor) and value.shape == shape and value.dtype in dtypes):
        values = "truth values" if dtypes == (torch.bool,) else "truth values or int64 decisions"
        raise _wrong(owner, method, f"gives {_kind(value)}: it must be a tensor of {values} of shape {shape}")


def _kind(value: Any) -> str:
    if not isinstance(value, Tensor):
        return f"a {type(value).__name__}"
    return f"a tensor of shape {tuple(value.shape)} and type {value.dtype}"


def _wrong(owner: Any, method: str, what: str) -> HrmGymError:
    cls = type(owner)
    return HrmGymError(f"{defined(cls, method)}: {cls.__name__}.{method} {what}")
