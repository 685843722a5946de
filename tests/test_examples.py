"""The examples with other libraries: what their policies come to, and what they say where a library is missing."""

import importlib
import re
import subprocess
import sys
import time
import types
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest

ROOT = Path(__file__).parent.parent
NEEDED = {
    "sb3_edit": "stable_baselines3",
    "maskable_ppo": "sb3_contrib",
    "sb3_halting": "stable_baselines3",
    "cleanrl_halting": "torch",
    "torchrl_halting": "torchrl",
    "tianshou_halting": "tianshou",
    "rllib_halting": "ray",
}


@pytest.fixture
def example():
    """The module of an example; skips the test where its library is not installed."""

    def load(name):
        pytest.importorskip(NEEDED[name])
        return importlib.import_module(f"examples.{name}")

    return load


@pytest.mark.slow
@pytest.mark.parametrize("name", ["sb3_edit", "maskable_ppo"])
def test_a_policy_that_fills_in_cells_is_well_above_chance(example, name):
    returns = example(name).main()
    assert returns["trained"] > returns["random"] + 0.3


SLOW = [pytest.param(f"{name}_halting", marks=pytest.mark.slow) for name in ("sb3", "torchrl", "tianshou", "rllib")]


@pytest.mark.parametrize("name", ["cleanrl_halting", *SLOW])
def test_a_policy_that_halts_is_well_above_chance_and_above_thinking_to_the_end(example, name):
    module = example(name)
    outcomes = module.main(module.Args()) if name == "cleanrl_halting" else module.main()
    trained = outcomes.keys() - {"random", "always on"}
    assert trained
    for learner in trained:
        assert outcomes[learner].episode_return > outcomes["random"].episode_return + 0.4
        assert outcomes[learner].episode_return > outcomes["always on"].episode_return + 0.1
        assert outcomes[learner].accuracy > 0.9
        assert outcomes[learner].segments < 6


@pytest.mark.parametrize("name", ["maskable_ppo", "torchrl_halting", "tianshou_halting", "rllib_halting"])
def test_a_missing_library_is_named_in_one_line(name):
    code = (
        f"import runpy, sys; sys.modules[{NEEDED[name]!r}] = None; "
        f"runpy.run_module('examples.{name}', run_name='__main__')"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1 and not done.stdout
    assert len(done.stderr.splitlines()) == 1
    assert "this example needs" in done.stderr and "pip install" in done.stderr


@pytest.mark.rare
def test_hrm_in_one_file_learns(monkeypatch):
    from examples import minimal_hrm

    clock = types.SimpleNamespace(monotonic=time.thread_time)  # of this thread, however crowded the machine is
    monkeypatch.setattr(minimal_hrm, "time", clock)

    source = (ROOT / "examples" / "minimal_hrm.py").read_text()
    assert len(source.splitlines()) <= 200
    assert "hrm_gym" not in source.replace('f"hrm_gym:{env}"', "").replace("python examples/minimal_hrm.py", "")
    assert minimal_hrm.accuracy(minimal_hrm.train(minutes=0.75)) > 0.5


def test_tasks_of_one_row_are_tasks(monkeypatch, capsys):
    from examples import arc_1d

    rng = np.random.default_rng(0)
    for rule in arc_1d.RULES:
        for _ in range(20):
            pairs = [pair for part in arc_1d.task(rule, rng).values() for pair in part]
            rows = np.array([[pair["input"], pair["output"]] for pair in pairs])  # (5, 2, 1, width)
            assert rows.shape[:3] == (5, 2, 1) and rows.min() >= 0 and rows.max() <= 9
            assert (rows[:, 0] != rows[:, 1]).any()
    monkeypatch.setattr("sys.argv", ["arc_1d", "--seconds", "0.5", "--each", "1"])
    monkeypatch.setattr(arc_1d, "RULES", arc_1d.RULES[:1])
    arc_1d.main()
    assert re.search(r"^[01] of 1 tasks, 0.5 seconds of one core each$", capsys.readouterr().out, re.M)


def test_recorded_episodes_replay(monkeypatch, tmp_path):
    minari = pytest.importorskip("minari")
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    name = importlib.import_module("examples.minari_episodes").main(episodes=6)
    dataset = minari.load_dataset(name)
    env = dataset.recover_environment()
    assert dataset.total_episodes == 6 and dataset.total_steps > 6
    solved = 0
    for episode in dataset.iterate_episodes():
        puzzle = episode.observations["puzzle"][0]
        obs, _ = env.reset(options={"puzzle": puzzle})
        for step, action in enumerate(episode.actions):
            assert all((obs[key] == values[step]).all() for key, values in episode.observations.items())
            obs, reward, terminated, _, _ = env.step(action)
            assert reward == episode.rewards[step] and terminated == episode.terminations[step]
        solved += reward
    assert solved >= 5  # the agent that ships solves nearly all


def test_the_pages_count_what_the_halting_examples_see_and_the_examples():
    from examples import halting_task

    (seen,) = gym.make(halting_task.ENV, **halting_task.ARGS).observation_space.shape
    page = (ROOT / "docs" / "libraries.md").read_text()
    numbers = {8: "eight", 9: "nine", 10: "ten"}
    assert f"float32 (N, {seen})" in (ROOT / "examples" / "halting_task.py").read_text()
    assert f"shows {numbers[seen]} numbers" in page
    assert "## Seven examples for six libraries" in page and len(NEEDED) == 7
