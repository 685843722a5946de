"""What once went wrong in a run, and must not again."""

import dataclasses
import json
import math
import os
import signal
import stat
import subprocess
import sys
import time

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.vector import VectorWrapper
from loop import Loop, tiny
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from hrm_gym.agents.inference.evaluation import evaluate
from hrm_gym.agents.inference.protocol import Protocol
from hrm_gym.agents.saved import checkpoint as checkpoints
from hrm_gym.agents.training.learner import Learner
from hrm_gym.agents.training.loggers import loggers
from hrm_gym.agents.training.monitor import EARLY_REPORTS, Monitor
from hrm_gym.agents.training.progress import Progress
from hrm_gym.agents.training.run import free_run_dir, train
from hrm_gym.agents.training.trainer import Trainer
from hrm_gym.cli import main
from hrm_gym.envs.drawing.recording import Recorder
from hrm_gym.errors import HrmGymError
from hrm_gym.files import locked

PIPES = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
SHORT = {"num_envs": 4, "eval_puzzles": 4, "test_puzzles": 4}


def test_episodes_longer_than_17_segments_are_reported(tmp_path):
    config = tiny(agent="trm", max_segments=32, exploration=0.0, max_steps=34, **SHORT)
    (board,) = loggers("tensorboard")
    board.begins(config, tmp_path / "alone")
    board.logged(1, {}, np.array([18, 25, 32]))
    board.ended(None)
    assert train(config, tmp_path)["training"]["steps"] == 34


def test_resuming_does_not_open_the_file_it_began_from(tmp_path):
    first = Loop(tiny())
    checkpoints.save(tmp_path / "first.safetensors", first.snapshot())
    config = tiny(init_from=str(tmp_path / "first.safetensors"))
    saved = Loop(config).snapshot()
    (tmp_path / "first.safetensors").unlink()
    Trainer(config, saved)


@pytest.mark.parametrize(
    ("halting", "options", "advice"),
    [
        ("classifier", {"segment_cost": 0.1}, "raise --exploration or lower --segment-cost"),
        ("classifier", {}, "raise --exploration"),
        ("end_token", {}, "choose another --halting"),
    ],
)
def test_a_warning_advises_options_that_the_run_has(halting, options, advice, tmp_path, capsys):
    monitor = Monitor(Trainer(tiny(halting=halting, max_segments=4, **options, **SHORT)), tmp_path)
    progress = Progress("warned")
    for _ in range(EARLY_REPORTS):
        monitor._warn_of_early_halting(progress, {"episode_segments": 1.0, "wrong_halts": 1.0})
    assert capsys.readouterr().out.strip() == f"the agent halts at once on wrong answers: {advice}"


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_resuming_what_another_device_began(dtype):
    saved = Loop(tiny()).snapshot()
    saved.counters["device"] = "cuda"
    saved.tensors["random/exploration"] = torch.zeros(16, dtype=torch.uint8)
    loop = Loop(dataclasses.replace(tiny(), dtype=dtype), saved)
    assert loop.state.z_h.dtype == getattr(torch, dtype)
    assert math.isfinite(float(loop.step()["answer_loss"])) and "no longer bit for bit" in loop.trainer.notes[0]


def test_resuming_with_another_number_of_threads_says_so():
    saved = Loop(tiny()).snapshot()
    assert not Trainer(tiny(), saved).notes
    saved.counters["threads"] += 1
    assert "no longer bit for bit" in Trainer(tiny(), saved).notes[0]


def arc_file(path, names, colours):
    """Evaluation tasks that recolour one cell."""
    pairs = [[{"input": [[c]], "output": [[c + 1]]}, {"input": [[c, c]], "output": [[c + 1, c]]}] for c in colours]
    tasks = {name: {"train": shown, "test": shown[:1]} for name, shown in zip(names, pairs, strict=True)}
    path.write_text(json.dumps(tasks))


