"""The scripts of benchmarks/: a profile of a training step, and trainings with their scores."""

import json
import re
import shlex
import sys
from pathlib import Path

import fit_search
import parts
import pytest
import train_and_score
import training

import hrm_gym as package
from hrm_gym.agents.inference.protocol import Protocol
from hrm_gym.agents.inference.search_options import SearchOptions
from hrm_gym.agents.saved.load import load_both
from hrm_gym.cli import main

SMALL = {"num_envs": 2, "hidden_size": 8, "mlp_size": 8, "h_cycles": 1, "l_cycles": 1}
"""Options that every preset of the scripts has, at a size that says nothing of accuracy."""
BUDGET = {"max_segments": 2, "max_minutes": 0, "max_steps": 2, "eval_puzzles": 2, "test_puzzles": 2}


def run(monkeypatch, script, *words):
    """The script's main function, with these words on its command line."""
    monkeypatch.setattr(sys, "argv", [script.__name__, *map(str, words)])
    script.main()


def options_of(settings):
    """Settings as options of `hrm-gym train`."""
    return [word for name, value in settings.items() for word in (f"--{name.replace('_', '-')}", str(value))]


# ---- trainings and scores --------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("name", ["sudoku", "maze"])
def test_an_agent_is_trained_scored_and_exported_once(name, tmp_path, monkeypatch, capsys):
    env = {"sudoku": "Sudoku4x4-v0", "maze": "MazeSmall-v0"}[name]
    _, _, *options = train_and_score.TRAININGS[name]
    monkeypatch.setitem(train_and_score.TRAININGS, name, ["--env", env, *options])
    file = tmp_path / "real.csv"
    assert main(["generate", "--env", env, "--num", "3", "--seed", "1", "--out", str(file)]) == 0
    words = [tmp_path / "runs", "--only", name, f"--{name}s", file, "--device", "cpu", "--limit", "2", "--no-compile"]
    run(monkeypatch, train_and_score, *words, *options_of({**SMALL, **BUDGET}))
    folder = tmp_path / "runs" / name
    protocols = train_and_score.SCORES[name]
    for protocol, options in protocols.items():
        figures = json.loads((folder / f"real_{protocol}.json").read_text())
        assert figures["num_puzzles"] == 2 and figures["env"] == env and figures["puzzles"] == str(file)
        assert figures["protocol"].items() >= options.items()
    shown = capsys.readouterr().out
    assert len(re.findall(r"% \(.* to .*\) of 2 real puzzles", shown)) == len(protocols)
    assert package.load_agent(env, folder / "export.safetensors").num_parameters > 0
    times = {path: path.stat().st_mtime_ns for path in folder.glob("*.json")}
    run(monkeypatch, train_and_score, *words)  # is done: trains and scores nothing again
    assert {path: path.stat().st_mtime_ns for path in folder.glob("*.json")} == times


class Calls(list):
    """In the place of `hrm-gym`: keeps the words of each command, and leaves the files that it would leave."""

    def __init__(self, status=0, finishes=True):
        self.status, self.finishes = status, finishes

    def __call__(self, words):
        self.append(words)
        if words[0] == "train" and "--run-dir" in words:
            folder = Path(words[words.index("--run-dir") + 1])
            folder.mkdir(parents=True)
            (folder / "checkpoint.safetensors").touch()
            (folder / "config.json").write_text(json.dumps({"env": words[words.index("--env") + 1]}))
        if words[0] == "train" and self.finishes:
            figures = {"valid_accuracy": 0.5, "valid_interval": [0.4, 0.6], "num_puzzles": 9, "mean_segments": 3.0}
            (folder / "result.json").write_text(json.dumps(figures))
        return self.status


