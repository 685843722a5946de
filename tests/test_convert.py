"""Checkpoints of the reference repositories, as files of their own form, become agents that give their outputs."""

import json
import pickle

import numpy as np
import pytest
import torch
from test_parity import FILES, arrays, relative_error

import hrm_gym
from hrm_gym.cli import main
from hrm_gym.errors import HrmGymError

ENVS = {9: "Latin3x3-v0", 16: "Sudoku4x4-v0"}
PREFIXES = ["model.inner.", "_orig_mod.model.inner.", "inner."]


def theirs(folder, path, prefix, wrap=False):
    """A case of the parity vectors as the files that the repository's training writes."""
    data = np.load(path)
    config = json.loads(str(data["config"]))
    named = {
        key.removeprefix("weights/inner."): torch.from_numpy(data[key]) for key in data.files if "weights/" in key[:8]
    }
    state = {prefix + name: tensor for name, tensor in named.items()}
    state |= {f"{prefix}rotary_emb.cos_cached": torch.zeros(3), f"{prefix}puzzle_emb.local_ids": torch.zeros(2)}
    folder.mkdir(exist_ok=True)
    torch.save({"model": state, "step": 3} if wrap else state, folder / "step_100.pt")
    arch = {name: config[name] for name in config if name not in ("kind", "seq_len", "vocab_size", "batch_size")}
    arch |= {"name": "hrm.hrm_act_v1@X", "loss": {"loss_type": "stablemax_cross_entropy"}}
    if config["kind"] == "trm":
        arch["no_ACT_continue"] = prefix != "inner."
    # YAML reads JSON.
    (folder / "all_config.yaml").write_text(json.dumps({"arch": arch, "lr": 1e-4}))
    return data, config


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_their_outputs(tmp_path, path, prefix, capsys):
    pytest.importorskip("yaml")
    data, config = theirs(tmp_path / "theirs", path, prefix, wrap=prefix == "inner.")
    env, identities = ENVS[config["seq_len"]], data["puzzle_identifiers"]
    embedded = config["puzzle_emb_ndim"] > 0
    inputs = data["inputs"]
    assert (inputs > 0).all()  # their padding is no token of a board
    expected = arrays(data, config, torch.float64)  # test_parity holds them against the repositories' own numbers
    ours = {}  # what every slot gives, put together from an agent for each puzzle embedding
    for puzzle in sorted(set(identities.tolist())) if embedded else [0]:
        out = tmp_path / f"{puzzle}.safetensors"
        command = ["convert", str(tmp_path / "theirs" / "step_100.pt"), "--out", str(out), "--env", env]
        assert main([*command, "--puzzle", str(puzzle)]) == 0
        policy = hrm_gym.load_agent(env, out, "cpu")
        policy.agent.to(torch.float64)
        policy.agent.dtype = torch.float64
        rows = np.flatnonzero(identities == puzzle) if embedded else np.arange(len(identities))
        state = policy.initial_state(len(rows))
        for step in range(config["halt_max_steps"]):
            with torch.no_grad():
                state, output, signals = policy(state, {"puzzle": torch.from_numpy(inputs[rows]).long() - 1})
            for name, value in {"logits": output.logits, **signals}.items():
                key = name if name == "logits" else f"{name}_logits"
                whole = expected[f"step{step}/{key}"]
                whole = whole[..., 1:] if name == "logits" else whole
                ours.setdefault((step, name), (torch.full_like(whole, torch.nan), whole))[0][rows] = value.to(whole)
    assert {name for _, name in ours} >= {"logits", "q_halt"}
    assert ("q_continue" in {name for _, name in ours}) == (config["kind"] == "hrm" or prefix == "inner.")
    for (step, name), (value, whole) in ours.items():
        assert (error := relative_error(value, whole)) < 1e-6, f"segment {step}, {name}: {error:.1e}"
    assert "hrm-gym evaluate --checkpoint" in capsys.readouterr().out


