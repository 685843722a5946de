"""The batched environment against single ones in every autoreset mode; saving, drawing and bad input."""

import json

import gymnasium as gym
import numpy as np
import pytest
import torch
from batches import ACTION_TYPES, OBS_TYPES, N, actions, equal, solutions
from gymnasium.vector import AutoresetMode
from gymnasium.wrappers.vector import DictInfoToList, RecordEpisodeStatistics

import hrm_gym
from hrm_gym import HrmGymError

MODES = tuple(AutoresetMode)
NEXT_STEP, DISABLED = AutoresetMode.NEXT_STEP, AutoresetMode.DISABLED
every_mode = pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.value)
every_id = pytest.mark.parametrize("env_id", hrm_gym.task_ids())


# ---- NumPy: the same as a loop over single environments -------------------------------------------


def pair(env_id, mode, **kwargs):
    native = gym.make_vec(env_id, N, autoreset_mode=mode.value, **kwargs)
    sync = gym.make_vec(env_id, N, vectorization_mode="sync", vector_kwargs={"autoreset_mode": mode}, **kwargs)
    return native, sync


def compare(native, sync, mode, steps=25):
    rng = np.random.default_rng(0)
    equal(native.reset(seed=11), sync.reset(seed=11))
    ends = 0
    for _ in range(steps):
        action = actions(native, rng, solutions(native))
        one, other = native.step(action), sync.step(action)
        equal(one, other)
        over = one[2] | one[3]
        ends += over.sum()
        if mode == DISABLED and over.any():
            equal(*(envs.reset(options={"reset_mask": over.copy()}) for envs in (native, sync)))
    assert ends > N, "the rollout ended hardly any episode"


@every_mode
@every_id
@pytest.mark.parametrize("action_type", ACTION_TYPES)
@pytest.mark.parametrize("obs_type", OBS_TYPES)
def test_native_equals_sync(env_id, mode, action_type, obs_type):
    graded_by = "rules" if obs_type == "dict" else "solution"
    kinds = {"action_type": action_type, "obs_type": obs_type, "segment_cost": 0.125, "graded_by": graded_by}
    native, sync = pair(env_id, mode, max_segments=4, **kinds)
    assert native.observation_space == sync.observation_space
    assert native.action_space == sync.action_space
    assert native.metadata["autoreset_mode"] is native.autoreset_mode is sync.metadata["autoreset_mode"]
    compare(native, sync, mode)


@every_mode
def test_max_episode_steps_is_the_time_limit(mode):
    compare(*pair("Sudoku4x4-v0", mode, max_episode_steps=3), mode)


@pytest.mark.parametrize("device", [None, "cpu"])
@every_mode
def test_the_last_segment_terminates(mode, device):
    envs = gym.make_vec("Latin3x3-v0", N, device=device, autoreset_mode=mode.value, max_segments=2, segment_cost=0.25)
    envs.reset(seed=0)
    right = np.arange(N) < 2
    answer = np.where(right[:, None], solutions(envs), 0)
    action = np.append(answer, np.zeros((N, 1), np.int64), axis=1)
    for reward, over in ((np.full(N, -0.25), False), (right * 1.0, True)):
        _, rewards, terminated, truncated, _ = envs.step(action)
        assert np.allclose(rewards, reward)
        assert bool(terminated.all()) == bool(terminated.any()) == over and not truncated.any()


def test_lists_of_seeds_and_seeds_of_masked_resets():
    native, sync = pair("Latin3x3-v0", NEXT_STEP)
    mask = np.arange(N) < 2
    seeds = [5, None, 7, 8, 5, 5]
    equal(native.reset(seed=1), sync.reset(seed=1))
    for options in (None, {"index": 3}, {"reset_mask": mask}):
        equal(*(envs.reset(seed=seeds, options=dict(options or {})) for envs in (native, sync)))
        equal(native.reset(), sync.reset())


