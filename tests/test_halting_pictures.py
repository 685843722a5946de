"""Pictures of the halting environments: what they show, what they cost, and how Gymnasium records them."""

import pickle

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.wrappers import RecordVideo
from gymnasium.wrappers.vector import RecordVideo as RecordVideos
from stable_baselines3.common.env_util import make_vec_env
from test_halting_env import Counter, hand_made

from hrm_gym import HrmGymError
from hrm_gym.agents.inference import halting_ids
from hrm_gym.envs.drawing.frame import is_right, right_cells
from hrm_gym.envs.halting.frozen_model import RecordedModel
from hrm_gym.envs.halting.halting_env import HaltingEnv
from hrm_gym.envs.halting.halting_vector_env import HaltingVectorEnv

HALT = "Sudoku6x6-Halt-v0"
FEW = {"num_examples": 12, "max_segments": 4, "split": "test"}


def frames_in(path):
    imageio_ffmpeg = pytest.importorskip("imageio_ffmpeg")
    return imageio_ffmpeg.count_frames_and_secs(str(path))[0]


@pytest.mark.parametrize("recorded", [True, False], ids=["recorded", "live"])
def test_a_picture_shows_the_answer_that_is_graded(recorded):
    env = gym.make(HALT, render_mode="rgb_array", recorded=recorded, **FEW).unwrapped
    pictures, task = env._view._open(), halting_ids.load_both("Sudoku6x6-v0")[1]
    grades = set()
    for index in range(FEW["num_examples"]):
        _, info = env.reset(options={"index": index})
        for segment in range(1, FEW["max_segments"] + 1):
            frame = pictures.frame(index, segment)
            assert info["segment"] == frame.segment == segment and frame.max_segments == 4
            assert is_right(task, frame) == info["is_success"]
            assert np.mean(frame.answer == frame.solution) == pytest.approx(info["cell_accuracy"])
            assert frame.accuracies[-1] == right_cells(task, frame) and len(frame.accuracies) == segment
            grades.add(info["is_success"])
            if segment < FEW["max_segments"]:
                info = env.step(0)[-1]
    assert grades == {True, False}, "puzzles that say nothing about the pictures"


def test_every_mode_of_a_single_environment():
    env = gym.make(HALT, render_mode="rgb_array", **FEW)
    env.reset(seed=0)
    pictures = [env.render()]
    for action in (0, 1):
        env.step(action)
        pictures.append(env.render())
    assert all(one.dtype == np.uint8 and one.shape == pictures[0].shape for one in pictures)
    assert (pictures[0] != pictures[1]).any(), "another segment"
    assert (pictures[1] != pictures[2]).any(), "the end"
    text = gym.make(HALT, render_mode="ansi", **FEW)
    text.reset(seed=0)
    assert text.render().startswith("segment 1 of 4, violations ")
    window = gym.make(HALT, render_mode="human", **FEW)  # of SDL's driver without a screen
    window.reset(seed=0)
    window.step(0)
    assert window.unwrapped.render() is None
    for one in (env, text, window):
        one.close()
        one.close()


def test_record_video_writes_the_episode(tmp_path):
    pytest.importorskip("moviepy")
    env = RecordVideo(gym.make(HALT, render_mode="rgb_array", **FEW), str(tmp_path), episode_trigger=lambda i: True)
    env.reset(seed=0)
    for action in (0, 0, 1):
        env.step(action)
    env.close()
    (film,) = tmp_path.glob("*.mp4")
    assert frames_in(film) == 4, "one after reset and one a step"


def test_record_video_writes_a_batch(tmp_path):
    pytest.importorskip("moviepy")
    batch = gym.make_vec(HALT, 4, render_mode="rgb_array", **FEW)
    envs = RecordVideos(batch, str(tmp_path), episode_trigger=lambda i: i == 0)
    envs.reset(seed=0)
    for _ in range(3):
        envs.step(np.zeros(4, np.int64))
    envs.close()
    assert [frames_in(film) for film in tmp_path.glob("*.mp4")] == [4], "one after reset and one a step"


def test_a_batch_draws_what_single_environments_draw():
    envs = gym.make_vec(HALT, 3, render_mode="rgb_array", **FEW)
    envs.reset(options={"index": np.array([4, 5, 6])})
    envs.step(np.array([0, 1, 0]))
    alone = gym.make(HALT, render_mode="rgb_array", **FEW)
    for index, (picture, action) in enumerate(zip(envs.render(), (0, 1, 0), strict=True), start=4):
        alone.reset(options={"index": index})
        alone.step(action)
        title = slice(0, 60)  # the ids differ by what Gymnasium puts before them
        assert (picture[title.stop :] == alone.render()[title.stop :]).all()
    copies = pickle.loads(pickle.dumps(envs.unwrapped)).render()
    assert all((one == other).all() for one, other in zip(copies, envs.render(), strict=True))


def test_nothing_is_thought_for_pictures_that_nobody_asks_for(monkeypatch):
    """Stable-Baselines3 makes every environment with `render_mode="rgb_array"`."""
    opened = []
    monkeypatch.setattr(halting_ids, "Replays", lambda *arguments: opened.append(arguments))
    envs = make_vec_env(HALT, n_envs=2, env_kwargs=FEW)
    envs.reset()
    envs.step(np.zeros(2, np.int64))
    assert envs.render_mode == "rgb_array" and not opened


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: gym.make(HALT, render_mode="rgb", **FEW), "unknown render_mode 'rgb': give one of human"),
        (lambda: gym.make_vec(HALT, 2, render_mode="human", **FEW), "unknown render_mode 'human': give one of rgb_arr"),
        (lambda: HaltingEnv(Counter(), render_mode="ansi"), "this model has no pictures"),
        (lambda: HaltingVectorEnv(RecordedModel(hand_made(), 2), render_mode="ansi"), "this model has no pictures"),
        (lambda: gym.make(HALT, render_mode="ansi", **FEW).unwrapped.render(), "call reset"),
    ],
)
def test_bad_calls(call, message):
    with pytest.raises(HrmGymError, match=message):
        call()
