"""`hrm-gym upload`: upload agents to the Hugging Face hub, or write the same files to a folder."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from hrm_gym.agents.inference.publishing import save_pretrained, upload
from hrm_gym.agents.saved.sources import SHIPPED, find, official_name, shipped
from hrm_gym.cli.bar import bar
from hrm_gym.cli.parse import parse, positional
from hrm_gym.errors import HrmGymError
from hrm_gym.hugging_face import HUB


@dataclasses.dataclass(frozen=True)
class Arguments:
    """Upload an agent to the Hugging Face hub: averaged weights, a card with a film, and the results."""

    run: str = positional("RUN")
    """The run's folder, a file with a card beside it, `pretrained:ID`, or `pretrained` for all shipped agents."""
    to: str = ""
    """Repository on the hub, `OWNER/NAME`; it is created if it does not exist. Default: a shipped agent's own name."""
    folder: str = ""
    """Write the files to this folder instead of uploading them."""
    private: bool = False
    """Make a new repository private."""
    license: str = ""
    """Licence of the weights by its name on the hub, such as `mit`."""


def run(argv: Sequence[str]) -> int:
    """Run the command."""
    args = parse(Arguments, argv, "upload")
    sources, repo = [args.run], args.to.removeprefix(HUB)
    if args.run == "pretrained":
        if repo:
            raise HrmGymError("--to names one repository: leave it out, or give pretrained:ID")
        sources = [SHIPPED + name for name in shipped()]
    for source in sources:
        name = repo or official_name(find(source))
        if args.folder:
            folder = Path(args.folder) / (name.partition("/")[2] if len(sources) > 1 else "")
            save_pretrained(source, folder, name, args.license)
            print(f"wrote {folder}")
            continue
        with bar("uploading"):
            address = upload(source, name, private=args.private, license=args.license)
        print(f"{address}\nuse it: --checkpoint {HUB}{name}")
    return 0
