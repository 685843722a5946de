"""An ARC task solved from its demonstrations: the choice of a network, its training time, and the vote.

Four forms of network (`forms.RUNGS`) distinguish more and more: symmetric or directional, without or with names of
colours. Each form is validated on left-out demonstrations. Networks of the best form, from several seeds, then learn
all demonstrations and vote. If a network cannot reproduce them, the next one is of the next best form. The budget is in
seconds of one core. The comparison ends early if a form predicts every left-out demonstration.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import itertools
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

from hrm_gym.agents.arc.background import background_of, exchanged, with_black_background
from hrm_gym.agents.arc.boards import Board, Boards, Grid, boards_of_task, frozen
from hrm_gym.agents.arc.fitting import Fit, Look
from hrm_gym.agents.arc.forms import PLANS, RICHEST, RUNGS, USUAL, Form
from hrm_gym.agents.arc.moments import Moment, Ranked, share_and_lead
from hrm_gym.envs.arc.sources import Examples

CHOOSING = 0.5
"""The maximum share of the budget for the choice of a form."""
FITTED_LOOKS = 3
"""Training for the choice stops once this many looks in a row reproduce all shown demonstrations."""
LEAST_STEPS = 40
"""The minimum number of steps for a useful network; a plan needs as many for each of its networks."""
GOOD_STEPS, SEEDS = 200, 4
"""Steps for each voting network if there is time for several, and the maximum number of planned networks."""
VOTING_LOOKS = 8
"""A network stops voting once this many looks in a row reproduce all demonstrations."""
LEAST_SHARE = 0.3
"""The minimum share of a network's time that must be left to start another one."""
VOTES_FROM = 0.25
"""The share of its time after which a network votes."""
UNFITTED = 0.1
"""The weight of a vote while the network does not reproduce the demonstrations, and of a network that never does."""


class Event(NamedTuple):
    """Progress of a solver."""

    seconds: float
    """Seconds of a core spent so far."""
    doing: str
    """The current network and its purpose, in words."""
    rung: str
    look: Look


@dataclasses.dataclass(frozen=True)
class TaskSolution:
    """The attempts at a task, and how they were found."""

    attempts: list[list[Grid]]
    """For each test input one or two grids, the best first."""
    rung: str
    """The chosen form."""
    fitted: bool
    """Whether a network reproduced all demonstrations."""
    left_out: tuple[int, int]
    """The number of left-out demonstrations that the chosen form predicted, and their total number."""
    sure: float
    """The estimated chance that the first attempt is right, in [0, 1]."""
    seconds: float
    """Seconds of a core."""
    steps: int
    """Gradient steps of all networks."""
    complete: bool = True
    """False if the solver was interrupted."""
    moments: list[Moment] = dataclasses.field(default_factory=list, repr=False)
    """What was known after each second, for rules that decide when to stop."""


