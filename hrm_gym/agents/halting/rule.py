"""The door for halting rules: one object that knows when to stop thinking, and what that teaches.

A rule reads named signals from an agent's output, decides by them, learns from what the environment pays, and keeps
what it must remember for that. It goes with every agent, since what it needs of one it reads by a head of its own.
`docs/own_halting_rules.md` walks through one.
"""

from __future__ import annotations

import abc
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hrm_gym.agents.agent import Output
from hrm_gym.options import Options

Signals = dict[str, Tensor]
"""What a rule reads from an output: logits (B,) by name. Their sigmoids, in [0, 1], are what people are shown."""


class Experience(NamedTuple):
    """One segment in B slots: a transition of the Markov decision process in which halting is an action."""

    obs: Mapping[str, Tensor]
    """What was thought about: `puzzle`, (B, L), and what else the environment shows."""
    output: Output
    """What the agent said, with its graph."""
    signals: Signals
    """What the rule read from it, with its graph."""
    segment: Tensor
    """Segments thought, this one included, int64 (B,)."""
    halted: Tensor
    """The action: whether the slot halted, bool (B,)."""
    reward: Tensor
    """What the environment paid for it, (B,)."""
    ended: Tensor
    """Whether the episode ended, by halting or with its last segment, bool (B,)."""
    right: Tensor
    """Whether the answer is right, as the environment grades it, bool (B,)."""
    solution: Tensor
    """The tokens of the solution, int64 (B, L)."""
    look_ahead: Callable[[bool], Signals]
    """The signals of one segment more, without a graph, whether or not the slot goes on; `look_ahead(True)` asks the
    averaged weights."""
    sound: Tensor | None = None
    """Whether the puzzle that is shown has a solution, bool (B,): not after a wrong guess (`--guesses`). None: all."""


class HaltingRule(nn.Module, abc.ABC):
    """When to stop thinking. A subclass gives `read` and `lead`, and where it learns `loss`.

    Args:
        config: of the class's `Config`, a dataclass derived from `Options`; its fields appear on the command line.
        num_features: F, the number of features in the agent's outputs.
    """

    Config: ClassVar[type[Options]] = Options
    """The dataclass of its options."""

    signals: ClassVar[tuple[str, ...]] = ()
    """The names of its signals."""

    words: ClassVar[Mapping[str, str]] = {}
    """What a window calls its signals, shorter than 26 characters, such as "is it right?"; by default their names."""

    num_uniforms: ClassVar[int] = 0
    """How many random numbers a slot it explores with in a segment."""

    def __init__(self, config: Any, num_features: int) -> None:
        super().__init__()
        self.config = config
        self.num_features = num_features
        self.max_segments = 0
        self.memory: dict[str, Tensor] = {}
        """What it remembers of the slots between segments, tensors with the slot first; part of a checkpoint."""

    # ---- what a rule must give -------------------------------------------------------------------

    @abc.abstractmethod
    def read(self, output: Output) -> Signals:
        """The signals of an output: logits, float32 (B,)."""

    @abc.abstractmethod
    def lead(self, signals: Signals, segment: Tensor) -> Tensor:
        """By how many logits halting leads over continuing, (B,). `segment`, int64 (B,), counts those thought."""

    # ---- what a rule may give --------------------------------------------------------------------

    def belief(self, signals: Signals) -> Tensor | None:
        """How sure it is that the answer is right, a logit (B,): by it attempts are chosen. Default: nothing."""
        return None

    def explore(self, signals: Signals, segment: Tensor, uniforms: Tensor) -> Tensor:
        """The decision in training, bool (B,), with `uniforms` in [0, 1), (B, num_uniforms). Default: `decide`."""
        return self.decide(signals, segment)

    def loss(self, experience: Experience) -> Tensor | None:
        """What the rule learns from a segment, (B,), with its graph; called once a step. Default: nothing."""
        return None

    def carried(self, num: int, device: torch.device) -> dict[str, Tensor]:
        """What it carries from segment to segment, in use as in training, such as a sum over them. Default: nothing.

        Tensors with the slot first, of `num` slots that have thought nothing yet. They become part of the state.
        """
        return {}

    def follow(self, signals: Signals, carried: dict[str, Tensor]) -> tuple[Signals, dict[str, Tensor]]:
        """The signals of a segment, those that depend on the segments before it among them, and what is carried on.

        Args:
            signals: what `read` gave.
            carried: of the segment before. Initial states may have noise on them.
        """
        return signals, carried

    def forward_passes(self) -> int:
        """Segments without a gradient that its loss thinks in a training step. Default: none."""
        return 0

    def begin(self, num: int, max_segments: int, device: torch.device) -> None:
        """Prepare for training in `num` slots, in episodes of at most `max_segments` segments."""
        self.max_segments = max_segments
        self.memory = {}

    # ---- what follows from it --------------------------------------------------------------------

    def worded(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Values of the signals by what a window calls them."""
        return {self.words.get(name, name): value for name, value in values.items()}

    def decide(self, signals: Signals, segment: Tensor, margin: float = 0.0) -> Tensor:
        """Whether to halt, bool (B,): where halting leads by more than `margin` logits."""
        return self.lead(signals, segment) > margin


class LearnedRule(HaltingRule):
    """A rule that learns `signals` by one linear head over the agent's features, and explores by thinking longer.

    Both start near zero probability, so that learning begins with long episodes. Exploration: with probability
    `config.exploration` a slot must have thought a random number of segments, uniform in {2, ..., max_segments}, before
    halting counts; drawn anew at each segment, as in HRM's reference implementation.
    """

    num_uniforms = 2

    def __init__(self, config: Any, num_features: int) -> None:
        super().__init__(config, num_features)
        self.head = nn.Linear(num_features, len(self.signals))
        nn.init.zeros_(self.head.weight)
        nn.init.constant_(self.head.bias, -5.0)

    def read(self, output: Output) -> Signals:
        """See `HaltingRule`."""
        return self.values(output.features)

    def values(self, features: Tensor) -> Signals:
        """The signals of features (..., F), each (...)."""
        return dict(zip(self.signals, self.head(features.float()).unbind(-1), strict=True))

    def belief(self, signals: Signals) -> Tensor:
        """See `HaltingRule`: the value of halting is the probability of being right."""
        return signals["q_halt"]

    def explore(self, signals: Signals, segment: Tensor, uniforms: Tensor) -> Tensor:
        """See `HaltingRule`."""
        least = min(2, self.max_segments)
        drawn = least + (uniforms[:, 1] * (self.max_segments + 1 - least)).long()
        minimum = torch.where(uniforms[:, 0] < self.config.exploration, drawn, 0)
        return self.decide(signals, segment) & (segment >= minimum)


def halting_label(experience: Experience) -> Tensor:
    """What halting on this answer is worth, in [0, 1], (B,).

    Where the episode ended, it is what the environment paid; elsewhere it is 1 for a right answer, which is what the
    environment says it would have paid.
    """
    paid = experience.reward.float().clamp(0.0, 1.0)
    return torch.where(experience.ended, paid, experience.right.float())


def halting_errors(experience: Experience, wrong_cost: float = 1.0) -> Tensor:
    """Cross-entropy of `q_halt` with what halting is worth, (B,); wrong answers weigh `wrong_cost` times as much."""
    label = halting_label(experience)
    weight = label + (1 - label) * wrong_cost
    return F.binary_cross_entropy_with_logits(experience.signals["q_halt"], label, weight, reduction="none")