def test_the_commands_are_understood(tmp_path, monkeypatch, understood):
    calls, scored = Calls(), []

    def evaluate(env, checkpoint, *, puzzles, limit, device, **protocol):
        Protocol.from_dict(protocol)
        scored.append((env, puzzles, limit, device))
        return json.loads((Path(checkpoint) / "result.json").read_text())

    monkeypatch.setattr(train_and_score, "call", calls)
    monkeypatch.setattr(package, "evaluate", evaluate)
    run(monkeypatch, train_and_score, tmp_path, "--sudokus", "a.csv", "--mazes", "b.csv", "--compile", "--cuda-graphs")
    assert [words[0] for words in calls] == ["train", "export", "train", "export"]
    for words in calls:
        understood(words, "train_and_score.py")
        assert words[0] == "export" or {"cuda", "--cuda-graphs"} < set(words)
    assert scored == 3 * [("SudokuExtreme-v0", "a.csv", 1000, "cuda")] + [("MazeHard-v0", "b.csv", 1000, "cuda")]


def test_an_interrupted_run_is_resumed_and_a_failed_one_stops(tmp_path, monkeypatch):
    calls = Calls(finishes=False)
    monkeypatch.setattr(train_and_score, "call", calls)
    for _ in range(2):
        with pytest.raises(SystemExit, match="interrupted; the same command goes on"):
            run(monkeypatch, train_and_score, tmp_path)
    assert calls[0][:3] == ["train", "--env", "SudokuExtreme-v0"]
    assert calls[1:] == [["train", "--resume", str(tmp_path / "sudoku")]]
    monkeypatch.setattr(train_and_score, "call", Calls(status=2, finishes=False))
    with pytest.raises(SystemExit, match=r"^2$"):
        run(monkeypatch, train_and_score, tmp_path / "other")


def test_the_pages_commands_are_understood(tmp_path, monkeypatch):
    page = (Path(__file__).parents[1] / "docs" / "train_on_gpu.md").read_text()
    commands = [shlex.split(line, comments=True) for line in re.findall(r"^python (benchmarks/.*)", page, flags=re.M)]
    trained, profiled = Calls(), []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(train_and_score, "call", trained)
    monkeypatch.setattr(train_and_score, "score", lambda *_: None)
    monkeypatch.setattr(training, "matrix_rate", lambda device: 1.0)
    monkeypatch.setattr(training.torch.cuda, "get_device_name", lambda device: "none")
    monkeypatch.setattr(training, "compare", lambda preset, *_: profiled.append(preset) or {})
    for path, *words in commands:
        run(monkeypatch, {"training": training, "train_and_score": train_and_score}[Path(path).stem], *words)
    assert profiled == ["gpu_groups", "gpu_grid"] and [words[0] for words in trained] == 2 * ["train", "export"]


# ---- the profile -----------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_profile_has_the_figures_of_each_form(tmp_path, monkeypatch, capsys):
    settings = {"env": "Sudoku4x4-v0", "message_size": 8, **SMALL}
    words = ["--presets", "gpu_groups", "--forms", "plain", "--steps", 1, "--threads", 1, "--profile"]
    monkeypatch.setattr(training.torch, "set_num_threads", lambda num: None)
    run(
        *(monkeypatch, training, *words, "--json", tmp_path / "new" / "profile.json"),
        *("--set", *(f"{name}={value}" for name, value in settings.items())),
    )
    figures = json.loads((tmp_path / "new" / "profile.json").read_text())["presets"]["gpu_groups"]["plain"]
    assert figures["segments_per_second"] == pytest.approx(2 / (figures["ms"] / 1e3))
    assert 0 < figures["profile"]["busy"] <= 1 and figures["tflops_per_second"] > 0
    (command,) = re.findall(r"^fastest: hrm-gym (train .*)", capsys.readouterr().out, flags=re.M)
    assert command == "train --preset gpu_groups --no-compile"


@pytest.mark.parametrize("form", training.FORMS)
def test_the_options_of_a_form_are_those_that_it_was_measured_with(form, understood):
    words = shlex.split(training.TRAIN_OPTIONS[form])
    understood(["train", *words], "training.py")
    settings = {name.replace("_", "-"): value for name, value in training.FORMS[form].items()}
    assert words == [f"--{'' if value else 'no-'}{name}" for name, value in settings.items()]


