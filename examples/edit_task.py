"""The task that the editing examples share: fill in 4x4 Sudokus, a cell a step.

The environment pays for a right board only, which chance never writes. So a wrapper pays for progress, too: the change
of the share of right cells. A return of 1 is then beyond anything that does not solve the puzzle.
"""

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np

ENV = "hrm_gym:Sudoku4x4-v0"
ARGS = {"action_type": "edit", "obs_type": "flat", "augment": False}

LEARNING: dict[str, Any] = {
    "n_steps": 16,
    "batch_size": 64,
    "n_epochs": 4,
    "learning_rate": lambda left: 3e-3 * left,
    "gamma": 0.0,  # a right cell is paid at once: there is nothing to look ahead for
}
"""How PPO learns it, with masks or without: they differ in nothing else."""


class Progress(gym.Wrapper):
    """Adds to the reward by how much the share of right cells grew."""

    def reset(self, **kwargs: Any) -> tuple[Any, dict[str, Any]]:
        """Begin an episode."""
        obs, info = self.env.reset(**kwargs)
        self.accuracy = info["cell_accuracy"]
        return obs, info

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Edit a cell, or halt."""
        obs, reward, terminated, truncated, info = self.env.step(action)
        gained, self.accuracy = info["cell_accuracy"] - self.accuracy, info["cell_accuracy"]
        return obs, reward + gained, terminated, truncated, info


def evaluate(policy: Callable[[np.ndarray, np.ndarray], int], puzzles: int, episodes: int) -> float:
    """The mean return of a policy, from an observation and a mask to an action, over the first few puzzles."""
    env = Progress(gym.make(ENV, num_examples=puzzles, **ARGS))
    total = 0.0
    for episode in range(episodes):
        obs, _ = env.reset(options={"index": episode % puzzles})
        over = False
        while not over:
            obs, reward, terminated, truncated, _ = env.step(policy(obs, env.unwrapped.action_masks()))
            total += reward
            over = terminated or truncated
    return total / episodes


def compare(trained: Callable[[np.ndarray, np.ndarray], int], puzzles: int, masked: bool) -> dict[str, float]:
    """Print the return of a trained policy beside that of chance, and see that it is well above."""
    rng = np.random.default_rng(0)

    def chance(obs: np.ndarray, mask: np.ndarray) -> int:
        return int(rng.choice(np.flatnonzero(mask)) if masked else rng.integers(len(mask)))

    returns = {"random": evaluate(chance, puzzles, 40), "trained": evaluate(trained, puzzles, puzzles)}
    for name, episode_return in returns.items():
        print(f"{name:>8}: return {episode_return:6.3f}")
    assert returns["trained"] > returns["random"] + 0.3, returns
    return returns
