"""Checkpoints: one safetensors file with everything that a run needs to go on, written whole or not at all.

Tensors are named by what they belong to (`model/...`, `ema/...`, `optimizer/...`, `state/...`, `envs/...`,
`memory/...`, `random/...`); the header carries the configuration, the board and the counters as JSON, and a checksum.
A shipped agent is the same file with nothing but `ema/...` in it. Nothing is ever unpickled, and no module is imported
because a file names it.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from hrm_gym.agents.agent import TaskSpec
from hrm_gym.agents.policy import Policy
from hrm_gym.agents.registry import agent_names, halting_names
from hrm_gym.agents.training.build import build
from hrm_gym.agents.training.config import Config
from hrm_gym.errors import HrmGymError
from hrm_gym.files import replacing

FORMAT = "hrm-gym checkpoint 2"
OLDER = ("hrm-gym checkpoint 1",)
FILE_NAME = "checkpoint.safetensors"
_BOARD = ("rows", "columns", "num_tokens", "num_identities")


@dataclasses.dataclass
class Checkpoint:
    """What a file holds."""

    config: Config
    spec: TaskSpec
    """The board that it was trained on; a file holds its size, and neither groups nor links."""
    counters: dict[str, Any]
    """Plain numbers: steps, seconds, and the optimizer's own counters."""
    tensors: dict[str, Tensor]
    """All tensors by their full names."""

    def part(self, name: str) -> dict[str, Tensor]:
        """The tensors under `name/`, without that prefix."""
        prefix = name + "/"
        return {key.removeprefix(prefix): t for key, t in self.tensors.items() if key.startswith(prefix)}


def save(path: Path, checkpoint: Checkpoint) -> None:
    """Write `checkpoint` to `path`, atomically.

    Raises:
        HrmGymError: where it cannot be written.
    """
    tensors = {name: t.detach().cpu().contiguous() for name, t in checkpoint.tensors.items()}
    header = {
        "format": FORMAT,
        "config": checkpoint.config.to_json(),
        "board": json.dumps({name: getattr(checkpoint.spec, name) for name in _BOARD}),
        "counters": json.dumps(checkpoint.counters),
    }
    header["sha256"] = _checksum(header, tensors)
    with replacing(path) as temporary:
        try:
            save_file(tensors, temporary, metadata=header)
        except SafetensorError as error:  # how the library tells a full disk
            raise OSError(str(error)) from None


def load(path: Path) -> Checkpoint:
    """Read a checkpoint; a folder means the checkpoint in it.

    Raises:
        HrmGymError: where there is none, or the file is truncated, damaged, foreign, or of another version.
    """
    if path.is_dir():
        path = path / FILE_NAME
    if not path.is_file():
        raise HrmGymError(f"no checkpoint at {path}: give a run's folder or a .safetensors file")
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            if header.get("format") in OLDER:
                raise HrmGymError(f"{path} was written by an older version of hrm-gym, whose agents cannot be read")
            if header.get("format") != FORMAT:
                raise HrmGymError(f"{path} is a safetensors file, but not a checkpoint of hrm-gym ({FORMAT!r})")
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
        if header.pop("sha256", "") != _checksum(header, tensors):
            raise HrmGymError(f"{path} is damaged (its checksum does not fit): give another copy of it")
        config = json.loads(header["config"])
        _check_known(path, config)
        return Checkpoint(
            config=Config.from_dict(config),
            spec=TaskSpec(**json.loads(header["board"])),
            counters=json.loads(header["counters"]),
            tensors=tensors,
        )
    except HrmGymError as error:
        raise error if str(path) in str(error) else HrmGymError(f"{path}: {error}") from None
    except (SafetensorError, OSError, KeyError, TypeError, RecursionError, json.JSONDecodeError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise HrmGymError(f"{path} is not a whole safetensors checkpoint ({reason}): give another one") from None


def restore_policy(saved: Checkpoint, path: Path, spec: TaskSpec, dtype: Any) -> Policy:
    """The agent of a checkpoint with its averaged weights and its halting rule, for the board `spec`.

    Raises:
        HrmGymError: where the weights are not those of the architecture that the header names.
    """
    c = dataclasses.replace(saved.config, dtype=dtype)
    weights = {name: t.float() for name, t in saved.part("ema").items()}
    try:
        with torch.device("meta"):  # compares shapes before any memory is taken
            shapes = build(c, spec).state_dict()
        for name in {*shapes, *weights}:
            if name not in weights or name not in shapes:
                raise RuntimeError(f"{name} is {'missing' if name in shapes else 'left over'}")
            if shapes[name].shape != weights[name].shape:
                raise RuntimeError(f"{name} has shape {tuple(weights[name].shape)}, not {tuple(shapes[name].shape)}")
        policy = build(c, spec)
        policy.load_state_dict(weights)
    except RuntimeError as error:
        raise HrmGymError(
            f"{path} does not hold the weights of a {c.agent!r} agent with halting {c.halting!r} as its header says "
            f"({str(error).splitlines()[0]})"
        ) from None
    for name, tensor in weights.items():
        if not math.isfinite(float(tensor.sum())):
            raise HrmGymError(f"{path}: the weights {name} are not finite numbers; give another checkpoint")
    return policy


def export(run_dir: Path, target: Path) -> None:
    """Write a finished run's averaged weights alone, in bfloat16, with its score: the form that is shipped.

    Raises:
        HrmGymError: where the run is not finished, cannot be read, or `target` cannot be written.
    """
    saved = load(run_dir)
    try:
        result = json.loads((run_dir / "result.json").read_text())
        scores = {name: result[name] for name in ("exact_accuracy", "num_puzzles", "device")}
        by_itself = result["halting_by_itself"]
        scores["learned_halting"] = {name: by_itself[name] for name in ("exact_accuracy", "mean_segments")}
    except (OSError, KeyError, json.JSONDecodeError):
        raise HrmGymError(f"{run_dir} has no result.json: go on with it by --resume {run_dir} first") from None
    counters = {name: saved.counters[name] for name in ("step", "seconds", "identities")}
    config = dataclasses.replace(saved.config, run_dir="", init_from="", dataset="")
    tensors = {name: t.bfloat16() for name, t in saved.tensors.items() if name.startswith("ema/")}
    save(target, dataclasses.replace(saved, config=config, counters=counters | scores, tensors=tensors))


def _check_known(path: Path, config: dict[str, Any]) -> None:
    """A file names its agent and its rule, and imports neither: the user's command does."""
    for kind, names in (("agent", agent_names()), ("halting", halting_names())):
        if config[kind] not in names:
            raise HrmGymError(
                f"{path}: its {kind} {config[kind]!r} is not part of the package: give --{kind} MODULE:{config[kind]}, "
                "or import the module that registers it"
            )


def _checksum(header: dict[str, str], tensors: dict[str, Tensor]) -> str:
    """Of everything that a file says, in an order of its own."""
    digest = hashlib.sha256(json.dumps(header, sort_keys=True).encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy() if tensor.numel() else b"")
    return digest.hexdigest()
