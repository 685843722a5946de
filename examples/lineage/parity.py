"""Parity along a row: a puzzle whose difficulty is a number, and how long an agent ponders it.

A row holds k bits and is empty behind them. Every cell is to say whether the ones from it to the end are even or odd
in number, so the first cell answers for the whole row. An agent whose cells see their neighbours alone must carry this
from the end to the beginning: k bits take some k steps, and the harder input is the longer one.
"""

import tempfile
import zlib
from pathlib import Path

import numpy as np

import hrm_gym
from hrm_gym.agents import Protocol, evaluate
from hrm_gym.envs.task import Puzzles, Task

EMPTY, EVEN = 0, 3  # and 4: odd


class ParityRow(Task):
    """A row of at most `length` bits; the answer of a cell is the parity of the ones from it to the end."""

    symbols = ".01eo"
    local = True

    def __init__(self, length: int = 12) -> None:
        self.length = length
        self.shape = (1, length)

    def sample(self, num, rng):
        """Rows whose number of bits is uniform in 1..length."""
        used = np.arange(self.length) < rng.integers(1, self.length + 1, (num, 1))
        puzzle = (used * (1 + rng.integers(2, size=(num, self.length)))).astype(np.uint8)
        return Puzzles(puzzle, self.answer(puzzle).astype(np.uint8))

    def answer(self, puzzle):
        """The right answer, (N, L)."""
        ones = (puzzle == 2) * 1
        from_here = ones.sum(-1)[:, None] - ones.cumsum(-1) + ones
        return (puzzle != EMPTY) * (EVEN + from_here % 2)

    def violations(self, puzzle, answer):
        """Wrong cells."""
        return (answer != self.answer(puzzle)).sum(-1)

    def is_given(self, puzzle):
        """No bit is repeated in the answer."""
        return puzzle == EMPTY

    def dataset(self, split):
        """By a hash: there are few short rows, and each split needs some."""
        drawn = self.sample(20_000, np.random.default_rng(0))
        part = np.array([zlib.crc32(row.tobytes()) % 10 for row in drawn.puzzle])
        mine = {"train": part > 1, "validation": part == 1, "test": part == 0}[split]
        return drawn.map(lambda board: board[mine])


hrm_gym.register_task("ParityRow1x12-v0", f"{__name__}:ParityRow")
hrm_gym.register_task("ParityRow1x6-v0", f"{__name__}:ParityRow", length=6)


def pondering(env: str, halting: str, run_dir: Path, **options) -> dict[str, float]:
    """Train a recurrent network whose cells see their neighbours, and count how long it thinks about test rows.

    Args:
        env: one of the two ids above.
        halting: the halting rule.
        run_dir: gets the run.
        **options: of the run.

    Returns:
        `accuracy` when halting by itself, and mean segments: `short`, of the rows in the lowest third of lengths, and
        `long`, of those in the highest.
    """
    local = {"mixer": "convolution", "prefix_tokens": 0, "updates": 1, "hidden_size": 32}
    run = hrm_gym.train(env, "gru", halting=halting, run_dir=str(run_dir), **{**local, **options})
    task = hrm_gym.make_task(env)
    puzzles = task.dataset("test")
    segments = options.get("max_segments", 16)
    result = evaluate(run.load("cpu"), task, puzzles, Protocol(halting="learned", max_segments=segments))
    bits = (puzzles.puzzle != EMPTY).sum(1)
    third = task.length // 3
    return {
        "accuracy": float(result.valid.mean()),
        "short": float(result.segments[bits <= third].mean()),
        "long": float(result.segments[bits > task.length - third].mean()),
    }


def tell(halting: str) -> None:
    """Three minutes of one core; prints one line about a halting rule."""
    with tempfile.TemporaryDirectory() as folder:
        found = pondering("ParityRow1x12-v0", halting, Path(folder) / "run", max_minutes=3)
    print(
        f"{halting}: {100 * found['accuracy']:.1f} % right by itself; rows of 1 to 4 bits are pondered for "
        f"{found['short']:.1f} segments, rows of 9 to 12 for {found['long']:.1f}"
    )