def test_the_wrappers_of_gymnasium_take_it():
    envs = RecordEpisodeStatistics(gym.make_vec("Latin3x3-v0", N, max_segments=3))
    envs.reset(seed=0)
    action = np.zeros((N, 10), np.int64)
    *_, infos = [envs.step(action) for _ in range(3)][-1]
    assert (infos["episode"]["l"] == 3).all() and (infos["episode"]["r"] == 0.0).all()
    envs = DictInfoToList(gym.make_vec("Latin3x3-v0", N, autoreset_mode="SameStep"))
    envs.reset(seed=0)
    *_, infos = envs.step(action + 1)
    assert len(infos) == N and infos[0]["final_info"]["is_success"] == np.False_


def test_errors_about_many_slots_have_one_line():
    envs = gym.make_vec("Latin3x3-v0", 2_000)
    for index in (np.full(2_000, -1), np.zeros(1_999, int), np.zeros((2_000, 2))):
        with pytest.raises(HrmGymError, match=r"^option 'index' [^\n]*$"):
            envs.reset(options={"index": index})


def test_an_index_a_slot():
    envs = gym.make_vec("Latin3x3-v0", 3, split="test")
    obs, _ = envs.reset(options={"index": np.array([4, 0, 4])})
    assert (obs["puzzle"] == envs.task.dataset("test").puzzle[[4, 0, 4]]).all()


def test_what_is_returned_is_not_touched_again():
    for mode in MODES:
        envs = gym.make_vec("Latin3x3-v0", N, autoreset_mode=mode, max_segments=100)
        rng = np.random.default_rng(0)
        kept = [envs.reset(seed=0)]
        copies = [json.dumps(kept[0], default=lambda a: a.tolist())]
        for _ in range(5):
            action = actions(envs, rng, solutions(envs))
            action[:, -1] &= mode != DISABLED
            kept.append(envs.step(action))
            action[:] = 0
            copies.append(json.dumps(kept[-1], default=lambda a: a.tolist()))
        assert copies == [json.dumps(item, default=lambda a: a.tolist()) for item in kept]


# ---- saving, drawing ------------------------------------------------------------------------------


@every_mode
@pytest.mark.parametrize("device", [None, "cpu"])
def test_state_dict_goes_on_bit_for_bit(device, mode):
    one, two = (gym.make_vec("Latin3x3-v0", N, device=device, autoreset_mode=mode) for _ in range(2))
    rng = np.random.default_rng(0)

    def step(envs, action):
        results = envs.step(action)
        if mode == DISABLED and (over := results[2] | results[3]).any():
            return results, envs.reset(options={"reset_mask": over})
        return results

    one.reset(seed=1)
    for _ in range(5):
        step(one, actions(one, rng, solutions(one)))
    saved = one.state_dict()
    if device is None:
        saved = json.loads(json.dumps(saved, default=lambda array: array.tolist()))
        saved = {key: value if key == "random" else np.array(value) for key, value in saved.items()}
    two.load_state_dict(saved)
    for _ in range(10):
        action = actions(one, rng, solutions(one))
        equal(step(one, action), step(two, action))
    with pytest.raises(HrmGymError, match=r"\(6, 9\)"):
        gym.make_vec("Latin3x3-v0", N + 1, device=device).load_state_dict(saved)


def test_render_draws_every_slot():
    for device in (None, "cpu"):
        envs = gym.make_vec("Sudoku4x4-v0", 2, render_mode="rgb_array", device=device)
        envs.reset(seed=0)
        before = envs.render()
        envs.step(envs.action_space.sample())
        after = envs.render()
        assert len(before) == len(after) == 2 and after[0].shape == before[1].shape
        assert after[0].dtype == np.uint8 and (after[0] != before[0]).any()
        envs.close()
    texts = gym.make_vec("Sudoku4x4-v0", 2, render_mode="ansi")
    texts.reset(seed=0)
    assert all(text.startswith("segment 0") for text in texts.render())


def test_masks_of_a_batch():
    for action_type in ACTION_TYPES:
        native, sync = pair("Sudoku4x4-v0", NEXT_STEP, action_type=action_type)
        native.reset(seed=0), sync.reset(seed=0)
        assert (native.action_masks() == np.stack(sync.call("action_masks"))).all()


def test_puzzles_of_own_for_all_slots():
    envs = gym.make_vec("Sudoku4x4-v0", N, device="cpu")
    obs, infos = envs.reset(options={"puzzle": ".2....1...4..3.."})
    assert (obs["puzzle"] == obs["puzzle"][0]).all() and (infos["solution"] > 0).all()


