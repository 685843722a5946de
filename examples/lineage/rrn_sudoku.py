"""Sudokus by messages between cells: the signature result of `rrn`.

    python -m examples.lineage.rrn_sudoku

The paper (arXiv 1711.08028) solves 96.6 % of the hardest 9x9 Sudokus of its set, those of 17 givens, after 32
message steps, and fewer after fewer steps. That took it a GPU and 180,000 training puzzles; here are minimal 6x6
Sudokus and minutes.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import hrm_gym


def sudoku(env: str = "Sudoku6x6-v0", **options: Any) -> dict[str, Any]:
    """Train `rrn`, and evaluate it on test puzzles: the run's result, see `result.json`."""
    with tempfile.TemporaryDirectory() as folder:
        return hrm_gym.train(env, "rrn", run_dir=str(Path(folder) / "run"), device="cpu", **options).result


def main() -> None:
    """One line."""
    minutes = 4.0
    result = sudoku(max_minutes=minutes, eval_minutes=1.0)
    after = result["accuracy_after_segments"]
    figures = ", ".join(f"{after[segments - 1]:.1%} after {4 * segments}" for segments in (1, 2, 4, 8, 16))
    print(
        "rrn: paper 96.6 % of 9x9 Sudokus with 17 givens after 32 message steps; ours, minimal 6x6 Sudokus, "
        f"{figures} steps; 1,000 test puzzles, {minutes:g} minutes of one core, seed 0"
    )


if __name__ == "__main__":
    main()
