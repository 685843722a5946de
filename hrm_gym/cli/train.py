"""`hrm-gym train`: the configuration from preset and command line, then the training loop."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence
from pathlib import Path

import tyro

from hrm_gym.agents.registry import choose_device, defaults, free_run_dir
from hrm_gym.agents.training import checkpoint as checkpoints
from hrm_gym.agents.training import parallel
from hrm_gym.agents.training.config import Config
from hrm_gym.agents.training.run import train
from hrm_gym.errors import HrmGymError

# What a resumed run may be told anew: how long it goes on, where, and how it is watched.
CHANGEABLE = {
    "device",
    "run_dir",
    "resume",
    "max_minutes",
    "max_steps",
    "target_accuracy",
    "eval_minutes",
    "eval_steps",
    "eval_puzzles",
    "test_puzzles",
    "save_minutes",
}


def run(argv: Sequence[str]) -> int:
    """Train as the arguments say."""
    # The preset follows from a few arguments; what it sets is then the default of all the others.
    first = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    for field in ("env", "agent", "preset", "device", "resume"):
        first.add_argument(f"--{field}", default=getattr(Config, field))
    chosen, _ = first.parse_known_args(list(argv))
    if chosen.resume:
        return _resume(Path(chosen.resume), argv)
    config = tyro.cli(
        Config,
        args=list(argv),
        default=defaults(chosen.env, chosen.agent, chosen.preset, chosen.device),
        prog="hrm-gym train",
        description="Train an agent. Defaults below are those of the chosen env, agent, preset and device.",
    )
    # tyro gives "auto" back where the user wrote it; the resolved names are what the run is.
    named = defaults(chosen.env, chosen.agent, chosen.preset, chosen.device)
    config = dataclasses.replace(config, agent=named.agent, preset=named.preset)
    run_dir = free_run_dir(config) if parallel.leads() else Path(config.run_dir)  # the others write nothing
    config = dataclasses.replace(config, run_dir=str(run_dir), device=parallel.join(named.device))
    train(config, run_dir)
    parallel.leave()
    return 0


def _resume(run_dir: Path, argv: Sequence[str]) -> int:
    if not run_dir.is_dir():
        raise HrmGymError(f"--resume {run_dir}: there is no such folder; give the folder of a run")
    saved = checkpoints.load(run_dir)
    if not saved.part("optimizer"):
        raise HrmGymError(f"{run_dir} holds weights only: start a new run with --init-from {run_dir}")
    config = tyro.cli(Config, args=list(argv), default=saved.config, prog="hrm-gym train")
    for field in dataclasses.fields(Config):
        before, now = getattr(saved.config, field.name), getattr(config, field.name)
        if before != now and field.name not in CHANGEABLE:
            raise HrmGymError(
                f"--{field.name.replace('_', '-')} {now} differs from the run's {before}: a resumed run may "
                f"only change {', '.join(sorted(CHANGEABLE))}; to begin anew from its weights use "
                f"--init-from {run_dir}"
            )
    device = parallel.join(choose_device(config.device))
    config = dataclasses.replace(config, resume="", device=device, run_dir=str(run_dir))
    train(config, run_dir, saved)
    parallel.leave()
    return 0