@pytest.mark.parametrize(
    ("names", "colours", "message"), [("abd", (1, 2, 3), "other puzzles"), ("abc", (2, 1, 3), "other examples")]
)
def test_resuming_compares_numbered_puzzles_by_names_and_contents(tmp_path, names, colours, message):
    first, second = tmp_path / "first.json", tmp_path / "second.json"
    arc_file(first, "abc", (1, 2, 3))
    arc_file(second, names, colours)
    options = {"env": "ARC1-v0", "dataset": str(first), "task_args": "side=3", "prefix_tokens": 1, "mixer": "attention"}
    config = tiny(**options)
    saved = Loop(config).snapshot()
    Trainer(config, saved)
    with pytest.raises(HrmGymError, match=f"{message}.* put back the files"):
        Trainer(dataclasses.replace(config, dataset=str(second)), saved)


def test_each_use_of_the_seed_has_a_stream_of_its_own():
    trainer = Trainer(tiny(seed=3))
    seeds = {trainer.generator.initial_seed(), torch.initial_seed(), trainer.envs._seed}
    assert len(seeds) == 3 and 3 not in seeds


class Tax(VectorWrapper):
    """Takes half for every continue."""

    def step(self, actions):
        obs, reward, terminated, truncated, info = self.env.step(actions)
        return obs, reward - 0.5 * (~(terminated | truncated)).to(reward), terminated, truncated, info


@pytest.mark.slow
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


def test_the_progress_table_fits_80_columns():
    from rich.console import Console

    progress = Progress("SudokuExtreme-v0 trm")
    names = ("answer_loss", "accuracy", "belief", "cell_accuracy", "episode_segments", "tflops_per_second")
    figures = {name: 1.0 for name in names}
    progress.training(1_234_567, figures | {"segments_per_second": 98_765.0}, 36_000.0, 36_000.0)
    console = Console(width=80)
    with console.capture() as shown:
        console.print(progress._table())
    text = shown.get()
    assert "…" not in text and max(map(len, text.splitlines())) <= 80
    _, names, figures = text.splitlines()
    assert names.split() == ["step", "time", "left", "loss", "right", "cells", "seg/s"]
    assert figures.split() == ["1,234,567", "10:00:00", "10:00:00", "1.000", "100.0%", "100.0%", "98,765"]


def test_what_was_not_measured_yet_is_a_dash(capsys):
    progress = Progress("none yet")
    loop = Loop(tiny())
    puzzles = loop.trainer.task.dataset("validation").map(lambda array: array[:4])
    scores = evaluate(loop.policy, loop.trainer.task, puzzles, Protocol(halting="fixed", max_segments=2))
    progress.evaluation(0, 0.0, scores)
    assert "loss -, - segments/s" in capsys.readouterr().out
    progress.training(1, {}, 1.0, None)
    figures = [cell for column in progress._table().columns for cell in column.cells]
    assert figures == ["1", "0:01", "-", "-", "-", "-", "-"]


