"""The interface of halting rules: one object decides when to stop thinking and computes the loss for it.

A rule reads named signals from an agent's output, decides by them, learns from rewards, and stores what its loss needs.
Its head reads an agent's features, so it works with every agent. `docs/own_halting_rules.md` walks through one.
"""

from __future__ import annotations

import abc
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hrm_gym.agents.agent import Output
from hrm_gym.options import NoOptions

Signals = dict[str, Tensor]
"""Logits (B,) by name, read from an output. Displays show their sigmoids, in [0, 1]."""


class Experience(NamedTuple):
    """One segment in B slots: a transition of the Markov decision process in which halting is an action."""

    obs: Mapping[str, Tensor]
    """The observation: `puzzle`, (B, L), and whatever else the environment shows."""
    output: Output
    """The agent's output, with its graph."""
    signals: Signals
    """The rule's signals, with their graph."""
    segment: Tensor
    """Number of segments, including this one, int64 (B,)."""
    halted: Tensor
    """The action: whether the slot halted, bool (B,)."""
    reward: Tensor
    """The environment's reward, (B,)."""
    ended: Tensor
    """Whether the episode ended, by halting or at the maximum number of segments, bool (B,)."""
    right: Tensor
    """Whether the answer is right by the environment's grade, bool (B,)."""
    solution: Tensor
    """The tokens of the solution, int64 (B, L)."""
    look_ahead: Callable[..., Signals]
    """`look_ahead()` gives the signals after one more segment in every slot, without a graph; `look_ahead(True)` uses
    the averaged weights."""
    sound: Tensor | None = None
    """Whether the puzzle has a solution, bool (B,); a wrong guess leaves none (`--guesses`). None: all have."""
    given_up: Tensor | None = None
    """Whether the slot gave up, bool (B,); None if that is not an action."""


