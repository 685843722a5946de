"""Agents sent to the hub and fetched from it; the hub is a folder here, and no network is asked."""

import json
import shutil
import sys
import types
from pathlib import Path

import pytest
import torch
from loop import tiny
from PIL import Image

import hrm_gym
from hrm_gym.agents import Policy, TaskSpec
from hrm_gym.agents.saved.build import build
from hrm_gym.agents.saved.checkpoint import load
from hrm_gym.agents.saved.sources import pretrained_path, shipped
from hrm_gym.agents.training.run import train
from hrm_gym.errors import HrmGymError


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A short run, and what its result says."""
    folder = tmp_path_factory.mktemp("runs") / "first"
    config = tiny(max_steps=4, eval_steps=2, eval_puzzles=8, test_puzzles=16, num_envs=4)
    return folder, train(config, folder)


@pytest.fixture
def hrm_gym_cli(request):
    """The command line, where the package itself has its own name."""
    return request.getfixturevalue("hrm_gym")


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A folder under the two names of the library's that we use, with the library's own arguments."""
    place = tmp_path / "hub"

    class HfApi:
        def create_repo(self, repo_id, *, private=None, exist_ok=False):
            (place / repo_id).mkdir(parents=True, exist_ok=exist_ok)
            (place / repo_id / "private").write_text(str(private))
            return f"https://huggingface.co/{repo_id}"

        def upload_folder(self, *, repo_id, folder_path, commit_message=None):
            shutil.copytree(folder_path, place / repo_id, dirs_exist_ok=True)

    def snapshot_download(repo_id, *, revision=None, local_dir=None, allow_patterns=None):
        found = place / (repo_id if revision is None else f"{repo_id}@{revision}")
        if not found.is_dir():
            raise FileNotFoundError(f"404: {repo_id}\nat {revision}")
        if local_dir is None:
            return str(found)
        for name in allow_patterns:
            if (found / name).is_file():
                shutil.copy(found / name, Path(local_dir) / name)
        return str(local_dir)

    library = types.ModuleType("huggingface_hub")
    library.HfApi, library.snapshot_download = HfApi, snapshot_download
    monkeypatch.setitem(sys.modules, "huggingface_hub", library)
    return place


def test_there_and_back(hrm_gym, finished, hub, tmp_path):
    folder, result = finished
    code, out, _ = hrm_gym("upload", folder, "--to", "me/tiny", "--private", "--license", "mit")
    assert code == 0 and out == "https://huggingface.co/me/tiny\nuse it: --checkpoint hf:me/tiny\n"
    sent = hub / "me" / "tiny"
    assert (sent / "private").read_text() == "True" and json.loads((sent / "result.json").read_text()) == result
    evaluated = []
    for checkpoint in (folder, "hf:me/tiny"):
        code, out, err = hrm_gym("evaluate", "--checkpoint", checkpoint, "--limit", 16, "--json", "--device", "cpu")
        assert code == 0, err
        evaluated.append(json.loads(out))
    assert evaluated[0]["num_parameters"] == evaluated[1]["num_parameters"]
    # The averaged weights travel in bfloat16.
    assert abs(evaluated[0]["cell_accuracy"] - evaluated[1]["cell_accuracy"]) < 0.05
    code, out, _ = hrm_gym("download", "me/tiny", "--out", tmp_path / "mine")
    assert code == 0 and "hrm for Sudoku4x4-v0" in out
    assert sorted(path.name for path in (tmp_path / "mine").iterdir()) == [
        "README.md",
        "checkpoint.safetensors",
        "replay.gif",
        "result.json",
    ]
    assert hrm_gym("evaluate", "--checkpoint", tmp_path / "mine", "--limit", 8)[0] == 0


def test_a_revision_is_asked_for(hrm_gym, finished, hub):
    hrm_gym("upload", finished[0], "--to", "me/tiny")
    shutil.move(hub / "me" / "tiny", hub / "me" / "tiny@v1")
    assert hrm_gym("evaluate", "--checkpoint", "hf:me/tiny@v1", "--limit", 8)[0] == 0
    code, _, err = hrm_gym("evaluate", "--checkpoint", "hf:me/tiny", "--limit", 8)
    assert code == 2 and "404: me/tiny" in err and err.count("\n") == 1


