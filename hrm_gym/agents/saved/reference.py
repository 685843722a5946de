"""Conversion of checkpoints of HRM (sapientinc/HRM) and TRM (SamsungSAILMontreal/TinyRecursiveModels).

Such a checkpoint holds pickled tensors by name; a YAML file beside it holds the sizes. Token 0 is padding and never
occurs on a Sudoku or maze, so its embedding and its logit are dropped. All these puzzles share one learned embedding
before the board, which becomes the agent's `learned_prefix`.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from hrm_gym.agents.agent import TaskSpec
from hrm_gym.agents.saved.checkpoint import Checkpoint, compare_weights
from hrm_gym.agents.saved.presets import resolve
from hrm_gym.envs.registration import make_task
from hrm_gym.errors import HrmGymError, extra, first_line
from hrm_gym.files import is_file, is_folder

CONFIG = "all_config.yaml"
BY_VOCABULARY = {11: "SudokuExtreme-v0", 6: "MazeHard-v0"}
"""The environment by its number of tokens, including padding."""
_MOST_NESTED = 3


class Reference(NamedTuple):
    """The contents of a reference checkpoint."""

    weights: dict[str, Tensor]
    """Tensors by name, without prefixes of wrappers: "H_level.layers.0.mlp.down_proj.weight"."""
    sizes: dict[str, Any]
    """The fields of `arch` in the YAML file."""


# Replacements from reference names to our names, applied in this order.
RENAMES = [
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


def our_name(name: str, agent: str) -> str:
    """Our name for a reference tensor in `agent`, "hrm" or "trm"."""
    for pattern, replacement in [*RENAMES, ("L_level", "l_net" if agent == "hrm" else "net")]:
        name = re.sub(pattern, replacement, name)
    return re.sub("^q_head", "halting.head", name) if name.startswith("q_head") else f"agent.{name}"


def read(path: Path, config: Path | None = None, **sizes: Any) -> Reference:
    """Read a reference checkpoint; only tensors are unpickled.

    Args:
        path: the file, or a folder with one such file.
        config: the YAML file; by default the one beside the checkpoint.
        **sizes: sizes that override the YAML file.

    Raises:
        HrmGymError: if the file is missing or of another kind, or holds more than tensors.
    """
    if is_folder(path):
        files = [one for one in sorted(path.iterdir()) if one.suffix in (".pt", ".pth", "") and is_file(one)]
        if len(files) != 1:
            raise HrmGymError(f"{path} holds {len(files)} files that may be a checkpoint: name one of them")
        path = files[0]
    if not is_file(path):
        raise HrmGymError(f"no file at {path}: give a checkpoint of the HRM or TRM repository")
    try:
        saved = torch.load(path, map_location="cpu", weights_only=True, mmap=False)
    except Exception as error:  # torch raises many types of errors for foreign and damaged files
        raise HrmGymError(
            f"{path} cannot be read as tensors alone ({first_line(error)[:120]}): give a whole state_dict, saved by "
            "torch.save; files that run code on loading are not opened"
        ) from None
    weights = _unwrapped(saved, path)
    return Reference(weights, {**_yaml(path, config), **{k: v for k, v in sizes.items() if v}})


def _unwrapped(saved: Any, path: Path) -> dict[str, Tensor]:
    """The tensors of the inner model by name, without wrappers of compilation, data parallelism or training."""
    for _ in range(_MOST_NESTED):
        if not isinstance(saved, Mapping):
            break
        tensors = {str(name): value for name, value in saved.items() if isinstance(value, Tensor)}
        found = {re.sub(r"^((_orig_mod|module|model|inner)\.)*", "", name): value for name, value in tensors.items()}
        found = {name: t for name, t in found.items() if not re.search(r"rotary_emb|local_(weights|ids)$", name)}
        if {"lm_head.weight", "embed_tokens.embedding_weight", "q_head.weight"} <= set(found):
            return found
        names = ("model", "state_dict", "model_state_dict", "ema", "params")
        saved = next((saved[name] for name in names if name in saved), None)
    raise HrmGymError(
        f"{path} holds no tensors of HRM or TRM by their names (lm_head, embed_tokens, q_head): give a checkpoint of "
        "one of the two repositories"
    )


def _yaml(path: Path, config: Path | None) -> dict[str, Any]:
    place = config or path.parent / CONFIG
    if not is_file(place):
        if config is not None:
            raise HrmGymError(f"no file at {config}: give their {CONFIG}")
        return {}
    yaml = extra("yaml", "hub", f"reading {place}", "give --h-cycles, --l-cycles and --num-heads")
    try:
        content = yaml.safe_load(place.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, RecursionError, yaml.YAMLError) as error:
        raise HrmGymError(f"cannot read {place} ({first_line(error)}): give their whole {CONFIG}") from None
    arch = content.get("arch", content) if isinstance(content, dict) else None
    if not isinstance(arch, dict):
        raise HrmGymError(f"{place} has no field 'arch': give their whole {CONFIG}")
    return {str(name): value for name, value in arch.items()}


# ---- conversion ------------------------------------------------------------------------------------------


def convert(reference: Reference, env: str = "", puzzle: int = 0, place: str = "the checkpoint") -> Checkpoint:
    """An agent that computes the same as the reference.

    Args:
        reference: the checkpoint, from `read`.
        env: the environment; empty: chosen by the number of tokens.
        puzzle: index of the puzzle embedding to use.
        place: name of the checkpoint in errors.

    Raises:
        HrmGymError: if the environment does not match, or our network lacks a part of the reference.
    """
    weights, sizes = dict(reference.weights), reference.sizes
    vocabulary, hidden = weights["embed_tokens.embedding_weight"].shape
    env = env or _env_of(vocabulary, place)
    task = make_task(env)
    if task.num_identities:
        raise HrmGymError(
            f"{place} numbers the puzzles of its own data set, and {env} numbers them differently: agents of ARC "
            "cannot be converted"
        )
    if vocabulary != task.num_tokens + 1:
        raise HrmGymError(f"{place} has {vocabulary} tokens, and {env} {task.num_tokens} and padding: give its --env")
    agent = "hrm" if any(name.startswith("H_level") for name in weights) else "trm"
    options = _options(weights, sizes, agent, place) | {"env": env, "hidden_size": hidden}
    row = weights.pop("puzzle_emb.weights", None)
    if row is not None:
        options["prefix_tokens"] = _prefix(weights, sizes, agent, row, hidden, task.num_cells, place)
        options["learned_prefix"] = True
        if not 0 <= puzzle < len(row):
            raise HrmGymError(f"{place} has {len(row)} puzzle embeddings: give --puzzle 0 to {len(row) - 1}")
    else:
        options["prefix_tokens"] = 0
    for name in ("embed_tokens.embedding_weight", "lm_head.weight"):
        weights[name] = weights[name][1:]  # drop padding
    if options["halting"] == "classifier":  # the output for the value of continuing is untrained
        weights |= {name: weights[name][:1] for name in ("q_head.weight", "q_head.bias")}
    ours = {our_name(name, agent): tensor.float().contiguous() for name, tensor in weights.items()}
    if row is not None:
        prefix = torch.zeros(options["prefix_tokens"] * hidden)
        prefix[: row.shape[1]] = row[puzzle].float()
        ours["agent.prefix"] = prefix.view(-1, hidden)
    config = resolve(options)
    spec = TaskSpec.of(task)
    compare_weights(ours, config, spec, place)
    tensors = {f"ema/{name}": tensor for name, tensor in ours.items()}
    return Checkpoint(config, spec, {"step": 0, "seconds": 0.0, "source": f"{agent} of the reference"}, tensors)


def _env_of(vocabulary: int, place: str) -> str:
    if vocabulary not in BY_VOCABULARY:
        known = ", ".join(f"{num} ({env})" for num, env in BY_VOCABULARY.items())
        arc = "; agents of ARC, with 12, cannot be converted" if vocabulary == 12 else ""
        raise HrmGymError(f"{place} has {vocabulary} tokens, and {known} are known{arc}: give --env")
    return BY_VOCABULARY[vocabulary]


def _options(weights: Mapping[str, Tensor], sizes: Mapping[str, Any], agent: str, place: str) -> dict[str, Any]:
    """The options of our agent that correspond to the reference's sizes."""
    for name, usual in (("rms_norm_eps", 1e-5), ("rope_theta", 10_000.0)):
        if float(_number(sizes.get(name, usual), name, place)) != usual:
            raise HrmGymError(f"{place} has {name} {sizes[name]}, and our networks {usual:g}: it cannot be converted")
    mixes_tokens = any(".mlp_t." in name for name in weights)
    needed = ["H_cycles", "L_cycles", *(() if mixes_tokens else ("num_heads",))]
    missing = [name for name in needed if name not in sizes]
    if missing:
        flags = ", ".join("--" + name.lower().replace("_", "-") for name in missing)
        raise HrmGymError(f"{place} does not say {', '.join(missing)}: put {CONFIG} beside it, or give {flags}")
    layers = {
        level: len({name.split(".")[2] for name in weights if name.startswith(f"{level}.layers.")})
        for level in ("H_level", "L_level")
    }
    positions = "learned" if "embed_pos.embedding_weight" in weights else sizes.get("pos_encodings", "rope")
    no_rope = mixes_tokens or positions not in ("rope", "learned")
    classifies = agent == "trm" and sizes.get("no_ACT_continue", True)
    loss = sizes.get("loss", {})
    options = {
        "agent": agent,
        "halting": "classifier" if classifies else "q_learning",
        "preset": "paper",
        "device": "cpu",
        "dtype": "float32" if sizes.get("forward_dtype") == "float32" else "bfloat16",
        "loss": "softmax" if "softmax_cross" in str(loss) and "stablemax" not in str(loss) else "stablemax",
        "expansion": float(_number(sizes.get("expansion", 4), "expansion", place)),
        "mlp_multiple": 256,
        "mixer": "tokens" if mixes_tokens else "attention",
        "positions": "none" if no_rope and positions != "learned" else positions,
        "max_segments": sizes.get("halt_max_steps", 16),
        "h_cycles": sizes["H_cycles"],
        "l_cycles": sizes["L_cycles"],
        "num_heads": sizes.get("num_heads", 1),
        "compile": False,
    }
    if agent == "hrm":
        return options | {"h_layers": layers["H_level"], "l_layers": layers["L_level"]}
    return options | {"layers": layers["L_level"]}


def _prefix(
    weights: Mapping[str, Tensor],
    sizes: Mapping[str, Any],
    agent: str,
    row: Tensor,
    hidden: int,
    num_cells: int,
    place: str,
) -> int:
    """The number of positions before the board, from tensor shapes, else from the YAML file, else the default."""
    for name, tensor in weights.items():
        if name.endswith("embed_pos.embedding_weight"):
            return len(tensor) - num_cells
        if name.endswith("mlp_t.gate_up_proj.weight"):
            return tensor.shape[1] - num_cells
    needed = math.ceil(row.shape[1] / hidden)
    length = sizes.get("puzzle_emb_len", 16 if agent == "trm" else 0)
    return int(_number(length, "puzzle_emb_len", place)) or needed


def _number(value: Any, name: str, place: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise HrmGymError(f"{place} has {name} {str(value)[:40]!r}: a number is needed")
    return value


def described(saved: Checkpoint) -> str:
    """A description of a checkpoint in one line."""
    c = saved.config
    num = sum(t.numel() for t in saved.tensors.values())
    options = dataclasses.asdict(c.agent_options)
    return f"{c.agent} of {num:,} numbers, width {options['hidden_size']}, {c.halting}, for {c.env}"
