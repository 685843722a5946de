"""`hrm-gym generate`: new puzzles into a file, or the shipped ones made anew."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tyro

from hrm_gym.envs.datasets import write_csv
from hrm_gym.envs.registration import make_task
from hrm_gym.errors import HrmGymError


@dataclasses.dataclass(frozen=True)
class Arguments:
    """Write new puzzles to a CSV file in the benchmark's form: source, question, answer, rating."""

    env: str
    """Environment id."""
    out: Path
    """The file to write, .csv or .csv.gz."""
    num: int = 100
    """How many puzzles."""
    seed: int = 0
    """The same seed and number give the same file."""
    overwrite: bool = False
    """Replace a file that is already there."""
    shipped: bool = False
    """Make the environment's shipped set anew instead, bit for bit: an .npz file."""


def run(argv: Sequence[str]) -> int:
    """Generate as the arguments say."""
    args = tyro.cli(Arguments, args=list(argv), prog="hrm-gym generate")
    if args.num < 1:
        raise HrmGymError(f"--num {args.num}: give at least 1")
    if args.seed < 0:
        raise HrmGymError(f"--seed {args.seed}: give 0 or more")
    # Told before the work, not after it.
    if not args.out.parent.is_dir():
        raise HrmGymError(f"cannot write {args.out}: there is no folder {args.out.parent}; make it first")
    if not args.overwrite and os.path.lexists(args.out):
        raise HrmGymError(f"{args.out} is already there: choose another name, or add --overwrite")
    task = make_task(args.env)
    if args.shipped:
        task.write_shipped(args.out)
        print(f"written: the puzzles that ship with {args.env} to {args.out}")
        return 0
    puzzles = task.sample(args.num, np.random.default_rng(args.seed))
    write_csv(args.out, puzzles, task, source=f"hrm-gym {args.env} seed {args.seed}")
    print(f"written: {args.num:,} puzzles to {args.out}")
    return 0
