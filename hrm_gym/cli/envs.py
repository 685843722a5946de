"""`hrm-gym envs`: print a table of the environments."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from hrm_gym.cli.parse import parse
from hrm_gym.envs.registration import make_task, task_ids
from hrm_gym.envs.task import SPLITS
from hrm_gym.errors import HrmGymError


@dataclasses.dataclass(frozen=True)
class Arguments:
    """List the environments."""


def run(argv: Sequence[str]) -> int:
    """Print the table."""
    parse(Arguments, argv, "envs")
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("id", "board", "symbols", *SPLITS):
        table.add_column(name, justify="right" if name in SPLITS else "left", overflow="fold")
    missing: dict[str, str] = {}
    for env_id in task_ids():
        task = make_task(env_id)
        try:
            counts = [f"{len(task.dataset(split).puzzle):,}" for split in SPLITS]
        except HrmGymError as error:  # its puzzles come with another package
            counts, missing[env_id] = ["-"] * len(SPLITS), str(error)
        table.add_row(env_id, "x".join(map(str, task.shape)), task.symbols, *counts)
    console = Console()
    console.width = max(console.width, 64)  # on narrower terminals the lines wrap
    with console.capture() as text:  # rich itself would end the process where a pipe is closed
        console.print(table)
    print(text.get(), end="")
    for env_id, reason in missing.items():
        print(f"\n{env_id}: {reason}")
    print('\nmake one: gymnasium.make("hrm_gym:ID"), many: gymnasium.make_vec("hrm_gym:ID", num_envs=N)')
    return 0
