"""`hrm-gym evaluate`: grade an agent on held-out puzzles, or on a file of puzzles."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from typing import Literal

import tyro

from hrm_gym.agents import load_agent
from hrm_gym.agents.evaluator import evaluate
from hrm_gym.agents.registry import choose_device
from hrm_gym.envs.datasets import load_puzzles
from hrm_gym.envs.registration import make_task
from hrm_gym.envs.task import Puzzles
from hrm_gym.errors import HrmGymError


@dataclasses.dataclass(frozen=True)
class Arguments:
    """Grade an agent."""

    env: str
    """Environment id."""
    checkpoint: str = "pretrained"
    """`pretrained` for the shipped agent, a run's folder, or a file."""
    puzzles: str = ""
    """A CSV file, a text file with a puzzle a line, or a dataset folder; empty: the test split."""
    max_segments: int = 16
    """Segments after which an answer is taken in any case."""
    halting: Literal["learned", "fixed"] = "learned"
    """Whether the agent decides when to stop, or always uses all segments."""
    rollouts: int = 1
    """Attempts a puzzle; the one with the highest value of halting is graded (no solution is looked at)."""
    noise: float = 1.0
    """Standard deviation of the noise on the initial states of all attempts but the first."""
    limit: int = 0
    """Only the first so many puzzles; 0: all."""
    batch_size: int = 256
    """Puzzles thought about at once."""
    seed: int = 0
    """Of the noise."""
    device: str = "auto"
    """`auto`, `cpu` or `cuda`."""
    json: bool = False
    """Print one JSON object and nothing else."""


def run(argv: Sequence[str]) -> int:
    """Grade as the arguments say."""
    args = tyro.cli(Arguments, args=list(argv), prog="hrm-gym evaluate")
    if args.limit < 0:
        raise HrmGymError(f"--limit {args.limit}: give a number of puzzles, or 0 for all")
    task = make_task(args.env)
    agent = load_agent(args.env, args.checkpoint, choose_device(args.device))
    puzzles = load_puzzles(args.puzzles, task) if args.puzzles else task.dataset("test")
    puzzles = Puzzles(*(a[: args.limit or None] for a in (puzzles.puzzle, puzzles.solution)))
    result = evaluate(
        agent,
        task,
        puzzles,
        max_segments=args.max_segments,
        halting=args.halting,
        rollouts=args.rollouts,
        noise=args.noise,
        batch_size=args.batch_size,
        seed=args.seed,
    )
    conditions = {
        "env": args.env,
        "puzzles": args.puzzles or "test split",
        "agent": agent.config.agent,
        "num_parameters": agent.num_parameters,
        "max_segments": args.max_segments,
        "halting": args.halting,
        "rollouts": args.rollouts,
        "device": str(agent.h_init.device),
    }
    figures = {**result.summary(), **conditions}
    if args.json:
        print(json.dumps(figures))
    else:
        for name, value in figures.items():
            print(f"{name:20} {value:.4f}" if isinstance(value, float) else f"{name:20} {value}")
    return 0
