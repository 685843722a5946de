"""Checkpoints: one safetensors file with everything that a run needs to go on, written whole or not at all.

Tensors are named by what they belong to (`model/...`, `ema/...`, `optimizer/...`, `carry/...`, `envs/...`,
`random/...`); the header carries the configuration and the counters as JSON. A shipped agent is the same file
with nothing but `ema/...` in it. Nothing is ever unpickled.
"""

from __future__ import annotations

import dataclasses
import json
from importlib import resources
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from hrm_gym.agents.models.reasoner import Reasoner
from hrm_gym.agents.registry import build_reasoner, choose_dtype
from hrm_gym.agents.training.config import Config
from hrm_gym.envs.registration import make_task, task_arguments
from hrm_gym.envs.task import Task
from hrm_gym.errors import HrmGymError
from hrm_gym.files import replacing

FORMAT = "hrm-gym checkpoint 1"
FILE_NAME = "checkpoint.safetensors"


@dataclasses.dataclass
class Checkpoint:
    """What a file holds."""

    config: Config
    num_tokens: int
    shape: tuple[int, int]
    """Rows and columns of the board."""
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
    header = {
        "format": FORMAT,
        "config": checkpoint.config.to_json(),
        "num_tokens": str(checkpoint.num_tokens),
        "shape": json.dumps(checkpoint.shape),
        "counters": json.dumps(checkpoint.counters),
    }
    tensors = {name: t.detach().cpu().contiguous() for name, t in checkpoint.tensors.items()}
    with replacing(path) as temporary:
        try:
            save_file(tensors, temporary, metadata=header)
        except SafetensorError as error:  # how the library tells a full disk
            raise OSError(str(error)) from None


def load(path: Path) -> Checkpoint:
    """Read a checkpoint; a folder means the checkpoint in it.

    Raises:
        HrmGymError: where there is none, or the file is truncated, foreign or not safetensors.
    """
    if path.is_dir():
        path = path / FILE_NAME
    if not path.is_file():
        raise HrmGymError(f"no checkpoint at {path}: give a run's folder or a .safetensors file")
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            if header.get("format") != FORMAT:
                raise HrmGymError(f"{path} is a safetensors file, but not a checkpoint of hrm-gym ({FORMAT!r})")
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
        return Checkpoint(
            config=Config.from_dict(json.loads(header["config"])),
            num_tokens=int(header["num_tokens"]),
            shape=tuple(json.loads(header["shape"])),
            counters=json.loads(header["counters"]),
            tensors=tensors,
        )
    except (SafetensorError, OSError, KeyError, json.JSONDecodeError) as error:
        reason = str(error).splitlines()[0]
        raise HrmGymError(f"{path} is not a whole safetensors checkpoint ({reason}): give another one") from None


def pretrained_path(env_id: str) -> Path:
    """The shipped agent of an environment.

    Raises:
        HrmGymError: where none is shipped; names those that are.
    """
    folder = Path(str(resources.files("hrm_gym.agents"))) / "pretrained"
    name = env_id.removeprefix("hrm_gym:").removeprefix("hrm_gym/")
    path = folder / f"{name}.safetensors"
    if not path.is_file():
        shipped = sorted(file.stem for file in folder.glob("*.safetensors")) or ["none"]
        raise HrmGymError(
            f"no agent is shipped for {name} (shipped: {', '.join(shipped)}): train one with "
            f"python train_agent.py --env {name}, then give --checkpoint RUN_FOLDER"
        )
    return path


def load_task(env_id: str, checkpoint: str | Path) -> Task:
    """The puzzle family of an environment, as the agent of a checkpoint was trained on it.

    An agent that learned embeddings of puzzles knows those of its training set by their numbers, so the family
    is built with the data set and the arguments of the run.

    Raises:
        HrmGymError: as `load_agent`.
    """
    return _open(env_id, checkpoint)[2]


