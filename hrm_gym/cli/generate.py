"""`hrm-gym generate`: write new puzzles to a file, or regenerate the shipped ones."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from hrm_gym.cli.bar import bar
from hrm_gym.cli.parse import parse
from hrm_gym.envs.reading.writing import form_of, write_puzzles
from hrm_gym.envs.registration import make_task, task_arguments
from hrm_gym.errors import HrmGymError
from hrm_gym.files import check_new
from hrm_gym.options import Options, number


@dataclasses.dataclass(frozen=True)
class Arguments(Options):
    """Generate new puzzles and write them to a file: CSV (source, question, answer, rating), JSON lines or text."""

    env: str
    """Environment id."""
    out: Path
    """Output file: .csv, .jsonl, or .txt with one puzzle per line. Add .gz, .bz2 or .xz to compress it."""
    num: int = number(100, least=1)
    """Number of puzzles."""
    seed: int = number(0, least=0)
    """Random seed. The same seed and number of puzzles give the same file."""
    task_args: str = ""
    """Arguments of the puzzle family as `name=value,name=value`; `generator=module:function` names your own."""
    overwrite: bool = False
    """Replace an existing file."""
    shipped: bool = False
    """Instead regenerate the environment's shipped puzzles, bit for bit, as an .npz file."""


def run(argv: Sequence[str]) -> int:
    """Run the command."""
    args = parse(Arguments, argv, "generate")
    if args.shipped and args.out.suffix != ".npz":
        raise HrmGymError(f"--out {args.out.name!r}: the shipped puzzles are an .npz file; end the name in .npz")
    if not args.shipped:
        form_of(args.out)
    check_new(args.out, args.overwrite)
    task = make_task(args.env, **task_arguments(args.task_args))
    if args.shipped:
        with bar("making the shipped puzzles"):
            task.write_shipped(args.out)
        print(f"written: the puzzles that ship with {args.env} to {args.out}")
        return 0
    with bar(f"making {args.num:,} puzzles"):
        puzzles = task.sample(args.num, np.random.default_rng(args.seed))
    write_puzzles(args.out, puzzles, task, source=f"hrm-gym {args.env} seed {args.seed}")
    print(f"written: {args.num:,} puzzles to {args.out}")
    return 0
