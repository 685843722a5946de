"""Train the agents for one GPU, score them on real puzzles, and export them with their cards.

    python benchmarks/train_and_score.py runs/gpu --sudokus SUDOKUS.csv --mazes MAZES.csv
    python benchmarks/train_and_score.py runs/gpu --only maze --max-minutes 20 --cuda-graphs

Options that the script does not know go to `hrm-gym train`. Started again after an interruption it resumes the run that
was interrupted, and repeats nothing that is done. Real puzzles are only for scores: no agent is trained on them.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import hrm_gym
from hrm_gym.cli import main as call
from hrm_gym.shares import in_words

TRAININGS = {
    "sudoku": ["--env", "SudokuExtreme-v0", "--preset", "gpu_groups"],
    "maze": ["--env", "MazeHard-v0", "--preset", "gpu_grid", "--task-args", "redrawn=4", "--curriculum", "0.3"],
}
"""Options of `hrm-gym train`, 18 and 10 minutes."""
BY_ITSELF = {"halting": "learned", "max_segments": 64}
SCORES = {
    "sudoku": {
        "one_pass": {"halting": "fixed", "max_segments": 16},
        "by_itself": BY_ITSELF,
        # Sixteen attempts from noisy states, chosen by the rules of the puzzle, without a look at the solution.
        "attempts": {"halting": "fixed", "max_segments": 16, "rollouts": 16, "select": "rules"},
    },
    "maze": {"by_itself": BY_ITSELF},
}
"""How each agent is evaluated on real puzzles."""


def train(name: str, run: Path, options: list[str]) -> None:
    """Train, or go on where a run was interrupted.

    Raises:
        SystemExit: where the training fails, or is interrupted.
    """
    words = ["train", *TRAININGS[name], *options, "--run-dir", str(run)]
    if (run / "checkpoint.safetensors").is_file():
        words = ["train", "--resume", str(run)]
    print(f"== hrm-gym {' '.join(words)}", flush=True)
    status = call(words)
    if status or not (run / "result.json").is_file():
        raise SystemExit(status or f"interrupted; the same command goes on with {run}")


def score(name: str, run: Path, puzzles: str, limit: int, device: str) -> None:
    """Evaluate on real puzzles, each protocol once, into `real_*.json` in the run's folder."""
    env = json.loads((run / "config.json").read_text(encoding="utf-8"))["env"]
    for protocol, options in SCORES[name].items():
        path = run / f"real_{protocol}.json"
        if not path.is_file():
            figures = hrm_gym.evaluate(env, run, puzzles=puzzles, limit=limit, device=device, **options)
            path.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


def in_lines(run: Path) -> str:
    """The scores in a run's folder: by the rules of the puzzle, with 95 % intervals."""
    lines = []
    for path in (run / "result.json", *sorted(run.glob("real_*.json"))):
        figures = json.loads(path.read_text(encoding="utf-8"))
        share = in_words(figures["valid_accuracy"], figures["valid_interval"])
        source = "generated test puzzles" if path.stem == "result" else f"real puzzles, {path.stem[len('real_') :]}"
        lines.append(f"  {share} of {figures['num_puzzles']:,} {source}, {figures['mean_segments']:.1f} segments")
    return "\n".join(lines)


def main() -> None:
    """Train, score, export, and print the scores."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("out", type=Path, help="the folder of the runs")
    parser.add_argument("--only", choices=list(TRAININGS), help="one of the two")
    parser.add_argument("--sudokus", default="", help="a file of real Sudokus, or hf:OWNER/NAME/FILE.csv")
    parser.add_argument("--mazes", default="", help="a file of real 30x30 mazes, or hf:OWNER/NAME/FILE.csv")
    parser.add_argument("--limit", type=int, default=1000, help="real puzzles to score on")
    parser.add_argument("--device", default="cuda")
    args, options = parser.parse_known_args()
    names = [args.only] if args.only else list(TRAININGS)
    for name in names:
        run = args.out / name
        if not (run / "result.json").is_file():
            train(name, run, ["--device", args.device, *options])
        puzzles = {"sudoku": args.sudokus, "maze": args.mazes}[name]
        if puzzles:
            score(name, run, puzzles, args.limit, args.device)
        if status := call(["export", str(run), "--out", str(run / "export.safetensors"), "--overwrite"]):
            raise SystemExit(status)
        print(f"== {run}\n{in_lines(run)}", flush=True)


if __name__ == "__main__":
    main()
