"""The Python door: what the commands do, for notebooks and programs."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hrm_gym.agents.analysis import Finding, analyses_of, findings, open_subject
from hrm_gym.agents.inference.evaluation import Evaluation, Protocol
from hrm_gym.agents.inference.evaluation import evaluate as _evaluate
from hrm_gym.agents.inference.loading import load_guessing, pretrained_for
from hrm_gym.agents.inference.report import report
from hrm_gym.agents.inference.solving import Solution, solve_puzzles
from hrm_gym.agents.inference.voting import evaluate_by_votes
from hrm_gym.agents.policy import Policy
from hrm_gym.agents.saved.config import Config
from hrm_gym.agents.saved.load import load_agent, load_both
from hrm_gym.agents.saved.presets import resolve
from hrm_gym.agents.training.resume import NAMES, changed, resumed
from hrm_gym.agents.training.run import free_run_dir
from hrm_gym.agents.training.run import train as _train
from hrm_gym.agents.training.trainer import Wrap
from hrm_gym.envs.datasets import read_puzzles
from hrm_gym.envs.task import Puzzles, Task
from hrm_gym.errors import HrmGymError


@dataclasses.dataclass(frozen=True)
class Run:
    """A finished training run."""

    folder: Path
    """Absolute; with `config.json`, the checkpoint, TensorBoard's events and `result.json`."""
    config: Config
    result: dict[str, Any]
    """What `result.json` holds; empty where a signal ended the run."""

    def load(self, device: str = "auto") -> Policy:
        """The trained agent with its averaged weights."""
        return load_agent(self.config.env, self.folder, device)


def train(env: str = "auto", agent: str = "auto", *, wrap: Wrap | None = None, **options: Any) -> Run:
    """Train an agent.

    Args:
        env: an environment id, "module:ID", or "auto": "Sudoku6x6-v0", or that of the run that is resumed.
        agent: a registered agent, "module:NAME", or "auto".
        wrap: wraps the training environments, a `gymnasium.vector.VectorEnv` of torch tensors, such as in a wrapper
            that changes rewards.
        **options: those of `hrm-gym train --help`, with underscores: `max_minutes=5`, `hidden_size=64`,
            `resume="runs/first"`.

    Returns:
        The run; its folder can be given to `load_agent`, `evaluate` and `solve`.

    Raises:
        HrmGymError: on an unknown option, or a value that is not allowed.
    """
    named = {"env": env, "agent": agent, **options}
    asked = {name: value for name, value in named.items() if name != "env" or value != "auto"}
    saved = None
    if resume := asked.pop("resume", ""):
        others = {name: value for name, value in asked.items() if name not in NAMES}
        config, folder, saved = resumed(str(resume), asked, lambda usual: changed(usual, others))
    else:
        config = resolve(asked)
        folder = free_run_dir(config)
        config = dataclasses.replace(config, run_dir=str(folder))
    return Run(folder.absolute(), config, _train(config, folder, saved, wrap) or {})


def evaluate(
    env: str,
    checkpoint: str | Path = "pretrained",
    *,
    split: str = "test",
    puzzles: str = "",
    limit: int = 0,
    batch_size: int = 256,
    device: str = "auto",
    **protocol: Any,
) -> dict[str, Any]:
    """Grade an agent; the object that `hrm-gym evaluate --json` prints.

    Args:
        env: an environment id.
        checkpoint: "pretrained", a run's folder or a file.
        split: "test", "validation" or "train".
        puzzles: a file to use instead of a split.
        limit: only the first so many puzzles; 0: all.
        batch_size: puzzles thought about at once.
        device: "auto", "cpu" or "cuda".
        **protocol: the fields of `hrm_gym.agents.Protocol`, such as `halting="fixed"` and `max_segments=64`.

    Raises:
        HrmGymError: on a missing agent or puzzles, or an argument out of range.
    """
    followed = Protocol.from_dict(protocol)
    policy, task = load_both(env, pretrained_for(env, checkpoint, followed.boards), device)
    followed = followed.for_family(task)
    chosen = choose_puzzles(task, split, puzzles, limit)
    result, scores, _ = grade(policy, task, chosen, followed, batch_size)
    return {
        **report(policy, result, followed, env=env, puzzles=puzzles or f"{split} split"),
        **scores,
    }


