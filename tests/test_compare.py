"""`hrm-gym compare`: agents side by side, interrupted and gone on with."""

import json
import os
import signal
import sys

import pytest

from hrm_gym.agents.studies import portrait
from hrm_gym.agents.training import judging
from hrm_gym.agents.training.trainer import Trainer

ENV = "Sudoku4x4-v0"


@pytest.fixture
def compare(hrm_gym, tmp_path):
    def call(*agents, env=ENV, steps=4, seeds=1, **more):
        options = {"steps": steps, "seeds": seeds, "num-envs": 4, "test-puzzles": 12, "device": "cpu", "out": tmp_path}
        flat = [x for name, value in {**options, **more}.items() for x in (f"--{name}", value)]
        return hrm_gym("compare", "--env", env, "--agents", *agents, *flat)

    return call


def test_a_table_a_file_and_a_plot(compare, tmp_path):
    code, out, _ = compare("gru", "direct", seeds=2)
    assert code == 0 and (tmp_path / "plot.png").stat().st_size > 10_000
    results = json.loads((tmp_path / "result.json").read_text())
    assert [(run["agent"], run["seed"]) for run in results["runs"]] == [
        (a, s) for a in ("gru", "direct") for s in (0, 1)
    ]
    for run in results["runs"]:
        figures = run["figures"]
        assert figures["steps"] == 4 and figures["parameters"] > 0 and figures["segment_flops"] > 0
        assert list(figures["after"]) == ["1", "2", "4", "8", "16"]
        assert figures["reports"]["learned"]["num_puzzles"] == 12
    direct = results["runs"][2]["figures"]
    assert direct["after"]["1"] == direct["after"]["16"]  # trained with one segment, tested with sixteen
    text = (tmp_path / "table.md").read_text()
    assert text in out and "| `gru` | `classifier` |" in text and "4 steps" in text and "seeds: 2" in text


def test_what_is_finished_is_kept_and_agents_are_added(compare, tmp_path):
    compare("gru")
    file = tmp_path / "runs" / "gru-seed0" / "checkpoint.safetensors"
    before = file.stat().st_mtime_ns, file.read_bytes()
    code, out, _ = compare("gru", "own_doors:own_gru")
    assert code == 0 and "own_gru, seed 0" in out
    assert (file.stat().st_mtime_ns, file.read_bytes()) == before
    code, _, err = compare("gru", steps=5)
    assert code == 2 and "another --out" in err and err.count("\n") == 1


def test_interrupted_it_goes_on(compare, tmp_path, monkeypatch):
    code, _, _ = compare("gru", out=tmp_path / "whole")
    act, calls = Trainer.act, []

    def interrupted(trainer, *arguments):
        calls.append(1)
        if len(calls) == 2:
            os.kill(os.getpid(), signal.SIGTERM)
        return act(trainer, *arguments)

    monkeypatch.setattr(Trainer, "act", interrupted)
    code, out, _ = compare("gru", out=tmp_path / "parts")
    assert code == 130 and "run the same command again" in out and len(calls) == 2
    assert not (tmp_path / "parts" / "table.md").exists()
    code, _, _ = compare("gru", out=tmp_path / "parts")
    assert code == 0 and len(calls) == 4
    whole, parts = (json.loads((tmp_path / name / "result.json").read_text()) for name in ("whole", "parts"))
    assert whole["runs"][0]["figures"]["after"] == parts["runs"][0]["figures"]["after"]


@pytest.mark.parametrize(("place", "name"), [(judging, "evaluate"), (portrait, "evaluate_stops")])
def test_asked_to_end_while_it_tests_it_begins_no_other_run(place, name, compare, tmp_path, monkeypatch):
    """Whether that is the run's own evaluation or the comparison's."""
    evaluate = getattr(place, name)

    def interrupted(*arguments, **options):
        os.kill(os.getpid(), signal.SIGTERM)
        return evaluate(*arguments, **options)

    monkeypatch.setattr(place, name, interrupted)
    code, out, _ = compare("gru", "trm", out=tmp_path / "parts")
    assert code == 130 and "run the same command again" in out
    assert not (tmp_path / "parts" / "runs" / "trm-seed0").exists()
    monkeypatch.setattr(place, name, evaluate)
    code, _, _ = compare("gru", "trm", out=tmp_path / "parts")
    assert code == 0 and (tmp_path / "parts" / "table.md").exists()


def test_an_agent_that_cannot_take_the_puzzle_stays_in_the_table(compare, tmp_path):
    code, out, _ = compare("trm_symbols", "direct", env="MazeSmall-v0", steps=1)
    assert code == 0
    row = next(line for line in (tmp_path / "table.md").read_text().splitlines() if "`trm_symbols`" in line)
    assert "groups" in row and "Traceback" not in out
    assert not (tmp_path / "runs" / "trm_symbols-seed0").exists()


def test_seeds_that_failed_are_named_in_the_row():
    figures = {name: 1 for name in ("parameters", "segment_flops", "minutes", "steps", "by_itself_segments")}
    figures |= {
        "halting": "fixed",
        "by_itself": 0.5,
        "device": "cpu",
        "after": dict.fromkeys(["1", "2", "4", "8", "16"], 0.5),
    }
    found = [portrait.Portrait("gru", seed, {}, "the loss is nan") for seed in (0, 1)]
    found += [portrait.Portrait(agent, 2, figures) for agent in ("gru", "trm")]
    text = portrait.table(found, portrait.Conditions(ENV, steps=1))
    assert "\n| `gru` (1 of 3 seeds; 2 failed: the loss is nan) | `fixed` |" in text and "\n| `trm` | `fixed` |" in text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 0}, "give the budget"),
        ({"steps": -1}, "0 or more"),
        ({"seeds": 0}, "at least one"),
        ({"test-puzzles": 0}, "at least 1"),
        ({"out": ""}, "give a folder"),
        ({"env": "Sudoku5x5-v0"}, "Sudoku5x5"),
    ],
)
def test_it_refuses_in_one_line(compare, options, message):
    code, _, err = compare("gru", **options)
    assert code == 2 and message in err and err.count("\n") == 1


def test_a_misspelt_agent_costs_nothing(compare, tmp_path):
    code, _, err = compare("gru", "grv")
    assert code == 2 and "gru" in err and not list(tmp_path.iterdir())


@pytest.mark.slow
def test_several_runs_at_once_come_to_the_same(compare, tmp_path):
    pytest.importorskip("ray")
    code, out, err = compare("gru", "own_doors:own_gru", seeds=2, out=tmp_path / "many", **{"at-once": 2})
    assert code == 0, err
    assert "4 runs, 2 at a time" in out and "(4 of 4)" in out
    compare("gru", "own_doors:own_gru", seeds=2, out=tmp_path / "one")
    many, one = (json.loads((tmp_path / name / "result.json").read_text())["runs"] for name in ("many", "one"))
    assert [(run["agent"], run["seed"]) for run in many] == [(run["agent"], run["seed"]) for run in one]
    for ours, theirs in zip(many, one, strict=True):
        assert ours["figures"]["steps"] == theirs["figures"]["steps"] == 4 and ours["figures"]["parameters"] > 0


def test_without_ray_several_at_once_are_refused_before_anything_begins(compare, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    code, _, err = compare("gru", **{"at-once": 2})
    assert code == 2 and "hrm-gym[ray]" in err and err.count("\n") == 1 and not list(tmp_path.iterdir())
    code, _, err = compare("gru", **{"at-once": 0})
    assert code == 2 and "at least 1" in err and err.count("\n") == 1
