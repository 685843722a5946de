"""Training as its user runs it: subprocesses, and what they leave behind."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from hrm_gym.agents import load_agent
from hrm_gym.agents.saved import checkpoint as checkpoints
from hrm_gym.agents.saved.config import Config
from hrm_gym.agents.training.trainer import Trainer
from hrm_gym.envs.registration import make_task
from hrm_gym.errors import HrmGymError

ROOT = Path(__file__).parent.parent
TINY = [
    *("--env", "Sudoku4x4-v0", "--hidden-size", "32", "--h-layers", "1", "--l-layers", "1"),
    *("--num-envs", "32", "--max-minutes", "0", "--eval-steps", "20", "--eval-puzzles", "16"),
    *("--test-puzzles", "32", "--device", "cpu", "--warmup-steps", "5", "--lr", "5e-3"),
]


def start(*arguments, **kwargs):
    command = [sys.executable, str(ROOT / "train_agent.py"), *map(str, arguments)]
    # One thread: the runs that are compared must be cut into the same pieces, and CI's cores are few.
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "SDL_VIDEODRIVER": "dummy"}
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, **kwargs
    )


def finish(process):
    out, err = process.communicate(timeout=240)
    return process.returncode, out, err


def run(*arguments):
    return finish(start(*arguments))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run of 60 steps without interruption."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    code, out, err = run(*TINY, "--max-steps", 60, "--run-dir", folder)
    assert code == 0, err
    return folder, out


def test_a_run_learns_and_leaves_everything_behind(whole):
    folder, out = whole
    assert json.loads((folder / "config.json").read_text())["env"] == "Sudoku4x4-v0"
    result = json.loads((folder / "result.json").read_text())
    for name in (
        *("exact_accuracy", "valid_accuracy", "exact_interval", "valid_interval", "cell_accuracy", "mean_segments"),
        *("seconds", "device", "num_parameters", "env", "agent", "protocol", "halting_by_itself"),
    ):
        assert name in result
    training = result["training"]
    assert {"seed", "num_training_puzzles", "preset", "halting", "max_segments", "graded_by"} <= training.keys()
    assert training["steps"] == 60 and len(training["validation_curve"]) == 3
    for point in training["validation_curve"]:
        assert 0 <= point["exact_accuracy_by_itself"] <= 1 and 1 <= point["mean_segments_by_itself"] <= 16
    events = EventAccumulator(str(folder), size_guidance={"images": 0}).Reload()
    losses = [event.value for event in events.Scalars("train/answer_loss")]
    assert len(losses) >= 3 and losses[-1] < 0.8 * losses[0]
    assert "board/after_04_segments" in events.Tags()["images"]
    assert "train/ended_after" in events.Tags()["histograms"]
    assert f"watch it: hrm-gym play --checkpoint {folder}" in out


def test_the_checkpoint_reloads_and_gives_the_scores_of_the_result(whole):
    folder, _ = whole
    result = json.loads((folder / "result.json").read_text())
    command = [sys.executable, "-c", "import sys; from hrm_gym.cli import main; sys.exit(main(sys.argv[1:]))"]
    arguments = ["evaluate", "--env", "Sudoku4x4-v0", "--checkpoint", folder, "--limit", 32, "--json"]
    done = subprocess.run(
        [*command, *map(str, arguments), "--halting", "fixed", "--device", "cpu"],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert figures["exact_accuracy"] == pytest.approx(result["exact_accuracy"])
    assert figures["cell_accuracy"] == pytest.approx(result["cell_accuracy"])
    assert figures["num_puzzles"] == 32 and figures["mean_segments"] == 16


@pytest.mark.slow
def test_sigterm_saves_and_resume_goes_on_bit_for_bit(whole, tmp_path):
    folder = tmp_path / "run"
    process = start(*TINY, "--max-steps", 60, "--run-dir", folder)
    assert process.stdout is not None
    for line in process.stdout:  # the first evaluation, after 20 steps
        if "validation" in line and "exact" in line:
            break
    process.send_signal(signal.SIGTERM)
    code, out, err = finish(process)
    assert code == 0, err
    assert "--resume" in out and not (folder / "result.json").exists()
    stopped_at = checkpoints.load(folder).counters["step"]
    assert 20 <= stopped_at < 60
    code, _, err = run("--resume", folder)
    assert code == 0, err
    ours, theirs = (load_file(f / checkpoints.FILE_NAME) for f in (folder, whole[0]))
    assert ours.keys() == theirs.keys()
    for name, tensor in theirs.items():
        assert torch.equal(ours[name], tensor), name
    results = [json.loads((f / "result.json").read_text()) for f in (folder, whole[0])]
    assert results[0]["exact_accuracy"] == results[1]["exact_accuracy"]


@pytest.mark.slow
def test_a_run_killed_outright_leaves_its_last_checkpoint_whole(tmp_path):
    folder = tmp_path / "run"
    process = start(*TINY, "--max-steps", 5000, "--save-minutes", 0.0001, "--run-dir", folder)
    path = folder / checkpoints.FILE_NAME
    deadline = time.monotonic() + 120
    while not (path.exists() and checkpoints.load(folder).counters["step"] > 0) and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.5)  # so that the kill falls anywhere, into the writing of a checkpoint too
    process.kill()
    process.communicate()
    assert checkpoints.load(folder).counters["step"] > 0


@pytest.mark.slow
def test_target_accuracy_ends_a_run_early(tmp_path):
    code, _, err = run(*TINY, "--max-steps", 40, "--target-accuracy", 0.0001, "--run-dir", tmp_path / "a")
    assert code == 0, err
    assert json.loads((tmp_path / "a" / "result.json").read_text())["training"]["steps"] in (20, 40)


def test_init_from_starts_with_the_averaged_weights(whole, tmp_path):
    saved = checkpoints.load(whole[0])
    fields = {**json.loads(saved.config.to_json()), "init_from": str(whole[0])}
    policy = Trainer(Config.from_dict(fields)).policy
    for name, tensor in saved.part("ema").items():
        assert torch.equal(policy.state_dict()[name], tensor), name


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--env", "Sudoku4x5-v0"], "did you mean 'Sudoku4x4-v0'"),
        (["--agent", "hmr"], "did you mean 'hrm'"),
        (["--preset", "smal"], "did you mean 'small'"),
        (["--resume", "nowhere"], "no such folder"),
        (["--init-from", "nowhere"], "no checkpoint at nowhere"),
        (["--dataset", "nowhere.csv"], "nowhere.csv"),
        (["--num-examples", "99999999"], "num_examples"),
        pytest.param(
            ["--device", "cuda"],
            "--device cpu",
            marks=pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU"),
        ),
    ],
)
def test_bad_arguments_are_one_line_without_a_traceback(arguments, message, tmp_path):
    code, _, err = run(*arguments, "--run-dir", tmp_path / "run")
    assert code == 2
    assert "Traceback" not in err and message in err and len(err.strip().splitlines()) == 1


def test_a_run_folder_is_not_written_over(whole):
    before = (whole[0] / checkpoints.FILE_NAME).stat().st_mtime_ns
    code, _, err = run(*TINY, "--max-steps", 1, "--run-dir", whole[0])
    assert code == 2 and "already holds a run" in err
    assert (whole[0] / checkpoints.FILE_NAME).stat().st_mtime_ns == before


def test_a_resumed_run_keeps_its_settings(whole):
    code, _, err = run("--resume", whole[0], "--lr", 0.5)
    assert code == 2 and "--lr 0.5 differs" in err


@pytest.mark.slow
def test_a_run_is_resumed_into_another_folder(whole, tmp_path):
    before = (whole[0] / checkpoints.FILE_NAME).read_bytes()
    code, _, err = run("--resume", whole[0], "--run-dir", tmp_path / "longer", "--max-steps", 62)
    assert code == 0, err
    assert json.loads((tmp_path / "longer" / "result.json").read_text())["training"]["steps"] == 62
    assert (whole[0] / checkpoints.FILE_NAME).read_bytes() == before


@pytest.mark.slow
def test_a_checkpoint_of_another_version_is_not_gone_on_from(whole, tmp_path):
    saved = checkpoints.load(whole[0])
    tensors = {name: t for name, t in saved.tensors.items() if name != "envs/identity"}
    checkpoints.save(tmp_path / checkpoints.FILE_NAME, dataclasses.replace(saved, tensors=tensors))
    code, _, err = run("--resume", tmp_path)
    assert code == 2 and "another version of hrm-gym" in err and len(err.strip().splitlines()) == 1


# ---- checkpoint files ------------------------------------------------------------------------------------


def test_foreign_and_broken_checkpoints_are_distinguished(whole, tmp_path):
    good = whole[0] / checkpoints.FILE_NAME
    truncated, text, foreign = (tmp_path / f"{name}.safetensors" for name in ("truncated", "text", "foreign"))
    truncated.write_bytes(good.read_bytes()[: good.stat().st_size // 2])
    text.write_text("not tensors at all")
    save_file({"a": torch.zeros(1)}, foreign)
    for path, message in (
        (truncated, "not a whole safetensors checkpoint"),
        (text, "not a whole safetensors checkpoint"),
        (foreign, "not a checkpoint of hrm-gym"),
        (tmp_path / "absent", "no checkpoint at"),
    ):
        with pytest.raises(HrmGymError, match=message) as error:
            load_agent("Sudoku4x4-v0", path)
        assert str(path) in str(error.value) and "\n" not in str(error.value)


def test_a_checkpoint_of_another_board_or_architecture(whole, tmp_path):
    with pytest.raises(HrmGymError, match="was trained on Sudoku4x4-v0"):
        load_agent("Sudoku6x6-v0", whole[0])
    saved = checkpoints.load(whole[0])
    for name in [n for n in saved.tensors if n.startswith("ema/agent.h_net")]:
        del saved.tensors[name]
    checkpoints.save(tmp_path / "other.safetensors", saved)
    with pytest.raises(HrmGymError, match="does not hold the weights of a 'hrm' agent"):
        load_agent("Sudoku4x4-v0", tmp_path / "other.safetensors")


def test_a_full_disk_leaves_the_checkpoint_from_before(whole, tmp_path, monkeypatch):
    path = tmp_path / "checkpoint.safetensors"
    saved = checkpoints.load(whole[0])
    checkpoints.save(path, saved)
    before = path.read_bytes()

    write = Path.write_bytes

    def full(target, data):
        write(target, b"part of it")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(HrmGymError, match=r"No space left.*untouched"):
        checkpoints.save(path, saved)
    assert path.read_bytes() == before and [p.name for p in tmp_path.iterdir()] == [path.name]


def test_play_finds_the_environment_of_a_checkpoint(whole, capsys):
    from hrm_gym.cli import main

    assert main(["play", "--checkpoint", str(whole[0]), "--headless", "--device", "cpu"]) == 0
    out = capsys.readouterr().out
    assert "segment 1 of 64" in out and "test puzzle" in out


def load_test_puzzles(num):
    from hrm_gym.envs.registration import make_task

    return make_task("Sudoku4x4-v0").dataset("test").puzzle[:num].astype(np.int64)


def test_an_exported_agent_is_small_and_answers_almost_alike(whole, tmp_path):
    path = tmp_path / "agent.safetensors"
    checkpoints.export(whole[0], path)
    assert path.stat().st_size < (whole[0] / checkpoints.FILE_NAME).stat().st_size / 5
    puzzles = torch.from_numpy(make_task("Sudoku4x4-v0").dataset("test").puzzle[:64].astype(np.int64))
    policies = [load_agent("Sudoku4x4-v0", source) for source in (whole[0], path)]
    outs = [policy(policy.initial_state(64), {"puzzle": puzzles})[1].logits.argmax(-1) for policy in policies]
    assert (outs[0] == outs[1]).float().mean() > 0.95
