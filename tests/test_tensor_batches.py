"""Batches of torch tensors under other libraries' own wrappers: which fit, and how."""

import numpy as np
import pytest
import torch
from batches import N
from gymnasium.wrappers.vector import RecordEpisodeStatistics

import hrm_gym


def batch(mode, device="cpu"):
    return hrm_gym.make_vec("Sudoku4x4-v0", N, device=device, autoreset_mode=mode)


@pytest.mark.parametrize("device", [None, "cpu"])
def test_torchrl_resets_finished_slots_itself(device):
    envs = pytest.importorskip("torchrl.envs")
    env = envs.GymWrapper(batch("Disabled", device), categorical_action_encoding=True)
    env.set_seed(0)
    rollout = env.rollout(20, break_when_any_done=False)
    over = rollout["next", "done"][..., 0]
    assert over[:, :-1].sum() > N
    assert (rollout["next", "segment"][over] > 0).all()  # the last observation of the old episode
    assert (rollout["segment"][:, 1:][over[:, :-1]] == 0).all()  # the first of the next one
    assert torch.equal(rollout["next", "answer"][over], rollout["action"][over][..., :-1])


def test_torchrl_refuses_next_step_in_words():
    envs = pytest.importorskip("torchrl.envs")
    with pytest.raises(RuntimeError, match="must be one of SAME_STEP or DISABLED"):
        envs.GymWrapper(batch("NextStep"), categorical_action_encoding=True)


@pytest.mark.parametrize("mode", ["NextStep", "SameStep"])
def test_gymnasiums_wrappers_take_arrays_made_of_tensors(mode):
    pytest.importorskip("array_api_compat")
    from gymnasium.wrappers.vector import ArrayConversion

    envs = RecordEpisodeStatistics(ArrayConversion(batch(mode), torch, np))
    obs, _ = envs.reset(seed=0)
    assert isinstance(obs["puzzle"], np.ndarray)
    step = np.zeros((N, 17), np.int64)
    envs.step(step)
    step[: N // 2, -1] = 1
    *_, infos = envs.step(step)
    assert list(infos["episode"]["l"]) == [2] * (N // 2) + [0] * (N - N // 2)
