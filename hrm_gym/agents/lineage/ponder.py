"""PonderNet (Banino, Balaguer and Blundell, arXiv 2107.05407): a plain recurrent network that learns when to stop.

Idea: a recurrent cell emits an answer and a probability of halting at each step. The halting rule `pondernet` works
with every agent; this is the paper's combination with a plain recurrent network, the GRU of `gru`. A segment is one
step of the paper, so it is short.

Carried: the state of the unit at every position, (B, P + L, D).

Faithful: the cell (a GRU, as in the paper's parity task); answer and halting probability come from the same state.
Adapted: positions are mixed (see `gru`). The state is detached between steps, while the paper differentiates through
all of them, so each step learns only from its own loss. See the rule for the rest.

Known failures: those of the rule.
"""

from __future__ import annotations

import dataclasses

from hrm_gym.agents.lineage.gru import GRU, GRUConfig
from hrm_gym.options import depth


@dataclasses.dataclass(frozen=True)
class PonderConfig(GRUConfig):
    """Options of `ponder`."""

    updates: int = depth(2)
    """Updates of every position in a segment."""


class Ponder(GRU):
    """PonderNet: a plain recurrent network that learns a distribution of its halting step."""

    Config = PonderConfig
    halting = "pondernet"
