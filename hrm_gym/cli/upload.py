"""`hrm-gym upload`: a finished run to the Hugging Face hub, or to a folder in its form."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import tyro

from hrm_gym.agents.saved.hub import save_pretrained, upload
from hrm_gym.cli.bar import bar
from hrm_gym.cli.parse import parse
from hrm_gym.errors import HrmGymError
from hrm_gym.files import is_folder
from hrm_gym.hugging_face import HUB


@dataclasses.dataclass(frozen=True)
class Arguments:
    """Send a finished run to the Hugging Face hub: its averaged weights, a card and the result."""

    run: tyro.conf.Positional[str]
    """The run's folder."""
    to: str
    """`OWNER/NAME` on the hub, where a repository is made if there is none."""
    folder: str = ""
    """Send nothing: write what would be sent to this folder."""
    private: bool = False
    """Whether a new repository is private."""
    license: str = ""
    """The weights' licence as the hub names it, such as `mit`."""


def run(argv: Sequence[str]) -> int:
    """Upload as the arguments say."""
    args = parse(Arguments, argv, "upload")
    folder, repo = Path(args.run), args.to.removeprefix(HUB)
    if not is_folder(folder):
        raise HrmGymError(f"no run at {args.run!r}: give the folder of a finished run")
    if args.folder:
        save_pretrained(folder, Path(args.folder), repo, args.license)
        print(f"wrote {args.folder}")
        return 0
    with bar("uploading"):
        address = upload(folder, repo, args.private, args.license)
    print(f"{address}\nuse it: --checkpoint {HUB}{repo}")
    return 0
