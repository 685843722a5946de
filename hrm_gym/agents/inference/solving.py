"""Solving: attempts until an answer satisfies the rules or the time is up."""

from __future__ import annotations

import collections
import dataclasses
import math
import time
from collections.abc import Callable, Iterable
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from hrm_gym.agents import state as nests
from hrm_gym.agents.inference.attempts import Attempts
from hrm_gym.agents.inference.think import boards_of, observation
from hrm_gym.agents.policy import Policy
from hrm_gym.agents.state import State
from hrm_gym.envs.guesses import can_guess
from hrm_gym.envs.task import Puzzles, Task
from hrm_gym.options import Options, number

SLOTS = {"cpu": 64, "mps": 256, "cuda": 1024}
"""Boards in parallel, over all puzzles together, by kind of device."""
FURTHER = 16
"""Further attempts at one puzzle in parallel."""
GUESS_SEGMENTS = 8
"""Segments of an attempt with a guess. Many short attempts solve more than a few long ones, because a wrong guess
leads nowhere (docs/sudoku_extreme.md)."""


@dataclasses.dataclass(frozen=True)
class Solving(Options):
    """How much effort to spend."""

    rollouts: int = number(1, least=1)
    """Attempts to start at once."""
    max_segments: int = number(64, least=1)
    """Maximum number of segments of an attempt."""
    seconds: float = number(10.0, least=0)
    """Time limit for further attempts, in seconds per puzzle."""
    vary: Literal["auto", "noise", "symmetry", "guess"] = "auto"
    """How attempts after the first differ: noise on the initial state, a symmetry of the puzzle, or a guess."""
    boards: int = number(0, least=0)
    """Boards in parallel in each attempt; 0: automatic."""


class Solution(NamedTuple):
    """The answer to one puzzle."""

    tokens: np.ndarray
    """Tokens of the answer, int64 (L,)."""
    text: str
    """The answer in the text format of the family."""
    valid: bool
    """Whether it satisfies the rules; if the rules cannot decide, whether the agent halted on it."""
    attempts: int
    """Attempts made."""
    segments: int
    """Segments of the successful attempt."""


def solve_puzzles(
    policy: Policy,
    task: Task,
    puzzles: Puzzles,
    rollouts: int = 1,
    max_segments: int = 64,
    seconds: float = 0.0,
    vary: str = "auto",
    seed: int = 0,
    tell: Callable[[int, int], None] | None = None,
) -> list[Solution]:
    """For each puzzle an answer that satisfies the rules, or else the one that breaks the fewest.

    The first attempt gets the puzzle unchanged; the others differ from it (see `attempts`). If the rules cannot decide,
    an answer counts as valid when the agent halts on it.

    Args:
        policy: on its device.
        task: checks the rules.
        puzzles: N puzzles; their solutions are not used.
        rollouts: attempts to start at once.
        max_segments: maximum number of segments of an attempt; with a guess at most 8.
        seconds: time per puzzle. All puzzles share the total: unsolved ones get further attempts until it is used up.
            0: only `rollouts` attempts.
        vary: how further attempts differ, one of `attempts.Vary` or "auto". "auto" uses symmetries if the family can
            undo them and the agent is not equivariant, else guesses if the family has them, else noise.
        seed: seed of all random draws.
        tell: called with the number of finished puzzles and the total.

    Raises:
        HrmGymError: if the family or the agent does not support such attempts.
    """
    if vary == "auto":
        vary = suited(policy, task)
    generator = torch.Generator(policy.device).manual_seed(seed)
    boards = boards_of(puzzles, policy.device)
    lengths = max_segments, min(max_segments, GUESS_SEGMENTS) if vary == "guess" else max_segments
    solver = _Solver(policy, task, Attempts(policy, task, boards, vary, generator), lengths)
    solver.solve(rollouts, seconds, tell)
    return [
        Solution(p.answer.numpy(), task.format(p.answer.numpy()), p.broken == 0, p.begun, p.segments)
        for p in solver.puzzles
    ]


def suited(policy: Policy, task: Task) -> str:
    """The choice of "auto" for `vary`."""
    if task.num_uniforms > 0 and type(task).restore is not Task.restore and not policy.agent.equivariant:
        return "symmetry"
    return "guess" if can_guess(task) else "noise"


@dataclasses.dataclass
class _Puzzle:
    """Progress on one puzzle."""

    answer: Tensor
    """The best answer so far, int64 (L,), on the CPU."""
    broken: float = math.inf
    """Number of rules that it breaks."""
    segments: int = 0
    """Segments of the attempt that gave it."""
    begun: int = 0
    """Attempts started so far."""
    open: int = 0
    """Attempts that run or wait for a slot."""


