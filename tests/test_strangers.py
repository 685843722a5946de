"""Files that somebody made by hand: forged, damaged, too large; each is refused in a line before it takes anything."""

import dataclasses
import json
import time
import types

import numpy as np
import pytest
import torch
from loop import Loop, agents_here, tiny

import hrm_gym
from hrm_gym.agents.agent import TaskSpec
from hrm_gym.agents.saved import checkpoint as checkpoints
from hrm_gym.agents.saved.build import build
from hrm_gym.agents.saved.presets import resolve
from hrm_gym.agents.training.run import train
from hrm_gym.cli import main
from hrm_gym.errors import HrmGymError
from hrm_gym.files import read_array, read_arrays

SHORT = {"num_envs": 4, "eval_puzzles": 4, "test_puzzles": 4}
HARMLESS = {"num_heads", "stage_steps", "first_stage_steps", "pretrain_steps", "nodes_per_board"}
"""Nothing is repeated so often: they divide a size, count steps of training, or are at most what a board has."""


@pytest.mark.parametrize("name", agents_here())
def test_no_file_asks_for_a_thought_without_end(name):
    """Every whole number of every agent is bounded by itself or by the shapes of the weights."""
    env = "Walk-v0" if name == "tem" else "Sudoku4x4-v0"
    config, spec = resolve({"env": env, "agent": name, "preset": "tiny"}), TaskSpec.of(hrm_gym.make_task(env))
    weights = build(config, spec).state_dict()
    began = time.process_time()
    for field in dataclasses.fields(config.agent_options):
        if type(getattr(config.agent_options, field.name)) is int and field.name not in HARMLESS:
            with pytest.raises(HrmGymError):
                options = dataclasses.replace(config.agent_options, **{field.name: 10**9})
                checkpoints.compare_weights(weights, dataclasses.replace(config, agent_options=options), spec, "it")
    assert time.process_time() - began < 20


def forged(path, config=(), tensors=()):
    """A whole checkpoint whose header and tensors say something else, with a checksum that fits."""
    saved = Loop(tiny(agent="gru", halting="pondernet")).snapshot()
    fields = json.loads(saved.config.to_json()) | dict(config)
    written = types.SimpleNamespace(to_json=lambda: json.dumps(fields))
    checkpoints.save(path, dataclasses.replace(saved, config=written, tensors=saved.tensors | dict(tensors)))
    return path


@pytest.mark.parametrize("field", ["env", "agent", "halting", "preset", "dataset", "task_args", "run_dir", "init_from"])
@pytest.mark.parametrize("value", ["stranger:X", "stranger:Task", "task=stranger:Task"])
def test_no_file_imports_a_module(tmp_path, monkeypatch, capsys, field, value):
    """The module lies where the command line would find it, and tells that it was imported."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "stranger.py").write_text("open('imported', 'w').close()")
    (tmp_path / "run").mkdir()
    forged(tmp_path / "run" / checkpoints.FILE_NAME, {field: value})
    few = ["--max-steps", "1", "--eval-puzzles", "2", "--test-puzzles", "2"]
    for command in (
        ["train", "--resume", "run", *few],
        ["play", "--headless", "--checkpoint", "run"],
        ["evaluate", "--env", "Sudoku4x4-v0", "--checkpoint", "run", "--limit", "2"],
    ):
        assert main(command) in (0, 2) and not (tmp_path / "imported").exists()
    assert {path.name for path in tmp_path.iterdir()} == {"stranger.py", "run"}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"config": {"dtype": "auto"}}, "in which dtype"),
        ({"config": {"max_segments": 10**30}}, "max_segments is beyond"),
        ({"config": {"halt_weight": 10**30}}, "halt_weight is beyond"),
        ({"config": {"lr": 1e300}}, "lr is beyond"),
        ({"config": {"max_segments": 10**9}}, "max_segments is 1000000000: it must be .* at most 10000"),
        ({"tensors": {"memory/features": torch.zeros(8)}}, "features has shape .8,., not"),
        ({"tensors": {"memory/ended_error": torch.zeros(8, 0)}}, "ended_error has shape"),
    ],
)
def test_forged_checkpoints_are_refused(tmp_path, changed, message):
    path = forged(tmp_path / "forged.safetensors", **changed)
    with pytest.raises(HrmGymError, match=message):
        loaded = checkpoints.load(path)
        Loop(loaded.config, loaded)


@pytest.mark.parametrize("stage", ["abc", None, {}, [], -1, 1.5, True, 10**30])
def test_a_stage_that_is_no_number_is_one_line(tmp_path, stage):
    saved = Loop(tiny(agent="gru", halting="pondernet")).snapshot()
    checkpoints.save(tmp_path / "a.safetensors", dataclasses.replace(saved, counters=saved.counters | {"stage": stage}))
    with pytest.raises(HrmGymError, match="stage is"):
        checkpoints.load(tmp_path / "a.safetensors")


def test_a_looped_agent_draws_so_many_steps_and_no_more():
    agent = Loop(tiny(agent="looped", mean_steps=256, steps_spread=2.0)).policy.agent
    assert max(agent._draw_steps() for _ in range(2000)) == 1024


@pytest.mark.parametrize("text", ["{", "[]", '{"training": 3}', '{"training": {"validation_curve": [{"step": "x"}]}}'])
def test_damaged_results_are_one_line(tmp_path, capsys, text):
    run = tmp_path / "run"
    train(tiny(max_steps=1, **SHORT), run)
    (run / "result.json").write_text(text)
    for arguments in (
        ["plot", str(run), "--out", "a.png"],
        ["export", str(run), "--out", str(tmp_path / "a.safetensors")],
    ):
        assert main(arguments) == 2
        assert len(capsys.readouterr().err.splitlines()) == 1


def test_damaged_arrays_are_one_line_and_huge_headers_take_no_memory(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros(3, np.int64))
    whole = (tmp_path / "a.npy").read_bytes()
    (tmp_path / "a.npy").write_bytes(whole.replace(b"(3,)", b"(10000000000000,)"))
    (tmp_path / "a.npz").write_bytes(b"PK\x03\x04 and nothing more")
    for read, name in ((read_array, "a.npy"), (read_arrays, "a.npz")):
        with pytest.raises(HrmGymError) as refusal:
            read(tmp_path / name)
        assert len(str(refusal.value).splitlines()) == 1
