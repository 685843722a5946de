"""The evaluation protocol. It needs no torch, so that a command can refuse bad options at once."""

from __future__ import annotations

import dataclasses
from typing import Literal

from hrm_gym.envs.task import Task
from hrm_gym.errors import HrmGymError
from hrm_gym.options import Options, number

Vary = Literal["noise", "symmetry", "guess"]
StopBy = Literal["learned", "fixed"]
"""When an evaluation stops thinking about a puzzle: by the agent's halting rule, or after all segments."""


@dataclasses.dataclass(frozen=True)
class Protocol(Options):
    """The evaluation protocol, reported with every figure."""

    halting: StopBy = "learned"
    """When to stop. `learned`: when the agent's halting rule says so, the one it was trained with (`--halting` of
    `hrm-gym train`). `fixed`: after all segments."""
    max_segments: int = number(16, least=1, most=10_000)
    """Maximum number of segments for a puzzle."""
    halt_margin: float = number(0.0)
    """Halt only if halting leads by more than this many logits."""
    rollouts: int = number(1, least=1, most=1 << 20)
    """Attempts per puzzle. One is chosen, without the solution, and graded."""
    select: Literal["belief", "residual", "rules"] = "belief"
    """How the graded attempt is chosen. `belief`: the agent is most confident in it. `residual`: its state moved
    least in the last segment. `rules`: it breaks the fewest rules of the puzzle, checked without the solution."""
    vary: Vary = "noise"
    """How attempts after the first differ. `noise`: noise on the initial state. `symmetry`: the puzzle under random
    symmetries. `guess`: a guess filled in as a given."""
    noise: float = number(1.0, least=0)
    """Standard deviation of the noise on the initial states of attempts after the first."""
    boards: int = number(1, least=1, most=1 << 20)
    """Boards that the agent thinks about in parallel in each attempt: the puzzle itself, and copies with guesses that
    it makes and gives up (for agents trained with `--guesses` and `--give-up`). One segment covers all boards."""
    votes: int = number(0, least=0)
    """Number of forms of each puzzle that vote on its answer, for families with several (ARC); 0: all."""
    seed: int = number(0, least=0, most=2**63 - 1)
    """Seed of noise, symmetries or guesses."""

    def for_family(self, task: Task) -> Protocol:
        """The protocol with the number of votes resolved for a family.

        Raises:
            HrmGymError: on votes for a family with one form per puzzle, and on more votes than forms.
        """
        forms = task.num_variants
        if self.votes and forms == 1:
            raise HrmGymError(f"votes is {self.votes}: each puzzle of this family has one form; leave it out")
        if self.votes > forms:
            raise HrmGymError(f"votes is {self.votes}: each puzzle has {forms} forms; give at most {forms}")
        return dataclasses.replace(self, votes=self.votes or (forms if forms > 1 else 0))
