"""Learning a task while a person watches: each evaluation of the network during training is a segment."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from hrm_gym.cli.player import Case, Step
from hrm_gym.envs.arc.grids import SIDE, encode
from hrm_gym.envs.arc.sources import Examples
from hrm_gym.envs.registration import make_task
from hrm_gym.errors import HrmGymError

SIGNALS = ("demonstrations fitted", "sees directions", "knows colours")
"""Signals of the network in training that are shown, each 0 or 1."""


class SpotThinker:
    """Trains a network on the task of a case and yields its answers as steps.

    Args:
        env_id: a family whose puzzles are tasks.
        source: a file of tasks.
        seconds: seconds of one core per task.
        seed: random seed of all networks.

    Raises:
        HrmGymError: if the file is missing or malformed.
    """

    asked = SIGNALS

    def __init__(self, env_id: str, source: str | None, seconds: float = 40.0, seed: int = 0) -> None:
        if source is None:
            raise HrmGymError(
                f"an agent for {env_id} is trained on each task: give the JSON file of a task, --puzzle TASK.json"
            )
        self.task: Any = make_task(env_id, source)
        """The puzzle family of these tasks."""
        self.cases = [
            Case(
                f"{name}, test {number}" if len(examples.tests) > 1 else name,
                encode(pair.input).astype(np.int64),
                None if pair.output is None else encode(pair.output).astype(np.int64),
                index * self.task.num_variants,
            )
            for index, (name, examples) in enumerate(self._tasks().items())
            for number, pair in enumerate(examples.tests, start=1)
        ]
        """One case per test input."""
        self._seconds, self._seed = seconds, seed

    def _tasks(self) -> dict[str, Examples]:
        return {**self.task.collection.training, **self.task.collection.evaluation}

    def __call__(self, case: Case, max_segments: int) -> Iterator[Step]:
        """Yield a step whenever a segment or training changes the answer; the last step is the result of the vote."""
        import torch

        from hrm_gym.agents.arc.forms import RUNGS
        from hrm_gym.agents.arc.solving import Solver

        torch.set_num_threads(1)  # small matrix products are slower on several threads
        assert case.identity is not None
        examples = self._tasks()[self.task.names(np.array([case.identity]))[0]]
        inputs = [encode(pair.input).astype(np.int64) for pair in examples.tests]
        which = next(i for i, tokens in enumerate(inputs) if np.array_equal(tokens, case.puzzle))
        solver, shown, last = Solver(examples, self._seconds, self._seed), 0, None
        signals: dict[str, float] = dict.fromkeys(SIGNALS, 0.0)
        for event in solver.events():
            form = RUNGS[event.rung]
            seen = (event.look.fitted, form["form"] == "directional", form["colour_names"])
            signals = dict(zip(SIGNALS, map(float, seen), strict=True))
            for grid in event.look.answers[which]:
                if grid != last and shown < max_segments - 1:
                    last, shown = grid, shown + 1
                    yield _step(grid, None, signals, False)
        solution = solver.solution()
        yield _step(solution.attempts[which][0], solution.sure, signals, True)


def _step(grid: Any, belief: float | None, signals: dict[str, float], halt: bool) -> Step:
    tokens = encode(np.array(grid, np.uint8)).astype(np.int64)
    return Step(tokens, np.ones(SIDE * SIDE, np.float32), belief, signals, halt)