def choose_puzzles(task: Task, split: str, source: str, limit: int) -> Puzzles:
    """Puzzles of a split, or all of the file `source`; the first `limit` of them where it is not 0."""
    if limit < 0:
        raise HrmGymError(f"limit is {limit}: give a number of puzzles, or 0 for all")
    chosen = read_puzzles(source, task) if source else task.dataset(split)
    return chosen.map(lambda array: array[: limit or None])


def grade(
    policy: Policy,
    task: Task,
    puzzles: Puzzles,
    protocol: Protocol,
    batch_size: int,
    tell: Callable[[int, int], None] | None = None,
) -> tuple[Evaluation, dict[str, float], dict[str, Any]]:
    """Evaluate, by votes where the family has several forms: the result, the family's own scores, its submission."""
    if task.num_variants == 1:
        return _evaluate(policy, task, puzzles, protocol, batch_size=batch_size, tell=tell), {}, {}
    result, counted = evaluate_by_votes(policy, task, puzzles, protocol, batch_size=batch_size, tell=tell)
    return result, counted.scores, counted.submission


def solve(
    env: str,
    puzzle: str | Sequence[str] | np.ndarray,
    checkpoint: str | Path = "pretrained",
    *,
    rollouts: int = 1,
    max_segments: int = 64,
    seconds: float = 10.0,
    vary: str = "auto",
    boards: int = 0,
    device: str = "auto",
) -> Solution:
    """Solve a puzzle by an agent.

    Args:
        env: an environment id.
        puzzle: as text, row by row, or tokens of shape (L,).
        checkpoint: "pretrained", a run's folder or a file.
        rollouts: attempts that are begun at once.
        max_segments: segments of an attempt.
        seconds: go on with further attempts until the rules are satisfied or so many seconds have passed.
        vary: how they differ from the first: "noise", "symmetry", "guess", or "auto" for what suits.
        boards: boards that are thought about side by side in each attempt (see `Protocol.boards`); 0: 32 for agents
            that can tell a wrong guess, 1 for all others.
        device: "auto", "cpu" or "cuda".

    Returns:
        The answer: `tokens` (L,), `text`, `valid`, `attempts` and `segments`.

    Raises:
        HrmGymError: on a malformed or unsolvable puzzle, or an agent that cannot think about several boards.
    """
    policy, task = load_guessing(env, checkpoint, device, boards)
    tokens = task.parse(puzzle) if isinstance(puzzle, str) else np.asarray(puzzle, dtype=np.uint8).reshape(-1)
    task.check(tokens)
    return solve_puzzles(policy, task, Puzzles(tokens[None], tokens[None]), rollouts, max_segments, seconds, vary)[0]


def analyze(
    env: str,
    checkpoint: str | Path = "pretrained",
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
        device: "auto", "cpu" or "cuda".
        beside: other agents for the same puzzles, as `checkpoint`; `convergence` draws them beside this one.
        **settings: the fields of `hrm_gym.agents.analysis.Settings`, such as `puzzles=1000`.

    Returns:
        The findings, each with `figures`, `text` and `plot()`; what does not suit the agent is left out.

    Raises:
        HrmGymError: on an unknown analysis or setting, or a missing agent.
    """
    chosen = analyses_of(what)
    subject = open_subject(env, checkpoint, split, device, beside, **settings)
    conditions = {"checkpoint": str(checkpoint), "split": split}
    return [one for one in findings(subject, chosen, conditions) if isinstance(one, Finding)]
