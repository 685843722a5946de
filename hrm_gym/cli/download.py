"""`hrm-gym download`: fetch an agent and its card from the Hugging Face hub."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from hrm_gym.agents.inference.publishing import download
from hrm_gym.agents.saved import checkpoint as checkpoints
from hrm_gym.cli.bar import bar
from hrm_gym.cli.parse import parse, positional


@dataclasses.dataclass(frozen=True)
class Arguments:
    """Download an agent and its card from the Hugging Face hub and check it."""

    out: str
    """Folder for `checkpoint.safetensors`, `README.md`, `result.json` and `replay.gif`."""
    source: str = positional("SOURCE")
    """`OWNER/NAME`, or `OWNER/NAME@REVISION`."""


def run(argv: Sequence[str]) -> int:
    """Run the command."""
    args = parse(Arguments, argv, "download")
    out = Path(args.out)
    with bar("downloading"):
        download(args.source, out)
    config = checkpoints.load(out).config
    print(f"{config.agent} for {config.env}, in {out}: hrm-gym play --env {config.env} --checkpoint {out}")
    return 0
