"""`hrm-gym agents`: architectures, presets and shipped agents."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

import tyro
from rich.console import Console
from rich.table import Table

from hrm_gym.agents.registry import AGENTS, PRESETS, build_reasoner, defaults
from hrm_gym.agents.training import checkpoint as checkpoints
from hrm_gym.envs.registration import make_task

# The board on which a preset's size is counted: the one that `auto` chooses it for.
BOARDS = {"tiny": "Sudoku4x4-v0", "small": "Sudoku6x6-v0", "local": "MazeSmall-v0", "gpu_local": "MazeHard-v0"}


@dataclasses.dataclass(frozen=True)
class Arguments:
    """List the architectures, presets and shipped agents."""


def run(argv: Sequence[str]) -> int:
    """Print the tables."""
    tyro.cli(Arguments, args=list(argv), prog="hrm-gym agents")
    console = Console()
    sizes = Table(title="presets (millions of parameters on the board)", title_justify="left", box=None, pad_edge=False)
    for name in ("preset", "board", *AGENTS, "width", "cycles", "mixer"):
        sizes.add_column(name)
    for preset in PRESETS:
        env = BOARDS.get(preset, "SudokuExtreme-v0")
        task = make_task(env)
        configs = (defaults(env, agent, preset, "cpu") for agent in AGENTS)
        models = (build_reasoner(config, task.num_tokens, task.shape) for config in configs)
        counts = [f"{model.num_parameters / 1e6:.2f}" for model in models]
        c = defaults(env, "hrm", preset, "cpu")
        cycles = f"{c.h_cycles} x {c.l_cycles}"
        sizes.add_row(preset, env, *counts, str(c.hidden_size), cycles, c.mixer)
    console.print(sizes)
    shipped = Table(title="\nshipped agents", title_justify="left", box=None, pad_edge=False)
    for name in ("environment", "agent", "parameters", "training steps", "minutes", "exact"):
        shipped.add_column(name)
    for path in sorted(Path(str(resources.files("hrm_gym.agents") / "pretrained")).glob("*.safetensors")):
        saved = checkpoints.load(path)
        count = checkpoints.restore_agent(saved, path).num_parameters
        minutes = f"{saved.counters['seconds'] / 60:.1f}"
        exact = f"{100 * saved.counters['exact_accuracy']:.1f} % of {saved.counters['num_puzzles']:,}"
        steps = f"{saved.counters['step']:,}"
        shipped.add_row(path.stem, saved.config.agent, f"{count:,}", steps, minutes, exact)
    console.print(shipped)
    return 0
