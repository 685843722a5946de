"""Mazes larger than those of training: valid paths against segments, size by size, as a table, JSON and a plot.

    python benchmarks/maze_sizes.py --agents pretrained:MazeSmall-v0 runs/grown --out maze_sizes

For each size it takes validation mazes whose shortest path has a length in proportion to the board (30x30: 110 cells
and more), thinks for the same number of segments about each, and grades the answer after every one. Beside that it lets
the agent halt by itself. Intervals are Wilson's, 95 %. What OUT.json has
is not measured again, so it goes on where it was interrupted.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import torch
import tyro

from hrm_gym.agents import Protocol
from hrm_gym.agents.agent import TaskSpec
from hrm_gym.agents.inference.evaluation import evaluate_stops
from hrm_gym.agents.saved import checkpoint as checkpoints
from hrm_gym.agents.saved.sources import find
from hrm_gym.envs.maze import generator
from hrm_gym.envs.maze.sizes import path_of
from hrm_gym.envs.maze.task import MazeTask
from hrm_gym.shares import wilson

SEGMENTS = (1, 2, 4, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256)

LARGEST_SPLIT = 30
"""Larger mazes are drawn as validation mazes are; to make both splits whole would take an hour."""


@dataclass
class Options:
    """What is measured."""

    agents: tuple[str, ...] = ("pretrained:MazeSmall-v0", "pretrained:MazeHard-v0")
    """Runs' folders, files, or "pretrained:ID" for shipped agents; a panel of the plot each."""
    titles: tuple[str, ...] = ()
    """What the panels are called; none: as the agents."""
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
    written = Path(f"{options.out}.json")
    results: list[dict] = json.loads(written.read_text(encoding="utf-8")) if options.out and written.exists() else []
    segments = [n for n in SEGMENTS if n <= options.max_segments]
    asked_for: dict[str, list[dict]] = {}
    for agent in options.agents:
        rows = asked_for[agent] = []
        print(f"{agent}, {options.num} validation mazes a size, valid paths in %")
        print(f"{'size':>5} {'path':>5} " + " ".join(f"{n:>5}" for n in segments) + "   by itself (segments)")
        for size in options.sizes:
            asked = {"agent": agent, "size": size, "num": options.num, "max_segments": options.max_segments}
            result = next((result for result in results if asked.items() <= result.items()), None)
            if result is None:
                result = {**asked, **measure(agent, size, options)}
                results.append(result)
                if options.out:
                    written.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
            rows.append(result)
            print(line(result, segments), flush=True)
    if options.out:
        draw(asked_for, options)


def measure(agent: str, size: int, options: Options) -> dict:
    """What an agent comes to on mazes of one size, with and without halting."""
    path = Path(agent)
    saved = checkpoints.load(find(path))
    task = MazeTask(size, path_of(size, 30, 110))
    policy = checkpoints.restore_policy(saved, path, TaskSpec.of(task), saved.config.dtype).eval()
    if size <= LARGEST_SPLIT:
        puzzles = task.dataset("validation").map(lambda array: array[: options.num])
    else:
        puzzles = generator.generate(size, task.min_path, options.num, generator.VALIDATION_SEED, "test")
    fixed, free = evaluate_stops(
        policy,
        task,
        puzzles,
        [Protocol(halting=halting, max_segments=options.max_segments) for halting in ("fixed", "learned")],
        batch_size=32,
    )
    return {
        "min_path": task.min_path,
        "valid_after": [round(float(v), 4) for v in fixed.after],
        "exact_at_end": float(fixed.exact.mean()),
        "by_itself": {
            "valid": float(free.valid.mean()),
            "interval": wilson(int(free.valid.sum()), len(free.valid)),
            "exact": float(free.exact.mean()),
            "segments": float(free.segments.mean()),
        },
    }


def line(result: dict, segments: list[int]) -> str:
    """A row of the table."""
    row = " ".join(f"{100 * result['valid_after'][n - 1]:5.1f}" for n in segments)
    own = result["by_itself"]
    low, high = own["interval"]
    return (
        f"{result['size']:>5} {result['min_path']:>5} {row}   {100 * own['valid']:5.1f} "
        f"[{100 * low:.0f}, {100 * high:.0f}] ({own['segments']:.1f})"
    )


def draw(results: dict[str, list[dict]], options: Options) -> None:
    """A panel an agent: the curves of all sizes; a dot where it halts by itself."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, panels = plt.subplots(
        1, len(results), figsize=(1 + 4.5 * len(results), 4), sharey=True, squeeze=False, layout="constrained"
    )
    colours = plt.get_cmap("turbo")
    for axes, rows, title in zip(panels[0], results.values(), options.titles or results, strict=True):
        for i, result in enumerate(rows):
            colour = colours(0.95 * i / max(1, len(rows) - 1))
            curve = [100 * v for v in result["valid_after"]]
            axes.plot(range(1, len(curve) + 1), curve, color=colour, label=f"{result['size']}x{result['size']}")
            own = result["by_itself"]
            axes.plot([own["segments"]], [100 * own["valid"]], "o", color=colour)
        ticks = [2**i for i in range(9) if 2**i <= options.max_segments]
        axes.set(xscale="log", xlabel="segments thought", ylim=(0, 101))
        axes.set_xticks(ticks, [str(tick) for tick in ticks])
        axes.set_title(title, fontsize=10)
        axes.grid(alpha=0.3)
    figure.legend(*axes.get_legend_handles_labels(), title="board", loc="outside right center")
    panels[0, 0].set_ylabel("shortest paths found, %; dots: by itself")
    figure.savefig(f"{options.out}.png", dpi=150)


if __name__ == "__main__":
    main(tyro.cli(Options))
