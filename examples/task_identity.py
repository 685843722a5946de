"""Six ARC tasks with the same inputs: what does an agent lose without the embedding that says which task it is?

    python examples/task_identity.py --out tasks.json
    hrm-gym train --env ARC1-v0 --dataset tasks.json --task-args augmentations=0,side=4 --agent hrm --preset small \
        --hidden-size 64 --num-heads 2 --num-envs 32 --max-segments 4 --max-minutes 0 --max-steps 2000 \
        --run-dir runs/identity
    hrm-gym analyze --checkpoint runs/identity --split test --what identity

A puzzle shows only the input, so only the embedding of its identity distinguishes the tasks.
"""

import argparse
import json

import numpy as np

RULES = {
    "copied": lambda grid: grid,
    "mirrored": lambda grid: grid[:, ::-1],
    "flipped": lambda grid: grid[::-1],
    "turned": np.rot90,
    "moved": lambda grid: np.roll(grid, 1, axis=1),
    "recoloured": lambda grid: 5 - grid,
}
"""Output of a 4x4 grid of the colours 1 to 4."""


def pairs(rule: str, num: int, rng: np.random.Generator) -> list[dict[str, list[list[int]]]]:
    """Random inputs and their outputs, as in an ARC file."""
    inputs = rng.integers(1, 5, (num, 4, 4))
    return [{"input": grid.tolist(), "output": RULES[rule](grid).tolist()} for grid in inputs]


def main() -> None:
    """Write the tasks: 500 demonstrations and 50 tests each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", default="tasks.json", help="file to write")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    rng = np.random.default_rng(args.seed)
    tasks = {rule: {"train": pairs(rule, 500, rng), "test": pairs(rule, 50, rng)} for rule in RULES}
    with open(args.out, "w", encoding="utf-8") as file:
        json.dump(tasks, file)
    print(f"wrote {len(tasks)} tasks to {args.out}")


if __name__ == "__main__":
    main()
