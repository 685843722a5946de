"""The commands as Python functions, for notebooks and programs."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, overload

import numpy as np

from hrm_gym.agents.analysis import Finding, analyses_of, findings, open_subject
from hrm_gym.agents.arc.many import score_on_the_spot
from hrm_gym.agents.arc.solving import TaskSolution, solve_task
from hrm_gym.agents.inference.evaluation import Evaluation
from hrm_gym.agents.inference.evaluation import evaluate as _evaluate
from hrm_gym.agents.inference.loading import load_guessing
from hrm_gym.agents.inference.protocol import Protocol
from hrm_gym.agents.inference.report import report
from hrm_gym.agents.inference.solving import Solution, Solving, solve_puzzles
from hrm_gym.agents.inference.voting import evaluate_by_votes
from hrm_gym.agents.policy import Policy
from hrm_gym.agents.saved.config import Config
from hrm_gym.agents.saved.load import load_agent, load_both
from hrm_gym.agents.saved.presets import as_text, resolve
from hrm_gym.agents.surroundings import undisturbed
from hrm_gym.agents.training.callbacks import Callback
from hrm_gym.agents.training.resume import NAMES, changed, resumed
from hrm_gym.agents.training.run import free_run_dir
from hrm_gym.agents.training.run import train as _train
from hrm_gym.agents.training.trainer import Wrap
from hrm_gym.envs.arc.sources import Examples, graded, one_task, tasks_for
from hrm_gym.envs.arguments import check_integer
from hrm_gym.envs.datasets import read_puzzles
from hrm_gym.envs.reading.layout import WrongSizeError
from hrm_gym.envs.reading.objects import tokens_of
from hrm_gym.envs.reading.source import Given, read, read_text
from hrm_gym.envs.reading.writing import write_puzzles
from hrm_gym.envs.registration import make_task, task_arguments, task_class
from hrm_gym.envs.task import SPLITS, Puzzles, Task
from hrm_gym.errors import HrmGymError, unknown
from hrm_gym.files import make_folder


@dataclasses.dataclass(frozen=True)
class Run:
    """A finished training run."""

    folder: Path
    """Absolute; with `config.json`, the checkpoint, the logs and `result.json`."""
    config: Config
    result: dict[str, Any]
    """The contents of `result.json`; empty if a signal ended the run."""

    def load(self, device: str = "auto") -> Policy:
        """The trained agent with its averaged weights."""
        return load_agent(self.config.env, self.folder, device)


@undisturbed()
def train(
    env: str = "auto",
    agent: str = "auto",
    *,
    wrap: Wrap | None = None,
    callbacks: Sequence[Callback] = (),
    **options: Any,
) -> Run:
    """Train an agent.

    Args:
        env: an environment id, "module:ID", or "auto": "Sudoku6x6-v0", or that of the run that is resumed.
        agent: a registered agent, "module:NAME", or "auto".
        wrap: a function that wraps the training environments (a `gymnasium.vector.VectorEnv` of torch tensors), for
            example to change rewards.
        callbacks: called at events of the run, which they may end (see `hrm_gym.agents.Callback`).
        **options: those of `hrm-gym train --help`, with underscores: `max_minutes=5`, `hidden_size=64`,
            `resume="runs/first"`. `resume` and `init_from` may be runs, and `dataset` the puzzles themselves (see
            `evaluate`): the run's folder keeps them.

    Returns:
        The run; its folder can be given to `load_agent`, `evaluate` and `solve`.

    Raises:
        HrmGymError: on an unknown option, or a value that is not allowed.
    """
    named = {"env": env, "agent": agent, **options}
    asked = {
        name: as_text(value)
        for name, value in named.items()
        if name != "env" or not (isinstance(value, str) and value == "auto")
    }
    saved = None
    if resume := asked.pop("resume", ""):
        others = {name: value for name, value in asked.items() if name not in NAMES}
        config, folder, saved = resumed(resume, asked, lambda usual: changed(usual, others))
    else:
        dataset = asked.get("dataset", "")
        in_hand = not isinstance(dataset, str | None)
        if in_hand:  # as with a file, a preset's stages and arguments belong to other puzzles
            config = _in_folder(resolve({"course": "", "task_args": ""} | asked | {"dataset": ""}), dataset)
        else:
            config = resolve(asked)
        folder = free_run_dir(config)
        config = dataclasses.replace(config, run_dir=str(folder))
    return Run(folder.absolute(), config, _train(config, folder, saved, wrap, callbacks) or {})


def _in_folder(config: Config, dataset: Any) -> Config:
    """Write a data set of Python objects to a file in the run's folder, so that the run can be resumed."""
    folder = free_run_dir(config)
    task = make_task(config.env, **task_arguments(config.task_args))
    puzzles = read_puzzles(dataset, task)
    make_folder(folder)
    path = folder.absolute() / "puzzles.csv.gz"  # the run may be resumed from elsewhere
    write_puzzles(path, puzzles, task, source=f"a {type(dataset).__name__}")
    return dataclasses.replace(config, run_dir=str(folder), dataset=str(path))


