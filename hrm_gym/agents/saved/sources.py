"""Where a checkpoint lies that is named and not given by its path: one that ships, or one on the hub."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from hrm_gym.agents.saved.hub import download
from hrm_gym.envs.registration import canonical_id
from hrm_gym.errors import HrmGymError
from hrm_gym.hugging_face import HUB

PRETRAINED = Path(str(resources.files("hrm_gym.agents"))) / "pretrained"

SHIPPED = "pretrained:"
"""Before the id of an environment, where a checkpoint is asked for: the agent that ships for it."""

LENT = {
    "Sudoku9x9-v0": "SudokuExtreme-v0",
    "SudokuDeep-v0": "SudokuExtreme-v0",
    "SudokuVicinity-v0": "SudokuExtreme-v0",
}
"""Environments whose shipped agent is that of another one: it solves more of their puzzles than one of their own
did, or has learned on the same training puzzles."""

GUESSES = "-guesses"
"""What the name of an agent ends with that ships beside an environment's own, for `--boards`."""


def pretrained_path(env_id: str) -> Path:
    """The shipped agent of an environment, or one that ships under a name of its own (`GUESSES`).

    Raises:
        HrmGymError: where none is shipped; names those that are.
    """
    ending = GUESSES if env_id.endswith(GUESSES) else ""
    name = canonical_id(env_id.removesuffix(ending)) + ending
    path = PRETRAINED / f"{LENT.get(name, name)}.safetensors"
    if not path.is_file():
        shipped = sorted(file.stem for file in PRETRAINED.glob("*.safetensors")) or ["none"]
        raise HrmGymError(
            f"no agent is shipped for {name} (shipped: {', '.join(shipped)}): train one with "
            f"hrm-gym train --env {env_id}, then give --checkpoint RUN_FOLDER"
        )
    return path


def find(source: str | Path) -> Path:
    """The path of a checkpoint.

    Args:
        source: `hf:OWNER/NAME` for one on the Hugging Face hub, which is downloaded; `pretrained:ID` for the agent that
            ships for the environment `ID`; anything else is a path already.

    Raises:
        HrmGymError: where none ships for the environment, or the hub gives none.
    """
    name = str(source)
    if name.startswith(HUB):
        return download(name)
    if name.startswith(SHIPPED):
        return pretrained_path(name.removeprefix(SHIPPED))
    return Path(source)
