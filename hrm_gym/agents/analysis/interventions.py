"""Which state carries the computation? Each is frozen, reset, or exchanged between puzzles, and accuracy is measured.

Changes happen between segments, so inside a segment the agent works as usual: a frozen state starts every segment with
its value after segment `at`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hrm_gym.agents.analysis.finding import Analysis
from hrm_gym.agents.analysis.recording import Unsuited, named_tensors
from hrm_gym.agents.analysis.style import BLUE, GREY, SERIES, percent, tidy
from hrm_gym.agents.analysis.subject import Subject, think_through
from hrm_gym.agents.policy import Policy
from hrm_gym.agents.state import State, items, map_tensors
from hrm_gym.shares import bars, share_of, words

CHANGES = {
    "frozen": "begins each segment as it was after segment {at}",
    "reset": "begins each segment as in the first",
    "exchanged": "is that of another puzzle after segment {at}, once",
}


def replaced(state: State, name: str, new: Tensor) -> State:
    """The nest with the named tensor replaced."""
    fresh = iter([new if key == name else tensor for key, tensor in items(state)])
    return map_tensors(lambda _: next(fresh), state)


class Change:
    """One change of one tensor, for `think_through`.

    Args:
        kind: one of `CHANGES`.
        name: the tensor's name.
        at: the segment after which it is frozen or exchanged.
        initial: gives the agent's initial state for `n` slots.
    """

    def __init__(self, kind: str, name: str, at: int, initial: Callable[[int], State]) -> None:
        self.kind, self.name, self.at, self.initial = kind, name, at, initial
        self._held: Tensor | None = None

    def __call__(self, segment: int, state: State) -> State:
        """The state for the next segment, after `segment` segments."""
        tensor = dict(items(state))[self.name]
        if segment == self.at:
            self._held = tensor
        if self.kind == "reset" and segment:
            return replaced(state, self.name, dict(items(self.initial(len(tensor))))[self.name])
        if self.kind == "exchanged" and segment == self.at:
            return replaced(state, self.name, tensor.roll(1, 0))
        if self.kind == "frozen" and segment > self.at and self._held is not None:
            return replaced(state, self.name, self._held)
        return state


def in_agent(policy: Policy, change: Change) -> Callable[[int, State], State]:
    """Apply the change only to the agent's part of a state, not to the halting rule's."""
    return lambda segment, state: policy.with_agent(state, change(segment, policy.of_agent(state)))


def measure(subject: Subject) -> dict[str, Any]:
    """Accuracy at the training length of an episode, with every change of every named tensor."""
    policy, task, segments = subject.policy, subject.task, subject.trained_segments
    if segments < 3:
        raise Unsuited(f"episodes of {segments} segments are too short to change a state within")
    with torch.inference_mode():
        state = policy.initial_state(1)
    own = {key for key, tensor in items(policy.of_agent(state)) if tensor.is_floating_point()}
    names = [name for name in named_tensors(policy, state) if name in own]
    if not names:
        raise Unsuited(f"the agent {policy.name!r} offers only tensors that an intervention cannot change")
    untouched = subject.long.right[: subject.settings.changed, :segments]
    # Intervene when half of the finally right answers are right: later changes come too late, earlier ones too soon.
    share = untouched.mean(0)
    at = int(np.clip((share >= share[-1] / 2).argmax() + 1, 1, segments - 2))
    rows = []
    for name in names:
        for kind in CHANGES:
            change = Change(kind, name, at, policy.agent.initial_state)
            right = think_through(policy, task, subject.changed, segments, in_agent(policy, change)).right
            rows.append({"tensor": name, "change": kind, "right": share_of(right[:, -1])})
    return {
        "segments": segments,
        "at": at,
        "untouched": share_of(untouched[:, -1]),
        "at_that_segment": share_of(untouched[:, at - 1]),
        "rows": rows,
    }


def describe(figures: dict[str, Any]) -> str:
    """The paragraph on the figures."""
    at, segments = figures["at"], figures["segments"]
    text = (
        f"Untouched, {words(figures['untouched'])} are right after {segments} segments, and "
        f"{words(figures['at_that_segment'])} after segment {at}."
    )
    effect: dict[str, float] = {}
    for name in dict.fromkeys(row["tensor"] for row in figures["rows"]):
        own = {row["change"]: row["right"] for row in figures["rows"] if row["tensor"] == name}
        text += (
            f" With {name} frozen after that segment {words(own['frozen'])} remain, with {name} reset before every "
            f"segment {words(own['reset'])}, and after one exchange of {name} between puzzles "
            f"{words(own['exchanged'])}."
        )
        effect[name] = own["reset"]["share"]
    whole = figures["untouched"]["share"]
    needed = [name for name, left in effect.items() if left < 0.5 * whole]
    spare = [name for name, left in effect.items() if left >= 0.9 * whole]
    if needed:
        text += f" What is learned about a puzzle between segments is carried by {' and '.join(needed)}."
    if spare:
        text += f" {' and '.join(spare)} can begin every segment afresh at nearly no cost."
    return text


def draw(figure: Any, figures: dict[str, Any]) -> None:
    """Bars of the remaining accuracy."""
    axes = figure.subplots()
    names = list(dict.fromkeys(row["tensor"] for row in figures["rows"]))
    axes.axhline(100 * figures["untouched"]["share"], color=BLUE, linewidth=1.2, label="untouched")
    segment = figures["at_that_segment"]["share"]
    axes.axhline(100 * segment, color=GREY, linewidth=1.2, linestyle="--", label=f"after segment {figures['at']}")
    width = 0.8 / len(names)
    for i, name in enumerate(names):
        own = [row["right"] for row in figures["rows"] if row["tensor"] == name]
        middle, below, above = np.array([bars(share) for share in own]).T
        x = np.arange(len(own)) + (i - (len(names) - 1) / 2) * width
        axes.bar(x, middle, 0.92 * width, yerr=(below, above), capsize=3, color=SERIES[i % len(SERIES)], label=name)
    axes.set_xticks(
        range(len(CHANGES)), [f"{kind}\n{what.format(at=figures['at'])}" for kind, what in CHANGES.items()], fontsize=8
    )
    percent(axes)
    tidy(axes, "", f"right after {figures['segments']} segments")
    axes.grid(axis="x", visible=False)
    axes.legend(frameon=False, fontsize=8, ncols=2, loc="upper center", bbox_to_anchor=(0.5, 1.14))


ANALYSIS = Analysis("interventions", measure, describe, draw)
