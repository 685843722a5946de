"""PonderNet (Banino, Balaguer and Blundell, arXiv 2107.05407): a plain recurrent network that learns when to stop.

Idea: any recurrent cell, and beside its answer the probability of halting at this step. The halting is the rule
`pondernet`, which goes with every agent; this is the paper's pairing of it with a plain recurrent network, the GRU of
`gru`. A segment is one of the paper's steps: so it is short, one update of the unit by default.

Carried: the state of the unit at every position, (B, P + L, D).

Faithful: the cell (the paper's parity has a GRU), a step's answer and halting probability read from the same state.
Adapted: positions are mixed (see `gru`); the state is detached between steps, where the paper differentiates through
all of them, so that how to use the next step must be learned from that step's own loss; see the rule for the rest.

Known to fail: what the rule is known for.
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
    """PonderNet: a plain recurrent network that learns a distribution of when to stop."""

    Config = PonderConfig
    halting = "pondernet"
