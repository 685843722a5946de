"""Checkpoints: one safetensors file with everything for resuming a run, written atomically.

Tensors have prefixes (`model/...`, `ema/...`, `optimizer/...`, `state/...`, `envs/...`, `memory/...`, `random/...`).
The header holds configuration, board and counters as JSON, and a checksum. A shipped agent is such a file with only
`ema/...`. Loading never unpickles anything, and never imports a module that a file names.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as serialize
from torch import Tensor

from hrm_gym.agents.agent import TaskSpec
from hrm_gym.agents.policy import Policy
from hrm_gym.agents.registry import agent_names, halting_names
from hrm_gym.agents.saved.build import build
from hrm_gym.agents.saved.config import Config
from hrm_gym.envs.task import Task
from hrm_gym.errors import HrmGymError, first_line
from hrm_gym.files import check_new, is_file, is_folder, read_json, replacing

FORMAT = "hrm-gym checkpoint 2"
OLDER = ("hrm-gym checkpoint 1",)
FILE_NAME = "checkpoint.safetensors"
BOARD = ("rows", "columns", "num_tokens", "num_identities")


@dataclasses.dataclass
class Checkpoint:
    """The content of a file."""

    config: Config
    spec: TaskSpec
    """The board that it was trained on; a file stores its size, but neither groups nor links."""
    counters: dict[str, Any]
    """Plain numbers: steps, seconds, and the optimizer's own counters."""
    tensors: dict[str, Tensor]
    """All tensors by their full names."""

    def part(self, name: str) -> dict[str, Tensor]:
        """The tensors under `name/`, without the prefix."""
        prefix = name + "/"
        return {key.removeprefix(prefix): t for key, t in self.tensors.items() if key.startswith(prefix)}


def save(path: Path, checkpoint: Checkpoint) -> None:
    """Write `checkpoint` to `path`, atomically.

    Raises:
        HrmGymError: if it cannot be written.
    """
    tensors: dict[str, Tensor] = {}
    stored = set[int]()
    for name, t in checkpoint.tensors.items():
        t = t.detach().cpu().contiguous()
        place = t.untyped_storage().data_ptr()
        tensors[name] = t.clone() if place in stored else t  # a file cannot hold shared tensors, such as tied weights
        stored.add(place)
    header = {
        "format": FORMAT,
        "config": checkpoint.config.to_json(),
        "board": json.dumps({name: getattr(checkpoint.spec, name) for name in BOARD}),
        "counters": json.dumps(checkpoint.counters),
    }
    header["sha256"] = _checksum(header, tensors)
    # The library's `save_file` uses temporary files of its own, which a killed process would leave behind.
    data = serialize(tensors, metadata=header)
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def load(path: Path) -> Checkpoint:
    """Read a checkpoint.

    Args:
        path: a file, or a folder with a checkpoint; `sources.find` resolves names to paths.

    Raises:
        HrmGymError: if there is none, or the file is truncated, damaged, foreign, or of another version.
    """
    if is_folder(path):
        path = path / FILE_NAME
    if not is_file(path):
        raise HrmGymError(f"no checkpoint at {path}: give a run's folder or a .safetensors file")
    _refuse_pickle(path)
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            if header.get("format") in OLDER:
                raise HrmGymError(f"{path} was written by an older version of hrm-gym, whose agents cannot be read")
            if header.get("format") != FORMAT:
                raise HrmGymError(f"{path} is a safetensors file, but not a checkpoint of hrm-gym ({FORMAT!r})")
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118 (no mapping)
        if header.pop("sha256", "") != _checksum(header, tensors):
            raise HrmGymError(f"{path} is damaged (its checksum does not fit): give another copy of it")
        config = json.loads(header["config"])
        _check_known(path, config)
        board, counters = json.loads(header["board"]), json.loads(header["counters"])
        _check_numbers(path, board, counters)
        return Checkpoint(
            config=Config.from_dict(config),
            spec=TaskSpec(**board),
            counters=counters,
            tensors=tensors,
        )
    except HrmGymError as error:
        raise error if str(path) in str(error) else HrmGymError(f"{path}: {error}") from None
    except (SafetensorError, OSError, KeyError, TypeError, RecursionError, ValueError) as error:
        raise HrmGymError(
            f"{path} is not a whole safetensors checkpoint ({first_line(error)}): give another one"
        ) from None


