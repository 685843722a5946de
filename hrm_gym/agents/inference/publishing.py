"""Agents as folders for the Hugging Face hub: weights, a card with a film and a licence, the result."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hrm_gym.agents.inference.replay import can_film, film
from hrm_gym.agents.policy import Policy
from hrm_gym.agents.saved import checkpoint as checkpoints
from hrm_gym.agents.saved.card import card, headline
from hrm_gym.agents.saved.hub import CARD, FILM, RESULT, check_name
from hrm_gym.agents.saved.hub import download as _download
from hrm_gym.agents.saved.load import load_agent, trained_env
from hrm_gym.agents.saved.sources import PRETRAINED, SHIPPED, find, named, official, official_name
from hrm_gym.agents.surroundings import undisturbed
from hrm_gym.envs.registration import task_arguments
from hrm_gym.errors import HrmGymError, first_line
from hrm_gym.files import is_folder, is_there, make_folder, replacing
from hrm_gym.hugging_face import HUB, hub_library

OUR_LICENSE = "mit"
"""Licence of the shipped weights."""


def from_pretrained(source: Any, env: str = "", device: str = "auto") -> Policy:
    """Load a trained policy; `Policy.from_pretrained`.

    Args:
        source: `OWNER/NAME` on the hub, also with `@REVISION`; the environment id of a shipped agent; a run or its
            folder; a file.
        env: an environment whose board fits; empty: that of the training.
        device: "auto", "cpu", "cuda" or "mps".

    Raises:
        HrmGymError: if there is no such agent, or it does not fit.
    """
    name = named(source)
    if not is_there(Path(name)):
        if (PRETRAINED / f"{name}.safetensors").is_file():
            name = SHIPPED + name
        elif re.fullmatch(r"[\w.-]+/[\w.-]+(@[\w./-]+)?", name):
            name = HUB + name
    return load_agent(env or trained_env(name), name, device)


@undisturbed()
def upload(source: Any, repo: str = "", *, private: bool = False, license: str = "") -> str:
    """Upload an agent to the hub, creating the repository if needed; returns its URL.

    Args:
        source: a finished run or its folder, `pretrained:ID`, a file with a card beside it, or a policy that was loaded
            from one of these.
        repo: `OWNER/NAME`; for a shipped agent it may be empty: its official name.
        private: make a new repository private.
        license: licence of the weights by its name on the hub, such as "mit".

    Raises:
        HrmGymError: if the library is missing, the name is invalid, the run is unfinished, or the hub refuses.
    """
    path = _path(source)
    repo = repo.removeprefix(HUB) or official_name(path)
    check_name(repo)
    hub = hub_library(f"uploading to {HUB}{repo}")
    with tempfile.TemporaryDirectory() as folder:
        save_pretrained(path, Path(folder), repo, license)
        try:
            api = hub.HfApi()
            address = api.create_repo(repo, private=private, exist_ok=True)
            api.upload_folder(repo_id=repo, folder_path=folder, commit_message="An agent of hrm-gym")
        except Exception as error:  # its errors share no base class
            reason = first_line(error)
            raise HrmGymError(f"cannot upload to {HUB}{repo} ({reason}): are you logged in (hf auth login)?") from None
    return str(address)


def download(source: str, folder: str | Path) -> Path:
    """Download an agent, its card and its result to a folder, and check it; returns the folder.

    Args:
        source: `OWNER/NAME`, or `OWNER/NAME@REVISION`.
        folder: created if missing.

    Raises:
        HrmGymError: if the library is missing, or there is no such agent.
    """
    make_folder(Path(folder))
    found = _download(source, Path(folder))
    checkpoints.load(found)
    return found


def save_pretrained(source: Any, folder: Path, repo: str = "OWNER/NAME", license: str = "") -> None:
    """Write an agent in the hub's format: averaged weights, a card with metadata, film and licence, the result.

    Args:
        source: as of `upload`.
        folder: created if missing; existing files are replaced.
        repo: the name for `hf:` in the card's instructions.
        license: the licence, such as "mit"; empty: none, for shipped agents ours.

    Raises:
        HrmGymError: if the run is unfinished, there is no card, or a file cannot be written.
    """
    path = _path(source)
    make_folder(folder)
    if is_folder(path):
        saved, result = checkpoints.export(path, folder / checkpoints.FILE_NAME, overwrite=True)
        text = card(saved, result)
    else:
        saved = checkpoints.load(path)
        result = {"env": saved.config.env, "agent": saved.config.agent, "headline": headline(path)}
        text = path.with_suffix(".md").read_text(encoding="utf-8")
        shutil.copyfile(path, folder / checkpoints.FILE_NAME)
    license = license or (OUR_LICENSE if official(path) else "")
    config, films = saved.config, can_film()
    if films:
        policy = load_agent(config.env, folder, "cpu")
        film(policy, config.env, folder / FILM, config.max_segments, **task_arguments(config.task_args))
    parts = [_metadata(result, license), _film(config.env) if films else "", text, _use(config.env, repo)]
    parts.append(f"## Licence\n\n{license}\n" if license else "")
    for name, content in ((CARD, "\n".join(filter(None, parts))), (RESULT, json.dumps(result, indent=2) + "\n")):
        with replacing(folder / name) as temporary:
            temporary.write_text(content, encoding="utf-8")


def _path(source: Any) -> Path:
    if isinstance(source, Policy):
        if source.source is None:
            raise HrmGymError("this policy was not loaded from a file: upload the folder of its run")
        return source.source
    path = find(named(source))
    if not is_there(path):
        raise HrmGymError(f"no run at {str(path)!r}: give the folder of a finished run, a file or pretrained:ID")
    return path


def _film(env: str) -> str:
    return f"![The agent thinks about a test puzzle of {env}, one frame a segment]({FILM})\n"


def _metadata(result: Mapping[str, Any], license: str) -> str:
    """The card's metadata for the hub: JSON, which is valid YAML."""
    head = {
        "library_name": "hrm-gym",
        "pipeline_tag": "reinforcement-learning",
        "tags": ["reinforcement-learning", "reasoning", "hrm-gym", result["agent"], result["env"]],
    }
    metrics = [
        {"type": key, "value": round(float(result[key]), 4), "name": key.replace("_", " ")}
        for key in ("exact_accuracy", "valid_accuracy")
        if key in result
    ]
    if metrics:
        figures = {
            "task": {"type": "reinforcement-learning"},
            "dataset": {"name": result["env"], "type": result["env"]},
            "metrics": metrics,
        }
        head["model-index"] = [{"name": f"{result['agent']} on {result['env']}", "results": [figures]}]
    if license:
        head = {"license": license, **head}
    return "\n".join(["---", *(f"{key}: {json.dumps(value)}" for key, value in head.items()), "---", ""])


def _use(env: str, repo: str) -> str:
    commands = "\n".join(f"hrm-gym {name} --env {env} --checkpoint {HUB}{repo}" for name in ("play", "evaluate"))
    python = f'from hrm_gym.agents import Policy\n\npolicy = Policy.from_pretrained("{repo}")'
    # Not `pip install hrm-gym[hub]`: the package is on no index yet.
    install = 'In a clone of hrm-gym:\n\n```bash\npip install -e ".[hub]"'
    return f"## Use it\n\n{install}\n{commands}\n```\n\n```python\n{python}\n```\n"
