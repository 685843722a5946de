"""Run a training from start to end."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hrm_gym.agents.saved.checkpoint import FILE_NAME, Checkpoint
from hrm_gym.agents.saved.config import Config
from hrm_gym.agents.training import parallel
from hrm_gym.agents.training.callbacks import Callback, checked
from hrm_gym.agents.training.loggers import loggers
from hrm_gym.agents.training.loop import segments
from hrm_gym.agents.training.monitor import Monitor
from hrm_gym.agents.training.trainer import Trainer, Wrap
from hrm_gym.errors import HrmGymError


def train(
    config: Config,
    run_dir: Path,
    saved: Checkpoint | None = None,
    wrap: Wrap | None = None,
    callbacks: Sequence[Callback] = (),
) -> dict[str, Any] | None:
    """Train until the budget, the target or a signal ends the run.

    Args:
        config: a complete configuration (see `presets.resolve`).
        run_dir: folder for `config.json`, the logs, the checkpoint and, at the end, `result.json`.
        saved: the checkpoint to resume from.
        wrap: wraps the environments, for example to change rewards.
        callbacks: called at events of the run, after its loggers.

    Returns:
        The content of `result.json`. None if a signal ended the run, which can then be resumed, and in all processes
        of a distributed run except the leader.

    Raises:
        HrmGymError: if reading or writing fails, or the loss is no longer finite; the last checkpoint stays intact.
    """
    callbacks = [*loggers(config.log), *checked(callbacks)] if parallel.is_leader() else []
    trainer = Trainer(config, saved, wrap)
    with Monitor(trainer, run_dir, callbacks) as monitor:
        monitor.begin()
        if monitor.goes_on():
            for record in segments(trainer):
                monitor.update(record)
                if not monitor.goes_on():
                    break
        return monitor.finish()
    return None  # interrupted while compiling


def free_run_dir(config: Config, root: Path = Path("runs")) -> Path:
    """The run's folder: the requested one, or a free one under `root`.

    Raises:
        HrmGymError: if the requested folder already holds a run.
    """
    if config.run_dir:
        path = Path(config.run_dir)
        try:
            taken = (path / FILE_NAME).exists()  # a run that died before its first checkpoint loses nothing
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise HrmGymError(f"--run-dir {config.run_dir[:80]!r}: {reason}; give another name") from None
        if taken:
            raise HrmGymError(
                f"{path} already holds a run: go on with it by --resume {path}, or give another --run-dir"
            )
        return path
    name = f"{config.env.rpartition(':')[2].replace('/', '-')}-{config.agent}-seed{config.seed}"
    path, count = root / name, 2
    while path.exists():
        path, count = root / f"{name}-{count}", count + 1
    return path