def _refuse_pickle(path: Path) -> None:
    """Refuse files of `torch.save`, and name the remedy.

    Raises:
        HrmGymError: if it is such a file.
    """
    try:
        with path.open("rb") as file:
            begin = file.read(4)
    except OSError:
        return
    if begin.startswith((b"PK\x03\x04", b"\x80\x02", b"\x80\x04", b"\x80\x05")):
        raise HrmGymError(
            f"{path} is a PyTorch pickle, which may run code and is not read: a checkpoint of the HRM or TRM "
            f"repository becomes an agent by hrm-gym convert {path} --out agent.safetensors"
        )


def restore_policy(saved: Checkpoint, path: Path, spec: TaskSpec, dtype: Any) -> Policy:
    """Build the policy of a checkpoint with its averaged weights, for the board `spec`.

    Raises:
        HrmGymError: if the weights do not match the architecture in the header.
    """
    c = dataclasses.replace(saved.config, dtype=dtype)
    weights = {name: t.float() for name, t in saved.part("ema").items()}
    compare_weights(weights, c, spec, str(path))
    policy = build(c, spec)
    policy.load_state_dict(weights)
    for name, tensor in weights.items():
        if not math.isfinite(float(tensor.sum())):
            raise HrmGymError(f"{path}: the weights {name} are not finite numbers; give another checkpoint")
    return policy.eval()


def compare_weights(weights: Mapping[str, Tensor], config: Config, spec: TaskSpec, place: str) -> None:
    """Refuse weights that do not match the architecture of a configuration, before allocating its memory.

    Args:
        weights: those of agent and halting rule, by name.
        config: the configuration.
        spec: the board.
        place: name of the checkpoint in errors.

    Raises:
        HrmGymError: if a tensor is missing, left over, or of another shape.
    """
    try:
        with torch.device("meta"):
            shapes = {name: tensor.shape for name, tensor in build(config, spec).state_dict().items()}
        for name in sorted({*shapes, *weights}):
            if name not in weights or name not in shapes:
                raise RuntimeError(f"{name} is {'missing' if name in shapes else 'left over'}")
            if shapes[name] != weights[name].shape:
                raise RuntimeError(f"{name} has shape {tuple(weights[name].shape)}, not {tuple(shapes[name])}")
    except (RuntimeError, TypeError, OverflowError) as error:
        raise HrmGymError(
            f"{place} does not hold the weights of a {config.agent!r} agent with halting {config.halting!r} as its "
            f"header says ({first_line(error)})"
        ) from None


def refuse_misfit(saved: Checkpoint, config: Config, spec: TaskSpec) -> None:
    """Refuse to resume from a checkpoint whose weights or boards do not match the run's current stage.

    Args:
        saved: the checkpoint.
        config: configuration of the stage.
        spec: board of the stage.

    Raises:
        HrmGymError: if a tensor is missing, left over, of another shape or type, or has impossible values.
    """
    compare_weights(saved.part("model"), config, spec, "the checkpoint")
    compare_weights(saved.part("ema"), config, spec, "the checkpoint")
    num, cells, envs = config.num_envs, spec.rows * spec.columns, saved.part("envs")
    most = {"puzzle": spec.num_tokens, "solution": spec.num_tokens, "answer": spec.num_tokens}
    most |= {"segment": config.max_segments + 1, "identity": max(1, spec.num_identities), "over": 2}
    for name, bound in most.items():
        shape, tensor = (num, cells) if name in ("puzzle", "solution", "answer") else (num,), envs.get(name)
        kind = torch.bool if name == "over" else torch.int64
        if tensor is None:
            raise HrmGymError(
                f"the checkpoint has no 'envs/{name}': another version of hrm-gym wrote it; start a new run from its "
                "weights with --init-from"
            )
        if tuple(tensor.shape) != shape or tensor.dtype != kind:
            raise HrmGymError(f"the checkpoint has no boards of {num} puzzles ({name}): give another copy of it")
        if int(tensor.min()) < 0 or int(tensor.max()) >= bound:
            raise HrmGymError(f"the checkpoint has boards out of range ({name}): give another copy of it")


def learned_puzzles(task: Task) -> dict[str, Any]:
    """The identities that an agent with puzzle embeddings depends on: their names, and a digest of their examples.

    The digest covers the training examples, from which the embeddings are learned.
    """
    if not task.num_identities:
        return {"identities": ()}
    digest = hashlib.sha256()
    for array in task.dataset("train"):
        digest.update(np.ascontiguousarray(array).tobytes())
    return {"identities": tuple(task.identities), "examples": digest.hexdigest()}