def test_the_fastest_form_must_learn_as_the_plain_one():
    forms = {
        "plain": {"ms": 30.0, "loss": 1.0},
        "compiled": {"ms": 20.0, "loss": 1.01},
        "graphs": {"ms": 10.0, "loss": 2.0},
    }
    assert training.fastest(forms) == "compiled"
    forms["graphs"]["loss"] = float("nan")
    assert training.fastest(forms) == "compiled"
    forms["graphs"]["loss"] = 1.0
    assert training.fastest(forms) == "graphs"
    assert training.fastest({"plain": forms["plain"]}) == "plain"


def test_spans_are_counted_once_where_they_overlap():
    assert training.covered([(0, 2), (1, 3), (1.5, 2.5), (5, 6)]) == 4 and training.covered([]) == 0


# ---- the parts of HRM ------------------------------------------------------------------------------------


@pytest.mark.slow
def test_every_part_is_trained_once_and_has_a_row(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(parts, "FORMS", {"Sudoku4x4-v0": ""})
    words = [tmp_path, "--env", "Sudoku4x4-v0", "--steps", 1, "--seeds", 1, "--test-puzzles", 2]
    run(monkeypatch, parts, *words)
    table = (tmp_path / "table.md").read_text()
    assert table == capsys.readouterr().out[-len(table) :]
    rows = [line.split(" | ") for line in table.splitlines() if line.startswith("| Sudoku4x4-v0")]
    assert len({tuple(row[:4]) for row in rows}) == 8
    for _, agent, gradient, rule, right, alone, *_ in rows:
        result = json.loads((tmp_path / f"Sudoku4x4-v0-{agent}-{gradient}-{rule}-0" / "result.json").read_text())
        config = json.loads((tmp_path / f"Sudoku4x4-v0-{agent}-{gradient}-{rule}-0" / "config.json").read_text())
        assert (config["agent"], config["agent_options"]["gradient"], config["halting"]) == (agent, gradient, rule)
        assert right == f"{100 * result['valid_accuracy']:.1f} %"
        assert alone == f"{100 * result['halting_by_itself']['valid_accuracy']:.1f} %"
    monkeypatch.setattr(parts.hrm_gym, "train", lambda *_, **__: pytest.fail("trained twice"))
    run(monkeypatch, parts, *words)
    assert (tmp_path / "table.md").read_text() == table


# ---- the constants of the search -------------------------------------------------------------------------


@pytest.mark.slow
def test_the_constants_of_the_search_are_fitted(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(fit_search, "CHOICES", {"margin": (0.0, 50.0)})
    monkeypatch.setattr(fit_search, "DEEPEST", 2)
    monkeypatch.setattr(fit_search, "SEGMENTS", 16)
    run(monkeypatch, fit_search, "--puzzles", 3, "--boards", 4, "--json", tmp_path / "fitted.json")
    fitted = SearchOptions.from_dict(json.loads((tmp_path / "fitted.json").read_text()))
    first, *scores, last = capsys.readouterr().out.splitlines()
    assert first.endswith(str(fitted.solved)) and len(fitted.solved) == 3
    numbers = [float(line.split()[0]) for line in scores]
    assert len(numbers) == 3 and float(last.split()[0]) == max(numbers)
    assert fitted.margin == (2.0, 0.0, 50.0)[numbers.index(max(numbers))]


def test_right_guesses_are_right_and_as_many_as_asked():
    policy, task = load_both("SudokuExtreme-v0", "pretrained", "cpu")
    puzzles = task.dataset("validation").map(lambda array: array[:2])
    shown = fit_search.with_right_guesses(policy, task, puzzles, 3, first=1)
    filled = shown.puzzle != puzzles.puzzle
    assert (filled.sum(1) == 3).all() and (shown.puzzle[filled] == puzzles.solution[filled]).all()
