"""A run from beginning to end: the loop around the trainer, with its evaluations, reports and checkpoints."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hrm_gym.agents.training import checkpoint as checkpoints
from hrm_gym.agents.training import parallel
from hrm_gym.agents.training.checkpoint import Checkpoint
from hrm_gym.agents.training.config import Config
from hrm_gym.agents.training.flops import Meter
from hrm_gym.agents.training.progress import Progress
from hrm_gym.agents.training.trainer import Trainer
from hrm_gym.envs.task import Puzzles
from hrm_gym.files import replacing

REPORT_SECONDS = 1.0


class _Stop:
    """Whether the user or the system has asked the run to end; the second time ends it at once."""

    def __init__(self) -> None:
        self.asked = False
        self._before = {s: signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)}

    def __enter__(self) -> _Stop:
        for number in self._before:
            signal.signal(number, self._ask)
        return self

    def __exit__(self, *exc: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _ask(self, number: int, frame: Any) -> None:
        self.asked = True
        signal.signal(number, self._before[signal.Signals(number)])


def train(config: Config, run_dir: Path, saved: Checkpoint | None = None) -> dict[str, Any] | None:
    """Train until the budget, the target or a signal ends the run.

    Args:
        config: complete, as for `Trainer`.
        run_dir: gets `config.json`, TensorBoard events, the checkpoint and, at the end, `result.json`.
        saved: the checkpoint to resume from.

    Returns:
        What `result.json` holds; None where a signal ended the run, which is then ready to be resumed, and in
        the processes of a distributed run that do not lead it.

    Raises:
        HrmGymError: where something cannot be written or read; the last checkpoint stays whole.
    """
    trainer = Trainer(config, saved)
    path = run_dir / checkpoints.FILE_NAME
    config = trainer.config
    test = trainer.task.dataset("test")
    held_out = test.map(lambda array: array[: config.eval_puzzles])
    figures: list[dict[str, Tensor]] = []
    show: Progress | None = None
    if parallel.leads():
        with replacing(run_dir / "config.json") as temporary:
            temporary.write_text(config.to_json() + "\n")
        meter = Meter(trainer.agent, trainer.device)
        show = Progress(run_dir, trainer.task, f"{config.env} {config.agent}")

    with _Stop() as stop, show or contextlib.nullcontext():
        if show:
            show.say(
                f"[bold]{config.env}[/]: {config.agent} ({trainer.agent.num_parameters:,} parameters, preset "
                f"{config.preset}) on {config.device}, {trainer.num_training_puzzles:,} training puzzles, "
                f"{meter.flops / 1e9:,.1f} GFLOP a step, {run_dir}"
            )
        began = time.monotonic() - trainer.seconds
        reported = evaluated = stored = trainer.seconds
        asked = reached = False
        while not asked and not reached and trainer.progress() < 1.0:
            now = trainer.train_segment()
            trainer.seconds = time.monotonic() - began
            if show:
                figures.append(now)
                due = _is_due(trainer, evaluated)
                if due or trainer.seconds - reported >= REPORT_SECONDS:
                    _report(trainer, show, figures, trainer.seconds - reported, meter)
                    reported, figures = trainer.seconds, []
                if due:
                    scores = trainer.evaluate(held_out)
                    show.evaluation(trainer.step, trainer.seconds, scores)
                    show.boards(trainer.step, trainer.averaged_agent(), held_out)
                    trainer.seconds = time.monotonic() - began
                    evaluated = reported = trainer.seconds
                    grades = {name: scores.summary()[name] for name in ("exact_accuracy", "valid_accuracy")}
                    trainer.curve.append({"step": trainer.step, "seconds": trainer.seconds, **grades})
                    reached = 0 < config.target_accuracy <= grades["exact_accuracy"]
            trainer.seconds, (asked, reached) = parallel.agree(trainer.seconds, stop.asked, reached)
            if trainer.seconds - stored >= 60 * config.save_minutes:
                _save(trainer, path)
                stored = trainer.seconds
        _save(trainer, path)
        if not show:
            return None
        if asked:
            show.say(f"stopped at step {trainer.step:,}; go on with: python train_agent.py --resume {run_dir}")
            return None

        return _finish(trainer, show, run_dir, test)


def _save(trainer: Trainer, path: Path) -> None:
    snapshot = trainer.snapshot()  # gathered from all processes
    if parallel.leads():
        checkpoints.save(path, snapshot)


def _is_due(trainer: Trainer, evaluated: float) -> bool:
    c = trainer.config
    if c.eval_steps:
        return trainer.step % c.eval_steps == 0
    return trainer.seconds - evaluated >= 60 * c.eval_minutes


def _report(trainer: Trainer, show: Progress, figures: list[dict[str, Tensor]], seconds: float, meter: Meter) -> None:
    """Bring the figures of the last steps to the host, once for all of them."""
    means = {name: float(torch.stack([f[name] for f in figures]).mean()) for name in figures[0] if name != "ended"}
    ended = torch.stack([f["ended"] for f in figures]).cpu().numpy()
    ended = ended[ended > 0]
    if len(ended):
        means["episode_segments"] = float(np.mean(ended))
    means["segments_per_second"] = len(figures) * trainer.config.num_envs / seconds
    means |= meter.figures(len(figures), seconds)
    used = trainer.progress()
    left = trainer.seconds / used - trainer.seconds if used else None
    show.training(trainer.step, means, trainer.seconds, left)
    show.halting(trainer.step, ended)


def _finish(trainer: Trainer, show: Progress, run_dir: Path, test: Puzzles) -> dict[str, Any]:
    """The final evaluation and `result.json`."""
    config = trainer.config
    puzzles = test.map(lambda array: array[: config.test_puzzles])
    fixed, adaptive = trainer.evaluate(puzzles, "fixed"), trainer.evaluate(puzzles, "learned")
    result = {
        "exact_accuracy": fixed.summary()["exact_accuracy"],
        "valid_accuracy": fixed.summary()["valid_accuracy"],
        "cell_accuracy": fixed.cell_accuracy,
        "mean_segments": fixed.summary()["mean_segments"],
        "accuracy_after_segments": [round(float(x), 4) for x in fixed.right_after],
        "learned_halting": {k: adaptive.summary()[k] for k in ("exact_accuracy", "mean_segments")},
        "num_puzzles": len(fixed.right),
        "steps": trainer.step,
        "seconds": round(trainer.seconds, 1),
        "device": config.device,
        "processes": parallel.size(),
        "num_parameters": trainer.agent.num_parameters,
        "num_training_puzzles": trainer.num_training_puzzles,
        "curve": trainer.curve,
        **{name: getattr(config, name) for name in ("env", "agent", "preset", "seed", "max_segments")},
    }
    with replacing(run_dir / "result.json") as temporary:
        temporary.write_text(json.dumps(result, indent=2) + "\n")
    show.settings(dataclasses.asdict(config), result)
    show.evaluation(trainer.step, trainer.seconds, fixed, f"final, {len(fixed.right):,} held out")
    show.say(
        f"halting by itself: {100 * adaptive.right.mean():.1f} % exact in "
        f"{adaptive.segments.mean():.1f} segments on average instead of {config.max_segments}\n"
        f"watch it: python play.py --env {config.env} --checkpoint {run_dir}"
    )
    return result
