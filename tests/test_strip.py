"""A row of boards, one board a segment."""

import itertools

import numpy as np
import pytest
from PIL import Image
from test_play import ENV, thinker

from hrm_gym.cli import play as command
from hrm_gym.cli.play import Arguments, play
from hrm_gym.envs.drawing.renderer import TILE


@pytest.mark.parametrize(("segments", "columns"), [(3, 4), (20, 8)])
def test_a_row_an_episode_and_a_board_a_segment(tmp_path, monkeypatch, segments, columns):
    monkeypatch.setattr(command, "load", lambda env_id, checkpoint, device, *_: thinker(segments))
    path = tmp_path / "strip.png"
    assert play(Arguments(env=ENV, headless=True, record=path, episodes=2)) == 0
    picture = np.asarray(Image.open(path))
    height = picture.shape[0] // 2
    assert picture.shape == (2 * height, columns * TILE, 3) and TILE < height < TILE + 50
    boards = [picture[:TILE, TILE * i : TILE * (i + 1)] for i in range(columns)]
    assert all((a != b).any() for a, b in itertools.pairwise(boards))
    assert (picture[:TILE] != picture[height : height + TILE]).any()


def test_a_window_that_was_paused_gives_one_board_a_segment(tmp_path, monkeypatch):
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    monkeypatch.setattr(command, "load", lambda env_id, checkpoint, device, *_: thinker(3))

    class Restless(command.Player):
        def tick(self, seconds):
            self.key("space"), self.key("space")  # two new frames of the same segment
            super().tick(1.0)

    monkeypatch.setattr(command, "Player", Restless)
    path = tmp_path / "strip.png"
    assert play(Arguments(env=ENV, record=path, episodes=1)) == 0
    assert Image.open(path).width == 4 * TILE
