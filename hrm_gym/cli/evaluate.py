"""`hrm-gym evaluate`: grade an agent on held-out puzzles, or on a file of puzzles."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import tyro

from hrm_gym.agents.inference.evaluator import evaluate
from hrm_gym.agents.inference.votes import evaluate_by_votes
from hrm_gym.agents.registry import choose_device
from hrm_gym.agents.training.checkpoint import load_both
from hrm_gym.errors import HrmGymError
from hrm_gym.files import replacing


@dataclasses.dataclass(frozen=True)
class Arguments:
    """Grade an agent."""

    env: str
    """Environment id."""
    checkpoint: str = "pretrained"
    """`pretrained` for the shipped agent, a run's folder, or a file."""
    split: Literal["test", "train"] = "test"
    """The held-out puzzles, or those that can be trained on (ARC: the demonstrations)."""
    puzzles: str = ""
    """A CSV file, a text file with a puzzle a line, a dataset folder, or what files the family has (ARC: JSON);
    empty: all of the split."""
    max_segments: int = 16
    """Segments after which an answer is taken in any case."""
    halting: Literal["learned", "fixed"] = "learned"
    """Whether the agent decides when to stop, or always uses all segments."""
    halt_margin: float = 0.0
    """By how many logits the value of halting must lead for the agent to halt."""
    votes: int = 0
    """Forms of each puzzle that vote on its answer, where a family has such (ARC); 0: all of them."""
    submission: str = ""
    """Write the winning answers to this JSON file, in the form of the family's competition (ARC Prize)."""
    rollouts: int = 1
    """Attempts a puzzle, of which one is graded (no solution is looked at)."""
    select: Literal["q_halt", "residual", "rules"] = "q_halt"
    """The attempt that is graded: the one with the highest value of halting, the one whose state came to rest most,
    or the one that breaks fewest rules of the puzzle."""
    vary: Literal["noise", "symmetry"] = "noise"
    """How all attempts but the first differ: initial states with noise, or the puzzle under random symmetries."""
    noise: float = 1.0
    """Standard deviation of the noise on the initial states of all attempts but the first."""
    limit: int = 0
    """Only the first so many puzzles; 0: all."""
    batch_size: int = 256
    """Puzzles thought about at once."""
    seed: int = 0
    """Of the noise or the symmetries."""
    device: str = "auto"
    """`auto`, `cpu` or `cuda`."""
    json: bool = False
    """Print one JSON object and nothing else."""


def run(argv: Sequence[str]) -> int:
    """Grade as the arguments say."""
    args = tyro.cli(Arguments, args=list(argv), prog="hrm-gym evaluate")
    if args.limit < 0:
        raise HrmGymError(f"--limit {args.limit}: give a number of puzzles, or 0 for all")
    if args.submission and not Path(args.submission).absolute().parent.is_dir():  # told before the work, not after it
        raise HrmGymError(f"cannot write {args.submission}: there is no such folder; make it first")
    agent, task = load_both(args.env, args.checkpoint, choose_device(args.device))
    puzzles = task.load(args.puzzles, args.split) if args.puzzles else task.dataset(args.split)
    puzzles = puzzles.map(lambda array: array[: args.limit or None])
    names = ("max_segments", "halting", "halt_margin", "rollouts", "vary", "noise", "select", "batch_size", "seed")
    options = {name: getattr(args, name) for name in names}
    scores: dict[str, Any] = {}
    if task.num_variants > 1 or args.votes or args.submission:
        result, standing = evaluate_by_votes(agent, task, puzzles, forms=args.votes, **options)
        scores = {**standing.scores, "votes": args.votes or task.num_variants}
        if args.submission:
            with replacing(Path(args.submission)) as temporary:
                temporary.write_text(json.dumps(standing.submission))
    else:
        result = evaluate(agent, task, puzzles, **options)
    conditions = {
        "env": args.env,
        "puzzles": args.puzzles or f"{args.split} split",
        "agent": agent.config.agent,
        "num_parameters": agent.num_parameters,
        "max_segments": args.max_segments,
        "halting": args.halting,
        "halt_margin": args.halt_margin,
        "rollouts": args.rollouts,
        "vary": args.vary,
        "select": args.select,
        "device": str(agent.h_init.device),
    }
    figures = {**result.summary(), **scores, **conditions}
    if args.json:
        print(json.dumps(figures))
    else:
        for name, value in figures.items():
            print(f"{name:20} {value:.4f}" if isinstance(value, float) else f"{name:20} {value}")
    return 0
