"""Adding longer numbers than were trained on: the signature result of `neural_gpu`.

    python -m examples.lineage.neural_gpu_addition
    python -m examples.lineage.neural_gpu_addition --digits 24 100 400 1000 2000 --plot addition.png

The paper (arXiv 1511.08228) trains on binary numbers of up to 20 digits and adds numbers of 2,000 without an error;
few of its seeds do. It writes both numbers into one row. Here they stand one above the other, as at school, which
Price et al. (arXiv 1611.00736) found to help. The improved form (arXiv 1702.08727) is used.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence

import numpy as np
import torch

from examples.lineage.longer import accuracy, build, train
from hrm_gym.envs.sequences.task import AdditionTask
from hrm_gym.envs.task import Puzzles, Task


class Columns(Task):
    """Two binary numbers of `num_digits`, one above the other, and a row of blank cells for their sum."""

    symbols = "_.01"
    blank, padding = 0, 1
    violation_name = "wrong cells"

    def __init__(self, num_digits: int) -> None:
        self.num_digits = num_digits
        self.shape = (3, num_digits + 1)

    def sample(self, num, rng):
        """All numbers are equally likely; the highest digit is on the left."""
        puzzle = np.full((num, *self.shape), self.padding, np.uint8)
        puzzle[:, :2, 1:], puzzle[:, 2] = rng.integers(2, 4, size=(num, 2, self.num_digits)), self.blank
        puzzle = puzzle.reshape(num, -1)
        return Puzzles(puzzle, self.solved(puzzle))

    def solved(self, puzzle: np.ndarray) -> np.ndarray:
        """The boards with their sums, (N, L)."""
        board = puzzle.reshape(-1, *self.shape).copy()
        carry = np.zeros(len(board), np.uint8)
        for column in reversed(range(1, self.num_digits + 1)):
            carry, digit = np.divmod((board[:, :2, column] - 2).sum(1) + carry, 2)
            board[:, 2, column] = digit + 2
        board[:, 2, 0] = carry + 2
        return board.reshape(puzzle.shape)

    def violations(self, puzzle, answer):
        """Wrong cells."""
        return ((answer != self.solved(puzzle)) & (puzzle != self.padding)).sum(-1)


def in_a_row(num_digits: int) -> AdditionTask:
    """Both numbers and their sum in one row, as in `Addition-v0`."""
    return AdditionTask(num_digits, num_digits, base=2)


def addition(
    board: Callable[[int], Task] = Columns,
    *,
    trained: Sequence[int] = (2, 5, 8, 11, 14, 17, 20, 23),
    tested: Sequence[int] = (24, 50, 100),
    steps: int = 600,
    seed: int = 0,
    num: int = 0,
    **options,
) -> dict[int, tuple[float, float]]:
    """Share of right sums, and of right digits, for each number of binary digits in `tested`.

    Args:
        board: makes the family for a number of digits: `Columns` or `in_a_row`.
        trained: numbers of digits in training.
        tested: numbers of digits in testing.
        steps: batches of 32 that are trained on.
        seed: of weights and numbers.
        num: sums for each number of digits in testing; 0: 500, and fewer beyond 100 digits, since each takes longer.
        options: of the agent.
    """
    torch.manual_seed(seed)
    tasks = [board(digits) for digits in trained]
    sizes = {"width": 24, "gates": "hard", "shifts": True, "dropout": 0.3, **options}
    mind = build("neural_gpu", tasks[-1], **sizes)
    train(mind, tasks, steps=steps, lr=1e-2, seed=seed, adamax=True)
    return {digits: accuracy(mind, board(digits), num or min(500, 50_000 // digits)) for digits in tested}


def plot(shares: dict[int, dict[int, tuple[float, float]]], path: str) -> None:
    """Draw the share of right sums against their digits, one line a seed."""
    import matplotlib.pyplot as plt

    digits = list(next(iter(shares.values())))
    _, axes = plt.subplots(figsize=(6, 3.2), constrained_layout=True)
    for seed, by_digits in shares.items():
        axes.plot(digits, [100 * whole for whole, _ in by_digits.values()], marker="o", label=f"seed {seed}")
    axes.axvspan(2, 23, color="0.9", label="trained")
    axes.set(xscale="log", xlabel="binary digits", ylabel="right sums, %", ylim=(-2, 102))
    axes.set_xticks(digits, [f"{num:,}" for num in digits])
    axes.minorticks_off()
    axes.legend(loc="center right")
    plt.savefig(path, dpi=130)


def main(argv: Sequence[str] | None = None) -> None:
    """A line for each seed, and a plot if one is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--digits", type=int, nargs="+", default=[24, 50, 100], help="lengths of the tested sums")
    parser.add_argument("--plot", help="draw the shares into this file")
    args = parser.parse_args(argv)
    torch.set_num_threads(1)
    found = {}
    for seed in args.seeds:
        began = time.process_time()
        found[seed] = shares = addition(seed=seed, tested=args.digits)
        figures = ", ".join(f"{whole:.1%} of {n} digits ({cells:.2%} of cells)" for n, (whole, cells) in shares.items())
        print(
            f"neural_gpu, trained on 2 to 23 binary digits, adds {figures}; seed {seed}, "
            f"{time.process_time() - began:.0f} s of a core",
            flush=True,
        )
    if args.plot:
        plot(found, args.plot)


if __name__ == "__main__":
    main()
