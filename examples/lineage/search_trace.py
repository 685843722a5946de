"""Imitation of search: a decoder that writes the search before the answer, against one that writes the answer alone.

    python -m examples.lineage.search_trace --plot traces.png
    python -m examples.lineage.search_trace --env MazeSmall-v0 --minutes 10

Both are the same network, see the same puzzles and train for the same time. Searchformer (arXiv 2402.14083) reports for
mazes that answers alone need a network five to ten times larger and ten times the puzzles; Shah et al. (arXiv
2409.10502) that 9x9 Sudokus are not learned at all without the order of a solver's steps. What came out here is in
`docs/lineage/search_trace.md`.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import hrm_gym
from hrm_gym.agents import Protocol, evaluate
from hrm_gym.agents.inference.frozen_agent import first_puzzles
from hrm_gym.shares import bars, share_of, words

KINDS = {"search": "with the search", "answers": "answers alone"}
OPTIONS: dict[str, dict[str, Any]] = {
    "Sudoku4x4-v0": {"layers": 2, "hidden_size": 64, "chunk": 64, "context": 64, "num_envs": 32},
    "MazeSmall-v0": {"layers": 3, "hidden_size": 64, "chunk": 128, "context": 128, "num_envs": 8},
}
"""A whole text in one segment, so that each step sees new puzzles. Small batches of mazes, for more steps."""


def against(env: str, run_dir: Path, num_puzzles: int = 1000, **options: Any) -> dict[str, Any]:
    """Train with and without the search, then let both write by themselves.

    Args:
        env: an environment id.
        run_dir: gets the runs.
        num_puzzles: test puzzles.
        **options: of both runs.

    Returns:
        For `search` and `answers` the share of right answers (see `share_of`) and the mean number of `segments`.
    """
    task = hrm_gym.make_task(env)
    puzzles, found = first_puzzles(task, "test", num_puzzles), {}
    for kind in KINDS:
        run = hrm_gym.train(
            env, "search_trace", run_dir=str(run_dir / kind), search=kind == "search", device="cpu", **options
        )
        result = evaluate(run.load("cpu"), task, puzzles, Protocol(halting="learned", max_segments=16))
        found[kind] = share_of(result.valid) | {"segments": float(result.segments.mean())}
    return found


def plot(found: dict[int, dict[str, Any]], env: str, path: str) -> None:
    """Draw right answers against training puzzles."""
    import matplotlib.pyplot as plt

    _, axes = plt.subplots(figsize=(6, 3.2), constrained_layout=True)
    for kind, name in KINDS.items():
        middle, low, high = zip(*(bars(shares[kind]) for shares in found.values()), strict=True)
        axes.errorbar(list(found), middle, (low, high), marker="o", capsize=3, label=name)
    axes.set(xscale="log", xlabel=f"training puzzles of {env}", ylabel="right answers, %", ylim=(0, None))
    axes.set_xticks(list(found), [f"{num:,}" for num in found])
    axes.minorticks_off()
    axes.legend()
    plt.savefig(path, dpi=130)


def main(argv: Sequence[str] | None = None) -> None:
    """A line for each number of training puzzles, and a plot if one is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--env", choices=list(OPTIONS), default="Sudoku4x4-v0")
    parser.add_argument("--examples", type=int, nargs="+", default=[300, 1000, 3000], help="training puzzles")
    parser.add_argument("--minutes", type=float, default=3.0, help="minutes of training for each of the runs")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--plot", help="draw the results into this file")
    args = parser.parse_args(argv)
    found = {}
    options = OPTIONS[args.env] | {"max_minutes": args.minutes, "seed": args.seed, "eval_minutes": args.minutes}
    for num in args.examples:
        with tempfile.TemporaryDirectory() as folder:
            found[num] = against(args.env, Path(folder), num_examples=num, test_puzzles=64, **options)
        shares = ", ".join(f"{words(found[num][kind])} {name}" for kind, name in KINDS.items())
        print(f"search_trace, {args.env}, {num:,} puzzles, {args.minutes:g} minutes each: {shares}", flush=True)
    if args.plot:
        plot(found, args.env, args.plot)


if __name__ == "__main__":
    main()
