"""Faithfulness: with the reference implementations' weights, our models give the reference's numbers.

One test a file: every `.npz` in `tests/data`, and in the folder that the variable PARITY_DIR names.
"""

import json
import os
from pathlib import Path

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

TOLERANCE = 1e-3
FOLDERS = [Path(__file__).parent / "data"] + [Path(f) for f in [os.environ.get("PARITY_DIR", "")] if f]
FILES = sorted({path.name: path for folder in FOLDERS for path in folder.glob("*.npz")}.values())


def relative_error(ours: torch.Tensor, theirs: np.ndarray) -> float:
    ours, expected = ours.detach().double(), torch.from_numpy(np.asarray(theirs)).double()
    assert ours.shape == expected.shape
    return ((ours - expected).norm() / expected.norm().clamp(min=1e-12)).item()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_parity(path: Path) -> None:
    data = np.load(path)
    reference = json.loads(str(data["config"]))
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

    batch = reference["batch_size"]
    policy.halting.begin(batch, reference["halt_max_steps"], torch.device("cpu"))
    solution = torch.from_numpy(data["labels"]).long()
    identities = torch.from_numpy(data["puzzle_identifiers"]).long()
    obs = {"puzzle": torch.from_numpy(data["inputs"]).long(), "puzzle_id": identities}
    state = policy.initial_state(batch)
    compared = set()

    def compare(key: str, value: torch.Tensor) -> None:
        error = relative_error(value, data[key])
        assert error <= TOLERANCE, f"{key}: relative error {error:.1e}"
        compared.add(key)

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
            compare(f"{at}/target_q_continue", policy.halting.continue_target(experience))
            halting_loss = policy.halting.loss(experience).sum()
            compare(f"{at}/q_continue_loss", halting_loss - halt_loss)
        answer = answer_loss(output.logits, solution, "stablemax").sum()
        total = answer + config.halt_weight * halting_loss
        total.backward()
        compare(f"{at}/logits", output.logits)
        compare(f"{at}/q_halt_logits", signals["q_halt"])
        compare(f"{at}/q_continue_logits", signals["q_continue"])
        compare(f"{at}/z_H", state.z_h)
        compare(f"{at}/z_L", state.z_l)
        compare(f"{at}/lm_loss", answer)
        compare(f"{at}/q_halt_loss", halt_loss)
        compare(f"{at}/loss", total)
        parameters = dict(policy.named_parameters())
        for key in data.files:
            if key.startswith(f"{at}/grad/"):
                name = our_name(key.removeprefix(f"{at}/grad/").removeprefix("inner."), kind)
                gradient = parameters[name].grad
                gradient = gradient.to_dense() if gradient is not None and gradient.is_sparse else gradient
                assert gradient is not None, name
                if key.endswith("puzzle_emb.rows"):  # the reference keeps one row for each slot of the batch
                    rows = torch.zeros_like(gradient)
                    rows.index_add_(0, identities, torch.from_numpy(data[key]))
                    error = ((gradient - rows).norm() / rows.norm()).item()
                    assert error <= TOLERANCE, f"{key}: relative error {error:.1e}"
                    compared.add(key)
                else:
                    compare(key, gradient)
    bookkeeping = {f"step{s}/{name}" for s in range(reference["halt_max_steps"]) for name in ("halted", "steps")}
    inputs = {"config", "inputs", "labels", "puzzle_identifiers"}
    untested = {k for k in data.files if not k.startswith("weights/")} - compared - bookkeeping - inputs
    assert not untested, f"arrays that no assertion looked at: {sorted(untested)}"
