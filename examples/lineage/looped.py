"""Recurrent depth: more steps at test than in training help, and any initial state leads to the same answer.

    python -m examples.lineage.looped

The network is trained as in the paper (arXiv 2502.05171), one segment an episode with a random number of steps, and
then thinks for fewer and for more of them. The puzzle is the parity along a row of up to twelve bits: cells see their
neighbours alone, so that long rows need more steps than training has on average.
"""

import tempfile
from pathlib import Path
from typing import cast

import torch

import examples.lineage.parity  # noqa: F401 (registers the puzzle)
import hrm_gym
from hrm_gym.agents import Protocol, evaluate
from hrm_gym.agents.inference.frozen_agent import first_puzzles
from hrm_gym.agents.inference.think import boards_of
from hrm_gym.agents.lineage.looped import Looped

ENV = "ParityRow1x12-v0"
STEPS = (1, 2, 4, 8, 16, 32)


def more_steps(run_dir: Path, num_puzzles: int = 500, **options) -> tuple[dict[int, float], float]:
    """Train, then count with each number of steps.

    Args:
        run_dir: gets the run.
        num_puzzles: test puzzles.
        **options: of the run.

    Returns:
        The accuracy after each of `STEPS`, and the share of puzzles to which two random initial states lead to the same
        answer after the last of them.
    """
    local = {"mixer": "convolution", "prefix_tokens": 0, "hidden_size": 32, "core_layers": 1}
    short = {"mean_steps": 4, "gradient_steps": 4, "max_segments": 1}
    run = hrm_gym.train(ENV, "looped", run_dir=str(run_dir), **{**local, **short, **options})
    policy, task = run.load("cpu"), hrm_gym.make_task(ENV)
    agent = cast(Looped, policy.agent)
    puzzles = first_puzzles(task, "test", num_puzzles)
    accuracy = {}
    for steps in STEPS:
        agent.test_steps = steps
        result = evaluate(policy, task, puzzles, Protocol(halting="fixed", max_segments=1))
        accuracy[steps] = float(result.valid.mean())
    boards = boards_of(puzzles, policy.device)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        state = agent.initial_state(num_puzzles)
        other = torch.randn(state.shape, generator=generator)
        first, second = (agent(s, {"puzzle": boards.puzzle})[1].logits.argmax(-1) for s in (state, other))
    return accuracy, float((first == second).all(1).float().mean())


def main() -> None:
    """Two minutes of one core; prints one line."""
    with tempfile.TemporaryDirectory() as folder:
        accuracy, same = more_steps(Path(folder) / "run", max_minutes=2)
    shares = ", ".join(f"{steps}: {100 * share:.1f} %" for steps, share in accuracy.items())
    print(
        f"looped, trained with 4 steps on average; right after {shares}; same answer from any state: {100 * same:.1f} %"
    )


if __name__ == "__main__":
    main()