def test_the_card_has_metadata_that_the_hub_reads(hrm_gym, finished, tmp_path):
    import yaml

    folder, result = finished
    assert hrm_gym("upload", folder, "--to", "me/tiny", "--folder", tmp_path / "sent")[0] == 0  # needs no library
    head, body = (tmp_path / "sent" / "README.md").read_text().split("---\n")[1:]
    facts = yaml.safe_load(head)
    assert facts["library_name"] == "hrm-gym" and {"hrm", "Sudoku4x4-v0"} <= set(facts["tags"])
    assert "license" not in facts
    (figures,) = facts["model-index"][0]["results"]
    assert figures["metrics"][0]["value"] == pytest.approx(result["exact_accuracy"], abs=1e-4)
    assert (
        body.startswith("\n![")
        and "\n# Sudoku4x4-v0: hrm" in body
        and "--checkpoint hf:me/tiny" in body
        and str(folder) not in body
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("upload", "nowhere", "--to", "me/tiny"), "no run at"),
        (("download", "tiny", "--out", "OUT"), "OWNER/NAME"),
        (("download", "me/tiny/more", "--out", "OUT"), "OWNER/NAME"),
        (("evaluate", "--checkpoint", "hf:me/none"), "404"),
    ],
)
def test_bad_input_is_one_line(hrm_gym, hub, tmp_path, arguments, words):
    code, _, err = hrm_gym(*(tmp_path / "out" if word == "OUT" else word for word in arguments))
    assert code == 2 and words in err and err.count("\n") == 1


def test_without_the_library_one_line_says_what_to_install(hrm_gym, finished, monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    for arguments in (("upload", finished[0], "--to", "me/tiny"), ("evaluate", "--checkpoint", "hf:me/tiny")):
        code, _, err = hrm_gym(*arguments)
        assert code == 2 and 'pip install "hrm-gym[hub]"' in err and err.count("\n") == 1


def test_from_python_and_back(finished, hub, tmp_path):
    folder, _ = finished
    policy = Policy.from_pretrained(folder, device="cpu")
    assert policy.push_to_hub("me/small", license="mit") == "https://huggingface.co/me/small"
    card = (hub / "me" / "small" / "README.md").read_text()
    assert 'license: "mit"' in card and "## Licence" in card and "](replay.gif)" in card
    with Image.open(hub / "me" / "small" / "replay.gif") as film:
        assert film.n_frames > 2 and film.width > 100
    again = Policy.from_pretrained("me/small", device="cpu")
    assert (again.name, again.num_parameters) == (policy.name, policy.num_parameters)
    for name, tensor in again.state_dict().items():
        torch.testing.assert_close(tensor, policy.state_dict()[name].bfloat16().to(tensor))
    assert hrm_gym.download("me/small", tmp_path / "mine") == tmp_path / "mine"
    assert hrm_gym.upload(tmp_path / "mine", "me/copy") and (hub / "me" / "copy" / "result.json").is_file()


def test_one_command_publishes_all_shipped_agents_under_the_names_by_which_they_are_loaded(hrm_gym_cli, hub):
    code, _, err = hrm_gym_cli("upload", "pretrained")
    assert code == 0, err
    assert sorted(path.name for path in (hub / "hrm-gym").iterdir()) == shipped() and len(shipped()) >= 5
    sent = hub / "hrm-gym" / "Sudoku4x4-v0"
    assert 'license: "mit"' in (sent / "README.md").read_text() and "| headline |" in (sent / "README.md").read_text()
    assert load(sent).part("ema").keys() == load(pretrained_path("Sudoku4x4-v0")).part("ema").keys()
    shutil.rmtree(hub)  # ours ship with the package: nothing is downloaded
    for source in ("hrm-gym/Sudoku4x4-v0", "Sudoku4x4-v0", "pretrained:Sudoku4x4-v0"):
        assert Policy.from_pretrained(source, device="cpu").source == pretrained_path("Sudoku4x4-v0")


def test_a_policy_made_in_a_program_says_that_it_has_no_file(hub):
    policy = build(tiny(), TaskSpec.of(hrm_gym.make_task("Sudoku4x4-v0")))
    with pytest.raises(HrmGymError, match="not loaded from a file"):
        policy.push_to_hub("me/none")
    with pytest.raises(HrmGymError, match="OWNER/NAME"):
        hrm_gym.upload("pretrained:Sudoku4x4-v0", "one-word")
