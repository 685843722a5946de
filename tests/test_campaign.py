"""The scripts of benchmarks/campaign: their commands are understood, and what they bring back is what was there."""

import argparse
import importlib.util
import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from loop import Loop, tiny

from hrm_gym.agents.saved import checkpoint as checkpoints
from hrm_gym.agents.saved.load import load_agent

ROOT = Path(__file__).parent.parent
CAMPAIGN = ROOT / "benchmarks" / "campaign"
sys.path.append(str(ROOT / "benchmarks"))

# In the place of Python: writes down how it was called, and leaves what the scripts look for afterwards.
STUB = """#!/usr/bin/env bash
printf '%s\\t' "$@" >> "$CALLS"; echo >> "$CALLS"
while [ $# -gt 0 ]; do
    case $1 in
        form) echo "--compile --cuda-graphs" ;;
        --cuda-graphs) if [ "${GRAPHS_FAIL:-0}" = 1 ]; then exit 1; fi ;;
        --run-dir) mkdir -p "$2"; touch "$2/config.json" "$2/checkpoint.safetensors" "$2/result.json" ;;
    esac
    shift
done
"""


def script(name):
    """A script as a module."""
    spec = importlib.util.spec_from_file_location(f"campaign_{name}", CAMPAIGN / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def calls_of(folder, *scripts, **environment):
    """How the shell scripts call Python, each call a list of words."""
    campaign, root = folder / "campaign", folder / "root"
    for path in (campaign / "site", root / ".campaign" / "puzzles"):
        path.mkdir(parents=True)
    (campaign / "code").symlink_to(ROOT)
    for name in ("sudoku.csv", "maze.csv.gz"):
        (root / ".campaign" / "puzzles" / name).touch()
    stub, calls = folder / "python", folder / "calls"
    stub.write_text(STUB)
    stub.chmod(0o755)
    known = {"PYTHON": stub, "CALLS": calls, "CAMPAIGN": campaign, "CAMPAIGN_ROOT": root, "OUT": folder / "out"}
    told = {name: str(value) for name, value in {"PATH": os.environ["PATH"], **known, **environment}.items()}
    for words in scripts:
        command = ["bash", str(CAMPAIGN / words[0]), *words[1:]]
        done = subprocess.run(command, env=told, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
    return [line.rstrip("\t").split("\t") for line in calls.read_text().splitlines()]


class UnderstoodError(Exception):
    """The arguments of a benchmark were allowed."""


@pytest.fixture
def called(monkeypatch, understood):
    """Checks that a call of Python is allowed, up to the point where it would begin to work."""

    def check(words):
        if words[:2] == ["-m", "hrm_gym"]:
            understood(words[2:], words)
        elif words[0] == "benchmarks/training.py":
            import training

            real = argparse.ArgumentParser.parse_args

            def stop(parser, *rest):
                real(parser, ["cpu" if words[i - 1] == "--device" else word for i, word in enumerate(words)][1:])
                raise UnderstoodError

            with monkeypatch.context() as patch:
                patch.setattr(argparse.ArgumentParser, "parse_args", stop)
                with pytest.raises(UnderstoodError):
                    training.main()
        elif words[:2] != ["-m", "pytest"]:
            assert (ROOT / words[0]).is_file(), words

    return check


@pytest.mark.parametrize("rehearse", [0, 1])
def test_the_scripts_call_what_there_is(rehearse, tmp_path, called):
    steps = [("first.sh",), ("run.sh", "inside"), ("follow.sh", "5", "1"), ("evaluate.sh", str(tmp_path / "runs"))]
    (tmp_path / "runs" / "maze").mkdir(parents=True)
    (tmp_path / "runs" / "maze" / "checkpoint.safetensors").touch()
    calls = calls_of(tmp_path, *steps, REHEARSE=rehearse)
    for words in calls:
        called(words)
    (tests,) = (words for words in calls if words[:2] == ["-m", "pytest"])
    assert all((ROOT / word).is_file() for word in tests if word.startswith("tests/"))
    trained = [words for words in calls if words[1:3] == ["hrm_gym", "train"]]
    assert [Path(words[words.index("--run-dir") + 1]).name for words in trained] == 2 * ["sudoku", "maze"]
    assert [("--cuda-graphs" in words) for words in trained] == [False, False, True, True]
    assert {words[2] for words in calls if words[1] == "hrm_gym"} == {"train", "evaluate", "export"}
    if not rehearse:
        minutes = [float(words[words.index("--max-minutes") + 1]) for words in trained]
        assert minutes[2] == 18 and 20 < minutes[3] < 27  # the stub takes no time, so the rest is left for mazes
        assert "cuda" in trained[2]


def test_the_pages_commands_are_understood(understood):
    lines = (CAMPAIGN / "README.md").read_text().splitlines()
    commands = [shlex.split(line, comments=True) for line in lines if line.startswith("hrm-gym ")]
    assert len(commands) == 4
    for words in commands:
        understood(words[1:], "README.md")


def test_a_training_that_fails_is_tried_again_as_it_is(tmp_path):
    calls = calls_of(tmp_path, ("run.sh", "inside"), GRAPHS_FAIL=1)
    trained = [words for words in calls if words[1:3] == ["hrm_gym", "train"]]
    names = [Path(words[words.index("--run-dir") + 1]).name for words in trained]
    assert names == ["sudoku", "sudoku-plain", "maze", "maze-plain"]
    assert all("--no-compile" in words for words, name in zip(trained, names, strict=True) if "plain" in name)


def test_no_training_begins_where_no_time_is_left(tmp_path):
    (tmp_path / "campaign").mkdir()
    (tmp_path / "campaign" / "began").write_text("1000\n")  # long ago
    calls = calls_of(tmp_path, ("run.sh", "inside"))
    assert calls and not [words for words in calls if words[1:3] == ["hrm_gym", "train"]]


def finished(folder):
    """A run's folder."""
    loop = Loop(tiny())
    loop.step()
    folder.mkdir(parents=True)
    checkpoints.save(folder / checkpoints.FILE_NAME, loop.snapshot())
    (folder / "config.json").write_text(loop.trainer.config.to_json())
    (folder / "result.json").write_text("{}")
    return loop


def test_weights_come_back_in_pieces(tmp_path):
    bring_back = script("bring_back")
    loop = finished(tmp_path / "runs" / "sudoku")
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "run.log").write_text("began\n")
    whole, *_ = bring_back.pack(tmp_path / "runs", tmp_path / "logs", tmp_path / "whole")
    size = whole.stat().st_size
    *pieces, _ = bring_back.pack(tmp_path / "runs", tmp_path / "logs", tmp_path / "out", piece=size // 3 + 100)
    assert len(pieces) == 3 and all(path.stat().st_size <= size // 3 + 100 for path in pieces)
    assert bring_back.join(tmp_path / "out", tmp_path / "back") == ["logs", "sudoku"]
    assert (tmp_path / "back" / "logs" / "run.log").read_text() == "began\n"
    saved = checkpoints.load(tmp_path / "back" / "sudoku")
    averaged = loop.trainer.learner.average.policy.state_dict()
    assert {f"ema/{name}" for name in averaged} == set(saved.tensors)
    assert all(torch.equal(tensor, saved.tensors[f"ema/{name}"]) for name, tensor in averaged.items())
    assert load_agent("Sudoku4x4-v0", tmp_path / "back" / "sudoku", "cpu").num_parameters == loop.policy.num_parameters
    pieces[1].write_bytes(b"x" + pieces[1].read_bytes()[1:])
    with pytest.raises(SystemExit, match="damaged"):
        bring_back.join(tmp_path / "out", tmp_path / "other")
    pieces[1].unlink()
    with pytest.raises(SystemExit, match=r"lacks runs.tar.gz.1"):
        bring_back.join(tmp_path / "out", tmp_path / "other")
    with pytest.raises(SystemExit, match="more than 4 pieces"):
        bring_back.pack(tmp_path / "runs", tmp_path / "logs", tmp_path / "out", piece=1000)


def test_the_pack_has_versions_and_the_same_real_puzzles(tmp_path):
    pack = script("pack")
    assert all(len(name.split("==")) == 2 for name in pack.wanted()) and "gymnasium" in pack.wanted()[0]
    with pytest.raises(SystemExit, match="is missing"):
        pack.real_puzzles(tmp_path, tmp_path / "out")


def test_the_fastest_form_must_learn_as_the_plain_one():
    report = script("report")
    forms = {
        "plain": {"ms": 30.0, "loss": 1.0},
        "compiled": {"ms": 20.0, "loss": 1.01},
        "graphs": {"ms": 10.0, "loss": 2.0},
    }
    told = {"presets": {"gpu_groups": forms}}
    assert report.fastest(told, "gpu_groups") == "compiled"
    forms["graphs"]["loss"] = 1.0
    assert report.fastest(told, "gpu_groups") == "graphs"
    forms["graphs"]["loss"] = float("nan")
    assert report.fastest(json.loads(json.dumps(told)), "gpu_groups") == "compiled"
    assert report.fastest({}, "gpu_groups") == report.fastest(told, "gpu_grid") == "plain"


def test_spans_are_counted_once_where_they_overlap():
    from training import covered

    assert covered([(0, 2), (1, 3), (1.5, 2.5), (5, 6)]) == 4 and covered([]) == 0