class HaltingRule(nn.Module, abc.ABC):
    """When to stop thinking. A subclass implements `read` and `lead`, and `loss` if it learns.

    Args:
        config: an instance of the class's `Config`.
        num_features: F, the number of features in the agent's output.
    """

    Config: ClassVar[type[Any]] = NoOptions
    """The dataclass of its options, each with a default. They appear on the command line and in checkpoints."""

    signals: ClassVar[tuple[str, ...]] = ()
    """The names of its signals."""

    words: ClassVar[Mapping[str, str]] = {}
    """Labels of its signals in a window, shorter than 26 characters, such as "is it right?"; default: their names."""

    gives_up: bool = False
    """Whether it detects puzzles without a solution (see `solvable`)."""

    num_uniforms: ClassVar[int] = 0
    """Number of random numbers for exploration, per slot and segment."""

    def __init__(self, config: Any, num_features: int) -> None:
        super().__init__()
        self.config = config
        self.num_features = num_features
        self.max_segments = 0
        self.memory: dict[str, Tensor] = {}
        """Its memory of the slots between segments: tensors with the slot first, saved in checkpoints."""

    # ---- a subclass must implement ---------------------------------------------------------------

    @abc.abstractmethod
    def read(self, output: Output) -> Signals:
        """The signals of an output: logits, float32 (B,)."""

    @abc.abstractmethod
    def lead(self, signals: Signals, segment: Tensor) -> Tensor:
        """By how many logits halting leads over continuing, (B,). `segment`, int64 (B,), counts segments so far."""

    # ---- a subclass may implement ----------------------------------------------------------------

    def belief(self, signals: Signals) -> Tensor | None:
        """The logit that the answer is right, (B,), used to choose among attempts. Default: None."""
        return None

    def solvable(self, signals: Signals) -> Tensor | None:
        """The logit that the puzzle has a solution, (B,), used by a search to give up. Default: None."""
        return None

    def explore(self, signals: Signals, segment: Tensor, uniforms: Tensor) -> Tensor:
        """The decision in training, given random `uniforms` in [0, 1), (B, num_uniforms). Default: `decide`.

        Returns whether to halt, bool (B,), or the environment's action, int64 (B,): 0 continue, 1 halt, 2 give up.
        """
        return self.decide(signals, segment)

    def loss(self, experience: Experience) -> Tensor | None:
        """The loss of a segment, (B,), with its graph; called once per step. Default: None."""
        return None

    def carried(self, num: int, device: torch.device) -> dict[str, Tensor]:
        """State that it carries from segment to segment, such as a running sum. Default: none.

        Returns the initial tensors of `num` slots, with the slot first. They become part of the policy's state.
        """
        return {}

    def follow(self, signals: Signals, carried: dict[str, Tensor]) -> tuple[Signals, dict[str, Tensor]]:
        """The signals of a segment, including those that depend on earlier segments, and the new carried state.

        Args:
            signals: the signals from `read`.
            carried: state after the previous segment. Initial states may have noise.
        """
        return signals, carried

    def forward_passes(self) -> int:
        """Forward passes without gradient that its loss needs in a training step. Default: 0."""
        return 0

    def begin(self, num: int, max_segments: int, device: torch.device) -> None:
        """Prepare for training in `num` slots, in episodes of at most `max_segments` segments."""
        self.max_segments = max_segments
        self.memory = {}

    # ---- provided --------------------------------------------------------------------------------

    def worded(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Values of the signals by their labels in a window."""
        return {self.words.get(name, name): value for name, value in values.items()}

    def decide(self, signals: Signals, segment: Tensor, margin: float = 0.0) -> Tensor:
        """Whether to halt, bool (B,): where halting leads by more than `margin` logits."""
        return self.lead(signals, segment) > margin


class LearnedRule(HaltingRule):
    """A rule that learns `signals` with one linear head on the agent's features, and explores by thinking longer.

    Signals start near probability zero, so that training starts with long episodes. Exploration: with probability
    `exploration` a slot may halt only after a random number of segments, uniform in {2, ..., max_segments}, drawn at
    every segment as in HRM's reference implementation.
    """

    num_uniforms = 2

    exploration: ClassVar[float] = 0.1
    """Probability of exploring in a segment, if `Config` has no option `exploration`."""

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

    def belief(self, signals: Signals) -> Tensor | None:
        """See `HaltingRule`: `q_halt` is the probability of a right answer. None for rules without this signal."""
        return signals.get("q_halt")

    def explore(self, signals: Signals, segment: Tensor, uniforms: Tensor) -> Tensor:
        """See `HaltingRule`."""
        return self.decide(signals, segment) & self.is_free(segment, uniforms)

    def is_free(self, segment: Tensor, uniforms: Tensor) -> Tensor:
        """Whether exploration allows each slot to halt, bool (B,)."""
        least = min(2, self.max_segments)
        drawn = least + (uniforms[:, 1] * (self.max_segments + 1 - least)).long()
        probability = getattr(self.config, "exploration", self.exploration)
        minimum = torch.where(uniforms[:, 0] < probability, drawn, 0)
        return segment >= minimum


def halting_label(experience: Experience) -> Tensor:
    """The value of halting on this answer, in [0, 1], (B,).

    If the episode ended, this is the reward. Otherwise it is the reward that halting would have given: 1 for a right
    answer.
    """
    paid = experience.reward.float().clamp(0.0, 1.0)
    answered = experience.ended if experience.given_up is None else experience.ended & ~experience.given_up
    return torch.where(answered, paid, experience.right.float())


def halting_errors(experience: Experience, wrong_cost: float = 1.0) -> Tensor:
    """Cross-entropy of `q_halt` with the value of halting, (B,); wrong answers have weight `wrong_cost`."""
    label = halting_label(experience)
    weight = label + (1 - label) * wrong_cost
    return F.binary_cross_entropy_with_logits(experience.signals["q_halt"], label, weight, reduction="none")