# ---- bad input ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        *[({"num_envs": num}, "num_envs=.*give an integer, 1 to") for num in (0, -1, 2.0, "2", True, None)],
        *[({"max_episode_steps": most}, "max_episode_steps=.*at least 1") for most in (0, -5, 2.5, "3", True)],
        ({"max_episode_steps": float("nan")}, "max_episode_steps=nan"),
        ({"device": 2.5}, "device='cpu'"),
        ({"autoreset_mode": "SameStp"}, "did you mean 'SameStep'"),
        ({"device": "no such device"}, "device='cpu'"),
        ({"render_mode": "human"}, "rgb_array"),
        ({"spilt": "test"}, "did you mean 'split'"),
        ({"segment_cost": float("inf")}, "finite"),
    ],
)
def test_bad_arguments(kwargs, message):
    with pytest.raises(HrmGymError, match=message):
        gym.make_vec("Sudoku4x4-v0", **{"num_envs": 2, **kwargs})


def test_a_number_of_numpy_is_a_number():
    small = {"num_envs": np.int64(2), "max_segments": np.int32(3), "segment_cost": np.float32(0.5)}
    envs = gym.make_vec("Sudoku4x4-v0", max_episode_steps=np.int64(2), **small)
    envs.reset(seed=0)
    step = np.zeros((2, 17), np.int64)
    assert envs.num_envs == 2 and type(envs.num_envs) is int
    assert [envs.step(step)[3].all() for _ in range(2)] == [False, True]


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_cuda_where_there_is_none():
    with pytest.raises(HrmGymError, match="'cuda' cannot be used"):
        gym.make_vec("Sudoku4x4-v0", 2, device="cuda")


@pytest.mark.parametrize("device", [None, "cpu"])
@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"seed": [1, 2, 3, 4]}, "seed"),
        ({"options": {"reset_mask": np.ones(3, bool)}}, "reset_mask"),
        ({"options": {"reset_mask": np.ones(2)}}, "reset_mask"),
        ({"options": {"reset_mask": np.zeros(2, bool)}}, "False everywhere"),
        ({"options": {"reset_masks": np.ones(2, bool)}}, "did you mean 'reset_mask'"),
        ({"options": {"index": [1, 2, 3]}}, "one per slot"),
        ({"options": {"index": [[1], [2, 3]]}}, "cannot be read"),
        ({"options": {"reset_mask": [[True], [True, False]]}}, "reset_mask' cannot be read"),
        ({"options": ["index"]}, "give a dictionary"),
        ({"seed": 0.5}, "seed=0.5"),
    ],
)
def test_bad_resets(device, kwargs, message):
    envs = gym.make_vec("Sudoku4x4-v0", 2, device=device)
    envs.reset(seed=0)
    with pytest.raises(HrmGymError, match=message):
        envs.reset(**kwargs)


@pytest.mark.parametrize("device", [None, "cpu"])
def test_bad_actions(device):
    envs = gym.make_vec("Sudoku4x4-v0", 2, device=device, autoreset_mode="Disabled")
    with pytest.raises(HrmGymError, match="reset"):
        envs.step(np.zeros((2, 17), np.int64))
    envs.reset(seed=0)
    for action in (np.zeros((2, 16), np.int64), np.zeros((2, 17))):
        with pytest.raises(HrmGymError, match=r"actions have shape .*for a batch of .*action_type="):
            envs.step(action)
    for action in ([[0] * 17, [0]], {"cell": 1}, None):
        with pytest.raises(HrmGymError, match=r"^actions [^\n]*$"):
            envs.step(action)
    if device is None:
        with pytest.raises(HrmGymError, match="out of range"):
            envs.step(np.full((2, 17), 2))
    else:
        obs, *_ = envs.step(np.full((2, 17), 99))
        assert (obs["answer"] == 4).all()
    envs.reset()
    envs.step(np.ones((2, 17), np.int64))
    with pytest.raises(HrmGymError, match="reset_mask"):
        envs.step(np.ones((2, 17), np.int64))
