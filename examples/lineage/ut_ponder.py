"""Universal Transformer: a dearer step makes it think less, and it answers as well (arXiv 1807.03819, 1603.08983).

    python -m examples.lineage.ut_ponder

Each cell halts by itself. The weight of the ponder cost, tau, says what a step costs it; `ut` is trained with several
of them on 4x4 Sudokus.
"""

import tempfile
from pathlib import Path
from typing import Any

import torch

import hrm_gym
from hrm_gym.agents import Protocol, evaluate
from hrm_gym.agents.inference.frozen_agent import first_puzzles
from hrm_gym.agents.inference.think import boards_of

TAUS = (0.0, 0.01, 0.1)


def pondering(run_dir: Path, taus: tuple[float, ...] = TAUS, num_puzzles: int = 500, **options: Any) -> dict:
    """Train once for each tau and count.

    Args:
        run_dir: gets the runs.
        taus: weights of the ponder cost.
        num_puzzles: test puzzles.
        **options: of the runs.

    Returns:
        By tau: the mean steps of a cell in the first segment, and the accuracy after eight segments.
    """
    task, found = hrm_gym.make_task("Sudoku4x4-v0"), {}
    puzzles = first_puzzles(task, "test", num_puzzles)
    for tau in taus:
        folder = run_dir / f"tau{tau}"
        run = hrm_gym.train("Sudoku4x4-v0", "ut", run_dir=str(folder), cell_ponder_cost=tau, device="cpu", **options)
        policy = run.load("cpu")
        puzzle = boards_of(puzzles, policy.device).puzzle
        with torch.no_grad():
            state, _ = policy.agent(policy.agent.initial_state(num_puzzles), {"puzzle": puzzle})
        result = evaluate(policy, task, puzzles, Protocol(halting="fixed", max_segments=8))
        found[tau] = float(state.steps.float().mean()), float(result.after[-1])
    return found


def main() -> None:
    """One minute of one core; prints one line."""
    with tempfile.TemporaryDirectory() as folder:
        found = pondering(Path(folder), max_steps=400, max_minutes=0.0, eval_steps=400, num_envs=32)
    lines = "; ".join(f"tau {tau:g}: {steps:.1f} steps, {100 * right:.1f} %" for tau, (steps, right) in found.items())
    print(f"ut, 4x4 Sudokus, steps of a cell in the first segment and right answers after eight segments: {lines}")


if __name__ == "__main__":
    main()
