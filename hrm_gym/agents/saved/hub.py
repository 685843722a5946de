"""Upload and download of agents on the Hugging Face hub: a folder with weights, card and result.

`hf:OWNER/NAME`, or `hf:OWNER/NAME@REVISION`, can be used in place of any checkpoint. Downloaded files are opened like
all others: nothing is unpickled, and no code that they name is imported.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hrm_gym.agents.saved import checkpoint as checkpoints
from hrm_gym.agents.saved.card import card
from hrm_gym.errors import HrmGymError, first_line
from hrm_gym.files import make_folder, replacing
from hrm_gym.hugging_face import HUB, hub_library, not_downloaded

CARD, RESULT = "README.md", "result.json"
FILES = (checkpoints.FILE_NAME, CARD, RESULT)
"""The files of a folder on the hub."""


def save_pretrained(run_dir: Path, folder: Path, repo: str = "OWNER/NAME", license: str = "") -> None:
    """Write a finished run in the hub's format: averaged weights, a card with metadata, the result.

    Args:
        run_dir: the run's folder.
        folder: created if missing; existing files are replaced.
        repo: the name for `hf:` in the card's instructions.
        license: license in the metadata, such as "mit"; empty: none.

    Raises:
        HrmGymError: if the run is unfinished, or a file cannot be written.
    """
    make_folder(folder)
    saved, result = checkpoints.export(run_dir, folder / checkpoints.FILE_NAME, overwrite=True)
    text = f"{_metadata(result, license)}\n{card(saved, result)}\n{_use(result['env'], repo)}"
    for name, content in ((CARD, text), (RESULT, json.dumps(result, indent=2) + "\n")):
        with replacing(folder / name) as temporary:
            temporary.write_text(content)


def upload(run_dir: Path, repo: str, private: bool = False, license: str = "") -> str:
    """Upload a finished run to the hub, creating the repository if needed; returns its URL.

    Raises:
        HrmGymError: if the library is missing, the name is invalid, or the hub refuses.
    """
    hub = hub_library(f"uploading to {HUB}{repo}")
    _check(repo)
    with tempfile.TemporaryDirectory() as folder:
        save_pretrained(run_dir, Path(folder), repo, license)
        try:
            api = hub.HfApi()
            address = api.create_repo(repo, private=private, exist_ok=True)
            api.upload_folder(repo_id=repo, folder_path=folder, commit_message="An agent of hrm-gym")
        except Exception as error:  # its errors share no base class
            reason = first_line(error)
            raise HrmGymError(f"cannot upload to {HUB}{repo} ({reason}): are you logged in (hf auth login)?") from None
    return str(address)


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
    _check(repo)
    try:
        found = hub.snapshot_download(repo, revision=revision or None, local_dir=folder, allow_patterns=list(FILES))
    except Exception as error:
        raise not_downloaded(source, error) from None
    return Path(found)


def _check(repo: str) -> None:
    owner, slash, name = repo.partition("/")
    if not (owner and slash and name) or "/" in name:
        raise HrmGymError(f"{repo!r} is no name on the hub: give OWNER/NAME")


def _metadata(result: Mapping[str, Any], license: str) -> str:
    """The card's metadata for the hub: JSON, which is valid YAML."""
    name = f"{result['agent']} on {result['env']}"
    metrics = [
        {"type": key, "value": round(float(result[key]), 4), "name": key.replace("_", " ")}
        for key in ("exact_accuracy", "valid_accuracy")
    ]
    head = {
        "library_name": "hrm-gym",
        "pipeline_tag": "reinforcement-learning",
        "tags": ["reinforcement-learning", "reasoning", "hrm-gym", result["agent"], result["env"]],
        "model-index": [
            {
                "name": name,
                "results": [
                    {
                        "task": {"type": "reinforcement-learning"},
                        "dataset": {"name": result["env"], "type": result["env"]},
                        "metrics": metrics,
                    }
                ],
            }
        ],
    }
    if license:
        head = {"license": license, **head}
    return "\n".join(["---", *(f"{key}: {json.dumps(value)}" for key, value in head.items()), "---", ""])


def _use(env: str, repo: str) -> str:
    commands = "\n".join(f"hrm-gym {name} --env {env} --checkpoint {HUB}{repo}" for name in ("play", "evaluate"))
    return f'## Use it\n\n```bash\npip install "hrm-gym[hub]"\n{commands}\n```\n'
