"""What each part of HRM is worth: two modules or one, how far the gradient reaches, and how the agent learns to halt.

    OMP_NUM_THREADS=1 python benchmarks/parts.py runs/parts
    OMP_NUM_THREADS=1 python benchmarks/parts.py runs/parts --env MazeSmall-v0 --minutes 20 --seeds 1

Trains {hrm, trm} x {one_step, last_cycle} x {q_learning, classifier} with the same budget, one seed after the other,
and prints one table. Started again after an interruption it resumes the interrupted run and repeats none. Two
environments, three seeds and eight minutes take 6.4 hours of one core.
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import hrm_gym

FORMS = {"MazeSmall-v0": "_grid", "Sudoku6x6-v0": "_symbols"}
"""Environments, and the ending of the names of the agents that learn them fastest."""
AGENTS = ("hrm", "trm")
GRADIENTS = ("one_step", "last_cycle")
RULES = ("q_learning", "classifier")


class Part(NamedTuple):
    """One combination."""

    env: str
    agent: str
    gradient: str
    rule: str


def parts(envs: Sequence[str]) -> list[Part]:
    """All combinations."""
    agents = {env: [agent + FORMS[env] for agent in AGENTS] for env in envs}
    return [Part(env, *rest) for env in envs for rest in itertools.product(agents[env], GRADIENTS, RULES)]


def train(part: Part, seed: int, folder: Path, options: dict[str, Any]) -> dict[str, Any] | None:
    """The content of the run's `result.json`; trains or resumes if there is none. None if the run was interrupted."""
    run = folder / f"{part.env}-{part.agent}-{part.gradient}-{part.rule}-{seed}"
    if not (run / "result.json").is_file():
        if (run / "checkpoint.safetensors").is_file():
            hrm_gym.train(resume=run)
        else:
            whole = {"gradient": part.gradient, "halting": part.rule, "seed": seed, "run_dir": run, **options}
            hrm_gym.train(part.env, part.agent, **whole)
    result = run / "result.json"
    return json.loads(result.read_text(encoding="utf-8")) if result.is_file() else None


def row(part: Part, results: Sequence[dict[str, Any]]) -> str:
    """One line of the table: the median over seeds and [lowest, highest], which is not a confidence interval."""
    by_itself = [result["halting_by_itself"] for result in results]
    figures: list[tuple[str, list[float]]] = [
        ("{:.1f} %", [100 * result["valid_accuracy"] for result in results]),
        ("{:.1f} %", [100 * result["valid_accuracy"] for result in by_itself]),
        ("{:.2f}", [result["mean_segments"] for result in by_itself]),
        ("{:,.0f}", [result["training"]["steps"] for result in results]),
    ]
    columns = []
    for form, values in figures:
        text = form.format(statistics.median(values))
        spread = f" [{form.format(min(values)).split()[0]}, {form.format(max(values)).split()[0]}]"
        columns.append(text + spread * (len(values) > 1))
    return f"| {' | '.join([*part, *columns])} |"


def main() -> None:
    """Train all combinations and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="of the runs and of table.md")
    parser.add_argument("--env", nargs="+", default=list(FORMS), choices=list(FORMS))
    parser.add_argument("--minutes", type=float, default=8.0, help="of each run")
    parser.add_argument("--steps", type=int, default=0, help="of each run, instead of minutes")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--test-puzzles", type=int, default=500)
    args = parser.parse_args()
    options: dict[str, Any] = {"test_puzzles": args.test_puzzles}
    options |= {"max_steps": args.steps, "max_minutes": 0} if args.steps else {"max_minutes": args.minutes}
    budget = f"{args.steps} steps" if args.steps else f"{args.minutes:g} minutes"
    lines = [
        f"{budget} and {args.seeds} seeds each, {args.test_puzzles} test puzzles; median [lowest, highest]",
        "",
        "| environment | agent | gradient | halting | right after all segments | right by itself | segments | steps |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    found: dict[Part, list[dict[str, Any]]] = {part: [] for part in parts(args.env)}
    for seed, (part, results) in itertools.product(range(args.seeds), found.items()):
        result = train(part, seed, args.folder, options)
        if result is None:
            raise SystemExit("interrupted; the same command goes on")
        results.append(result)
        table = "\n".join([*lines, *(row(part, results) for part, results in found.items() if results)])
        (args.folder / "table.md").write_text(table + "\n", encoding="utf-8")
    print(table)


if __name__ == "__main__":
    main()