@pytest.fixture
def folder(tmp_path):
    path = next(path for path in FILES if path.stem == "small_hrm_rope")
    theirs(tmp_path / "theirs", path, "_orig_mod.model.inner.")
    return tmp_path / "theirs"


def test_a_pickle_given_as_a_checkpoint_says_what_to_do(folder, capsys):
    file = folder / "step_100.pt"
    with pytest.raises(HrmGymError, match=r"PyTorch pickle.*hrm-gym convert .*step_100\.pt --out"):
        hrm_gym.load_agent("Sudoku4x4-v0", file)
    assert main(["evaluate", "--env", "Sudoku4x4-v0", "--checkpoint", str(file)]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_without_their_yaml_the_sizes_are_asked_for(folder, capsys):
    command = ["convert", str(folder), "--out", str(folder / "a.safetensors"), "--env", "Latin3x3-v0"]
    (folder / "all_config.yaml").rename(folder.parent / "other.yaml")
    assert main(command) == 2
    assert "--h-cycles, --l-cycles, --num-heads" in capsys.readouterr().err
    assert main([*command, "--config", str(folder.parent / "other.yaml")]) == 0
    sizes = ["--h-cycles", "2", "--l-cycles", "2", "--num-heads", "2", "--overwrite"]
    assert main([*command, *sizes]) == 0


class Evil:
    def __reduce__(self):
        return open, ("imported", "w")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.write_bytes(b"no file of torch"), "cannot be read as tensors alone"),
        (lambda f: f.write_bytes(pickle.dumps({"lm_head.weight": Evil()})), "cannot be read as tensors alone"),
        (lambda f: torch.save(Evil(), f), "cannot be read as tensors alone"),
        (lambda f: torch.save({"a": torch.zeros(2)}, f), "holds no tensors of HRM or TRM"),
        (lambda f: torch.save([1, 2], f), "holds no tensors of HRM or TRM"),
        (lambda f: f.write_bytes(f.read_bytes()[:-100]), "cannot be read as tensors alone"),
        (lambda f: (f.parent / "all_config.yaml").write_text("arch: [1"), "cannot read"),
        (lambda f: (f.parent / "all_config.yaml").write_text("3"), "no field 'arch'"),
        (
            lambda f: (f.parent / "all_config.yaml").write_text("arch: {H_cycles: x, L_cycles: 2, num_heads: 2}"),
            "h_cycles",
        ),
        (
            lambda f: (f.parent / "all_config.yaml").write_text("arch: {H_cycles: 2, L_cycles: 2, num_heads: 3}"),
            "heads",
        ),
        (
            lambda f: (f.parent / "all_config.yaml").write_text(
                "arch: {H_cycles: 2, L_cycles: 2, num_heads: 2, rope_theta: 5}"
            ),
            "rope_theta 5",
        ),
        (lambda f: f.unlink(), "no file at"),
    ],
)
def test_what_does_not_fit_is_one_line(folder, change, message, capsys, monkeypatch):
    monkeypatch.chdir(folder)
    change(folder / "step_100.pt")
    out = folder / "a.safetensors"
    assert main(["convert", str(folder / "step_100.pt"), "--out", str(out), "--env", "Latin3x3-v0"]) == 2
    error = capsys.readouterr().err
    assert message in error and len(error.splitlines()) == 1
    assert not out.exists() and not (folder / "imported").exists()


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--env", "Sudoku9x9-v0"], "has 5 tokens, and Sudoku9x9-v0 10 and padding"),
        ([], "has 5 tokens, and 11 (SudokuExtreme-v0), 6 (MazeHard-v0) are known: give --env"),
        (["--env", "Latin3x3-v0", "--puzzle", "3"], "give --puzzle 0 to 2"),
    ],
)
def test_another_environment_is_reported(folder, more, message, capsys):
    assert main(["convert", str(folder / "step_100.pt"), "--out", str(folder / "a.safetensors"), *more]) == 2
    assert message in capsys.readouterr().err
