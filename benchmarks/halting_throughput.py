"""What halting saves: puzzles a second with the agent's own halting and with all segments, side by side.

    python benchmarks/halting_throughput.py
    python benchmarks/halting_throughput.py --margin 1
    python benchmarks/halting_throughput.py --env Sudoku9x9-v0 --limit 512 --repeats 3 --device cuda

The two take turns, repeat by repeat, so that a busy machine slows them alike. Both answer the same test puzzles;
the evaluator refills the slots of those that are done.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
from pathlib import Path

import torch

import hrm_gym
from hrm_gym.agents import Protocol, evaluate
from hrm_gym.agents.saved.load import load_both


def processor() -> str:
    """The processor's name, where the system tells it."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--env", default="Sudoku6x6-v0")
    parser.add_argument("--checkpoint", default="pretrained")
    parser.add_argument("--limit", type=int, default=1000, help="test puzzles")
    parser.add_argument("--max-segments", type=int, default=16)
    parser.add_argument("--batch-size", type=int, default=256)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--margin", type=float, default=0.0, help="halt only where halting leads by so much, in logits")
    parser.add_argument("--device", default="cpu")
    args = parser.parse_args()

    policy, task = load_both(args.env, args.checkpoint, args.device)
    puzzles = task.dataset("test").map(lambda array: array[: args.limit])
    limits = {"max_segments": args.max_segments, "halt_margin": args.margin}
    protocols = {halting: Protocol(halting=halting, **limits) for halting in ("fixed", "learned")}
    print(f"{args.env}, {args.checkpoint}: {policy.name}, {policy.num_parameters:,} parameters")
    print(f"hrm-gym {hrm_gym.__version__}, torch {torch.__version__}, {args.device}, {processor()}")
    print(f"{torch.get_num_threads()} threads, load {os.getloadavg()[0]:.2f}")
    print(
        f"{len(puzzles.puzzle):,} test puzzles, batches of {args.batch_size}, {args.repeats} repeats, "
        f"margin {args.margin:g}"
    )
    first = puzzles.map(lambda array: array[: args.batch_size])
    evaluate(policy, task, first, protocols["learned"], batch_size=args.batch_size)
    rates: dict[str, list[float]] = {halting: [] for halting in protocols}
    results = {}
    for _ in range(args.repeats):
        for halting, values in rates.items():
            results[halting] = evaluate(policy, task, puzzles, protocols[halting], batch_size=args.batch_size)
            values.append(len(puzzles.puzzle) / results[halting].seconds)
    for halting, values in rates.items():
        result, middle = results[halting], statistics.median(values)
        print(
            f"{halting:8} exact {100 * result.exact.mean():5.1f} %  {result.segments.mean():5.2f} segments  "
            f"{middle:9,.1f} puzzles a second ({min(values):,.1f} to {max(values):,.1f})"
        )
    ratios = [b / a for a, b in zip(rates["fixed"], rates["learned"], strict=True)]
    print(
        f"learned halting is {statistics.median(ratios):.2f} times as fast ({min(ratios):.2f} to {max(ratios):.2f}), "
        f"load at the end {os.getloadavg()[0]:.2f}"
    )


if __name__ == "__main__":
    main()
