"""What a run tells its callbacks and its loggers; each library's own file where it is installed, offline."""

import csv
import json
import os
import re
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pytest
from loop import tiny
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import hrm_gym
from hrm_gym import HrmGymError
from hrm_gym.agents import Callback
from hrm_gym.agents.training.loggers import CSV_FILE, LOGGERS, loggers
from hrm_gym.agents.training.resume import changed
from hrm_gym.agents.training.run import train

SMALL = {"num_envs": 4, "eval_puzzles": 4, "test_puzzles": 4, "max_steps": 6, "eval_steps": 2}


class Diary(Callback):
    """Writes down everything, and answers as asked."""

    def __init__(self, answers=None):
        self.pages, self.answers = [], answers or {}

    def _write(self, name, *news):
        self.pages.append((name, *news))
        answer = self.answers.get(name)
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def begins(self, config, folder):
        return self._write("begins", config, folder)

    def logged(self, step, figures, ended_after):
        return self._write("logged", step, figures, ended_after)

    def evaluated(self, scores):
        return self._write("evaluated", scores)

    def saved(self, step, path):
        assert path.exists()
        return self._write("saved", step, path)

    def ended(self, result):
        return self._write("ended", result)

    def of(self, name):
        return [page[1:] for page in self.pages if page[0] == name]


