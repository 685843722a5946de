"""Monitoring of the training loop: when to evaluate, report, save and stop, and when to warn."""

from __future__ import annotations

import contextlib
import functools
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hrm_gym.agents.inference.evaluation import evaluate_stops
from hrm_gym.agents.inference.protocol import Protocol
from hrm_gym.agents.policy import Policy
from hrm_gym.agents.saved import checkpoint as checkpoints
from hrm_gym.agents.saved.commands import again
from hrm_gym.agents.training import parallel
from hrm_gym.agents.training.callbacks import Callback, Scores
from hrm_gym.agents.training.flops import Meter
from hrm_gym.agents.training.interrupts import Interrupts
from hrm_gym.agents.training.judging import judge
from hrm_gym.agents.training.loggers import CSV_FILE
from hrm_gym.agents.training.loop import Record
from hrm_gym.agents.training.progress import Progress, clock
from hrm_gym.agents.training.trainer import Trainer
from hrm_gym.envs.datasets import puzzles_of
from hrm_gym.envs.task import Puzzles
from hrm_gym.errors import HrmGymError
from hrm_gym.files import locked, replacing

REPORT_SECONDS = 1.0
FLAT_EVALUATIONS = 8
"""A run is called flat after this many evaluations without a solved puzzle."""


LONG_MINUTES = 60.0
"""A run with at least this budget says how long it takes."""
EARLY_REPORTS = 60
"""Warn after this many reports in a row in which the agent halts at once on wrong answers."""


