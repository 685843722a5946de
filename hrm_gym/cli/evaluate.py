"""`hrm-gym evaluate`: grade an agent on held-out puzzles, or on a file of puzzles."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, cast

import tyro

from hrm_gym.agents.inference.evaluation import Protocol
from hrm_gym.agents.inference.report import report
from hrm_gym.agents.load import load_both, trained_env
from hrm_gym.api import choose_puzzles, grade
from hrm_gym.errors import HrmGymError
from hrm_gym.files import replacing


@dataclasses.dataclass(frozen=True)
class Arguments:
    """Grade an agent."""

    protocol: tyro.conf.OmitArgPrefixes[Protocol] = dataclasses.field(default_factory=Protocol)
    """How it is evaluated."""
    env: str = ""
    """Environment id; empty: that of the checkpoint."""
    checkpoint: str = "pretrained"
    """`pretrained` for the shipped agent, a run's folder, or a file."""
    split: Literal["test", "validation", "train"] = "test"
    """Which puzzles, where no file is given. Look at `validation` as often as you like, at `test` once."""
    puzzles: str = ""
    """A CSV file, a text file with a puzzle a line, a dataset folder, or what files the family has (ARC: JSON);
    empty: all of the split."""
    limit: int = 0
    """Only the first so many puzzles; 0: all."""
    batch_size: int = 256
    """Puzzles thought about at once."""
    submission: str = ""
    """Write the winning answers to this JSON file, in the form of the family's competition (ARC Prize)."""
    device: str = "auto"
    """`auto`, `cpu` or `cuda`."""
    json: bool = False
    """Print one JSON object and nothing else."""


def run(argv: Sequence[str]) -> int:
    """Grade as the arguments say."""
    args = tyro.cli(Arguments, args=list(argv), prog="hrm-gym evaluate")
    if args.submission and not Path(args.submission).absolute().parent.is_dir():  # told before the work, not after it
        raise HrmGymError(f"cannot write {args.submission}: there is no such folder; make it first")
    if not args.env and args.checkpoint == "pretrained":
        raise HrmGymError("give --env, or the --checkpoint of a run, which knows its environment")
    env = args.env or trained_env(args.checkpoint)
    policy, task = load_both(env, args.checkpoint, args.device)
    puzzles = choose_puzzles(task, args.split, args.puzzles, args.limit)
    protocol = args.protocol.for_family(task)
    result, scores, submission = grade(policy, task, puzzles, protocol, args.batch_size)
    if args.submission:
        if not submission:
            raise HrmGymError("--submission: this family has no competition; leave it out")
        with replacing(Path(args.submission)) as temporary:
            temporary.write_text(json.dumps(submission))
    told = {"env": env, "puzzles": args.puzzles or f"{args.split} split"}
    figures = {**report(policy, result, protocol, **told), **scores}
    if args.json:
        print(json.dumps(figures))
        return 0
    for name, value in figures.items():
        print(f"{name:26} {_written(name, value)}")
    return 0


def _written(name: str, value: object) -> str:
    if isinstance(value, float) and "accuracy" in name:
        return f"{100 * value:.1f} %"
    if name.endswith("interval"):
        low, high = cast(tuple[float, float], value)
        return f"{100 * low:.1f} to {100 * high:.1f} % (95 %)"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
