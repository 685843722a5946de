"""What a gradient step of an agent on planes costs, against the number of its nodes, and how much memory it takes.

    OMP_NUM_THREADS=1 python benchmarks/arc_speed.py

Tasks of four demonstrations and one test, drawn at random. A step is one segment with its gradient, as `hrm-gym solve
--env ARC1-v0` makes them; seconds are of one core, the median of 15 steps. Memory is that of the whole process, torch
included, at its peak so far. There is nothing to compile: all but products of matrices is compiled by Numba already.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import sys
import time

import numpy as np
import torch

from hrm_gym.agents.arc.boards import boards_of_task
from hrm_gym.agents.arc.fitting import Fit
from hrm_gym.agents.arc.forms import RUNGS
from hrm_gym.envs.arc.sources import Examples, Pair

DEMONSTRATIONS, STEPS = 4, 15


def step_seconds(side: int, colours: int, rung: str, agent: str) -> tuple[int, float]:
    """Nodes of the demonstrations, and seconds of one core a step."""
    rng = np.random.default_rng(0)
    grids = rng.integers(0, colours, (DEMONSTRATIONS + 1, side, side)).astype(np.uint8)
    examples = Examples(tuple(Pair(grid, grid) for grid in grids[1:]), (Pair(grids[0], None),))
    boards = boards_of_task(examples)
    fit = Fit(boards.shown, boards.asked, 0, agent, **RUNGS[rung])
    spent = []
    for _ in range(3 + STEPS):
        began = time.thread_time()
        fit.step()
        spent.append(time.thread_time() - began)
    return DEMONSTRATIONS * side * side * colours, statistics.median(spent[3:])


def peak_mib() -> float:
    """Of this process, in MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--agent", default="hrm_planes")
    parser.add_argument("--sides", type=int, nargs="+", default=[5, 10, 15, 20, 30])
    parser.add_argument("--colours", type=int, default=4)
    args = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{'side':>4} {'nodes':>7} {'symmetric':>11} {'directional':>12} {'peak':>9}")
    for side in args.sides:
        nodes, symmetric = step_seconds(side, args.colours, "symmetric, colours", args.agent)
        _, directional = step_seconds(side, args.colours, "directional, colours", args.agent)
        print(f"{side:4} {nodes:7,} {1e3 * symmetric:8.1f} ms {1e3 * directional:9.1f} ms {peak_mib():5.0f} MiB")


if __name__ == "__main__":
    main()