class _Running(NamedTuple):
    """J attempts in parallel: a nest of tensors."""

    puzzle: Tensor
    """Index of each attempt's puzzle, int64 (J,)."""
    number: Tensor
    """Its number among the attempts at that puzzle, from 0, int64 (J,)."""
    segment: Tensor
    """Segments so far, int64 (J,)."""
    shown: Tensor
    """The boards, int64 (J, L)."""
    uniforms: Tensor
    """Random numbers of the symmetries, float32 (J, U)."""
    state: State


class _Solver:
    """Runs attempts in slots; when one ends, the next in line takes its slot."""

    def __init__(self, policy: Policy, task: Task, attempts: Attempts, lengths: tuple[int, int]) -> None:
        self.policy, self.task, self.attempts = policy, task, attempts
        self.lengths = lengths  # segments of a first attempt, and of a further one
        self.boards = attempts.boards
        self.puzzles = [_Puzzle(board) for board in self.boards.puzzle.cpu()]
        self.line: collections.deque[int] = collections.deque()  # puzzles whose next attempt waits for a slot

    @torch.inference_mode()
    def solve(self, rollouts: int, seconds: float, tell: Callable[[int, int], None] | None) -> None:
        """Make attempts until all puzzles are solved or the limits are reached."""
        deadline = time.monotonic() + seconds * len(self.puzzles)
        for _ in range(rollouts):
            self._ask(range(len(self.puzzles)))
        slots = self._refilled(None)
        while len(slots.puzzle):
            over = seconds > 0 and time.monotonic() > deadline
            slots, ended = self._segment(slots, over)
            if over:  # puzzles without an attempt still get one segment
                self.line = collections.deque(index for index in self.line if not self.puzzles[index].begun)
            elif seconds:
                for index in ended:
                    puzzle = self.puzzles[index]
                    # Further attempts start only after the first ones end, so easy puzzles cost no more.
                    if puzzle.broken and (not puzzle.open or puzzle.begun > rollouts):
                        self._ask([index] * (FURTHER - puzzle.open))
            slots = self._refilled(slots)
            if tell is not None:
                tell(sum(not (p.broken and p.open) for p in self.puzzles), len(self.puzzles))

    def _ask(self, indices: Iterable[int]) -> None:
        for index in indices:
            self.puzzles[index].open += 1
            self.line.append(index)

    def _refilled(self, slots: _Running | None) -> _Running:
        """The slots, filled up with waiting attempts."""
        chosen: list[tuple[int, int]] = []
        most = max(1, SLOTS[self.policy.device.type] // self.policy.boards)
        room = most - (0 if slots is None else len(slots.puzzle))
        while self.line and len(chosen) < room:
            puzzle = self.puzzles[index := self.line.popleft()]
            if puzzle.broken:
                chosen.append((index, puzzle.begun))
                puzzle.begun += 1
        if slots is not None and not chosen:
            return slots
        which, number = torch.tensor(chosen, device=self.policy.device).view(-1, 2).unbind(1)
        boards, uniforms = self.attempts.show(which, number)
        state = self.attempts.initial(number)
        new = _Running(which, number, torch.zeros_like(number), boards.puzzle, uniforms, state)
        return new if slots is None else nests.join(slots, new)

    def _segment(self, slots: _Running, over: bool) -> tuple[_Running, list[int]]:
        """Run one segment; returns the slots that continue and the distinct puzzles whose attempts ended."""
        identity = None if self.boards.identity is None else self.boards.identity[slots.puzzle]
        state, output, signals = self.policy(slots.state, observation(slots.shown, identity))
        slots = slots._replace(state=state, segment=slots.segment + 1)
        answers = self.attempts.answers(output.logits.argmax(-1), slots.uniforms, slots.number)
        if self.task.verifiable:
            broken = self.task.violations(self.boards.puzzle[slots.puzzle], answers)
        else:
            broken = (~self.policy.halting.decide(signals, slots.segment)).int()
        owners = slots.puzzle.tolist()
        for index, wrong, segment, answer in zip(
            owners, broken.tolist(), slots.segment.tolist(), answers.cpu(), strict=True
        ):
            puzzle = self.puzzles[index]
            if puzzle.broken and wrong <= puzzle.broken:
                puzzle.answer, puzzle.broken, puzzle.segments = answer, wrong, segment
        most = torch.where(slots.number > 0, self.lengths[1], self.lengths[0])
        solved = torch.tensor([not self.puzzles[index].broken for index in owners], device=self.policy.device)
        ends = (slots.segment >= most) | solved | over
        ended = slots.puzzle[ends].tolist()
        for index in ended:
            self.puzzles[index].open -= 1
        # States are large: copy them only if a slot ends.
        return (nests.take(slots, ~ends) if ended else slots), list(dict.fromkeys(ended))
