"""How fast a training step is: slot-segments a second and the share of the processor's matrix rate, eager and compiled.

    python benchmarks/training.py
    python benchmarks/training.py --presets small groups --steps 20 --threads 1

Eager and compiled steps take turns, so that a busy machine slows them alike. The matrix rate is that of a bfloat16 product
of two large matrices on the same threads.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time

import torch
from halting_throughput import processor

import hrm_gym
from hrm_gym.agents.halting.rule import Experience
from hrm_gym.agents.presets import PRESETS, resolve
from hrm_gym.agents.state import detach, select
from hrm_gym.agents.training.flops import Meter
from hrm_gym.agents.training.trainer import Trainer

ENVS = {"tiny": "Sudoku4x4-v0", "small": "Sudoku6x6-v0", "local": "MazeSmall-v0"}


class Steps:
    """A training run that is stepped by hand."""

    def __init__(self, preset: str, agent: str, compiled: bool) -> None:
        options = {"env": ENVS.get(preset, "SudokuExtreme-v0"), "preset": preset, "agent": agent, "device": "cpu"}
        self.trainer = Trainer(resolve({**options, "compile": compiled}))
        self.obs, self.state = self.trainer.start()

    def step(self) -> float:
        """One step; its seconds."""
        began, trainer = time.perf_counter(), self.trainer
        state, output, signals = trainer.policy(self.state, self.obs)
        answer, halt = trainer.act(output, signals, self.obs["segment"] + 1)
        after, told, _ = trainer.envs.step(self.obs, answer, halt)
        state = detach(state)
        ahead = trainer.look_ahead(state, self.obs)
        experience = Experience(output=output, signals=signals, state=state, look_ahead=ahead, **told)
        trainer.learner.step(experience, 0.0)
        self.state, self.obs = select(experience.ended, trainer.initial_state(), state), after
        return time.perf_counter() - began


def matrix_rate(size: int = 2048, repeats: int = 10) -> float:
    """Operations a second of a bfloat16 product, the best of a few."""
    a, b = torch.randn(2, size, size).bfloat16()
    shortest = float("inf")
    for _ in range(repeats):
        began = time.perf_counter()
        a @ b
        shortest = min(shortest, time.perf_counter() - began)
    return 2 * size**3 / shortest


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--presets", nargs="+", default=["small", "medium", "groups"], choices=list(PRESETS))
    parser.add_argument("--agent", default="auto")
    parser.add_argument("--steps", type=int, default=10, help="timed steps of each kind")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    peak = matrix_rate()
    print(f"hrm-gym {hrm_gym.__version__}, torch {torch.__version__}, {processor()}, {args.threads} threads")
    print(f"load {os.getloadavg()[0]:.2f}, matrix rate {peak / 1e9:,.0f} GFLOP/s in bfloat16")
    for preset in args.presets:
        runs = {name: Steps(preset, args.agent, name == "compiled") for name in ("eager", "compiled")}
        began = time.perf_counter()
        for run in runs.values():
            for _ in range(3):
                run.step()
        warm = time.perf_counter() - began
        seconds: dict[str, list[float]] = {name: [] for name in runs}
        for _ in range(args.steps):
            for name, run in runs.items():
                seconds[name].append(run.step())
        config = runs["eager"].trainer.config
        flops = Meter(runs["eager"].trainer).flops
        print(
            f"{preset} ({config.agent}, batch {config.num_envs}, {flops / 1e9:.1f} GFLOP a step; warm in {warm:.0f} s)"
        )
        for name, times in seconds.items():
            middle = statistics.median(times)
            print(
                f"  {name:8} {1e3 * middle:7.0f} ms a step ({1e3 * min(times):.0f} to {1e3 * max(times):.0f})  "
                f"{config.num_envs / middle:7,.0f} segments a second  {100 * flops / middle / peak:5.1f} % of the rate"
            )
        ratios = [a / b for a, b in zip(seconds["eager"], seconds["compiled"], strict=True)]
        print(f"  compiled is {statistics.median(ratios):.2f} times as fast ({min(ratios):.2f} to {max(ratios):.2f})")


if __name__ == "__main__":
    main()
