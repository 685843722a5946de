"""The door for minds: what an agent knows of a puzzle, what it says after a segment, and what it must give.

An agent is a recurrent network over segments. It thinks; it knows neither episodes nor rewards, and a halting rule
(`hrm_gym.agents.halting.rule`) reads from its features when to stop. `docs/own_agents.md` walks through one.
"""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple, cast

import numpy as np
import torch
from torch import Tensor, nn

from hrm_gym.agents.state import State, items
from hrm_gym.envs.task import Task, Traces
from hrm_gym.options import NoOptions


@dataclasses.dataclass(frozen=True)
class TaskSpec:
    """What a mind may know of a puzzle family: its board and symbols, and the structure that the family names."""

    rows: int
    columns: int
    num_tokens: int
    """V, the size of the vocabulary."""
    num_identities: int = 0
    """How many puzzles are known by their identity and not by their board alone (ARC); 0: none."""
    blank: int = dataclasses.field(default=0, compare=False)
    """The token of a cell that the puzzle leaves open."""
    groups: tuple[np.ndarray, ...] = dataclasses.field(default=(), compare=False)
    """Sets of cells that hold every one of the `group_symbols` once, in partitions: integers (G, n) each, such as
    the rows, the columns and the boxes of a Sudoku. Empty where the family names none."""
    group_symbols: tuple[int, ...] = dataclasses.field(default=(), compare=False)
    """The n tokens that each group holds."""
    links: np.ndarray | None = dataclasses.field(default=None, compare=False)
    """Pairs of neighbouring cells, integers (E, 2), where the family names them."""
    colours: tuple[int, ...] = dataclasses.field(default=(), compare=False)
    """Tokens that are colours of cells, the background first; cells with other tokens are no part of the board. Empty
    where all tokens are."""
    uncoloured: int = dataclasses.field(default=-1, compare=False)
    """The token of cells that are part of the board and have no colour; -1: there are none."""
    moves: tuple[int, ...] = dataclasses.field(default=(), compare=False)
    """Where a board is a walk, moves above what is seen after each: the tokens of moves. Empty where it is none."""
    trace: Callable[[np.ndarray, int], Traces] | None = dataclasses.field(default=None, compare=False, repr=False)
    """How a solver goes about puzzles (see `Task.trace`), for agents that imitate it in training; None where the
    family has none."""
    num_notes: int = dataclasses.field(default=0, compare=False)
    """Different notes in a trace."""

    @property
    def num_cells(self) -> int:
        """L, the number of cells."""
        return self.rows * self.columns

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.rows, self.columns

    @staticmethod
    def of(task: Task) -> TaskSpec:
        """What a puzzle family says of itself."""
        return TaskSpec(
            *task.shape,
            num_tokens=task.num_tokens,
            num_identities=task.num_identities,
            blank=task.blank,
            groups=tuple(task.groups),
            group_symbols=tuple(task.group_symbols),
            links=task.links,
            colours=tuple(task.colours),
            moves=tuple(task.moves),
            trace=task.trace if type(task).trace is not Task.trace else None,
            num_notes=task.num_notes,
        )


class Output(NamedTuple):
    """What an agent says after a segment, for B slots."""

    logits: Tensor
    """Of the symbol of every cell, (B, L, V)."""
    features: Tensor
    """What a halting rule reads by a head of its own, (B, F)."""
    aux_loss: Tensor | None = None
    """A loss of the agent's own, (B,), such as a ponder cost; added to the others."""


class Agent(nn.Module, abc.ABC):
    """A mind: a network that reads a puzzle and thinks in segments.

    A subclass has `Config`, a dataclass of its options with a default for each; calls `super().__init__(config, spec)`;
    sets `num_features`; and gives `initial_state` and `forward`.

    Args:
        config: of the class's `Config`.
        spec: the board that it will think about.
    """

    Config: ClassVar[type[Any]] = NoOptions
    """The dataclass of its options, any with defaults; they appear on the command line and in checkpoints."""

    halting: ClassVar[str] = "classifier"
    """The halting rule that goes with it where nobody chooses another."""

    equivariant: ClassVar[bool] = False
    """Whether its answer turns with the puzzle under all symmetries of the family: then attempts at symmetric images
    are one attempt, and attempts differ by noise on the initial state instead."""

    form: ClassVar[str] = "cells"
    """How it sees a board, by which presets are chosen: "cells", "groups" or "neighbours"."""

    growth_option: ClassVar[str] = ""
    """The option that says during which share of the budget it grows (see `grow`); empty where it does not grow."""

    run_defaults: ClassVar[Mapping[str, Any]] = {}
    """Settings of a run that suit it, over those of the preset, such as {"lr": 1e-4}."""

    num_features: int
    """F, the number of features in its outputs."""

    def __init__(self, config: Any, spec: TaskSpec) -> None:
        super().__init__()
        self.config = config
        self.spec = spec
        self.dtype = torch.float32
        """The type of activations that suits the device; whoever builds the agent sets it. Agents may ignore it:
        then they compute in float32."""

    # ---- what an agent must give -----------------------------------------------------------------

    @abc.abstractmethod
    def initial_state(self, num: int) -> State:
        """The state of `num` slots that have thought nothing yet: a nest of tensors, their first axis the slot."""

    @abc.abstractmethod
    def forward(self, state: State, obs: Mapping[str, Tensor]) -> tuple[State, Output]:
        """Think for one segment.

        Args:
            state: after the segment before, without a graph.
            obs: `puzzle`, int64 (B, L), and where the family has identities `puzzle_id`, int64 (B,).

        Returns:
            The state after this segment (the loop detaches it) and the output.
        """

    # ---- what an agent may give ------------------------------------------------------------------

    @classmethod
    def fits(cls, trained: TaskSpec, now: TaskSpec) -> bool:
        """Whether weights trained on one board run on another. Default: on boards of the same size and symbols."""
        return trained == now

    def tensors(self, state: State) -> dict[str, Tensor]:
        """The tensors of a state that analyses look at, by name: (B, ..., F), features last. Default: all of them."""
        return dict(items(state))

    def layers(self) -> Sequence[nn.Module]:
        """The layers in their order, where a segment is one pass through a stack. Default: none.

        Analyses show how far each moves what goes through. A layer is called with that first and gives it on, (B, ...).
        """
        return ()

    def matrices(self) -> list[nn.Parameter]:
        """The weights that Muon takes: matrices between activations. Default: those of all `nn.Linear` modules."""
        return [cast(nn.Parameter, m.weight) for m in self.modules() if isinstance(m, nn.Linear)]

    def grow(self, progress: float) -> bool:
        """Take on what it is to have after `progress` of the budget, in [0, 1]. Default: it has everything at once.

        Called before every training step; where the run has no budget, with 0 throughout. An agent that nobody trains
        has what it has at the end.

        Returns:
            Whether that changed what a segment computes.
        """
        return False

    def check(self) -> None:
        """Look for what a step on a GPU cannot say without making the host wait; called once a second in training.

        Raises:
            HrmGymError: where something went wrong that nobody would notice.
        """

    # ---- what follows from it --------------------------------------------------------------------

    def tables(self) -> list[nn.Parameter]:
        """Embeddings with sparse gradients, such as those of puzzle identities: they have an update of their own."""
        return [cast(nn.Parameter, m.weight) for m in self.modules() if isinstance(m, nn.Embedding) and m.sparse]

    @property
    def num_parameters(self) -> int:
        """Trainable numbers."""
        return sum(p.numel() for p in self.parameters())