@undisturbed()
def evaluate(
    env: str,
    checkpoint: Any = "pretrained",
    *,
    split: str = "test",
    puzzles: Any = "",
    limit: int = 0,
    batch_size: int = 256,
    device: str = "auto",
    **protocol: Any,
) -> dict[str, Any]:
    """Grade an agent; the object that `hrm-gym evaluate --json` prints.

    Args:
        env: an environment id.
        checkpoint: "pretrained", a run or its folder, a file, or a policy.
        split: "test", "validation" or "train".
        puzzles: a file, or puzzles as for `hrm_gym.envs.reading.source.read`, in place of a split.
        limit: number of puzzles, the first ones; 0: all.
        batch_size: puzzles per batch.
        device: "auto", "cpu", "cuda" or "mps".
        **protocol: the fields of `hrm_gym.agents.Protocol`, such as `halting="fixed"` and `max_segments=64`; for
            test-time training (ARC without a checkpoint) `seconds=40.0`, `processes=1`, `seed=0`, `agent`.

    Raises:
        HrmGymError: on a missing agent or puzzles, or an argument out of range.
    """
    if isinstance(checkpoint, str) and checkpoint == "pretrained" and task_class(env).by_examples:
        return score_on_the_spot(_tasks(env, split, puzzles, limit), **protocol)
    check_integer("batch_size", batch_size, 1)
    asked = Protocol.from_dict(protocol)
    policy, task = load_both(env, checkpoint, device)
    chosen = choose_puzzles(task, split, puzzles, limit).puzzles
    followed = asked.for_family(task)
    result, scores, _ = grade(policy, task, chosen, followed, batch_size)
    return {
        **report(policy, result, followed, env=env, puzzles=_named(puzzles) or f"{split} split"),
        **scores,
    }


def choose_puzzles(task: Task, split: str, source: Any, limit: int) -> Given:
    """The first `limit` puzzles of a split or of the file `source`; all for 0."""
    limit = check_integer("limit", limit, 0)
    if not isinstance(split, str) or split not in SPLITS:
        raise unknown("split", split, SPLITS)
    own = source is None or (isinstance(source, str) and not source)
    given = Given(task.dataset(split), f"the {split} split") if own else read(source, task)
    return given._replace(puzzles=given.puzzles.map(lambda array: array[: limit or None]))


def _named(source: Any) -> str:
    """The name of the puzzles in the report of an evaluation."""
    if isinstance(source, str | os.PathLike):
        return os.fsdecode(source)
    return "" if source is None else f"a {type(source).__name__}"


def grade(
    policy: Policy,
    task: Task,
    puzzles: Puzzles,
    protocol: Protocol,
    batch_size: int,
    tell: Callable[[int, int], None] | None = None,
) -> tuple[Evaluation, dict[str, float], dict[str, Any]]:
    """Evaluate, by votes if there are several forms; returns the result, and the family's scores and submission."""
    if task.num_variants == 1:
        return _evaluate(policy, task, puzzles, protocol, batch_size=batch_size, tell=tell), {}, {}
    result, counted = evaluate_by_votes(policy, task, puzzles, protocol, batch_size=batch_size, tell=tell)
    return result, counted.scores, counted.submission


