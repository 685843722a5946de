"""Download of agents from the Hugging Face hub: a folder with weights, card, film and result.

`hf:OWNER/NAME`, or `hf:OWNER/NAME@REVISION`, can be used in place of any checkpoint. Downloaded files are opened like
all others: nothing is unpickled, and no code that they name is imported.
"""

from __future__ import annotations

from pathlib import Path

from hrm_gym.errors import HrmGymError
from hrm_gym.hugging_face import HUB, hub_library, not_downloaded

CARD, RESULT, FILM = "README.md", "result.json", "replay.gif"
FILES = ("checkpoint.safetensors", CARD, RESULT, FILM)
"""The files of a folder on the hub."""


def download(source: str, folder: Path | None = None) -> Path:
    """Download an agent; returns the folder with its files.

    Args:
        source: `hf:OWNER/NAME`, or `hf:OWNER/NAME@REVISION`.
        folder: the target folder; None: the library's cache.

    Raises:
        HrmGymError: if the library is missing, the name is invalid, or there is no such agent.
    """
    repo, _, revision = source.removeprefix(HUB).partition("@")
    hub = hub_library(source)
    check_name(repo)
    try:
        found = hub.snapshot_download(repo, revision=revision or None, local_dir=folder, allow_patterns=list(FILES))
    except Exception as error:
        raise not_downloaded(source, error) from None
    return Path(found)


def check_name(repo: str) -> None:
    """Check the name of a repository.

    Raises:
        HrmGymError: if it is none.
    """
    owner, slash, name = repo.partition("/")
    if not (owner and slash and name) or "/" in name:
        raise HrmGymError(f"{repo!r} is no name on the hub: give OWNER/NAME")
