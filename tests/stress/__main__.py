"""The stress suite: `python -m tests.stress` for a minute, `--full` for an hour, `--only PART ...` for some."""

import argparse
import contextlib
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))  # the tests' own helpers

from . import damage, hands, machines, soaks, strangers
from .tally import FULL, SMALL, Size, Tally

PARTS = {
    "files": damage.run,
    "steps": hands.steps,
    "texts": hands.texts,
    "commands": hands.commands,
    "calls": strangers.calls,
    "forms": strangers.forms,
    "kills": machines.kills,
    "disks": machines.disks,
    "clocks": machines.clocks,
    "rivals": machines.rivals,
    "soaks": soaks.run,
}


def stress(size: Size, seed: int = 0, only: Sequence[str] = ()) -> list[Tally]:
    """All parts, or some; the same seed gives the same cases, but for the moments of kills."""
    torch.set_num_threads(1)
    tallies: list[Tally] = []
    for number, (name, part) in enumerate(PARTS.items()):
        if not only or name in only:
            began = time.monotonic()
            with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
                tallies += part(size, Path(folder), np.random.default_rng([seed, number]))
            print(f"{name}: {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    return tallies


def table(tallies: list[Tally]) -> str:
    """What, cases, refused, failures, lost."""
    lines = [f"{'what':44} {'cases':>9} {'refused':>9} {'failures':>9} {'lost':>6}"]
    whole = Tally("all")
    for tally in [*tallies, whole]:
        lines.append(f"{tally.what:44} {tally.cases:9,} {tally.refused:9,} {len(tally.failures):9,} {tally.lost:6,}")
        whole.cases += tally.cases
        whole.refused += tally.refused
        whole.failures += tally.failures
        whole.lost += tally.lost
    return "\n".join(lines)


def main() -> int:
    """Run the suite; 1 where something failed or was lost."""
    parser = argparse.ArgumentParser(prog="python -m tests.stress", description=__doc__)
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="+", default=(), choices=list(PARTS), metavar="PART", help=", ".join(PARTS))
    arguments = parser.parse_args()
    tallies = stress(FULL if arguments.full else SMALL, arguments.seed, arguments.only)
    failed = False
    for tally in tallies:
        failed = failed or bool(tally.failures or tally.lost)
        for failure in tally.failures[:20]:
            print(f"FAILED {tally.what}: {failure}", file=sys.stderr)
    print(table(tallies))
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
