"""Faithfulness: with the reference implementations' weights, our models give the reference's numbers.

One test a file: every `.npz` in `tests/data`, and in the folder that the variable PARITY_DIR names.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hrm_gym.agents.agent import TaskSpec
from hrm_gym.agents.halting.rule import Experience, halting_errors
from hrm_gym.agents.saved.build import build
from hrm_gym.agents.saved.presets import resolve
from hrm_gym.agents.saved.reference import our_name
from hrm_gym.agents.state import detach
from hrm_gym.agents.training.losses import answer_loss

TOLERANCE = 1e-4
"""Relative error of our arrays, computed in float64."""
AMBIGUITY = 3.0
"""Where rounding decides: how many times the distance of our own float32 arrays the reference's may be away."""
FOLDERS = [Path(__file__).parent / "data"] + [Path(f) for f in [os.environ.get("PARITY_DIR", "")] if f]
FILES = sorted({path.name: path for folder in FOLDERS for path in folder.glob("*.npz")}.values())


def relative_error(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    ours, expected = ours.detach().double(), theirs.detach().double()
    assert ours.shape == expected.shape
    return ((ours - expected).norm() / expected.norm().clamp(min=1e-12)).item()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_parity(path: Path) -> None:
    data = np.load(path)
    reference = json.loads(str(data["config"]))
    exact, rounded = (arrays(data, reference, dtype) for dtype in (torch.float64, torch.float32))
    for key, value in exact.items():
        # The reference computes in float32. What float32 leaves open, in a long recursion on random weights, shows in
        # ours, too.
        allowed = max(TOLERANCE, AMBIGUITY * relative_error(rounded[key], value))
        theirs = torch.from_numpy(np.asarray(data[key]))
        if key.endswith("puzzle_emb.rows"):  # of every slot; ours is the sum over the slots of a puzzle
            identities = torch.from_numpy(data["puzzle_identifiers"]).long()
            theirs = torch.zeros_like(value).index_add_(0, identities, theirs.to(value))
        error = relative_error(value, theirs)
        assert error <= allowed, f"{key}: relative error {error:.1e}, at most {allowed:.1e}"
    bookkeeping = {f"step{s}/{name}" for s in range(reference["halt_max_steps"]) for name in ("halted", "steps")}
    inputs = {"config", "inputs", "labels", "puzzle_identifiers"}
    untested = {k for k in data.files if not k.startswith("weights/")} - exact.keys() - bookkeeping - inputs
    assert not untested, f"arrays that no assertion looked at: {sorted(untested)}"


def arrays(data: Mapping[str, np.ndarray], reference: dict[str, Any], dtype: torch.dtype) -> dict[str, torch.Tensor]:
    """Our arrays by the reference's names; the agent computes in `dtype`."""
    kind = reference["kind"]
    has_puzzles = reference["puzzle_emb_ndim"] > 0
    options = {
        "env": "Sudoku4x4-v0",
        "agent": kind,
        # The reference keeps a head for the value of continuing in TRM, too, and trains it with nothing.
        "halting": "q_learning",
        "horizon": "look_ahead",
        "preset": "paper",
        "device": "cpu",
        "dtype": "float32",
        "hidden_size": reference["hidden_size"],
        "num_heads": reference["num_heads"],
        "expansion": float(reference["expansion"]),
        "mlp_multiple": 256,
        "h_cycles": reference["H_cycles"],
        "l_cycles": reference["L_cycles"],
        "mixer": "tokens" if reference.get("mlp_t") else "attention",
        "positions": reference["pos_encodings"],
        "prefix_tokens": reference.get("puzzle_emb_len", 1) if has_puzzles else 0,
        "max_segments": reference["halt_max_steps"],
    }
    sizes = {"h_layers": reference["H_layers"], "l_layers": reference["L_layers"]}
    config = resolve(options | (sizes if kind == "hrm" else {"layers": reference["L_layers"]}))
    num_identities = reference["num_puzzle_identifiers"] if has_puzzles else 0
    spec = TaskSpec(1, reference["seq_len"], reference["vocab_size"], num_identities)
    policy = build(config, spec)
    weights = {
        our_name(key.removeprefix("weights/inner."), kind): torch.from_numpy(data[key])
        for key in data.files
        if key.startswith("weights/")
    }
    policy.load_state_dict(weights, strict=True)
    policy.agent.to(dtype)
    policy.agent.dtype = dtype

    batch = reference["batch_size"]
    policy.halting.begin(batch, reference["halt_max_steps"], torch.device("cpu"))
    solution = torch.from_numpy(data["labels"]).long()
    identities = torch.from_numpy(data["puzzle_identifiers"]).long()
    obs = {"puzzle": torch.from_numpy(data["inputs"]).long(), "puzzle_id": identities}
    state = policy.initial_state(batch)
    found: dict[str, torch.Tensor] = {}
    for step in range(reference["halt_max_steps"]):
        at = f"step{step}"
        policy.zero_grad()
        state, output, signals = policy(state, obs)
        state = detach(state)

        def look_ahead(averaged, state=state):
            with torch.no_grad():
                return policy(state, obs)[2]

        right = (output.logits.argmax(-1) == solution).all(-1)
        experience = Experience(
            obs=obs,
            output=output,
            signals=signals,
            segment=torch.full((batch,), step + 1),
            halted=torch.zeros(batch, dtype=torch.bool),
            reward=torch.zeros(batch),
            ended=torch.zeros(batch, dtype=torch.bool),
            right=right,
            solution=solution,
            look_ahead=look_ahead,
        )
        halt_loss = halting_errors(experience).sum()
        halting_loss = halt_loss
        if kind == "hrm":
            found[f"{at}/target_q_continue"] = policy.halting.continue_target(experience)
            halting_loss = policy.halting.loss(experience).sum()
            found[f"{at}/q_continue_loss"] = halting_loss - halt_loss
        answer = answer_loss(output.logits, solution, "stablemax").sum()
        total = answer + config.halt_weight * halting_loss
        total.backward()
        found[f"{at}/logits"] = output.logits
        found[f"{at}/q_halt_logits"] = signals["q_halt"]
        found[f"{at}/q_continue_logits"] = signals["q_continue"]
        found[f"{at}/z_H"] = state.z_h
        found[f"{at}/z_L"] = state.z_l
        found[f"{at}/lm_loss"] = answer
        found[f"{at}/q_halt_loss"] = halt_loss
        found[f"{at}/loss"] = total
        parameters = dict(policy.named_parameters())
        for key in data.files:
            if key.startswith(f"{at}/grad/"):
                name = our_name(key.removeprefix(f"{at}/grad/").removeprefix("inner."), kind)
                gradient = parameters[name].grad
                gradient = gradient.to_dense() if gradient is not None and gradient.is_sparse else gradient
                assert gradient is not None, name
                found[key] = gradient
    return found
