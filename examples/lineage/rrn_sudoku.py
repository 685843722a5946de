"""Sudokus by messages between cells: the signature result of `rrn`.

    python -m examples.lineage.rrn_sudoku
    python -m examples.lineage.rrn_sudoku --env Sudoku9x9-v0 --minutes 52 --puzzles seventeen.csv --plot rrn.png
    python -m examples.lineage.rrn_sudoku --env Sudoku9x9-v0 --minutes 52 --nodes cells

The first trains on minimal 6x6 Sudokus for minutes. The others train on generated 9x9 ones of 20 givens and more and
judge by the number of givens: generated test puzzles, and the published puzzles in a file. The paper (arXiv 1711.08028)
solves 96.6 % of 9x9 Sudokus with 17 givens after 32 message steps, and fewer after fewer steps. It trains on 180,000
puzzles of 17 to 34 givens, on a GPU, and its nodes are cells. Here they are candidates (cell, symbol), which learn many
times faster; `--nodes cells` is the paper's form.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import hrm_gym
from hrm_gym.agents.analysis.completion import with_hints
from hrm_gym.agents.lineage.rrn import RRNConfig
from hrm_gym.envs.task import Puzzles, Task

STEPS = 8
"""Message steps in a segment of the 9x9 puzzles."""
OPTIONS = {"hints": 0.4, "steps": STEPS, "halting": "fixed", "max_segments": 4, "ema": 0.995, "device": "cpu"}
"""How the 9x9 puzzles are trained: 4 segments of 8 message steps are the paper's 32, and hints make easy puzzles."""
SIZES = {"candidates": {"width": 32, "num_envs": 16}, "cells": {"width": 64, "num_envs": 32}}
"""Features and batch size for each kind of nodes."""
GIVENS = (24, 26, 28, 30, 32, 34)
"""Numbers of givens of the generated 9x9 test puzzles."""


def sudoku(env: str = "Sudoku6x6-v0", **options: Any) -> dict[str, Any]:
    """Train `rrn`, and evaluate it on test puzzles: the run's result, see `result.json`."""
    with tempfile.TemporaryDirectory() as folder:
        return hrm_gym.train(env, "rrn", run_dir=str(Path(folder) / "run"), device="cpu", **options).result


def with_givens(task: Task, puzzles: Puzzles, num: int, seed: int = 0) -> Puzzles:
    """The puzzles with at most `num` givens, with cells of the solution filled in at random until they have `num`."""
    kept = task.is_given(puzzles.puzzle).sum(1) <= num
    left = np.full(kept.sum(), task.num_cells - num)
    return with_hints(task, puzzles.map(lambda array: array[kept]), left, np.random.default_rng(seed))


def judge(run: str, path: str, limit: int = 1000) -> Iterator[tuple[str, list[float]]]:
    """Accuracy after each of 8 segments, 64 message steps: of generated puzzles by givens, and of those in a file."""
    task = hrm_gym.make_task("Sudoku9x9-v0")
    kinds: dict[str, Any] = {f"{num} givens": with_givens(task, task.dataset("test"), num) for num in GIVENS}
    if path:
        kinds[Path(path).stem] = path
    protocol = {"halting": "fixed", "max_segments": 64 // STEPS}
    for name, puzzles in kinds.items():
        result = hrm_gym.evaluate("Sudoku9x9-v0", run, puzzles=puzzles, limit=limit, device="cpu", **protocol)
        yield name, result["accuracy_after_segments"]


def plot(shares: dict[str, list[float]], path: str) -> None:
    """Draw the share of solved puzzles against message steps."""
    import matplotlib.pyplot as plt

    _, axes = plt.subplots(figsize=(6, 3.2), constrained_layout=True)
    for name, after in shares.items():
        count = [STEPS * (segment + 1) for segment in range(len(after))]
        axes.plot(
            count, [100 * share for share in after], marker=".", ls="-" if name.endswith("givens") else "--", label=name
        )
    axes.axvline(32, color="0.8")
    axes.set(xlabel="message steps; training has 32", ylabel="solved, %", ylim=(-2, 102))
    axes.legend()
    plt.savefig(path, dpi=130)


def main(argv: Sequence[str] | None = None) -> None:
    """A line for each kind of puzzle, and a plot if one is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--env", choices=["Sudoku6x6-v0", "Sudoku9x9-v0"], default="Sudoku6x6-v0")
    parser.add_argument("--minutes", type=float, default=4.0, help="of training")
    parser.add_argument("--nodes", choices=list(SIZES), default="candidates", help="of the network for 9x9 puzzles")
    parser.add_argument("--run-dir", default="", help="keep the run here; a run that is there is judged")
    parser.add_argument("--puzzles", default="", help="judge by the 9x9 puzzles in this file, too")
    parser.add_argument("--plot", help="draw the shares of the 9x9 puzzles into this file")
    args = parser.parse_args(argv)
    if args.env == "Sudoku6x6-v0":
        after = sudoku(args.env, max_minutes=args.minutes, eval_minutes=1.0)["accuracy_after_segments"]
        figures = line(after, RRNConfig().steps)
        print(f"rrn, minimal 6x6 Sudokus: {figures}; 1,000 test puzzles, {args.minutes:g} minutes, seed 0")
        return
    with tempfile.TemporaryDirectory() as folder:
        run = args.run_dir or str(Path(folder) / "run")
        if not Path(run).exists():
            whole = {**OPTIONS, **SIZES[args.nodes], "nodes": args.nodes, "max_minutes": args.minutes, "run_dir": run}
            hrm_gym.train(args.env, "rrn", **whole)
        found = {}
        for name, after in judge(run, args.puzzles):
            found[name] = after
            print(f"rrn, 9x9 Sudokus of {name}: {line(after, STEPS)}", flush=True)
    if args.plot:
        plot(found, args.plot)


def line(after: Sequence[float], steps: int) -> str:
    """Accuracy after several numbers of message steps, `steps` a segment."""
    segments = [2**k for k in range(len(after).bit_length())]
    return ", ".join(f"{after[num - 1]:.1%} after {steps * num}" for num in segments) + " steps"


if __name__ == "__main__":
    main()