class Solver:
    """Solves one task. `events` does the work; `solution` gives the best attempts at any time.

    Args:
        examples: the task; the outputs of its tests are not read.
        seconds: budget in seconds of one core.
        seed: seed of all networks.
        agent: a registered agent on planes.
    """

    def __init__(self, examples: Examples, seconds: float = 40.0, seed: int = 0, agent: str = "hrm_planes") -> None:
        self._background = background_of(examples)
        self.boards: Boards = boards_of_task(with_black_background(examples, self._background))
        self._budget, self._seed, self._agent = seconds, seed, agent
        self._began = time.thread_time()
        self._votes: list[collections.Counter[Grid]] = [collections.Counter() for _ in self.boards.asked]
        self._early: list[collections.Counter[Grid]] = [collections.Counter() for _ in self.boards.asked]
        self._forms = [Form(USUAL), Form(RICHEST)]  # the best first; the first is in use
        self._fitted, self._steps, self._complete = False, 0, False
        self._moments: list[Moment] = []

    @property
    def seconds(self) -> float:
        """Seconds of a core spent so far."""
        return time.thread_time() - self._began

    def events(self) -> Iterator[Event]:
        """Solve the task, and yield an event at every look."""
        if self.boards.shown:
            step = self._seconds_a_step()
            for rungs, left_out in PLANS:
                each = self._budget * CHOOSING / (len(rungs) * left_out)
                if each >= LEAST_STEPS * step:
                    yield from self._choose(rungs, left_out, each)
                    break
            yield from self._answer(step)
        self._complete = True

    def solution(self) -> TaskSolution:
        """The best attempts so far."""
        form = self._forms[0]
        return TaskSolution(
            self._attempts(self._ranked()),
            form.rung,
            self._fitted,
            form.left_out,
            form.sure,
            self.seconds,
            self._steps,
            self._complete,
            self._moments,
        )

    def _ranked(self) -> list[Ranked]:
        """The grids of each test with their shares of the votes, the best first.

        Networks of one form seldom disagree in a useful way. So the votes of all forms from the choice count for the
        second attempt as much as those of the chosen form.
        """
        tests: list[Ranked] = []
        for votes, early in zip(self._votes, self._early, strict=True):
            share, before = _normalised(votes), _normalised(early)
            first = max(share or before, key=(share or before).__getitem__, default=None)
            both = {grid: share.get(grid, 0.0) + before.get(grid, 0.0) for grid in {**share, **before}}
            order = sorted(both, key=lambda grid: (grid != first, -both[grid]))
            tests.append([(grid, share.get(grid, 0.0)) for grid in order])
        return tests

    def _attempts(self, tests: Sequence[Ranked]) -> list[list[Grid]]:
        """The two best grids of each test, or one."""
        pairs = zip(tests, self.boards.asked, strict=True)
        attempts = [[grid for grid, _ in test[:2]] or [board.fallback] for test, board in pairs]
        return [[exchanged(grid, self._background) for grid in grids] for grids in attempts]

    def _seconds_a_step(self) -> float:
        """Seconds per step of a network of the usual form, without the first step, which also loads compiled code."""
        fit = self._fit(USUAL, self._seed, self.boards.shown, self.boards.asked)
        fit.step()
        began = time.thread_time()
        fit.step()
        return time.thread_time() - began

    # ---- choosing --------------------------------------------------------------------------------

    def _choose(self, rungs: Sequence[str], left_out: int, each: float) -> Iterator[Event]:
        """Rank the forms by their accuracy on left-out demonstrations, with `each` seconds per network."""
        shown = self.boards.shown
        tried = min(left_out, len(shown)) if len(shown) > 1 else 0
        forms: list[Form] = []
        for rung in rungs if tried else ():
            exact, fitted, share = 0, 0, 0.0
            for i in range(tried):
                rest = [*shown[:i], *shown[i + 1 :]]
                fit = self._fit(rung, self._seed, rest, [shown[i], *self.boards.asked])
                look, run = None, 0
                for look in fit.train(each):
                    run = run + 1 if look.fitted else 0
                    if look.fitted or fit.seconds > each / 2:
                        self._count(self._early, look.answers[1:], 1.0)
                    yield self._event(f"{rung}, without demonstration {i + 1}", rung, look, 1)
                    if run >= FITTED_LOOKS:
                        break
                self._steps += fit.learner.steps
                guess = look.answers[0][-1] if look else None
                exact += guess == shown[i].answer
                fitted += look is not None and look.fitted
                share += _alike(guess, shown[i].answer) / tried
            forms.append(Form(rung, (exact, tried), fitted, share))
            self._forms = sorted(forms, key=lambda form: form.score, reverse=True)  # ties keep their order
            if exact == tried:
                return

    # ---- answering -------------------------------------------------------------------------------

    def _answer(self, step: float) -> Iterator[Event]:
        """Let networks of the best form vote, one after the other, until the time is over.

        Once a network fits, further steps overfit the demonstrations, so a new network is worth more. If it does not
        fit, the next network is of the next best form.

        Args:
            step: seconds per gradient step.
        """
        left = self._budget - self.seconds
        each = left / max(1, min(SEEDS, int(left / (GOOD_STEPS * step))))
        for number in itertools.count(1):
            seconds = min(each, self._budget - self.seconds)
            if number > 1 and seconds < each * LEAST_SHARE:
                return
            rung, run, fits = self._forms[0].rung, 0, False
            fit = self._fit(rung, self._seed + number, self.boards.shown, self.boards.asked)
            votes: list[collections.Counter[Grid]] = [collections.Counter() for _ in self.boards.asked]
            before = [collections.Counter(old) for old in self._votes]
            for look in fit.train(seconds):
                run = run + 1 if look.fitted else 0
                if look.fitted or fit.seconds > VOTES_FROM * seconds:
                    fits |= look.fitted
                    self._fitted |= fits
                    weight = 1.0 if fits else UNFITTED
                    self._count(votes, look.answers, 1.0 if look.fitted else UNFITTED)
                    self._votes = [
                        collections.Counter({g: old[g] + weight * new.get(g, 0.0) for g in {*old, *new}})
                        for old, new in zip(before, map(_normalised, votes), strict=True)
                    ]
                yield self._event(f"{rung}, network {number}", rung, look, 0)
                if run >= VOTING_LOOKS:
                    break
            self._steps += fit.learner.steps
            if not self._fitted and len(self._forms) > 1:
                self._forms = self._forms[1:]

    def _fit(self, rung: str, seed: int, shown: Sequence[Board], asked: Sequence[Board]) -> Fit:
        return Fit(shown, asked, seed, self._agent, **RUNGS[rung])

    def _event(self, doing: str, rung: str, look: Look, skip: int) -> Event:
        seconds = self.seconds
        if int(seconds) > (int(self._moments[-1].seconds) if self._moments else 0):
            self._moments.append(self._moment(seconds, rung, look, choosing=skip > 0))
        answers = [[exchanged(grid, self._background) for grid in grids] for grids in look.answers[skip:]]
        return Event(seconds, doing, rung, look._replace(answers=answers))

    def _moment(self, seconds: float, rung: str, look: Look, choosing: bool) -> Moment:
        tests, (right, tried) = self._ranked(), self._forms[0].left_out
        attempts = self._attempts(tests)
        before = self._moments[-1].attempts if self._moments else []
        changed = [now[0] for now in attempts] != [old[0] for old in before]
        form = list(RUNGS).index(rung) / (len(RUNGS) - 1)
        signals = choosing, form, right / max(1, tried), look.fitted, *share_and_lead(tests), changed
        return Moment(seconds, tuple(map(float, signals)), attempts)

    @staticmethod
    def _count(votes: list[collections.Counter[Grid]], answers: Sequence[Sequence[Grid]], weight: float) -> None:
        for counter, answer in zip(votes, answers, strict=True):
            counter[answer[-1]] += weight  # type: ignore[assignment]  # a Counter of shares


