"""Resolution of checkpoint names to paths: shipped agents and the hub."""

from __future__ import annotations

import os
from importlib import resources
from pathlib import Path
from typing import Any

from hrm_gym.envs.registration import canonical_id
from hrm_gym.errors import HrmGymError
from hrm_gym.hugging_face import HUB

PRETRAINED = Path(str(resources.files("hrm_gym.agents"))) / "pretrained"

SHIPPED = "pretrained:"
"""Prefix of an environment id, in place of a checkpoint: the shipped agent of that environment."""

OFFICIAL = "hrm-gym"
"""Owner of our agents on the hub: `OFFICIAL/ID` is the shipped agent of environment `ID`."""

LENT = {
    "Sudoku9x9-v0": "SudokuExtreme-v0",
    "SudokuDeep-v0": "SudokuExtreme-v0",
    "SudokuVicinity-v0": "SudokuExtreme-v0",
}
"""Environments that use the shipped agent of another one, because it solves more of their puzzles than their own did,
or was trained on the same puzzles."""


def pretrained_path(env_id: str) -> Path:
    """The path of the shipped agent of an environment.

    Raises:
        HrmGymError: if no agent is shipped for it; the error lists the shipped ones.
    """
    name = canonical_id(env_id)
    path = PRETRAINED / f"{LENT.get(name, name)}.safetensors"
    if not path.is_file():
        raise HrmGymError(
            f"no agent is shipped for {name} (shipped: {', '.join(shipped()) or 'none'}): train one with "
            f"hrm-gym train --env {env_id}, then give --checkpoint RUN_FOLDER"
        )
    return path


def named(checkpoint: Any) -> str:
    """Convert a checkpoint argument to text: a path, or a name for `find`.

    Args:
        checkpoint: a text, a path, or a finished run.

    Raises:
        HrmGymError: if it is something else.
    """
    source = getattr(checkpoint, "folder", checkpoint)
    if not isinstance(source, str | os.PathLike):
        raise HrmGymError(
            f"checkpoint is a {type(checkpoint).__name__}: give 'pretrained', a run or its folder, a file, or a policy"
        )
    return os.fsdecode(os.fspath(source))


def find(source: str | Path) -> Path:
    """The path of a checkpoint.

    Args:
        source: `hf:OWNER/NAME` for an agent on the Hugging Face hub, which is downloaded; `pretrained:ID` for the
            shipped agent of environment `ID`; anything else is a path.

    Raises:
        HrmGymError: if no agent ships for the environment, or the download fails.
    """
    name = str(source)
    if name.startswith(HUB):
        from hrm_gym.agents.saved.hub import download

        owner, _, agent = name.removeprefix(HUB).partition("/")
        ours = PRETRAINED / f"{agent}.safetensors"
        return ours if owner == OFFICIAL and ours.is_file() else download(name)
    if name.startswith(SHIPPED):
        return pretrained_path(name.removeprefix(SHIPPED))
    return Path(source)


def official(path: Path) -> bool:
    """Whether it is the file of a shipped agent."""
    return path.parent == PRETRAINED


def official_name(path: Path) -> str:
    """The name of a shipped agent on the hub.

    Raises:
        HrmGymError: if the path is another agent's.
    """
    if not official(path):
        raise HrmGymError(f"{path} is no shipped agent: give it a name on the hub, OWNER/NAME")
    return f"{OFFICIAL}/{path.stem}"


def shipped() -> list[str]:
    """The names of the shipped agents."""
    return sorted(file.stem for file in PRETRAINED.glob("*.safetensors"))
