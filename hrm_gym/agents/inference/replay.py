"""A film of a policy that thinks about one puzzle, for its card."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import torch

from hrm_gym.agents.inference.think import think
from hrm_gym.agents.policy import Policy
from hrm_gym.envs.drawing.recording import Recorder

SECONDS, LAST = 0.6, 3.0
"""How long each segment, and the last one, is shown."""


def can_film() -> bool:
    """Whether the packages that draw and write films are installed."""
    return all(importlib.util.find_spec(name) for name in ("pygame", "imageio"))


def film(policy: Policy, env_id: str, path: Path, max_segments: int = 16, seed: int = 0, **arguments: Any) -> None:
    """Write a GIF of an episode in which the policy decides when to halt.

    Args:
        policy: a policy for the boards of the environment.
        env_id: the environment.
        path: ends in .gif; an existing file is replaced.
        max_segments: length of the episode.
        seed: chooses the test puzzle.
        **arguments: arguments of the environment.
    """
    env = gymnasium.make(
        f"hrm_gym/{env_id}", split="test", max_segments=max_segments, render_mode="rgb_array", **arguments
    )
    with Recorder(path, overwrite=True) as recorder:
        obs, _ = env.reset(seed=seed)
        recorder.add(_frame(env), SECONDS, first=True)
        identity = torch.tensor([int(obs["puzzle_id"])], device=policy.device) if "puzzle_id" in obs else None
        for thought in think(policy, torch.as_tensor(obs["puzzle"])[None], max_segments, identity):
            action = np.append(thought.answer[0].cpu().numpy(), int(thought.halt[0]))
            ended = env.step(action)[2]
            frame = _frame(env)
            recorder.fade(frame)
            recorder.add(frame, LAST if ended else SECONDS)
            if ended:
                break
    env.close()


def _frame(env: gymnasium.Env[Any, Any]) -> np.ndarray:
    return np.asarray(env.render())