def test_the_last_evaluation_reports_how_far_it_is(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("hrm_gym.agents.training.progress.LOG_SECONDS", -1.0)
    train(tiny(max_steps=2, **SHORT), tmp_path / "run")
    out = capsys.readouterr().out
    assert "tested 4 of 4" in out and "with its own halting: " in out
    assert "2 steps are few" in out and "give a larger --max-steps" in out


def test_the_nearer_of_two_limits_is_the_one_that_is_told(tmp_path, capsys):
    assert Loop(tiny(max_steps=9_999_999, max_minutes=1.0)).trainer.seconds_left <= 60
    train(tiny(max_steps=9_999_999, **SHORT | {"max_minutes": 0.001}), tmp_path / "run")
    assert "give a larger --max-minutes" in capsys.readouterr().out


def test_arithmetic_is_in_tensorboard_alone(tmp_path, capsys):
    train(tiny(max_steps=3, eval_steps=2, **SHORT), tmp_path / "run")
    assert "FLOP/s" not in capsys.readouterr().out
    events = EventAccumulator(str(tmp_path / "run")).Reload()
    assert all(point.value > 0 for point in events.Scalars("train/tflops_per_second"))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["train", "--lr", "inf"], ["--lr is inf"]),
        (["train", "--beta2", "1"], ["--beta2 is 1.0", "below 1"]),
        (["train", "--prefix-tokens", "-1"], ["--prefix-tokens is -1", "at least 0"]),
        (["train", "--lr", "abc"], ["--lr", "abc"]),
        (["train", "--loss", "foo"], ["--loss 'foo'", "stablemax, softmax"]),
        (["train", "--warmup_stepz", "1"], ["--warmup", "did you mean --warmup-steps"]),
        (["train", "--env"], ["--env", "expected one argument"]),
        (["train", "--dataset", "a" * 300], ["a" * 50]),
        (["train", "--lr", "nan"], ["--lr is nan"]),
        (["train", "--weight-decay", "inf"], ["--weight-decay is inf"]),
        (["train", "--clip", "nan"], ["--clip is nan"]),
        (["train", "--initial-noise", "nan"], ["--initial-noise is nan"]),
        (["train", "--halt-weight", "-1"], ["--halt-weight is -1.0"]),
        (["train", "--warmup-steps", "-5"], ["--warmup-steps is -5"]),
        (["train", "--eval-puzzles", "-1"], ["--eval-puzzles is -1"]),
        (["train", "--save-minutes", "nan"], ["--save-minutes is nan"]),
        (["train", "--max-minutes", "nan"], ["--max-minutes is nan"]),
        (["train", "--expansion", "0"], ["--expansion is 0.0"]),
        (["train", "--mlp-multiple", "0"], ["--mlp-multiple is 0"]),
        (["train", "--seed", "9" * 20], ["--seed is beyond"]),
        (["train", "--h-cycles", "33"], ["--h-cycles is 33", "at most 32"]),
        (["train", "--device", "mps"], ["device 'mps' was asked for"]),
        (["train", "--env", "Sudoku4x4-v0", "--task-args", "task=1"], ["unknown argument 'task'"]),
        (["train", "--env", "Sudoku4x4-v0", "--task-args", "size={}"], ["cannot be built with (size={})"]),
        (["train", "--resume", "a" * 300], ["no such folder"]),
        (["evaluate", "--env", "..:X-v0"], ["no module '..'"]),
        (["evaluate", "--env", "hrm_gym.envs.task:Task"], ["Task cannot be built: it lacks sample"]),
        (["evaluate", "--noise", "nan"], ["--noise is nan"]),
        (["play", "--env", "Sudoku4x4-v0", "--headless", "--record", "a" * 300 + ".gif"], ["File name too long"]),
        (["evaluate", "--halt-margin", "nan"], ["--halt-margin is nan", "finite"]),
        (["evaluate", "--batch-size", "0"], ["--batch-size is 0", "at least 1"]),
        (["generate", "--env", "Sudoku4x4-v0"], ["missing: --out"]),
        (["generate", "--env", "Sudoku4x4-v0", "--out", ""], ["cannot write ''"]),
        (["solve", "--env", "Sudoku4x4-v0"], ["missing: PUZZLE"]),
        (["solve", "--env", "Sudoku4x4-v0", ""], ["the puzzle is empty"]),
        (["halting", "--env", "Sudoku4x4-v0", "--out", "new", "--seeds", "-1"], ["--seeds -1"]),
        (["envs", "foo"], ["foo"]),
    ],
)
def test_every_refusal_of_the_command_line_is_one_line(capsys, tmp_path, monkeypatch, arguments, words):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    printed = capsys.readouterr().err
    assert len(printed.splitlines()) == 1 and all(word in printed for word in words), printed


def test_nothing_is_overwritten_unless_told(capsys, tmp_path):
    places = {
        "evaluate": ["--submission", tmp_path / "answers.json"],
        "generate": ["--out", tmp_path / "puzzles.csv"],
        "halting": ["--out", tmp_path],
        "play": ["--headless", "--record", tmp_path / "film.gif"],
    }
    for name in ("answers.json", "puzzles.csv", "table.md", "film.gif"):
        (tmp_path / name).write_text("mine")
    for command, options in places.items():
        assert main([command, "--env", "Sudoku4x4-v0", *map(str, options)]) == 2
        assert "already there" in capsys.readouterr().err
    assert {path.read_text() for path in tmp_path.iterdir()} == {"mine"}
    assert main(["play", "--env", "Sudoku4x4-v0", "--overwrite", *map(str, places["play"])]) == 0
    assert (tmp_path / "film.gif").read_bytes()[:3] == b"GIF"


