"""Agents and batches on Apple's GPUs, without one: no double precision, no operator that they lack, the right types."""

import pytest
import torch
from loop import Loop, tiny
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import hrm_gym
from hrm_gym import apple
from hrm_gym.agents.saved.build import build
from hrm_gym.agents.saved.devices import choose_device, choose_dtype
from hrm_gym.agents.saved.load import load_agent
from hrm_gym.envs.rng import TorchRNG
from hrm_gym.errors import HrmGymError

LACKING = ("_embedding_bag", "embedding_bag", "bag", "linalg_eig", "histc", "_cdist_backward")
"""Operators that torch has for CPUs but not for Apple's GPUs, or that only our own code defines, for CPUs."""


class AsOnApple(TorchDispatchMode):
    """Refuses what an Apple GPU would refuse."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        assert func.overloadpacket.__name__ not in LACKING, f"{func} does not run on an Apple GPU"
        result = func(*args, **(kwargs or {}))
        for x in tree_leaves((args, kwargs, result)):
            assert not isinstance(x, torch.Tensor) or x.dtype not in (torch.float64, torch.complex128), (
                f"{func}: {x.dtype}"
            )
        return result


@pytest.fixture
def on_apple(monkeypatch):
    """The CPU in the place of an Apple GPU: chosen as such, and never as the host."""
    monkeypatch.setattr(apple, "is_apple", lambda device: True)
    init = TorchRNG.__init__

    def elsewhere(self, *args):
        init(self, *args)
        self.on_host = False

    monkeypatch.setattr(TorchRNG, "__init__", elsewhere)


CASES = {
    "hrm": {},
    "softmax": {"loss": "softmax"},
    "symbols": {"agent": "hrm_symbols"},
    "grid": {"agent": "hrm_grid", "env": "MazeSmall-v0"},
    "attention": {"mixer": "attention", "positions": "rope"},
}


@pytest.mark.parametrize("case", CASES)
def test_training_needs_nothing_that_is_missing(case, on_apple):
    with AsOnApple():
        loop = Loop(tiny(**CASES[case]))
        for _ in range(4):
            losses = loop.step()
    assert all(torch.isfinite(value).all() for value in losses.values())


@pytest.mark.parametrize("env", ["Sudoku6x6-v0", "MazeSmall-v0", "SudokuExtreme-v0"])
def test_batches_need_nothing_that_is_missing(env, on_apple):
    with AsOnApple():
        envs = hrm_gym.make_vec(env, num_envs=3, device="cpu", max_segments=2, augment=True)
        obs, _ = envs.reset(seed=1)
        for _ in range(3):
            action = torch.cat((obs["puzzle"], torch.ones(3, 1, dtype=torch.long)), dim=1)
            obs, reward, *_ = envs.step(action)
    assert reward.dtype == torch.float32


def test_the_check_can_fail():
    with pytest.raises(AssertionError, match="float64"), AsOnApple():
        Loop(tiny()).step()
    with pytest.raises(AssertionError, match="bag"), AsOnApple():
        policy = build(tiny(agent="hrm_symbols"), hrm_gym.agents.TaskSpec.of(hrm_gym.make_task("Sudoku4x4-v0")))
        policy(policy.initial_state(1), {"puzzle": torch.zeros(1, 16, dtype=torch.long)})


@pytest.mark.parametrize("env", ["Sudoku4x4-v0", "SudokuExtreme-v0", "MazeSmall-v0"])
def test_shipped_weights_hold_no_doubles_and_answer_the_same(env, monkeypatch):
    policy = load_agent(env, device="cpu")
    policy.agent.dtype = torch.float32
    assert all(tensor.dtype != torch.float64 for tensor in policy.state_dict().values())
    puzzle = torch.from_numpy(hrm_gym.make_task(env).dataset("test").puzzle[:2]).long()
    with torch.inference_mode():
        _, ours, signals = policy(policy.initial_state(2), {"puzzle": puzzle})
        monkeypatch.setattr(apple, "is_apple", lambda device: True)
        with AsOnApple():
            _, theirs, others = policy(policy.initial_state(2), {"puzzle": puzzle})
            shown = policy.probabilities(theirs)
    torch.testing.assert_close(theirs.logits, ours.logits, atol=1e-4, rtol=1e-4)
    assert shown.dtype == torch.float32
    for name, signal in signals.items():
        torch.testing.assert_close(others[name], signal, atol=1e-4, rtol=1e-4)


def test_auto_chooses_the_gpu_that_is_there(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert choose_device("auto") == "cpu"
    with pytest.raises(HrmGymError, match="no such GPU"):
        choose_device("mps")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert choose_device("auto") == "mps" and choose_device("mps") == "mps" and choose_device("mps:0") == "mps:0"
    assert choose_dtype("mps") == "float32"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert choose_device("auto") == "cuda"
