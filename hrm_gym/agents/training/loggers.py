"""Where the figures of a run go: `--log tensorboard,csv,wandb,mlflow,trackio`. Each logger is a callback."""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hrm_gym.agents.saved.config import Config
from hrm_gym.agents.training.callbacks import Callback, Scores
from hrm_gym.errors import extra, unknown

CSV_FILE = "log.csv"
PROJECT = "hrm-gym"
"""The project of a run on W&B and Trackio, unless the service's own environment variable names another."""
MOST_PARAMETERS = 100
"""What MLflow takes in one call."""


class TensorBoard(Callback):
    """Scalars, a histogram of the segments that episodes took, pictures of a board, and the settings as text."""

    def __init__(self) -> None:
        self._library = _library("torch.utils.tensorboard", "train", "tensorboard")
        _library("pygame", "train", "tensorboard")  # which draws the boards

    def begins(self, config: Config, folder: Path) -> None:
        """Open the file."""
        self._config, self._writer = config, self._library.SummaryWriter(str(folder))

    def logged(self, step: int, figures: Mapping[str, float], ended_after: np.ndarray) -> None:
        """Add scalars and the histogram."""
        for name, value in figures.items():
            self._writer.add_scalar(f"train/{name}", value, step)
        if len(ended_after):
            bins = np.arange(self._config.max_segments + 2) + 0.5
            self._writer.add_histogram("train/ended_after", ended_after, step, bins=bins)

    def evaluated(self, scores: Scores) -> None:
        """Add scalars and pictures."""
        for name, value in scores.named().items():
            self._writer.add_scalar(name, value, scores.step)
        for segment, picture in scores.boards().items():
            self._writer.add_image(_board(segment), picture, scores.step, dataformats="HWC")

    def ended(self, result: dict[str, Any] | None) -> None:
        """Add the settings and the result, and close the file."""
        if result is not None:
            rows = "\n".join(f"| {name} | {value} |" for name, value in {**self._config.to_dict(), **result}.items())
            self._writer.add_text("run", f"| field | value |\n| --- | --- |\n{rows}")
        self._writer.close()


class CSV(Callback):
    """A table in the run's folder, `log.csv`: a row for each figure, `step,name,value`. A resumed run goes on in it."""

    def begins(self, config: Config, folder: Path) -> None:
        """Open the file."""
        self._file = (folder / CSV_FILE).open("a", encoding="utf-8", newline="")
        self._rows = csv.writer(self._file, lineterminator="\n")
        if not self._file.tell():
            self._rows.writerow(("step", "name", "value"))

    def logged(self, step: int, figures: Mapping[str, float], ended_after: np.ndarray) -> None:
        """Add rows."""
        self._write(step, _training(figures))

    def evaluated(self, scores: Scores) -> None:
        """Add rows."""
        self._write(scores.step, scores.named())

    def ended(self, result: dict[str, Any] | None) -> None:
        """Close the file."""
        self._file.close()

    def _write(self, step: int, figures: Mapping[str, float]) -> None:
        self._rows.writerows((step, name, f"{value:.8g}") for name, value in figures.items())
        self._file.flush()


class WeightsAndBiases(Callback):
    """A run on Weights & Biases; `WANDB_MODE=offline` keeps it in the run's folder. Resuming starts another one."""

    def __init__(self) -> None:
        self._library = _library("wandb", "wandb")

    def begins(self, config: Config, folder: Path) -> None:
        """Start the run, in its folder."""
        project = os.environ.get("WANDB_PROJECT", PROJECT)
        self._run = self._library.init(project=project, name=folder.name, config=config.to_dict(), dir=str(folder))

    def logged(self, step: int, figures: Mapping[str, float], ended_after: np.ndarray) -> None:
        """Log the figures."""
        self._run.log(_training(figures), step=step)

    def evaluated(self, scores: Scores) -> None:
        """Log the figures and the pictures."""
        pictures = {_board(segment): self._library.Image(picture) for segment, picture in scores.boards().items()}
        self._run.log(scores.named() | pictures, step=scores.step)

    def ended(self, result: dict[str, Any] | None) -> None:
        """Finish the run."""
        self._run.finish(exit_code=0 if result is not None else 1)


class Trackio(WeightsAndBiases):
    """The same on Trackio, on this machine or, with `TRACKIO_SPACE_ID`, in a Space of Hugging Face."""

    def __init__(self) -> None:
        self._library = _library("trackio", "trackio")

    def begins(self, config: Config, folder: Path) -> None:
        """Start the run."""
        project = os.environ.get("TRACKIO_PROJECT", PROJECT)
        self._run = self._library.init(project=project, name=folder.name, config=config.to_dict(), embed=False)

    def ended(self, result: dict[str, Any] | None) -> None:
        """Finish the run."""
        self._run.finish()


class MLflow(Callback):
    """A run of MLflow, inside the caller's own if there is one; where it goes is MLflow's `MLFLOW_TRACKING_URI`."""

    def __init__(self) -> None:
        self._library = _library("mlflow", "mlflow")

    def begins(self, config: Config, folder: Path) -> None:
        """Start the run and log its settings."""
        self._library.start_run(run_name=folder.name, nested=True)
        settings = config.to_dict()
        own = [settings.pop("agent_options"), settings.pop("halting_options")]
        parameters = list({**settings, **own[0], **own[1]}.items())
        for first in range(0, len(parameters), MOST_PARAMETERS):
            self._library.log_params(dict(parameters[first : first + MOST_PARAMETERS]))

    def logged(self, step: int, figures: Mapping[str, float], ended_after: np.ndarray) -> None:
        """Log the figures."""
        self._library.log_metrics(_training(figures), step=step)

    def evaluated(self, scores: Scores) -> None:
        """Log the figures and the pictures."""
        self._library.log_metrics(scores.named(), step=scores.step)
        for segment, picture in scores.boards().items():
            self._library.log_image(picture, key=_board(segment), step=scores.step)

    def ended(self, result: dict[str, Any] | None) -> None:
        """End the run."""
        self._library.end_run("FINISHED" if result is not None else "KILLED")


LOGGERS: dict[str, type[Callback]] = {
    "tensorboard": TensorBoard,
    "csv": CSV,
    "wandb": WeightsAndBiases,
    "mlflow": MLflow,
    "trackio": Trackio,
}


def loggers(names: str) -> list[Callback]:
    """The loggers of a list such as "tensorboard,csv"; none for "none" or an empty text.

    Raises:
        HrmGymError: on an unknown name, or if a library is missing.
    """
    asked = [name for word in names.split(",") if (name := word.strip()) not in ("", "none")]
    for name in asked:
        if name not in LOGGERS:
            raise unknown("--log", name, [*LOGGERS, "none"])
    return [LOGGERS[name]() for name in dict.fromkeys(asked)]


def _library(module: str, name: str, log: str = "") -> Any:
    return extra(module, name, f"--log {log or name}", "leave it out of --log")


def _training(figures: Mapping[str, float]) -> dict[str, float]:
    return {f"train/{name}": value for name, value in figures.items()}


def _board(segment: int) -> str:
    return f"board/after_{segment:02}_segments"
