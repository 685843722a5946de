"""`hrm-gym upload`: upload a finished run to the Hugging Face hub, or write the same files to a folder."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from hrm_gym.agents.saved.hub import save_pretrained, upload
from hrm_gym.cli.bar import bar
from hrm_gym.cli.parse import parse, positional
from hrm_gym.errors import HrmGymError
from hrm_gym.files import is_folder
from hrm_gym.hugging_face import HUB


@dataclasses.dataclass(frozen=True)
class Arguments:
    """Upload a finished run to the Hugging Face hub: its averaged weights, a card and the results."""

    to: str
    """Repository on the hub, `OWNER/NAME`; it is created if it does not exist."""
    run: str = positional("RUN")
    """The run's folder."""
    folder: str = ""
    """Write the files to this folder instead of uploading them."""
    private: bool = False
    """Make a new repository private."""
    license: str = ""
    """Licence of the weights by its name on the hub, such as `mit`."""


def run(argv: Sequence[str]) -> int:
    """Run the command."""
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