def refuse_other_puzzles(saved: Checkpoint, task: Task, place: str) -> None:
    """Refuse a family whose puzzle identities differ from those in the training of a checkpoint's agent.

    Args:
        saved: the checkpoint.
        task: the current family.
        place: name of the checkpoint in errors.

    Raises:
        HrmGymError: if their names, order or examples differ.
    """
    now = learned_puzzles(task)
    same = tuple(saved.counters.get("identities", ())) == now["identities"]
    examples = saved.counters.get("examples")  # missing in older checkpoints
    if not same or examples not in (None, now.get("examples")):
        what = "examples of those puzzles" if same else "puzzles"
        raise HrmGymError(
            f"{place} was trained on other {what} than {saved.config.dataset or saved.config.env} holds now: "
            "put back the files that it was trained on"
        )


def export(run_dir: Path, target: Path, overwrite: bool = False) -> tuple[Checkpoint, dict[str, Any]]:
    """Write only the averaged weights of a finished run, in bfloat16, with its score: the form for release.

    Returns:
        The run's checkpoint and the content of its `result.json`.

    Raises:
        HrmGymError: if the run is unfinished or cannot be read, or if `target` cannot be written or exists and
            `overwrite` is False.
    """
    check_new(target, overwrite)
    saved = load(run_dir)
    if not is_file(run_dir / "result.json"):
        raise HrmGymError(f"{run_dir} has no result.json: finish it with --resume {run_dir} first")
    result = read_json(run_dir / "result.json")
    try:
        scores = {name: result[name] for name in ("exact_accuracy", "num_puzzles", "device")}
        by_itself, tested = result["halting_by_itself"], result["training"]["steps"]
        scores["learned_halting"] = {name: by_itself[name] for name in ("exact_accuracy", "mean_segments")}
    except (KeyError, TypeError):
        raise HrmGymError(f"{run_dir / 'result.json'} is not the result of a run: give the folder of one") from None
    if tested != saved.counters["step"]:  # resumed with a larger budget and stopped: the score is of older weights
        raise HrmGymError(
            f"{run_dir} has weights of step {saved.counters['step']}, and its result.json is of step {tested}: "
            f"finish it with --resume {run_dir} first"
        )
    kept = ("step", "seconds", "identities", "examples")
    counters = {name: saved.counters[name] for name in kept if name in saved.counters}
    config = dataclasses.replace(saved.config, run_dir="", init_from="", dataset="")
    tensors = {name: t.bfloat16() for name, t in saved.tensors.items() if name.startswith("ema/")}
    save(target, dataclasses.replace(saved, config=config, counters=counters | scores, tensors=tensors))
    return saved, result


def _check_known(path: Path, config: dict[str, Any]) -> None:
    """Check that environment, agent and rule are registered: a file imports none of them, the user's command does."""
    if not isinstance(config.get("env"), str) or ":" in config["env"]:
        raise HrmGymError(f"{path}: its env is {config.get('env')!r}, no id alone; give another checkpoint")
    for kind, names in (("agent", agent_names()), ("halting", halting_names())):
        if config[kind] not in names:
            raise HrmGymError(
                f"{path}: its {kind} {config[kind]!r} is not part of the package: give --{kind} MODULE:{config[kind]}, "
                "or import the module that registers it"
            )
    if config.get("dtype", "auto") == "auto":  # resolved by device at the start of a run, and recorded
        raise HrmGymError(f"{path}: it does not say in which dtype it computes; give another checkpoint")


def _check_numbers(path: Path, board: Any, counters: Any) -> None:
    """Check the types of the header's numbers."""
    if not (isinstance(board, dict) and isinstance(counters, dict)):
        raise HrmGymError(f"{path}: its header holds no board or no counters: give another checkpoint")
    numbers = {name: board.get(name) for name in BOARD} | {"step": counters.get("step"), "averaged": 0, "seconds": 0}
    numbers |= {name: counters[name] for name in ("averaged", "seconds", "stage") if name in counters}
    for name, value in numbers.items():
        kind = int | float if name == "seconds" else int
        if not isinstance(value, kind) or isinstance(value, bool) or not 0 <= value < 1 << 53:
            raise HrmGymError(
                f"{path}: {name} is {value!r}, but must be a number of 0 or more; give another checkpoint"
            )
    names = counters.get("identities", ())
    if not (isinstance(names, list | tuple) and all(isinstance(name, str) for name in names)):
        raise HrmGymError(f"{path}: its identities are not a list of names; give another checkpoint")


def _checksum(header: dict[str, str], tensors: dict[str, Tensor]) -> str:
    """A checksum of the whole content, independent of the order in the file."""
    digest = hashlib.sha256(json.dumps(header, sort_keys=True).encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy() if tensor.numel() else b"")
    return digest.hexdigest()