def test_analyze_plot_compare_and_export_overwrite_nothing_unless_told(capsys, tmp_path):
    run, out = tmp_path / "run", tmp_path / "out"
    out.mkdir()
    train(tiny(max_steps=4, eval_steps=2, **SHORT), run)
    names = ("a.safetensors", "a.md", "curves.png", "depth.json", "table.md")
    small = ["--puzzles", "4", "--traced", "4", "--draws", "20"]
    budget = ["--steps", "2", "--seeds", "1", "--num-envs", "4", "--test-puzzles", "4", "--device", "cpu"]
    commands = {
        "export": [str(run), "--out", str(out / "a.safetensors")],
        "plot": [str(run), "--out", str(out / "curves.png")],
        "analyze": ["--env", "Sudoku4x4-v0", "--what", "depth", "--out", str(out), *small],
        "compare": ["--env", "Sudoku4x4-v0", "--agents", "gru", "--out", str(out), *budget],
    }
    for name in names:
        (out / name).write_text("mine")
    for command, options in commands.items():
        assert main([command, *options]) == 2
        assert "already there" in capsys.readouterr().err
    (out / "a.safetensors").unlink()
    assert main(["export", *commands["export"]]) == 2  # the card alone
    assert {path.name: path.read_text() for path in out.iterdir()} == dict.fromkeys(names[1:], "mine")
    for command, options in commands.items():
        assert main([command, *options, "--overwrite"]) == 0
    assert all((out / name).read_bytes() != b"mine" for name in names)
    assert main(["compare", *commands["compare"]]) == 0  # its own folder, which it goes on with


def test_a_temporary_file_follows_no_link_and_deletes_no_file_of_the_user(tmp_path):
    (tmp_path / "mine").write_text("mine")
    (tmp_path / ".film.part.gif").symlink_to(tmp_path / "mine")
    frame = np.zeros((8, 8, 3), np.uint8)
    with Recorder(tmp_path / "film.gif") as recorder:
        recorder.add(frame, 0.1)
    assert (tmp_path / "mine").read_text() == "mine" and (tmp_path / ".film.part.gif").is_symlink()


MODES = {"single": None, "numpy": {}, "torch": {"device": "cpu"}}


def batch_of(mode, **kwargs):
    if mode == "single":
        return gym.make("hrm_gym:Sudoku4x4-v0", disable_env_checker=True, **kwargs).unwrapped
    return gym.make_vec("hrm_gym:Sudoku4x4-v0", num_envs=2, **MODES[mode], **kwargs)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("seed", [1.5, -1, "a", True, {}, torch.tensor(3), np.float64(2), [1.5, 2], [-1, 0], 2**64])
def test_a_seed_is_a_whole_number(mode, seed):
    envs = batch_of(mode)
    if isinstance(seed, int) and seed == 2**64 and mode != "torch":  # NumPy's generators take any
        envs.reset(seed=seed)
        return
    with pytest.raises(HrmGymError, match="seed"):
        envs.reset(seed=seed)


@pytest.mark.parametrize("mode", MODES)
def test_seeds_of_numpy_are_seeds(mode):
    first, second = (batch_of(mode).reset(seed=seed)[0]["puzzle"] for seed in (3, np.int64(3)))
    assert (first == second).all()


class Odd:
    def __array__(self, *args, **kwargs):
        raise OSError("no")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("action_type", ["board", "edit"])