class Monitor:
    """Monitors the loop of `train`; a context manager.

    Args:
        trainer: the run's.
        run_dir: the run's folder.
        callbacks: called at events of the run; loggers are callbacks, too.
    """

    def __init__(self, trainer: Trainer, run_dir: Path, callbacks: Sequence[Callback] = ()) -> None:
        self._trainer, self._run_dir = trainer, run_dir
        self._config = trainer.whole
        self._validation = self._puzzles("validation", self._config.eval_puzzles)
        self._interrupts = Interrupts()
        self._show: Progress | None = None
        self._coming, self._callbacks = callbacks, list[Callback]()
        """The callbacks, and those that have begun."""
        self._result: dict[str, Any] | None = None
        self._figures: list[dict[str, Tensor]] = []
        self._reached = False
        """Whether the target is reached, or a callback asked to end the run."""
        self._flat = self._early = 0
        self._broken = False
        self._stopped = False
        """Whether any process was asked to stop."""
        self._reported = self._evaluated = trainer.seconds
        self._stored = -math.inf  # the first step is saved, so that the run can be resumed
        with contextlib.ExitStack() as held:
            if parallel.is_leader():
                held.callback(_remove_folder, run_dir)
                held.enter_context(locked(run_dir))
                held.callback(_remove_files, run_dir)
                with replacing(run_dir / "config.json") as temporary:
                    temporary.write_text(self._config.to_json() + "\n", encoding="utf-8")
                self._meter = Meter(trainer)
                self._show = Progress(f"{self._config.env} {self._config.agent}")
            self._held = held.pop_all()

    def __enter__(self) -> Monitor:
        self._interrupts.__enter__()
        if self._show:
            self._show.__enter__()
        self._interrupts.may_break_at_once = True
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> bool:
        self._interrupts.may_break_at_once = False
        # Ctrl-C also interrupts the compilers, which then raise errors of their own.
        interrupted = self._interrupts.asked and (isinstance(error, KeyboardInterrupt) or _of_compiler(error))
        if self._show:
            if interrupted:
                self._show.say(self._left())
            self._show.__exit__(kind, error, trace)
        self._interrupts.__exit__(kind, error, trace)
        self._held.close()
        return interrupted

    # ---- called by the loop ----------------------------------------------------------------------

    def begin(self) -> None:
        """Introduce the run, to the callbacks, too."""
        if not self._show:
            return
        self._introduce(self._show)
        for callback in self._coming:
            callback.begins(self._config, self._run_dir)
            self._callbacks.append(callback)
            self._held.callback(self._end, callback)

    def goes_on(self) -> bool:
        """Whether to make another step; evaluates and saves if due."""
        trainer, config = self._trainer, self._config
        stored = trainer.seconds - self._stored
        saving = trainer.learner.steps > 0 and stored >= 60 * config.save_minutes  # the same in all processes
        if self._show and self._figures:
            due = self._is_due()
            # Also before saving: a loss that is not finite must not replace the last good checkpoint.
            if due or saving or trainer.seconds - self._reported >= REPORT_SECONDS:
                self._report(self._show)
            if due:
                self._evaluate(self._show)
        self._stopped, reached, broken = trainer.tick(self._interrupts.asked, self._reached, self._broken)
        if broken:
            raise self._diverged("the loss is")
        if saving:
            self._save()
        return not (self._stopped or reached or trainer.is_over)

    def update(self, record: Record) -> None:
        """Record a step, without a transfer to the host."""
        self._interrupts.may_break_at_once = False
        if not self._show:
            return
        experience = record.transition
        beliefs = self._trainer.policy.halting.belief(experience.signals)
        figures = {
            **record.losses,
            "accuracy": experience.right.float().mean(),
            "cell_accuracy": record.cell_accuracy.float().mean(),
            "wrong_halts": (experience.halted & ~experience.right).float().mean(),
            "ended": torch.where(experience.ended, experience.segment, 0),
        }
        if beliefs is not None:
            figures["belief"] = beliefs.detach().sigmoid().mean()
        figures |= {f"signal/{name}": value.detach().sigmoid().mean() for name, value in experience.signals.items()}
        self._figures.append(figures)

    def finish(self) -> dict[str, Any] | None:
        """Save; if the run is over, also evaluate on test puzzles and write `result.json`."""
        if self._stopped and not self._trainer.learner.steps:
            if self._show:
                self._show.say(self._left())
            return None
        self._save()
        if not self._show:
            return None
        if self._stopped:
            self._show.say(self._left())
            return None
        self._interrupts.may_break = True  # all is saved, and the test of a long course takes minutes
        try:
            self._result = judge(
                self._trainer, self._show, self._run_dir, lambda scores: self._tell("evaluated", scores)
            )
        finally:
            self._interrupts.may_break = False
        return self._result

    # ---- inside ----------------------------------------------------------------------------------

    def _boards(self, policy: Policy) -> dict[int, np.ndarray]:
        """Pictures of a validation puzzle being solved, by segment."""
        from hrm_gym.agents.training.pictures import answers_drawn  # drawing is imported for the first picture

        title = f"{self._config.env} {self._config.agent}"
        return answers_drawn(self._trainer.task, title, policy, self._validation)

    def _end(self, callback: Callback) -> None:
        callback.ended(self._result)

    def _tell(self, what: str, *news: Any) -> bool:
        """Call a method of all callbacks; whether one of them asks to end the run."""
        return any([getattr(callback, what)(*news) is False for callback in self._callbacks])

    def _left(self) -> str:
        """A message for a stopped run: what it saved and how to resume it."""
        path = self._run_dir / checkpoints.FILE_NAME
        if not path.exists():
            return "stopped before the first step: nothing is kept"
        step = checkpoints.load(path).counters["step"]
        return f"stopped at step {step:,}; go on with: {again(self._config, 'train')} --resume {self._run_dir}"

    def _introduce(self, show: Progress) -> None:
        c, trainer = self._config, self._trainer
        show.say(
            f"[bold]{c.env}[/]: {c.agent} ({trainer.policy.num_parameters:,} parameters, preset {c.preset}, halting "
            f"{c.halting}) on {c.device}, {trainer.envs.num_puzzles:,} training puzzles, "
            f"{self._meter.flops / 1e9:,.1f} GFLOP a step, {self._run_dir}"
        )
        if c.course:
            parts = (stage.strip().partition(" ") for stage in c.course.split(";"))
            listed = "; ".join(f"{100 * float(share):.0f} % {changes or c.env}" for share, _, changes in parts)
            show.say(f"[dim]{len(trainer.stages)} stages, as shares of the time: {listed}[/]")
        if c.max_minutes >= LONG_MINUTES and not trainer.seconds:
            show.say(
                f"[dim]training takes {clock(60 * c.max_minutes)} hours; Ctrl-C saves, and --resume continues; "
                "--max-minutes 30 goes through all stages and gives a weaker agent[/]"
            )
        if c.max_steps:
            show.say("[dim]the learning rate follows the steps, so on a CPU a resumed run gives the same weights[/]")
        elif c.max_minutes:
            show.say(
                "[dim]the learning rate follows the clock, so no two runs are exactly equal; with --max-steps they are "
                "on a CPU[/]"
            )
        for note in trainer.notes:
            show.say(note)

    def _puzzles(self, split: str, num: int) -> Puzzles:
        """The first puzzles of a split, from the run's dataset if it has one."""
        whole = puzzles_of(self._trainer.task, split, self._config.dataset or None)
        return whole.map(lambda array: array[:num])

    def _is_due(self) -> bool:
        c = self._config
        if c.eval_steps:
            return self._trainer.learner.steps % c.eval_steps == 0
        return self._trainer.seconds - self._evaluated >= 60 * c.eval_minutes

    def _diverged(self, what: str) -> HrmGymError:
        kept, begin = "nothing is kept", "begin again"
        if (self._run_dir / checkpoints.FILE_NAME).exists():
            kept = f"{self._run_dir} keeps the last checkpoint before"
            begin = "start a new run from it by --init-from"
        return HrmGymError(
            f"{what} no longer finite at step {self._trainer.learner.steps:,}: {kept}; {begin} with a lower --lr, or "
            "with --clip 1"
        )

    def _save(self) -> None:
        """Replace the checkpoint, but never with weights that are not finite. All processes hold the same weights."""
        tensors = self._trainer.policy.state_dict().values()
        if not bool(torch.stack([tensor.isfinite().all() for tensor in tensors]).all()):
            raise self._diverged("the weights are")
        snapshot = self._trainer.snapshot()  # gathered from all processes
        if parallel.is_leader():
            path = self._run_dir / checkpoints.FILE_NAME
            checkpoints.save(path, snapshot)
            self._tell("saved", self._trainer.learner.steps, path)
        self._stored = self._trainer.seconds

    def _report(self, show: Progress) -> None:
        """Transfer the figures of the last steps to the host, all in one transfer."""
        trainer, figures = self._trainer, self._figures
        now = trainer.elapsed  # `trainer.seconds` does not include the last step yet
        seconds = max(now - self._reported, 1e-9)
        means = {name: float(torch.stack([f[name] for f in figures]).mean()) for name in figures[0] if name != "ended"}
        trainer.policy.agent.check()
        if not all(math.isfinite(value) for value in means.values()):
            self._broken = True
        ended = torch.cat([f["ended"] for f in figures]).cpu().numpy()  # a stage may have changed the number of slots
        num_segments, ended = len(ended), ended[ended > 0]
        if len(ended):
            means["episode_segments"] = float(ended.mean())
            self._warn_of_early_halting(show, means)
        means["segments_per_second"] = num_segments * parallel.size() / seconds
        means |= self._meter.figures(len(figures), seconds)
        means["stage"] = trainer.stage + 1.0
        show.training(trainer.learner.steps, means, trainer.seconds, trainer.seconds_left)
        self._reached |= self._tell("logged", trainer.learner.steps, means, ended)
        self._reported, self._figures = now, []

    def _evaluate(self, show: Progress) -> None:
        trainer = self._trainer
        policy = trainer.judged()
        protocols = [
            Protocol(halting=halting, max_segments=self._config.max_segments) for halting in ("fixed", "learned")
        ]
        self._interrupts.may_break = True
        try:
            scores, by_itself = evaluate_stops(policy, trainer.task, self._validation, protocols)
            show.evaluation(trainer.learner.steps, trainer.seconds, scores, by_itself)
            boards = functools.cache(lambda: self._boards(policy))
            news = Scores.of("validation", trainer.learner.steps, trainer.seconds, scores, by_itself, boards)
            self._reached |= self._tell("evaluated", news)
        except KeyboardInterrupt:
            return
        finally:
            self._interrupts.may_break = False
            trainer.seconds = trainer.elapsed  # the other processes wait at their next `tick`
            self._evaluated = self._reported = trainer.seconds
        grades = {"exact_accuracy": float(scores.exact.mean()), "valid_accuracy": float(scores.valid.mean())}
        halting = {
            "exact_accuracy_by_itself": float(by_itself.exact.mean()),
            "mean_segments_by_itself": float(by_itself.segments.mean()),
        }
        trainer.curve.append({"step": trainer.learner.steps, "seconds": trainer.seconds, **grades, **halting})
        accuracy = float(scores.after[-1])
        self._reached |= 0 < self._config.target_accuracy <= accuracy
        self._flat = 0 if accuracy else self._flat + 1
        if self._flat == FLAT_EVALUATIONS:
            show.say(
                f"[yellow]no validation puzzle was solved in {FLAT_EVALUATIONS} evaluations: if the loss has stopped "
                "falling, try another preset, more --max-segments or a lower --lr[/]"
            )

    def _warn_of_early_halting(self, show: Progress, means: dict[str, float]) -> None:
        early = means["episode_segments"] < 1.5 and self._config.max_segments > 2 and means["wrong_halts"] > 0.5
        self._early = self._early + 1 if early else 0  # normal in the first seconds of a run
        if self._early == EARLY_REPORTS:
            advice = ["raise --exploration"] * hasattr(self._config.halting_options, "exploration")
            advice += ["lower --segment-cost"] * (self._config.segment_cost > 0)
            advice = advice or ["choose another --halting"]
            show.say(f"[yellow]the agent halts at once on wrong answers: {' or '.join(advice)}[/]")


def _of_compiler(error: BaseException | None) -> bool:
    return type(error).__module__.startswith(("torch._inductor", "torch._dynamo"))


def _remove_files(run_dir: Path) -> None:
    """Remove the files of a run without a checkpoint, which cannot be resumed, while its folder is locked."""
    if (run_dir / checkpoints.FILE_NAME).exists():
        return
    written = [run_dir / name for name in ("config.json", ".lock", CSV_FILE)]
    for path in (*written, *run_dir.glob("events.out.tfevents.*")):
        with contextlib.suppress(OSError):  # Windows removes the lock itself, once it is released
            path.unlink(missing_ok=True)


def _remove_folder(run_dir: Path) -> None:
    """Remove the folder if nothing is left in it, so that it becomes free."""
    with contextlib.suppress(OSError):
        run_dir.rmdir()
