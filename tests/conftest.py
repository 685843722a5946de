import os

os.environ.setdefault("SDL_VIDEODRIVER", "dummy")

import pytest

import hrm_gym
from hrm_gym.envs.puzzle_env import PuzzleEnv

hrm_gym.register_task("Latin3x3-v0", "latin_task:Latin", givens=4)


@pytest.fixture(autouse=True)
def impatient_windows(monkeypatch):
    """Windows that do not wait between frames."""
    monkeypatch.setitem(PuzzleEnv.metadata, "render_fps", 1000)
