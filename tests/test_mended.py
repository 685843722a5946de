"""What once went wrong in a run, and must not again."""

import dataclasses
import math
import stat

import numpy as np
import pytest
import torch
from gymnasium.vector import VectorWrapper
from loop import Loop, tiny

import hrm_gym
from hrm_gym.agents.training import checkpoint as checkpoints
from hrm_gym.agents.training.progress import Progress
from hrm_gym.agents.training.run import train
from hrm_gym.agents.training.trainer import Trainer

SHORT = {"num_envs": 4, "eval_puzzles": 4, "test_puzzles": 4}


def test_episodes_longer_than_17_segments_are_reported(tmp_path):
    progress = Progress(tmp_path, hrm_gym.make_task("Sudoku4x4-v0"), "long")
    progress.halting(1, np.array([18, 25, 32]), 32)
    config = tiny(agent="trm", max_segments=32, exploration=0.0, max_steps=34, **SHORT)
    assert train(config, tmp_path)["training"]["steps"] == 34


def test_resuming_does_not_open_the_file_it_began_from(tmp_path):
    first = Loop(tiny())
    checkpoints.save(tmp_path / "first.safetensors", first.snapshot())
    config = tiny(init_from=str(tmp_path / "first.safetensors"))
    saved = Loop(config).snapshot()
    (tmp_path / "first.safetensors").unlink()
    Trainer(config, saved)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_resuming_what_another_device_began(dtype):
    saved = Loop(tiny()).snapshot()
    saved.counters["device"] = "cuda"
    saved.tensors["random/exploration"] = torch.zeros(16, dtype=torch.uint8)
    loop = Loop(dataclasses.replace(tiny(), dtype=dtype), saved)
    assert loop.state.z_h.dtype == getattr(torch, dtype)
    assert math.isfinite(float(loop.step()["answer_loss"])) and "no longer bit for bit" in loop.trainer.notes[0]


def test_each_use_of_the_seed_has_a_stream_of_its_own():
    trainer = Trainer(tiny(seed=3))
    seeds = {trainer.generator.initial_seed(), torch.initial_seed(), trainer.envs._seed}
    assert len(seeds) == 3 and 3 not in seeds


class Tax(VectorWrapper):
    """Takes half for every continue."""

    def step(self, actions):
        obs, reward, terminated, truncated, info = self.env.step(actions)
        return obs, reward - 0.5 * (~(terminated | truncated)).to(reward), terminated, truncated, info


def test_a_wrapper_of_rewards_changes_what_is_learned():
    values = []
    for wrap in (None, Tax):
        loop = Loop(
            tiny(hidden_size=32, num_envs=32, lr=5e-3, warmup_steps=5, max_steps=600, exploration=0.5), wrap=wrap
        )
        for _ in range(300):
            loop.step()
        values.append(loop.experience.signals["q_continue"].sigmoid().mean().item())
    assert values[0] > 0.8 and values[1] < 0.55  # of a return of at most 1, half is taken


def test_checkpoints_are_readable_as_the_umask_says(tmp_path):
    checkpoints.save(tmp_path / "a.safetensors", Loop(tiny()).snapshot())
    (tmp_path / "plain").write_text("")
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("a.safetensors", "plain")]
    assert modes[0] == modes[1]


def test_the_progress_table_fits_80_columns(tmp_path):
    from rich.console import Console

    progress = Progress(tmp_path, hrm_gym.make_task("Sudoku4x4-v0"), "SudokuExtreme-v0 trm")
    names = ("answer_loss", "accuracy", "belief", "cell_accuracy", "episode_segments", "segments_per_second")
    figures = {name: 1.0 for name in names} | {"tflops_per_second": 123.4, "share_of_peak": 0.41}
    progress.training(1_234_567, figures | {"segments_per_second": 98_765.0}, 36_000.0, 36_000.0)
    console = Console(width=80)
    with console.capture() as shown:
        console.print(progress._table())
    text = shown.get()
    assert "…" not in text and max(map(len, text.splitlines())) <= 80 and "(41 %)" in text