@overload
def solve(  # type: ignore[overload-overlap]
    env: Literal["ARC1-v0", "ARC2-v0"],
    puzzle: Any,
    checkpoint: Literal["pretrained"] = ...,
    *,
    seconds: float | None = ...,
    device: str = ...,
) -> TaskSolution: ...
@overload
def solve(
    env: str,
    puzzle: Any,
    checkpoint: Any = ...,
    *,
    rollouts: int = ...,
    max_segments: int = ...,
    seconds: float | None = ...,
    vary: Literal["auto", "noise", "symmetry", "guess"] = ...,
    boards: int = ...,
    device: str = ...,
) -> Solution: ...
@undisturbed()
def solve(
    env: str,
    puzzle: Any,
    checkpoint: Any = "pretrained",
    *,
    rollouts: int = 1,
    max_segments: int = 64,
    seconds: float | None = None,
    vary: Literal["auto", "noise", "symmetry", "guess"] = "auto",
    boards: int = 0,
    device: str = "auto",
) -> Solution | TaskSolution:
    """Solve a puzzle with an agent, or an ARC task with a network trained on its demonstrations.

    Args:
        env: an environment id.
        puzzle: text in any layout; its rows, characters or bytes; tokens of shape (L,) or (rows, columns); or a
            `pathlib.Path` of a file with one puzzle. For ARC the file of a task, or the task itself,
            `{"train": [{"input": grid, "output": grid}, ...], "test": [{"input": grid}, ...]}`.
        checkpoint: "pretrained", a run or its folder, a file, or a policy.
        rollouts: number of parallel attempts.
        max_segments: maximum number of segments of an attempt.
        seconds: time limit for further attempts while the rules are not satisfied, by default 10; for an ARC task,
            budget in seconds of one core, by default 40.
        vary: how further attempts differ from the first: "noise", "symmetry", "guess", or "auto".
        boards: boards in parallel in each attempt (see `Protocol.boards`); 0: 32 for agents that can detect a wrong
            guess, 1 for all others.
        device: "auto", "cpu", "cuda" or "mps".

    Returns:
        The answer: `tokens` (L,), `text`, `valid`, `attempts` and `segments`. For an ARC task: `attempts`, one or two
        grids for each test input, the estimated probability `sure` of the first, and how they were found.

    Raises:
        HrmGymError: on a malformed or unsolvable puzzle, or an agent that cannot think about several boards.
    """
    if isinstance(checkpoint, str) and checkpoint == "pretrained" and task_class(env).by_examples:
        examples = one_task(puzzle, make_task(env).arguments["version"])
        return solve_task(examples, 40.0 if seconds is None else seconds)
    limit = 10.0 if seconds is None else seconds
    s = Solving(rollouts=rollouts, max_segments=max_segments, seconds=limit, vary=vary, boards=boards)
    tokens = _one(make_task(env), puzzle)
    policy, task = load_guessing(env, checkpoint, device, s.boards)
    task.check(tokens)
    given = Puzzles(tokens[None], tokens[None])
    return solve_puzzles(policy, task, given, s.rollouts, s.max_segments, s.seconds, s.vary)[0]


def _tasks(env: str, split: str, source: str, limit: int) -> dict[str, Examples]:
    task: Any = make_task(env)
    return graded(tasks_for(source, task.version) if source else task.collection.part(split), limit)


def _one(task: Task, puzzle: Any) -> np.ndarray:
    """The tokens of one puzzle in any form, (L,)."""
    if isinstance(puzzle, os.PathLike) or hasattr(puzzle, "read"):
        puzzles = read_puzzles(puzzle, task, solved=False).puzzle
        if len(puzzles) != 1:
            raise HrmGymError(f"the file holds {len(puzzles)} puzzles: give one, or solve all by hrm-gym solve FILE")
        return np.asarray(puzzles[0])
    try:
        return tokens_of(task, puzzle)
    except WrongSizeError:
        if not isinstance(puzzle, str):
            raise
        found = read_text(puzzle, task).puzzles.puzzle  # with a title, a comment or a solution beside it
        if len(found) != 1:
            raise
        return np.asarray(found[0])


@undisturbed()
def analyze(
    env: str,
    checkpoint: Any = "pretrained",
    *,
    what: Sequence[str] = (),
    split: str = "validation",
    device: str = "auto",
    beside: Sequence[str | Path] = (),
    **settings: Any,
) -> list[Finding]:
    """Look inside an agent; what `hrm-gym analyze` writes.

    Args:
        env: an environment id.
        checkpoint: "pretrained", a run's folder or a file.
        what: names of `hrm_gym.agents.analysis.ANALYSES`; all by default.
        split: "validation", "test" or "train".
        device: "auto", "cpu", "cuda" or "mps".
        beside: other agents for the same puzzles, as `checkpoint`; `convergence` draws them beside this one.
        **settings: the fields of `hrm_gym.agents.analysis.Settings`, such as `puzzles=1000`.

    Returns:
        The findings, each with `figures`, `text` and `plot()`. Analyses that the agent does not support are left out.

    Raises:
        HrmGymError: on an unknown analysis or setting, or a missing agent.
    """
    what = (what,) if isinstance(what, str) else what
    beside = (beside,) if isinstance(beside, str | os.PathLike) else beside
    if not isinstance(split, str) or split not in SPLITS:
        raise unknown("split", split, SPLITS)
    chosen = analyses_of(what)
    subject = open_subject(env, checkpoint, split, device, beside, **settings)
    conditions = {"checkpoint": str(checkpoint), "split": split}
    return [one for one in findings(subject, chosen, conditions) if isinstance(one, Finding)]
