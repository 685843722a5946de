"""Log an evaluation to TensorBoard."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hrm_gym.agents.inference.evaluation import Evaluation
from hrm_gym.errors import extra
from hrm_gym.files import make_folder


def tensorboard() -> Any:
    """The module of TensorBoard's writer, which only logging imports.

    Raises:
        HrmGymError: if it is missing.
    """
    return extra("torch.utils.tensorboard", "train", "--log-dir", "leave it out")


def log_evaluation(folder: Path, figures: Mapping[str, Any], result: Evaluation) -> None:
    """Add an evaluation to the TensorBoard events in a folder, under `evaluation/`.

    Args:
        folder: created if missing.
        figures: the figures from `report`.
        result: the evaluation.

    Raises:
        HrmGymError: if the folder cannot be created, or TensorBoard is missing.
    """
    make_folder(folder)
    name = f"evaluation/{figures['env']}, {figures['puzzles']}, {figures['protocol']['halting']} halting"
    with tensorboard().SummaryWriter(str(folder), filename_suffix=".evaluation") as writer:
        for key in ("exact_accuracy", "valid_accuracy", "cell_accuracy", "mean_segments", "puzzles_per_second"):
            writer.add_scalar(f"{name}/{key}", figures[key], 0)
        for segment, share in enumerate(result.after, start=1):  # the step axis counts segments
            writer.add_scalar(f"{name}/right_after_segments", float(share), segment)
        bins = np.arange(int(result.segments.max()) + 2) - 0.5
        writer.add_histogram(f"{name}/segments", result.segments, 0, bins=bins)
        rows = "\n".join(f"| {key} | {value} |" for key, value in figures.items())
        writer.add_text(name, f"| figure | value |\n| --- | --- |\n{rows}")
