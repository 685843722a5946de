"""Mazes larger than those of training: valid paths against segments, size by size, as a table, JSON and a plot.

    python benchmarks/maze_sizes.py --checkpoint pretrained --out maze_sizes

For each size it takes validation mazes whose shortest path has a length in proportion to the board (30x30: 110 cells
and more), thinks for the same number of segments about each, and grades the answer after every one. Beside that it lets
the agent halt by itself. Intervals are Wilson's, 95 %.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path

import torch
import tyro

from hrm_gym.agents import Protocol, evaluate
from hrm_gym.agents.agent import TaskSpec
from hrm_gym.agents.inference.report import wilson
from hrm_gym.agents.load import pretrained_path
from hrm_gym.agents.training import checkpoint as checkpoints
from hrm_gym.envs.maze.sizes import path_of
from hrm_gym.envs.maze.task import MazeTask

SEGMENTS = (1, 2, 4, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256)


@dataclass
class Options:
    """What is measured."""

    checkpoint: str = "pretrained"
    """A run's folder, a file, or "pretrained": the agent that ships for MazeHard-v0."""
    sizes: tuple[int, ...] = (10, 16, 20, 24, 30, 40)
    """Rows and columns of the boards."""
    num: int = 100
    """Mazes a size."""
    max_segments: int = 64
    """Segments thought about each."""
    out: str = ""
    """Writes OUT.json and OUT.png; empty: the table alone."""


def main(options: Options) -> None:
    """Measure, print, write."""
    torch.set_num_threads(1)
    path = pretrained_path("MazeHard-v0") if options.checkpoint == "pretrained" else Path(options.checkpoint)
    saved = checkpoints.load(path)
    segments = [n for n in SEGMENTS if n <= options.max_segments]
    results = []
    print(f"{path.name}, {options.num} validation mazes a size, valid paths in %")
    print(f"{'size':>5} {'path':>5} " + " ".join(f"{n:>5}" for n in segments) + "   by itself (segments)  s/maze")
    for size in options.sizes:
        task = MazeTask(size, path_of(size, 30, 110))
        policy = checkpoints.restore_policy(saved, path, TaskSpec.of(task), saved.config.dtype).eval()
        puzzles = task.dataset("validation").map(lambda array: array[: options.num])
        began = time.perf_counter()
        fixed = evaluate(
            policy, task, puzzles, Protocol(halting="fixed", max_segments=options.max_segments), batch_size=32
        )
        seconds = time.perf_counter() - began
        free = evaluate(policy, task, puzzles, Protocol(max_segments=options.max_segments), batch_size=32)
        low, high = wilson(int(free.valid.sum()), len(free.valid))
        result = {
            "size": size,
            "min_path": task.min_path,
            "num": len(free.valid),
            "valid_after": [round(float(v), 4) for v in fixed.after],
            "exact_at_end": float(fixed.exact.mean()),
            "by_itself": {
                "valid": float(free.valid.mean()),
                "interval": [low, high],
                "exact": float(free.exact.mean()),
                "segments": float(free.segments.mean()),
            },
        }
        results.append(result)
        row = " ".join(f"{100 * fixed.after[n - 1]:5.1f}" for n in segments)
        own = f"{100 * free.valid.mean():5.1f} [{100 * low:.0f}, {100 * high:.0f}] ({free.segments.mean():.1f})"
        print(f"{size:>5} {task.min_path:>5} {row}   {own}  {seconds / len(free.valid):.2f}", flush=True)
    if options.out:
        Path(f"{options.out}.json").write_text(json.dumps(results, indent=1) + "\n")
        draw(results, Path(f"{options.out}.png"), saved)


def draw(results: list[dict], path: Path, saved: checkpoints.Checkpoint) -> None:
    """The curves of all sizes; a dot where the agent halts by itself."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    colours = plt.get_cmap("viridis")
    for i, result in enumerate(results):
        colour = colours(i / max(1, len(results)) * 0.9)
        curve = [100 * v for v in result["valid_after"]]
        axes.plot(range(1, len(curve) + 1), curve, color=colour, label=f"{result['size']}x{result['size']}")
        own = result["by_itself"]
        axes.plot([own["segments"]], [100 * own["valid"]], "o", color=colour)
    axes.set(xscale="log", xlabel="segments thought", ylabel="shortest paths found, %", ylim=(0, 101))
    ticks = [2**i for i in range(9) if 2**i <= len(results[0]["valid_after"])]
    axes.set_xticks(ticks, [str(tick) for tick in ticks])
    axes.set_title("Dots: where the agent halts by itself, on average", fontsize=9)
    axes.legend(title="board", loc="lower right", fontsize=8)
    axes.grid(alpha=0.3)
    figure.savefig(path, dpi=150)


if __name__ == "__main__":
    main(tyro.cli(Options))
