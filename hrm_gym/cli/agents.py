"""`hrm-gym agents`: architectures, presets and shipped agents."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Sequence

import torch
from rich.console import Console
from rich.table import Table

from hrm_gym.agents.agent import TaskSpec
from hrm_gym.agents.registry import agent_class, agent_names, halting_class, halting_names
from hrm_gym.agents.saved import checkpoint as checkpoints
from hrm_gym.agents.saved.build import build
from hrm_gym.agents.saved.preset_table import PRESETS
from hrm_gym.agents.saved.presets import resolve
from hrm_gym.agents.saved.sources import LENT, PRETRAINED
from hrm_gym.cli.parse import parse
from hrm_gym.envs.registration import make_task
from hrm_gym.errors import HrmGymError
from hrm_gym.shares import in_percent


@dataclasses.dataclass(frozen=True)
class Arguments:
    """List the agents, halting rules, presets and shipped agents."""


def run(argv: Sequence[str]) -> int:
    """Print the tables."""
    parse(Arguments, argv, "agents")
    console = Console()
    for title, names, class_of in (
        ("agents", agent_names(), agent_class),
        ("halting rules", halting_names(), halting_class),
    ):
        table = _table(title, ("name", "what it is"))
        for name in names:
            cls = class_of(name)
            table.add_row(name, (cls.__doc__ or "").strip().partition("\n")[0])
        console.print(table)
    sizes = _table("presets (millions of parameters on the board)", ("preset", "board", "parameters"))
    for preset in PRESETS:
        env = PRESETS[preset].board
        spec = TaskSpec.of(make_task(env))
        counts = []
        for agent in agent_names():
            config = resolve({"env": env, "agent": agent, "preset": preset, "device": "cpu"})
            with contextlib.suppress(HrmGymError), torch.device("meta"):  # some agents this puzzle is not for
                counts.append(f"{agent} {build(config, spec).num_parameters / 1e6:.2f}")
        sizes.add_row(preset, env, ", ".join(counts))
    console.print(sizes)
    shipped = _table("shipped agents", ("environment", "agent", "parameters", "steps", "minutes", "exact", "by itself"))
    for path in sorted(PRETRAINED.glob("*.safetensors")):
        saved = checkpoints.load(path)
        count = sum(tensor.numel() for name, tensor in saved.part("ema").items() if not name.endswith("_init"))
        minutes = f"{saved.counters['seconds'] / 60:.1f}"
        exact = f"{in_percent(saved.counters['exact_accuracy'])} of {saved.counters['num_puzzles']:,}"
        steps, by_itself = f"{saved.counters['step']:,}", saved.counters["learned_halting"]
        halted = f"{in_percent(by_itself['exact_accuracy'])} in {by_itself['mean_segments']:.1f}"
        shipped.add_row(path.stem, saved.config.agent, f"{count:,}", steps, minutes, exact, halted)
    for env_id, lender in LENT.items():
        shipped.add_row(env_id, f"that of {lender}")
    console.print(shipped)
    return 0


def _table(title: str, columns: Sequence[str]) -> Table:
    table = Table(title=f"\n{title}", title_justify="left", box=None, pad_edge=False)
    for name in columns:
        table.add_column(name)
    return table
