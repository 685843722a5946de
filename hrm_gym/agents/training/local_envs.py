"""The environments of a run in this process: it steps all slots and returns its own (see `parallel`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import torch
from gymnasium.vector import VectorEnv
from torch import Tensor

from hrm_gym.agents.saved.config import Config
from hrm_gym.agents.training import parallel
from hrm_gym.envs.guesses import sound
from hrm_gym.envs.registration import task_arguments

Wrap = Callable[[VectorEnv], VectorEnv]

EASIEST = 0.1
"""The share of the puzzles at the start of a curriculum."""


class LocalEnvs:
    """The slots of this process in the run's batch of environments.

    Args:
        config: of the run, or of a stage.
        seed: draws the puzzles.
        wrap: wraps the environments.
    """

    def __init__(self, config: Config, seed: int, wrap: Wrap | None = None) -> None:
        self.own = parallel.local_slots(config.num_envs)
        self.num = self.own.stop - self.own.start
        """Number of slots of this process."""
        self._seed = seed
        self._curriculum = config.curriculum
        envs = gym.make_vec(
            f"hrm_gym:{config.env}",
            num_envs=config.num_envs,
            device=config.device,
            autoreset_mode="SameStep",
            **config.env_options(),
            ranked=config.curriculum > 0,
            # Training does not use the count, and in a large maze counting takes longer than thinking.
            count_violations=False,
            **task_arguments(config.task_args),
        )
        self._envs: Any = wrap(envs) if wrap else envs
        self.solution: Tensor
        """Solutions of the current puzzles, int64 (B, L)."""

    @property
    def num_puzzles(self) -> int:
        """Number of puzzles to draw from, without symmetric images."""
        return self._envs.unwrapped.rules.num_puzzles

    def reset(self) -> dict[str, Tensor]:
        """Put new puzzles in all slots; returns their observations."""
        return self._seen(*self._envs.reset(seed=self._seed))

    def grow(self, progress: float) -> None:
        """From now on draw puzzles from the share that the curriculum allows after `progress`, in [0, 1]."""
        if self._curriculum:
            self._envs.unwrapped.rules.easiest = min(1.0, EASIEST + (1 - EASIEST) * progress / self._curriculum)

    def step(
        self, obs: dict[str, Tensor], answer: Tensor, decision: Tensor
    ) -> tuple[dict[str, Tensor], dict[str, Any], Tensor]:
        """Submit answers, (B, L), and decisions, int64 (B,).

        Returns:
            The next observations, the environment's fields of `Experience`, and the share of right cells.
        """
        solution = self.solution  # before finished slots get their next puzzle
        rules = self._envs.unwrapped.rules
        action = torch.cat((answer, decision.unsqueeze(1)), dim=1)  # (B, L + 1); the environment clamps
        after, reward, terminated, truncated, info = self._envs.step(parallel.gather(action))
        final = info["final_info"]  # all slots, before finished ones were reset
        graded = {
            "obs": obs,
            "segment": obs["segment"] + 1,
            "halted": decision == 1,
            "reward": reward[self.own],
            "ended": (terminated | truncated)[self.own],
            "right": final["is_success"][self.own],
            "solution": solution,
            "sound": sound(rules.task, obs["puzzle"], solution) if rules.options.guesses else None,
            "given_up": decision == 2 if rules.options.guesses else None,
        }
        return self._seen(after, info), graded, final["cell_accuracy"][self.own]

    def state_dict(self) -> dict[str, Tensor]:
        """The state of the environments of all slots."""
        return self._envs.unwrapped.state_dict()

    def load_state_dict(self, saved: dict[str, Tensor]) -> dict[str, Tensor]:
        """Restore that state; returns the current observations."""
        return self._seen(*self._envs.unwrapped.load_state_dict(saved))

    def _seen(self, obs: dict[str, Tensor], info: dict[str, Tensor]) -> dict[str, Tensor]:
        self.solution = info["solution"][self.own]
        return {name: array[self.own] for name, array in obs.items()}
