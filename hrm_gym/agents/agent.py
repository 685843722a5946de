"""The interface of agents: what an agent knows of a puzzle, what it returns after a segment, what it must implement.

An agent is a recurrent network over segments. It knows neither episodes nor rewards; a halting rule
(`hrm_gym.agents.halting.rule`) decides from its features when to stop. `docs/own_agents.md` walks through one.
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
    """What an agent may know of a puzzle family: its board, its symbols and the structure that the family declares."""

    rows: int
    columns: int
    num_tokens: int
    """V, the size of the vocabulary."""
    num_identities: int = 0
    """Number of puzzle identities, for families whose puzzles are more than their board (ARC); 0: none."""
    blank: int = dataclasses.field(default=0, compare=False)
    """The token of a cell that the puzzle leaves open."""
    groups: tuple[np.ndarray, ...] = dataclasses.field(default=(), compare=False)
    """Partitions of the board into groups of cells, such as the rows, columns and boxes of a Sudoku: integers (G, n)
    each. A group holds each of the `group_symbols` once. Empty if the family declares none."""
    group_symbols: tuple[int, ...] = dataclasses.field(default=(), compare=False)
    """The n tokens that each group holds."""
    links: np.ndarray | None = dataclasses.field(default=None, compare=False)
    """Pairs of neighbouring cells, integers (E, 2); None if the family declares none."""
    colours: tuple[int, ...] = dataclasses.field(default=(), compare=False)
    """Tokens that are colours, the background first. Cells with other tokens are not part of the board. Empty if every
    token is a colour."""
    uncoloured: int = dataclasses.field(default=-1, compare=False)
    """The token of cells that belong to the board but have no colour; -1: there are none."""
    moves: tuple[int, ...] = dataclasses.field(default=(), compare=False)
    """The tokens of moves, if a board is a walk: moves in one row, observations after each move below. Else empty."""
    trace: Callable[[np.ndarray, int], Traces] | None = dataclasses.field(default=None, compare=False, repr=False)
    """The steps of a solver (see `Task.trace`), for agents that imitate them in training; None if the family has no
    traces."""
    num_notes: int = dataclasses.field(default=0, compare=False)
    """Number of different notes in a trace."""

    @property
    def num_cells(self) -> int:
        """L, the number of cells."""
        return self.rows * self.columns

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.rows, self.columns

    def is_board_of(self, other: TaskSpec) -> bool:
        """Whether both have the same board and symbols, and the same groups and links."""
        same = self == other and (self.blank, self.group_symbols) == (other.blank, other.group_symbols)
        structures = [(*spec.groups, np.asarray(spec.links)) for spec in (self, other)]
        return same and len(self.groups) == len(other.groups) and all(map(np.array_equal, *structures))

    @staticmethod
    def of(task: Task) -> TaskSpec:
        """The spec of a puzzle family."""
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
    """What an agent returns after a segment, for B slots."""

    logits: Tensor
    """Logits of the symbol of each cell, (B, L, V)."""
    features: Tensor
    """Input of the halting rule's head, (B, F)."""
    aux_loss: Tensor | None = None
    """A loss of the agent's own, (B,), such as a ponder cost. It is added to the other losses."""


class Agent(nn.Module, abc.ABC):
    """A network that reads a puzzle and thinks in segments.

    A subclass defines `Config`, a dataclass whose fields all have defaults, calls `super().__init__(config, spec)`,
    sets `num_features`, and implements `initial_state` and `forward`.

    Args:
        config: an instance of the class's `Config`.
        spec: the puzzle family.
    """

    Config: ClassVar[type[Any]] = NoOptions
    """The dataclass of its options, each with a default. They appear on the command line and in checkpoints."""

    halting: ClassVar[str] = "classifier"
    """Its default halting rule."""

    equivariant: ClassVar[bool] = False
    """Whether it is equivariant under all symmetries of the family. Attempts at symmetric images would then all be
    equal, so attempts differ by noise on the initial state instead."""

    resizable: ClassVar[bool] = False
    """Whether it reads the board's size from `spec` in every call, so that one exported graph takes boards of every
    size. The positions of its state are then the cells, row by row."""

    form: ClassVar[str] = "cells"
    """How it sees a board: "cells", "groups" or "neighbours". Presets are chosen by it."""

    growth_option: ClassVar[str] = ""
    """The option that sets during which share of the budget it grows (see `grow`); empty if it does not grow."""

    run_defaults: ClassVar[Mapping[str, Any]] = {}
    """Run settings that suit it, such as {"lr": 1e-4}; they override the preset."""

    num_features: int
    """F, the number of features in its outputs."""

    def __init__(self, config: Any, spec: TaskSpec) -> None:
        super().__init__()
        self.config = config
        self.spec = spec
        self.dtype = torch.float32
        """The type of activations, set for the device after the agent is built. An agent may ignore it and compute
        in float32."""

    # ---- what an agent must give -----------------------------------------------------------------

    @abc.abstractmethod
    def initial_state(self, num: int) -> State:
        """The state of `num` slots before their first segment: a nest of tensors whose first axis is the slot."""

    @abc.abstractmethod
    def forward(self, state: State, obs: Mapping[str, Tensor]) -> tuple[State, Output]:
        """Think for one segment.

        Args:
            state: after the previous segment, detached from the graph.
            obs: `puzzle`, int64 (B, L), and `puzzle_id`, int64 (B,), if the family has identities.

        Returns:
            The state after this segment (the loop detaches it) and the output.
        """

    # ---- what an agent may give ------------------------------------------------------------------

    @classmethod
    def fits(cls, trained: TaskSpec, now: TaskSpec) -> bool:
        """Whether weights trained for one spec work with another. Default: if size and symbols are the same."""
        return trained == now

    def tensors(self, state: State) -> dict[str, Tensor]:
        """The tensors of a state that analyses read, by name: (B, ..., F), features last. Default: all of them."""
        return dict(items(state))

    def layers(self) -> Sequence[nn.Module]:
        """The layers in order, if a segment is one pass through a stack. Default: none.

        Analyses measure how far each layer moves its input. A layer takes activations, (B, ...), as its first argument
        and returns them in the same shape.
        """
        return ()

    def matrices(self) -> list[nn.Parameter]:
        """The weights that Muon updates: matrices between activations. Default: those of all `nn.Linear` modules."""
        return [cast(nn.Parameter, m.weight) for m in self.modules() if isinstance(m, nn.Linear)]

    def grow(self, progress: float) -> bool:
        """Grow to the size due after `progress`, in [0, 1], of the budget. Default: full size from the start.

        Called before every training step; `progress` stays 0 if the run has no budget. Outside training an agent has
        its final size.

        Returns:
            Whether this changed the computation of a segment.
        """
        return False

    def check(self) -> None:
        """Look for errors that a step on a GPU could not report without making the host wait; called once a second.

        Raises:
            HrmGymError: if something failed silently.
        """

    # ---- what follows from it --------------------------------------------------------------------

    def tables(self) -> list[nn.Parameter]:
        """Embeddings with sparse gradients, such as those of puzzle identities; `SignSGD` updates them."""
        return [cast(nn.Parameter, m.weight) for m in self.modules() if isinstance(m, nn.Embedding) and m.sparse]

    @property
    def num_parameters(self) -> int:
        """Number of trainable parameters."""
        return sum(p.numel() for p in self.parameters())