def load_agent(env_id: str, checkpoint: str | Path = "pretrained", device: str = "cpu") -> Reasoner:
    """The agent of a checkpoint with its averaged weights, ready to think about an environment's puzzles.

    Args:
        env_id: an environment id; its board must be the one that the agent was trained on.
        checkpoint: "pretrained", a run's folder or a file.
        device: where the agent is to live.

    Raises:
        HrmGymError: on a missing or foreign file, an agent for another board, or one that knows its puzzles by
            numbers where the data set is not what it was.
    """
    return load_both(env_id, checkpoint, device)[0]


def load_both(env_id: str, checkpoint: str | Path = "pretrained", device: str = "cpu") -> tuple[Reasoner, Task]:
    """What `load_agent` and `load_task` give, reading the file once.

    Raises:
        HrmGymError: as `load_agent`.
    """
    path, saved, task = _open(env_id, checkpoint)
    if choose_dtype(device) == "float32":  # the network was trained elsewhere: bfloat16 would crawl here
        saved = dataclasses.replace(saved, config=dataclasses.replace(saved.config, dtype="float32"))
    return restore_agent(saved, path).to(device).eval(), task


def _open(env_id: str, checkpoint: str | Path) -> tuple[Path, Checkpoint, Task]:
    task = make_task(env_id)  # first, so that a misspelt id is what is told
    path = pretrained_path(env_id) if str(checkpoint) == "pretrained" else Path(checkpoint)
    saved = load(path)
    config = saved.config
    own = config.env == env_id
    if own:
        task = make_task(env_id, config.dataset or None, **task_arguments(config.task_args))
    if (saved.shape, saved.num_tokens) != (task.shape, task.num_tokens):
        theirs, ours = (f"{'x'.join(map(str, a.shape))}, {a.num_tokens} symbols" for a in (saved, task))
        raise HrmGymError(
            f"{path} was trained on {config.env} (boards of {theirs}), and {env_id} has boards of {ours}: "
            "give a checkpoint trained on it"
        )
    if own and tuple(saved.counters["identities"]) != tuple(task.identities):
        raise HrmGymError(
            f"{path} was trained on other puzzles than {config.dataset or env_id} holds now: "
            "put back the files that it was trained on"
        )
    if not own and saved.counters["identities"]:
        raise HrmGymError(f"{path} knows the puzzles of {config.env} only: evaluate it with --env {config.env}")
    return path, saved, task


def restore_agent(saved: Checkpoint, path: Path) -> Reasoner:
    """The model of a checkpoint with its averaged weights.

    Raises:
        HrmGymError: where the weights are not those of the architecture that the header names.
    """
    agent = build_reasoner(saved.config, saved.num_tokens, saved.shape)
    weights = {name: t.float() for name, t in saved.part("ema").items()}
    try:
        agent.load_state_dict(weights)
    except RuntimeError as error:
        reason = str(error).splitlines()[1].strip() if "\n" in str(error) else str(error)
        raise HrmGymError(
            f"{path} does not hold the weights of a {saved.config.agent!r} agent as its header says ({reason})"
        ) from None
    return agent


def export(run_dir: Path, target: Path) -> None:
    """Write a finished run's averaged weights alone, in bfloat16, with its score: the form that is shipped.

    Raises:
        HrmGymError: where the run is not finished, cannot be read, or `target` cannot be written.
    """
    saved = load(run_dir)
    try:
        result = json.loads((run_dir / "result.json").read_text())
    except (OSError, json.JSONDecodeError):
        raise HrmGymError(f"{run_dir} has no result.json: go on with it by --resume {run_dir} first") from None
    scores = ("exact_accuracy", "num_puzzles", "learned_halting", "device")
    counters = {name: saved.counters[name] for name in ("step", "seconds", "identities")}
    counters |= {name: result[name] for name in scores}
    config = dataclasses.replace(saved.config, run_dir="", init_from="", dataset="")
    tensors = {name: t.bfloat16() for name, t in saved.tensors.items() if name.startswith("ema/")}
    save(target, dataclasses.replace(saved, config=config, counters=counters, tensors=tensors))
