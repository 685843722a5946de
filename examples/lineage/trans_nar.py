"""TransNAR: closing the gate shows what the graph network gives (arXiv 2406.09308).

    python -m examples.lineage.trans_nar

A transformer of one block looks at a reasoner that has learned to propagate candidates; once trained, it answers with
its gates as they are and with its gates shut, after one segment and after several.
"""

import tempfile
from pathlib import Path
from typing import cast

import hrm_gym
from hrm_gym.agents import Protocol, evaluate
from hrm_gym.agents.inference.frozen_agent import first_puzzles
from hrm_gym.agents.lineage.trans_nar import TransNAR


def gates(env: str, run_dir: Path, num_puzzles: int = 500, **options) -> dict[str, float]:
    """Train, then count with open and with shut gates.

    Args:
        env: an environment id.
        run_dir: gets the run.
        num_puzzles: test puzzles.
        **options: of the run.

    Returns:
        The accuracy after eight segments with the gates `open` and `closed`, `first`, that after one segment with open
        gates, and `gate`, the mean of |tanh(gate)|.
    """
    run = hrm_gym.train(env, "trans_nar", run_dir=str(run_dir), **{"layers": 1, "max_segments": 8, **options})
    policy, task = run.load("cpu"), hrm_gym.make_task(env)
    agent = cast(TransNAR, policy.agent)
    puzzles = first_puzzles(task, "test", num_puzzles)
    protocol = Protocol(halting="fixed", max_segments=8)
    opened = evaluate(policy, task, puzzles, protocol)
    agent.closed = True
    closed = evaluate(policy, task, puzzles, protocol)
    return {
        "open": float(opened.after[-1]),
        "first": float(opened.after[0]),
        "closed": float(closed.after[-1]),
        "gate": sum(float(look.gate.detach().tanh().abs()) for look in agent.looks) / len(agent.looks),
    }


def main() -> None:
    """Three minutes of one core; prints one line."""
    with tempfile.TemporaryDirectory() as folder:
        found = gates("Sudoku4x4-v0", Path(folder) / "run", max_minutes=2.5)
    print(
        f"trans_nar: {100 * found['open']:.1f} % right after eight segments ({100 * found['first']:.1f} % after one), "
        f"{100 * found['closed']:.1f} % with the gates shut (they stand at {found['gate']:.2f})"
    )


if __name__ == "__main__":
    main()
