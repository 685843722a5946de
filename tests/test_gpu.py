"""What only a GPU can show: a training step never waits there, and computes what a processor does."""

import dataclasses

import pytest
import torch
from loop import Loop, tiny
from test_no_waiting import CASES

from hrm_gym.agents.agent import TaskSpec
from hrm_gym.agents.saved.build import build
from hrm_gym.agents.saved.presets import resolve
from hrm_gym.envs.registration import make_task

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
SIZES = {"hidden_size": 64, "mlp_size": 64, "num_envs": 16, "compile": False, "device": "cuda"}


@pytest.mark.parametrize("name", [name for name in CASES if name != "arc"])
def test_a_training_step_does_not_synchronise(name):
    loop = Loop(dataclasses.replace(tiny(**CASES[name]), device="cuda"))
    for _ in range(2):  # kernels are loaded, and constant tables sent
        loop.step()
    torch.cuda.set_sync_debug_mode("error")
    try:
        losses = loop.step()
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert all(bool(loss.isfinite()) for loss in losses.values())


@pytest.mark.parametrize("agent", ["trm_symbols", "hrm_symbols"])
@pytest.mark.parametrize("room", [0, 256])
def test_candidates_are_thought_about_as_on_a_processor(agent, room):
    env = "SudokuExtreme-v0"
    puzzle = torch.as_tensor(make_task(env).dataset("test").puzzle[:8]).long()
    said = {}
    for device, nodes in (("cpu", 0), ("cuda", room)):
        torch.manual_seed(0)
        sizes = {"hidden_size": 32, "message_size": 32, "mlp_size": 32, "nodes_per_board": nodes, "dtype": "float32"}
        config = resolve({"env": env, "agent": agent, "preset": "groups", "device": device, **sizes})
        policy = build(config, TaskSpec.of(make_task(env))).to(device)
        _, output, signals = policy(policy.initial_state(8), {"puzzle": puzzle.to(device)})
        (output.logits.clamp(-50, 50).square().mean() + signals["q_halt"].mean()).backward()
        gradients = {name: p.grad.cpu() for name, p in policy.named_parameters() if p.grad is not None}
        said[device] = output.logits.detach().cpu(), gradients
    (logits, gradients), (logits_, gradients_) = said["cpu"], said["cuda"]
    assert torch.allclose(logits, logits_, atol=1e-2)
    for name, gradient in gradients.items():
        assert (gradient - gradients_[name]).norm() <= 1e-2 * gradient.norm() + 1e-6, name


@pytest.mark.parametrize(("env", "preset"), [("SudokuExtreme-v0", "gpu_groups"), ("MazeSmall-v0", "gpu_grid")])
def test_the_presets_learn_in_bfloat16(env, preset):
    more = {"message_size": 64} if preset == "gpu_groups" else {}
    config = resolve({"env": env, "preset": preset, "warmup_steps": 2, "lr": 2e-3, "max_steps": 1000, **SIZES, **more})
    assert config.dtype == "bfloat16"
    loop = Loop(config)
    losses = [float(loop.step()["answer_loss"]) for _ in range(60)]
    assert sum(losses[-10:]) < 0.95 * sum(losses[:10])
