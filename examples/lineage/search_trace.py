"""Imitation of search: a decoder that writes the search before the answer, against one that writes the answer alone.

    python -m examples.lineage.search_trace

Both are the same network and see the same puzzles as often. The papers say: answers alone need a network five to ten
times larger and ten times the puzzles on mazes (Searchformer, arXiv 2402.14083), and without the order of a solver's
steps 9x9 Sudokus are not learned at all (Shah et al., arXiv 2409.10502). On 4x4 Sudokus it is the other way round, see
`docs/lineage.md`; try it on larger puzzles, if you have an hour: `against("MazeSmall-v0", ...)`.
"""

import tempfile
from pathlib import Path
from typing import Any

import hrm_gym
from hrm_gym.agents import Protocol, evaluate
from hrm_gym.agents.inference.frozen_agent import first_puzzles


def against(env: str, run_dir: Path, num_puzzles: int = 500, **options: Any) -> dict[str, float]:
    """Train with and without the search, then let both write by themselves.

    Args:
        env: an environment id.
        run_dir: gets the runs.
        num_puzzles: test puzzles.
        **options: of both runs.

    Returns:
        The shares of right answers, `search` and `answers`, and how many segments each took (`search_segments`, ...).
    """
    task = hrm_gym.make_task(env)
    puzzles, found = first_puzzles(task, "test", num_puzzles), {}
    for name, search in (("search", True), ("answers", False)):
        run = hrm_gym.train(env, "search_trace", run_dir=str(run_dir / name), search=search, device="cpu", **options)
        result = evaluate(run.load("cpu"), task, puzzles, Protocol(halting="learned", max_segments=16))
        found[name] = float(result.valid.mean())
        found[f"{name}_segments"] = float(result.segments.mean())
    return found


def main() -> None:
    """Two minutes of one core; prints one line."""
    options = {"layers": 2, "num_envs": 32, "max_steps": 1500, "max_minutes": 0.0, "eval_steps": 500}
    with tempfile.TemporaryDirectory() as folder:
        found = against("Sudoku4x4-v0", Path(folder), **options)
    print(
        f"search_trace, 4x4 Sudokus, {options['max_steps']:,} steps each: {100 * found['search']:.1f} % right with the "
        f"search written first ({found['search_segments']:.1f} segments), {100 * found['answers']:.1f} % with answers "
        f"alone ({found['answers_segments']:.1f})"
    )


if __name__ == "__main__":
    main()
