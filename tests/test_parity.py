"""Faithfulness: with the reference implementations' weights, our models give the reference's numbers.

One test a file: every `.npz` in `tests/data`, and in the folder that the variable PARITY_DIR names.
"""

import json
import os
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from hrm_gym.agents.halting.targets import ExtraPass, bellman
from hrm_gym.agents.registry import build_reasoner
from hrm_gym.agents.training.config import Config
from hrm_gym.agents.training.losses import segment_losses

TOLERANCE = 1e-3
FOLDERS = [Path(__file__).parent / "data"] + [Path(f) for f in [os.environ.get("PARITY_DIR", "")] if f]
FILES = sorted({path.name: path for folder in FOLDERS for path in folder.glob("*.npz")}.values())

# The reference's names, rewritten to ours in this order.
RENAMES = [
    (r"^inner\.", ""),
    (r"embed_tokens\.embedding_weight", "embed_tokens.weight"),
    (r"embed_pos\.embedding_weight", "embed_positions.weight"),
    (r"puzzle_emb\.(weights|rows)", "embed_puzzle.weight"),
    (r"H_init", "h_init"),
    (r"L_init", "l_init"),
    (r"H_level", "h_net"),
    (r"self_attn\.qkv_proj", "attention.qkv"),
    (r"self_attn\.o_proj", "attention.out"),
    (r"mlp_t\.", "token_mixing."),
    (r"gate_up_proj", "gate_up"),
    (r"down_proj", "down"),
]


def our_name(name: str, kind: str) -> str:
    for pattern, replacement in [*RENAMES, ("L_level", "l_net" if kind == "hrm" else "net")]:
        name = re.sub(pattern, replacement, name)
    return name


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
    config = Config(
        agent=kind,
        hidden_size=reference["hidden_size"],
        num_heads=reference["num_heads"],
        expansion=reference["expansion"],
        mlp_multiple=256,
        h_layers=reference["H_layers"],
        l_layers=reference["L_layers"],
        h_cycles=reference["H_cycles"],
        l_cycles=reference["L_cycles"],
        mixer="tokens" if reference.get("mlp_t") else "attention",
        positions=reference["pos_encodings"],
        prefix_tokens=reference.get("puzzle_emb_len", 1) if has_puzzles else 0,
        num_puzzles=reference["num_puzzle_identifiers"] if has_puzzles else 0,
        halting="q_learning" if kind == "hrm" else "halt_only",
        max_segments=reference["halt_max_steps"],
        dtype="float32",
    )
    model = build_reasoner(config, reference["vocab_size"], (1, reference["seq_len"]))
    weights = {
        our_name(key.removeprefix("weights/"), kind): torch.from_numpy(data[key])
        for key in data.files
        if key.startswith("weights/")
    }
    model.load_state_dict(weights, strict=True)

    batch = reference["batch_size"]
    solution = torch.from_numpy(data["labels"]).long()
    identities = torch.from_numpy(data["puzzle_identifiers"]).long()
    obs = {"puzzle": torch.from_numpy(data["inputs"]).long(), "puzzle_id": identities}
    carry = model.initial_carry(batch)
    compared = set()

    def compare(key: str, value: torch.Tensor) -> None:
        error = relative_error(value, data[key])
        assert error <= TOLERANCE, f"{key}: relative error {error:.1e}"
        compared.add(key)

    for step in range(reference["halt_max_steps"]):
        at = f"step{step}"
        model.zero_grad()
        carry, out = model(carry, obs)
        keep_on = None
        if kind == "hrm":
            segment = torch.full((batch,), step + 1)
            with torch.no_grad():
                _, following = model(carry, obs)
            last = segment >= reference["halt_max_steps"]
            compare(f"{at}/target_q_continue", bellman(following.q_halt, following.q_continue, last))
            keep_on = ExtraPass(config, torch.device("cpu"), model).loss(carry, obs, out, segment)
        right = (out.logits.argmax(-1) == solution).all(-1)
        losses = segment_losses(out, solution, right, keep_on, "stablemax")
        total = losses.total(config.halt_weight)
        total.backward()
        compare(f"{at}/logits", out.logits)
        compare(f"{at}/q_halt_logits", out.q_halt)
        compare(f"{at}/q_continue_logits", out.q_continue)
        compare(f"{at}/z_H", carry.z_h)
        compare(f"{at}/z_L", carry.z_l)
        compare(f"{at}/lm_loss", losses.answer)
        compare(f"{at}/q_halt_loss", losses.halt)
        if kind == "hrm":
            compare(f"{at}/q_continue_loss", losses.keep_on)
        compare(f"{at}/loss", total)
        parameters = dict(model.named_parameters())
        for key in data.files:
            if key.startswith(f"{at}/grad/"):
                name = our_name(key.removeprefix(f"{at}/grad/"), kind)
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