def events(folder):
    return EventAccumulator(str(folder), size_guidance={"images": 0, "scalars": 0}).Reload()


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run with a diary and both loggers that need no service."""
    folder, diary = tmp_path_factory.mktemp("runs") / "whole", Diary()
    result = train(tiny(log="tensorboard,csv", **SMALL), folder, callbacks=[diary])
    return folder, diary, result


def test_a_callback_sees_everything_in_order(whole):
    folder, diary, result = whole
    names = [page[0] for page in diary.pages]
    assert names[0] == "begins" and names[-1] == "ended" and names.count("ended") == 1
    ((config, path),) = diary.of("begins")
    assert config.env == "Sudoku4x4-v0" and path == folder
    assert diary.of("ended") == [(result,)] == [(json.loads((folder / "result.json").read_text()),)]
    evaluated = [scores for (scores,) in diary.of("evaluated")]
    assert [(scores.split, scores.step) for scores in evaluated] == [
        *(("validation", step) for step in (2, 4, 6)),
        ("test", 6),
    ]
    curve = result["training"]["validation_curve"]
    assert [scores.figures["exact_accuracy"] for scores in evaluated] == [
        *(point["exact_accuracy"] for point in curve),
        result["exact_accuracy"],
    ]
    assert diary.of("saved")[-1][0] == 6 and all(step for step, _ in diary.of("saved"))
    for step, figures, ended_after in diary.of("logged"):
        assert 0 < step <= 6 and figures["answer_loss"] > 0 and (ended_after > 0).all()
    pictures = evaluated[0].boards()
    assert set(pictures) == {1, 2, 4, 8, 16} and pictures[4].shape[2] == 3 and pictures[4].dtype == np.uint8
    assert evaluated[0].boards() is pictures and evaluated[-1].boards() == {}


def test_tensorboard_and_the_table_hold_the_same_figures(whole):
    folder, diary, _ = whole
    board = events(folder)
    assert {"board/after_01_segments", "board/after_16_segments"} <= set(board.Tags()["images"])
    assert board.Tags()["histograms"] == ["train/ended_after"] and "run/text_summary" in board.Tags()["tensors"]
    rows = list(csv.DictReader((folder / CSV_FILE).open()))
    assert {row["name"] for row in rows} == set(board.Tags()["scalars"])
    for name in board.Tags()["scalars"]:
        written = [(int(row["step"]), float(row["value"])) for row in rows if row["name"] == name]
        shown = [(point.step, point.value) for point in board.Scalars(name)]
        assert [step for step, _ in written] == [step for step, _ in shown]
        assert np.allclose([value for _, value in written], [value for _, value in shown], rtol=1e-5)
    expected = {"exact_accuracy", "valid_accuracy", "cell_accuracy"}
    assert {f"validation/{name}" for name in (*expected, "exact_accuracy_by_itself", "segments_by_itself")} | {
        f"test/{name}" for name in expected
    } == {name for name in board.Tags()["scalars"] if name.startswith(("validation/", "test/"))}
    assert {name for name in board.Tags()["scalars"] if name.startswith("test_after/")} == {
        f"test_after/{segment:02}_segments" for segment in diary.of("evaluated")[-1][0].after
    }


@pytest.mark.parametrize("name", ["logged", "evaluated"])
def test_false_ends_the_run_as_its_target_does(name, tmp_path):
    diary = Diary({name: False})
    run = hrm_gym.train(
        "Sudoku4x4-v0",
        device="cpu",
        run_dir=tmp_path / "run",
        callbacks=[diary],
        **{
            **SMALL,
            "hidden_size": 8,
            "max_steps": 1_000_000,
            "log": "none",
        },
    )
    steps = run.result["training"]["steps"]
    assert 0 < steps < 10_000 and (run.folder / "result.json").exists() and diary.of("saved")[-1][0] == steps
    assert diary.of("ended") == [(run.result,)]
    assert sorted(path.name for path in run.folder.iterdir() if path.name[0] != ".") == [
        *("checkpoint.safetensors", "config.json", "result.json"),
    ]


class PrunedError(Exception):
    pass


@pytest.mark.parametrize("name", ["begins", "logged", "evaluated", "saved"])
def test_an_exception_abandons_the_run_and_reaches_the_caller(name, tmp_path):
    diary, other = Diary({name: PrunedError("enough")}), Diary()
    config, folder = tiny(log="csv,tensorboard", **SMALL), tmp_path / "run"
    with pytest.raises(PrunedError, match="enough"):
        train(config, folder, callbacks=[other, diary])
    assert other.of("ended") == [(None,)] and diary.of("ended") == ([] if name == "begins" else [(None,)])
    if name == "begins":  # nothing was saved: the folder is free again
        assert not folder.exists()
    elif (folder / "checkpoint.safetensors").exists():
        assert not (folder / "result.json").exists()
    train(tiny(log="none", **SMALL), tmp_path / "another")  # neither locks nor handlers are left


def test_a_resumed_run_may_log_elsewhere_and_goes_on_in_its_table(tmp_path):
    folder = tmp_path / "run"
    options = {**SMALL, "hidden_size": 8, "device": "cpu"}
    hrm_gym.train("Sudoku4x4-v0", run_dir=folder, log="csv", **options)
    assert not list(folder.glob("events*"))
    before = (folder / CSV_FILE).read_text().splitlines()
    run = hrm_gym.train(resume=folder, max_steps=8, log="csv, tensorboard")
    after = (folder / CSV_FILE).read_text().splitlines()
    assert run.config.log == "csv, tensorboard" and after[: len(before)] == before and len(after) > len(before)
    assert after.count("step,name,value") == 1 and events(folder).Scalars("test/exact_accuracy")[0].step == 8


def test_logging_does_not_change_what_is_learned(whole, tmp_path):
    _, _, result = whole
    quiet = train(tiny(log="none", **SMALL), tmp_path / "quiet")
    assert quiet["training"]["validation_curve"] == [
        {**point, "seconds": pytest.approx(point["seconds"], abs=1e3)}
        for point in result["training"]["validation_curve"]
    ]


# ---- bad input ---------------------------------------------------------------------------------------------------


def test_what_is_no_callback_is_one_line(tmp_path):
    for wrong in (print, [Diary], "csv", [None]):
        with pytest.raises(HrmGymError, match=r"^callbacks has [^\n]*hrm_gym\.agents\.Callback$"):
            train(tiny(**SMALL), tmp_path / "run", callbacks=wrong)
    assert not (tmp_path / "run").exists()


def test_an_unknown_logger_is_one_line(hrm_gym, tmp_path):
    code, _, err = hrm_gym("train", "--env", "Sudoku4x4-v0", "--log", "wandb,cvs", "--run-dir", tmp_path / "run")
    assert code == 2 and "unknown --log 'cvs': did you mean 'csv'" in err and err.count("\n") == 1
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", sorted(LOGGERS.keys() - {"csv"}))
def test_a_missing_library_is_one_line(name, monkeypatch):
    module = "torch.utils.tensorboard" if name == "tensorboard" else name
    monkeypatch.setitem(sys.modules, module, None)
    extra = "train" if name == "tensorboard" else name
    with pytest.raises(HrmGymError, match=rf'--log {name} needs .*hrm-gym\[{extra}\]", or leave it out of --log$'):
        loggers(name)


# ---- services, offline -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["wandb", "mlflow", "trackio"])
def test_the_calls_of_a_service(name, monkeypatch, tmp_path):
    """A module that records calls stands for the library: our side of the conversation, without installing it."""
    calls = []

    class Recorder(types.ModuleType):
        def __getattr__(self, called):
            if called.startswith("__"):
                raise AttributeError(called)

            def call(*values, **named):
                calls.append((called, values, named))
                return self

            return call

    monkeypatch.setitem(sys.modules, name, Recorder(name))
    result = train(tiny(log=name, **SMALL), tmp_path / "run")
    assert result is not None
    called = [call for call, _, _ in calls]
    begin, log, end = ("start_run", "log_metrics", "end_run") if name == "mlflow" else ("init", "log", "finish")
    assert called[0] == begin and called[-1] == end and called.count(begin) == called.count(end) == 1
    logged = [(values[0], named["step"]) for call, values, named in calls if call == log]
    steps = [step for _, step in logged]
    assert steps == sorted(steps) and steps[-1] == 6
    names = {figure for figures, _ in logged for figure in figures}
    assert {"train/answer_loss", "validation/exact_accuracy", "test/exact_accuracy", "test_after/01_segments"} <= names
    assert called.count("log_image" if name == "mlflow" else "Image") == 3 * 5
    settings = calls[0][2]["config"] if name != "mlflow" else calls[1][1][0]
    assert settings["env"] == "Sudoku4x4-v0" and settings["max_steps"] == 6


@pytest.mark.slow
def test_weights_and_biases_offline(monkeypatch, tmp_path):
    pytest.importorskip("wandb")
    for variable, value in (("WANDB_MODE", "offline"), ("WANDB_SILENT", "true"), ("WANDB_CACHE_DIR", str(tmp_path))):
        monkeypatch.setenv(variable, value)
    train(tiny(log="wandb", **SMALL), tmp_path / "run")
    (file,) = (tmp_path / "run").glob("wandb/offline-run-*/run-*.wandb")
    content = file.read_bytes()
    assert b"validation/exact_accuracy" in content and b"board/after_16_segments" in content


@pytest.mark.slow
def test_mlflow_in_a_file(monkeypatch, tmp_path):
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    mlflow.set_tracking_uri((tmp_path / "mlruns").as_uri())
    with mlflow.start_run() as outer:  # as of a sweep
        train(tiny(log="mlflow", **SMALL), tmp_path / "run")
        assert mlflow.active_run().info.run_id == outer.info.run_id
    (run,) = mlflow.search_runs(filter_string="attributes.run_name = 'run'", output_format="list")
    assert run.info.status == "FINISHED" and run.data.params["env"] == "Sudoku4x4-v0"
    assert run.data.tags["mlflow.parentRunId"] == outer.info.run_id
    history = mlflow.MlflowClient().get_metric_history(run.info.run_id, "validation/exact_accuracy")
    assert [point.step for point in history] == [2, 4, 6]


@pytest.mark.slow
def test_trackio_on_this_machine(tmp_path):
    pytest.importorskip("trackio")
    code = (
        "from pathlib import Path\nfrom loop import tiny\nfrom hrm_gym.agents.training.run import train\n"
        f"train(tiny(log='trackio', **{SMALL!r}), Path('run'))\n"
        "import trackio\n(run,) = trackio.Api().runs('hrm-gym')\nprint('SEEN', run.name, run.config['env'])\n"
    )
    root = Path(__file__).parent.parent
    environment = {**os.environ, "TRACKIO_DIR": str(tmp_path / "trackio"), "PYTHONPATH": f"{root}:{root / 'tests'}"}
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert "SEEN run Sudoku4x4-v0" in done.stdout, done.stderr


def test_options_of_a_run_have_the_log():
    config = changed(tiny(), {"log": "csv"})
    assert config.log == "csv" and tiny().log == "tensorboard"


@pytest.mark.slow
def test_optuna_prunes_as_the_page_says(monkeypatch, tmp_path):
    optuna = pytest.importorskip("optuna")
    page = (Path(__file__).parent.parent / "docs" / "libraries.md").read_text()
    (program,) = (block for block in re.findall(r"```python\n(.*?)```", page, flags=re.S) if "optuna" in block)
    small = f"hidden_size=8, device='cpu', **{SMALL!r}"
    for long, short in (("max_steps=300, eval_steps=50", small), ("n_trials=10", "n_trials=1")):
        assert long in program
        program = program.replace(long, short)
    monkeypatch.chdir(tmp_path)
    scope = {}
    exec(compile(program, "libraries.md", "exec"), scope)
    assert set(scope["study"].best_params) == {"lr"} and len(list(tmp_path.glob("runs/*/result.json"))) == 1
    pruned = optuna.create_study(direction="maximize", pruner=optuna.pruners.ThresholdPruner(lower=2.0))
    pruned.optimize(scope["objective"], n_trials=1)
    (trial,) = pruned.trials
    assert trial.state is optuna.trial.TrialState.PRUNED and list(trial.intermediate_values) == [2]
    assert len(list(tmp_path.glob("runs/*/result.json"))) == 1
