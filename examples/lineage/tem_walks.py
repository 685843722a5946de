"""The Tolman-Eichenbaum machine on walks through mazes: it knows what stands at places that it comes back to.

    python -m examples.lineage.tem_walks

The paper (Cell 2020): on ways never taken before, too, the model predicts what stands at a place visited earlier, which
a memory without structure cannot. Here every walk leads through a maze that is new.
"""

import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import hrm_gym
from hrm_gym.agents import Protocol, evaluate
from hrm_gym.agents.policy import Policy
from hrm_gym.envs.walks.task import WalkTask


class Shares(NamedTuple):
    """Of the objects that stand at revisited places, how many are right."""

    revisited: float
    """All of them."""
    new_way: float
    """Those where the walk comes by a way, from one place to the next, that it did not take before in any direction."""
    guess: float
    """The same for the object that the walk has shown most often, the best guess without a place."""


def shares(policy: Policy, task: WalkTask, num_walks: int, seed: int = 1) -> Shares:
    """Let an agent predict along fresh walks."""
    puzzles = task.sample(num_walks, np.random.default_rng(seed))
    asked = puzzles.puzzle[:, task.steps :] == task.blank
    result = evaluate(policy, task, puzzles, Protocol(halting="fixed", max_segments=-(-task.steps // 20)))
    seen = puzzles.solution[:, task.steps :]
    right = result.answers[:, task.steps :] == seen
    new, guess, place = np.zeros_like(asked), np.zeros(seen.shape, int), task.places(puzzles.puzzle)
    for i in range(num_walks):
        ways: set[frozenset[int]] = set()
        for step in range(1, task.steps):
            way = frozenset((int(place[i, step - 1]), int(place[i, step])))
            new[i, step] = way not in ways
            ways.add(way)
            shown = seen[i, :step][~asked[i, :step]]
            guess[i, step] = np.bincount(shown).argmax()
    return Shares(*(float(a.mean()) for a in (right[asked], right[asked & new], (guess == seen)[asked])))


def walks(run_dir: Path, num_walks: int = 500, **options: Any) -> dict[str, Shares]:
    """Train `tem` with and without structure, and test both.

    Args:
        run_dir: gets the runs.
        num_walks: fresh walks that both are tested on.
        **options: of both runs.

    Returns:
        `tem` and `unstructured`, as long walks as in training; `longer`, `tem` on walks twice as long in larger mazes.
    """
    short, long, found = WalkTask(), WalkTask(steps=80, side=7), {}
    for name, structure in (("tem", True), ("unstructured", False)):
        run = hrm_gym.train("Walk-v0", "tem", run_dir=str(run_dir / name), structure=structure, device="cpu", **options)
        found[name] = shares(run.load("cpu"), short, num_walks)
        if structure:
            hrm_gym.register_task("LongWalk-v0", "hrm_gym.envs.walks.task:WalkTask", steps=80, side=7)
            policy = hrm_gym.load_agent("LongWalk-v0", str(run_dir / name), "cpu")
            found["longer"] = shares(policy, long, num_walks)
    return found


def main() -> None:
    """One minute of one core; prints one line for each."""
    with tempfile.TemporaryDirectory() as folder:
        found = walks(Path(folder), max_steps=1500, max_minutes=0.0, eval_steps=500)
    for name, score in found.items():
        print(
            f"{name}: {100 * score.revisited:.1f} % of the objects at revisited places, {100 * score.new_way:.1f} % of "
            f"those reached by a new way; the most frequent object is right for {100 * score.guess:.1f} %"
        )


if __name__ == "__main__":
    main()