def solve_task(
    examples: Examples,
    seconds: float = 40.0,
    seed: int = 0,
    agent: str = "hrm_planes",
    tell: Any = None,
) -> TaskSolution:
    """Two attempts at every test input of a task, learned from its demonstrations alone.

    Args:
        examples: the task; the outputs of its tests are not read.
        seconds: budget in seconds of one core.
        seed: seed of all networks.
        agent: a registered agent on planes.
        tell: called with each `Event`.

    Returns:
        The solution. After Ctrl-C, it holds the best attempts so far, with `complete` False.

    Raises:
        HrmGymError: if the task has no demonstration.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # small matrix products are slower on several threads
    try:
        solver = Solver(examples, seconds, seed, agent)
        with contextlib.suppress(KeyboardInterrupt):
            for event in solver.events():
                if tell is not None:
                    tell(event)
        return solver.solution()
    finally:
        torch.set_num_threads(threads)


def grade(examples: Examples, attempts: Sequence[Sequence[Grid]]) -> tuple[bool, bool] | None:
    """Whether all tests are solved by the first attempt, and by one of two; None if an output is unknown."""
    truths = [frozen(pair.output) for pair in examples.tests if pair.output is not None]
    if len(truths) < len(examples.tests):
        return None
    pairs = list(zip(attempts, truths, strict=True))
    return all(grids[0] == truth for grids, truth in pairs), all(truth in grids[:2] for grids, truth in pairs)


def _normalised(votes: Mapping[Grid, float]) -> dict[Grid, float]:
    total = sum(votes.values())
    return {grid: n / total for grid, n in votes.items()}


def _alike(guess: Grid | None, answer: Grid | None) -> float:
    """The share of equal cells of two grids; 0 if their sizes differ."""
    if guess is None or answer is None or (len(guess), len(guess[0])) != (len(answer), len(answer[0])):
        return 0.0
    return float((np.array(guess) == np.array(answer)).mean())
