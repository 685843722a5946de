"""Fit the constants of the search by guessing on validation puzzles.

    OMP_NUM_THREADS=1 python benchmarks/fit_search.py
    OMP_NUM_THREADS=1 python benchmarks/fit_search.py --checkpoint runs/sudoku --puzzles 400 --json fitted.json

First it measures `solved`: the share of puzzles that the agent solves within eight segments after 0, 1, 2, ... right
guesses. Then it changes one constant at a time and keeps a change that raises the score. The score is the share of
right answers after a segment, averaged over 64 segments: it counts accuracy and speed together. A puzzle on which the
agent has halted keeps its answer, so false halts lower the score.
"""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

import numpy as np
import torch

from hrm_gym.agents import Policy, Protocol, evaluate
from hrm_gym.agents.inference.guessing import Guessing
from hrm_gym.agents.inference.search_options import BOARDS, SearchOptions
from hrm_gym.agents.policy import probabilities
from hrm_gym.agents.saved.load import load_both
from hrm_gym.envs.guesses import possible
from hrm_gym.envs.task import Puzzles, Task

CHOICES = {"margin": (0.0, 1.0, 2.0, 3.0, 4.0, 6.0), "segments": (2, 3, 4), "first": (1, 2, 3), "at_once": (1, 2, 3)}
"""The values that are tried, in this order."""
DEEPEST = 6
"""Maximum number of right guesses for which `solved` is measured."""
SEGMENTS = 64


@torch.inference_mode()
def with_right_guesses(policy: Policy, task: Task, puzzles: Puzzles, cells: int, first: int) -> Puzzles:
    """The puzzles with the most ambiguous cells, seen after `first` segments, filled in correctly."""
    board = torch.as_tensor(puzzles.puzzle).long()
    state = policy.initial_state(len(board))
    for _ in range(first):
        state, output, _ = policy(state, {"puzzle": board})
    symbols = torch.tensor(task.group_symbols)
    left = possible(task, board)
    second = (probabilities(output.logits, policy.loss)[..., symbols] * left).topk(2, -1).values[..., 1]
    guessed = second.masked_fill(left.sum(-1) < 2, -1.0).topk(cells, 1).indices
    solution = torch.as_tensor(puzzles.solution).long()
    filled = board.scatter(1, guessed, solution.gather(1, guessed)) if cells else board
    return puzzles._replace(puzzle=filled.numpy().astype(np.uint8))


def solved(policy: Policy, task: Task, puzzles: Puzzles, first: int) -> tuple[float, ...]:
    """The share of puzzles solved within eight segments after 0, 1, ... right guesses."""
    shares = []
    for cells in range(DEEPEST + 1):
        shown = with_right_guesses(policy, task, puzzles, cells, first)
        result = evaluate(policy, task, shown, Protocol(halting="fixed", max_segments=8))
        shares.append(round(float(result.exact.mean()), 3))
    return tuple(shares)


def score(policy: Policy, task: Task, puzzles: Puzzles, boards: int, options: SearchOptions) -> tuple[float, str]:
    """The score of some constants, and what they reach in words."""
    result = evaluate(Guessing(policy, task, boards, options), task, puzzles, Protocol(max_segments=SEGMENTS))
    reached = f"{100 * result.after[15]:.1f} % after 16 segments, {100 * result.after[-1]:.1f} % after {SEGMENTS}"
    return float(np.mean(result.after)), f"{reached}, {result.segments.mean():.1f} segments"


def main() -> None:
    """Fit and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--env", default="SudokuExtreme-v0")
    parser.add_argument("--checkpoint", default="pretrained")
    parser.add_argument("--puzzles", type=int, default=200, help="of the validation split")
    parser.add_argument("--boards", type=int, default=BOARDS)
    parser.add_argument("--json", type=Path, help="write the best constants to this file")
    args = parser.parse_args()
    policy, task = load_both(args.env, args.checkpoint, "cpu")
    puzzles = task.dataset("validation").map(lambda array: array[: args.puzzles])
    best = SearchOptions()
    best = dataclasses.replace(best, solved=solved(policy, task, puzzles, best.first))
    print(f"solved after 0, 1, ... right guesses: {best.solved}", flush=True)
    highest, reached = score(policy, task, puzzles, args.boards, best)
    print(f"{highest:.4f}  as shipped: {reached}", flush=True)
    for name, values in CHOICES.items():
        for value in values:
            options = dataclasses.replace(best, **{name: value})
            if options == best:
                continue
            found, reached = score(policy, task, puzzles, args.boards, options)
            print(f"{found:.4f}  {name} {value}: {reached}", flush=True)
            if found > highest:
                highest, best = found, options
    print(f"{highest:.4f}  {best}")
    if args.json:
        args.json.write_text(best.to_json() + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