def test_actions_of_other_kinds_are_refused_and_integers_of_every_kind_taken(mode, action_type):
    envs = batch_of(mode, action_type=action_type)
    shape = (() if mode == "single" else (2,)) + ((17,) if action_type == "board" else ())
    zeros = torch.zeros(shape)
    wrong = [zeros.bool(), zeros.to(torch.complex64), zeros, zeros.numpy().astype("m8[s]"), [[1, 2], [3]], None, Odd()]
    for action in wrong:
        envs.reset(seed=0)
        with pytest.raises(HrmGymError) as refusal:
            envs.step(action)
        assert len(str(refusal.value).splitlines()) == 1
    for kind in (">i8", ">u2", "int8", "uint64"):
        envs.reset(seed=0)
        envs.step(zeros.numpy().astype(kind))


def test_a_run_that_died_before_its_first_step_can_be_resumed(tmp_path):
    config = tiny(**SHORT, max_steps=2)
    (tmp_path / "config.json").write_text(config.to_json())
    checkpoints.save(tmp_path / checkpoints.FILE_NAME, Loop(config).snapshot())
    assert main(["train", "--resume", str(tmp_path)]) == 0
    assert json.loads((tmp_path / "result.json").read_text())["training"]["steps"] == 2


def test_a_run_that_died_before_its_first_checkpoint_leaves_its_folder_free(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    config = tiny(run_dir=str(tmp_path), max_steps=1, **SHORT)
    assert free_run_dir(config) == tmp_path
    train(config, tmp_path)
    with pytest.raises(HrmGymError, match="already holds a run"):
        free_run_dir(config)


@pytest.mark.parametrize("sign", ["loss", "weights"])
def test_a_run_that_diverges_keeps_its_last_good_checkpoint(tmp_path, monkeypatch, sign):
    """Whether the loss shows it, or the run is stopped or ends in the very step that ruins the weights."""
    step = Learner.step

    def ruined(learner, *arguments):
        losses = step(learner, *arguments)
        if learner.steps == 6:
            with torch.no_grad():
                next(learner.policy.parameters()).fill_(math.nan)
            if sign == "weights":
                os.kill(os.getpid(), signal.SIGTERM)
        return losses

    monkeypatch.setattr(Learner, "step", ruined)
    config = tiny(save_minutes=1e-9, max_steps=50, **SHORT)
    with pytest.raises(HrmGymError, match=r"no longer finite at step [67]: .* keeps the last"):
        train(config, tmp_path / "run")
    saved = checkpoints.load(tmp_path / "run")
    assert 0 < saved.counters["step"] < 6 and all(t.isfinite().all() for t in saved.part("model").values())


def test_a_second_process_is_kept_out_of_a_folder(tmp_path):
    with locked(tmp_path), pytest.raises(HrmGymError, match="another process trains in"), locked(tmp_path):
        pass
    hold = f"from hrm_gym.files import locked\nfrom pathlib import Path\nwith locked(Path({str(tmp_path)!r})):\n"
    other = subprocess.Popen([sys.executable, "-c", f"{hold}    print('held', flush=True); input()"], **PIPES)
    assert other.stdout.readline() == "held\n"
    began = time.monotonic()
    with pytest.raises(HrmGymError, match="another process trains in"), locked(tmp_path):
        pass
    assert time.monotonic() - began < 1
    other.kill()  # a process that dies without a word keeps nobody out
    other.communicate()
    with locked(tmp_path):
        pass


def test_a_folder_that_cannot_be_locked_is_one_line(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(HrmGymError, match=r"cannot write to .*file/run \(Not a directory\): give another --run-dir"):
        locked(tmp_path / "file" / "run").__enter__()


def test_what_a_killed_write_left_is_removed_and_nothing_else(tmp_path):
    left, mine = tmp_path / f".checkpoint.{'0' * 16}.tmp.safetensors", tmp_path / "notes.tmp"
    for path in (left, mine):
        path.write_text("half")
    with locked(tmp_path):
        assert mine.exists() and not left.exists()


def test_an_error_is_one_line_whatever_stands_in_it():
    assert str(HrmGymError(f"seed={np.zeros((2, 2))!r}: no")) == "seed=array([[0., 0.], [0., 0.]]): no"
