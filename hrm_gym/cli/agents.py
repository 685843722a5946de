"""`hrm-gym agents`: architectures, halting rules, presets and shipped agents."""

from __future__ import annotations

import dataclasses
import shutil
import textwrap
from collections.abc import Iterator, Sequence

import torch

from hrm_gym.agents.agent import TaskSpec
from hrm_gym.agents.registry import agent_class, agent_names, halting_class, halting_names
from hrm_gym.agents.saved import checkpoint as checkpoints
from hrm_gym.agents.saved.build import build
from hrm_gym.agents.saved.card import headline
from hrm_gym.agents.saved.preset_table import PRESETS
from hrm_gym.agents.saved.presets import resolve
from hrm_gym.agents.saved.sources import LENT, PRETRAINED
from hrm_gym.cli.parse import parse
from hrm_gym.envs.registration import make_task

_NAMES = 16
"""Width of the column of names. A longer name is printed on its own line."""
_NARROW = 50
"""On terminals narrower than this, every name is printed on its own line."""


@dataclasses.dataclass(frozen=True)
class Arguments:
    """List the agents, halting rules, presets and shipped agents."""


def run(argv: Sequence[str]) -> int:
    """Print the lists."""
    parse(Arguments, argv, "agents")
    width = max(shutil.get_terminal_size().columns, 20)
    for title, entries in (
        ("agents", ((name, _first_line(agent_class(name))) for name in agent_names())),
        ("halting rules", ((name, _first_line(halting_class(name))) for name in halting_names())),
        ("presets", _presets()),
        ("shipped agents", shipped()),
    ):
        print(f"{title}:")
        for name, text in entries:
            print(_entry(name, text, width))
        print()
    return 0


def _first_line(cls: type) -> str:
    return (cls.__doc__ or "").strip().partition("\n")[0]


def _presets() -> Iterator[tuple[str, str]]:
    """Yield each preset with its agent and number of parameters."""
    for name, preset in PRESETS.items():
        config = resolve({"env": preset.board, "preset": name, "device": "cpu"})
        with torch.device("meta"):
            millions = build(config, TaskSpec.of(make_task(preset.board))).num_parameters / 1e6
        yield name, f"{preset.about} ({config.agent}, {millions:.2f} million parameters for {preset.board})"


def shipped() -> Iterator[tuple[str, str]]:
    """Yield each shipped agent with its number of parameters and the result that its card reports."""
    lent = {env: PRETRAINED / f"{env}.md" for env in LENT}
    for path in sorted([*PRETRAINED.glob("*.safetensors"), *lent.values()], key=lambda path: path.stem):
        if path.stem in LENT:
            figure = f": {headline(path)}" if path.is_file() else ""
            yield path.stem, f"the agent of {LENT[path.stem]}{figure}"
            continue
        saved = checkpoints.load(path)
        count = sum(tensor.numel() for name, tensor in saved.part("ema").items() if not name.endswith("_init"))
        yield path.stem, f"{saved.config.agent}, {count:,} parameters: {headline(path)}"


def _entry(name: str, text: str, width: int) -> str:
    """Format a name and its description, wrapped between words."""
    beside = len(name) < _NAMES and width >= _NARROW
    start, indent = (f"  {name:{_NAMES}}", " " * (_NAMES + 2)) if beside else ("    ", "    ")
    lines = textwrap.fill(
        text, width, initial_indent=start, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )
    return lines if beside else f"  {name}\n{lines}"
