"""The task that the halting examples share: when should the shipped 6x6 Sudoku agent stop thinking?

A segment costs 0.05 and there are at most eight. Halting at once wins 1 %; thinking to the end wins nearly always and
pays for it; in between lies what a policy can learn. The policies learn on 100 training puzzles, whose thoughts are
recorded once, and are compared on 100 test puzzles.
"""

from collections.abc import Callable
from typing import NamedTuple

import gymnasium as gym
import numpy as np

ENV = "hrm_gym:Sudoku6x6-Halt-v0"
PUZZLES = 100
ARGS = {
    "num_examples": PUZZLES,
    "max_segments": 8,
    "segment_cost": 0.05,
}

Policy = Callable[[np.ndarray], np.ndarray]
"""From observations, float32 (N, 9), to actions, integers (N,)."""


class Outcome(NamedTuple):
    """Means over the test puzzles."""

    episode_return: float
    accuracy: float
    segments: float


def evaluate(policy: Policy) -> Outcome:
    """What a policy comes to when each test puzzle is thought about once, all side by side."""
    envs = gym.make_vec(ENV, num_envs=PUZZLES, split="test", **ARGS)
    obs, info = envs.reset(options={"index": np.arange(PUZZLES)})
    episode_return, running = np.zeros(PUZZLES), np.ones(PUZZLES, bool)
    right, segments = info["is_success"], info["segment"]
    while running.any():
        obs, reward, terminated, _, info = envs.step(policy(obs))
        episode_return += reward * running
        right, segments = (
            np.where(running, info[key], old) for key, old in (("is_success", right), ("segment", segments))
        )
        running &= ~terminated  # finished slots are reset and go on, unheeded
    return Outcome(float(episode_return.mean()), float(right.mean()), float(segments.mean()))


def compare(policies: dict[str, Policy]) -> dict[str, Outcome]:
    """Print what trained policies come to beside chance and thinking to the end, and see that they beat both."""
    rng = np.random.default_rng(0)
    bars = {
        "random": lambda obs: rng.integers(2, size=len(obs)),
        "always on": lambda obs: np.zeros(len(obs), np.int64),
    }
    outcomes = {name: evaluate(policy) for name, policy in {**bars, **policies}.items()}
    for name, outcome in outcomes.items():
        print("{:>10}: return {:6.3f}, {:4.0%} right, {:.2f} segments".format(name, *outcome))
    bar = max(outcomes[name].episode_return for name in bars) + 0.1
    for name in policies:
        assert outcomes[name].episode_return > bar, (
            f"{name}: {outcomes[name].episode_return:.3f} is not above {bar:.3f}"
        )
    return outcomes
