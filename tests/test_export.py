"""What is made of runs: a shippable file with its card, a picture of their curves."""

import json
import shutil

import pytest
from loop import tiny
from PIL import Image

import hrm_gym as package
from hrm_gym.agents.saved.card import command
from hrm_gym.agents.saved.checkpoint import load
from hrm_gym.agents.training.run import train
from hrm_gym.cli.train import run as train_command


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A short run, and what its result says."""
    folder = tmp_path_factory.mktemp("runs") / "first"
    config = tiny(max_steps=6, eval_steps=2, eval_puzzles=8, test_puzzles=16, num_envs=4, seed=3)
    return folder, train(config, folder)


def test_version(hrm_gym):
    assert hrm_gym("--version") == (0, f"hrm-gym {package.__version__}\n", "")


def test_an_export_can_be_evaluated_and_its_card_says_what_the_result_says(hrm_gym, finished, tmp_path):
    folder, result = finished
    out = tmp_path / "agent.safetensors"
    code, _, _ = hrm_gym("export", folder, "--out", out)
    assert code == 0
    code, printed, _ = hrm_gym("evaluate", "--env", "Sudoku4x4-v0", "--checkpoint", out, "--limit", 16, "--json")
    assert code == 0 and json.loads(printed)["num_parameters"] == result["num_parameters"]
    card = out.with_suffix(".md").read_text()
    assert f"{100 * result['exact_accuracy']:.1f} %" in card and f"{result['num_parameters']:,}" in card
    assert card.count("\n| 0.") == len(result["training"]["validation_curve"]) == 3
    assert str(folder) not in card


def test_weights_that_were_trained_on_are_not_exported_with_the_score_of_before(hrm_gym, finished, tmp_path):
    folder, result = finished
    shutil.copytree(folder, tmp_path / "longer")
    older = result | {"training": result["training"] | {"steps": 4}}
    (tmp_path / "longer" / "result.json").write_text(json.dumps(older))
    code, _, error = hrm_gym("export", tmp_path / "longer", "--out", tmp_path / "agent.safetensors")
    assert code == 2 and "weights of step 6, and its result.json is of step 4: finish it" in error


def test_the_cards_command_trains_the_same_agent(finished, tmp_path):
    saved = load(finished[0])
    words = command(saved).split()
    assert words[:2] == ["hrm-gym", "train"] and "--max-steps" in words and "--hidden-size" in words
    arguments = [*words[2:], "--device", "cpu", "--dtype", "float32", "--run-dir", str(tmp_path / "again")]
    assert train_command(arguments) == 0
    again = load(tmp_path / "again")
    assert again.config.agent_options == saved.config.agent_options
    assert all((tensor == again.part("ema")[name]).all() for name, tensor in saved.part("ema").items())


def test_curves_of_runs_finished_or_not(hrm_gym, finished, tmp_path):
    folder, _ = finished
    going_on = tmp_path / "second"
    going_on.mkdir()
    (going_on / "checkpoint.safetensors").write_bytes((folder / "checkpoint.safetensors").read_bytes())
    out = tmp_path / "curves.png"
    code, printed, _ = hrm_gym("plot", folder, going_on, "--out", out, "--along", "steps")
    assert code == 0 and "first" in printed and "second" in printed
    assert Image.open(out).width > 800


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("export", "nowhere", "--out", "a.safetensors"), "no run at"),
        (("export", "nowhere", "--out", "a.bin"), ".safetensors"),
        (("plot", "nowhere"), "nowhere"),
        (("plot", "nowhere", "--out", "curves.jpg"), ".png, .svg, .pdf"),
    ],
)
def test_bad_input_is_one_line(hrm_gym, arguments, words):
    code, _, error = hrm_gym(*arguments)
    assert code == 2 and words in error and error.count("\n") == 1
