"""Recorded solvers of ARC tasks: when should a solver stop training networks and hand in its attempts?

A recording holds what the solver knew after every second, and whether its two attempts were right. The halting
environment replays it: a segment is an equal share of the budget.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import NamedTuple

import numpy as np

from hrm_gym.envs.halting.frozen_model import Episodes
from hrm_gym.errors import HrmGymError, first_line

SIGNALS = ("choosing", "form", "left_out", "fitted", "votes", "vote_lead", "changed")
"""Names of the values that a moment holds, each in [0, 1]:

- `choosing`: 1 while forms of the network are compared, 0 while networks vote;
- `form`: the form of the network in training, from 0 for the first rung to 1 for the last;
- `left_out`: the share of the left-out demonstrations that the best form predicts;
- `fitted`: 1 if the network in training reproduces its demonstrations;
- `votes`: the share of the votes for the first attempt, the least over the tests;
- `vote_lead`: its lead over the grid with the next most votes, the least over the tests;
- `changed`: 1 if a first attempt differs from that of the moment before.
"""

SHARES = {"train": (0.0, 0.6), "validation": (0.6, 0.8), "test": (0.8, 1.0)}
"""The part of the tasks that each split takes, in the order of a hash of their names."""

RESULTS = ".jsonl"
"""Suffix of the results files of `hrm-gym evaluate --env ARC1-v0 --out FILE`."""


class Recording(NamedTuple):
    """What the solvers of N tasks knew at T times."""

    features: np.ndarray
    """The values of `SIGNALS`, float16 (N, T, F)."""
    solved: np.ndarray
    """Whether two attempts at each test were right, bool (N, T)."""


def recorded_episodes(source: Path, split: str, max_segments: int) -> Episodes:
    """The episodes of one split.

    Args:
        source: a shipped recording, or a results file of `hrm-gym evaluate --env ARC1-v0 --out FILE`.
        split: "train", "validation" or "test".
        max_segments: number of equal parts of the budget.

    Raises:
        HrmGymError: if the file is no recording, or its split is empty.
    """
    features, solved = read_results(source) if source.suffix == RESULTS else _read(source)
    num, times = solved.shape
    first, last = (round(share * num) for share in SHARES[split])
    if first == last:
        raise HrmGymError(f"{source} holds {num} tasks, and none for the {split} split: record at least 5")
    chosen = np.ceil(np.arange(1, max_segments + 1) * times / max_segments).astype(int) - 1
    right = solved[first:last, chosen]
    return Episodes(features[first:last, chosen].astype(np.float32), right, right.astype(np.float64), SIGNALS)


def read_results(path: Path) -> Recording:
    """The recording in a results file, at every whole second of the budget.

    Raises:
        HrmGymError: if it is not a results file of tasks with known outputs, or older than recordings.
    """
    try:
        head, *rows = map(json.loads, path.read_text(encoding="utf-8").splitlines())
        budget = int(head["conditions"]["seconds"])
        courses = {row["name"]: row["course"] for row in rows if row["course"]["solved"]}
        tasks = sorted(courses, key=lambda name: hashlib.sha256(name.encode()).hexdigest())
        features = np.zeros((len(tasks), budget, len(SIGNALS)), np.float16)
        solved = np.zeros((len(tasks), budget), bool)
        for i, task in enumerate(tasks):
            course = courses[task]
            latest = np.searchsorted(course["seconds"], np.arange(1, budget + 1), side="right") - 1
            known = latest >= 0  # before the first moment nothing is known
            features[i, known] = np.array(course["signals"])[latest[known]]
            solved[i, known] = np.array(course["solved"])[latest[known]]
    except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
        raise HrmGymError(
            f"{path} does not hold recorded solvers ({first_line(error)}): give the --out file of "
            "hrm-gym evaluate --env ARC1-v0"
        ) from None
    return Recording(features, solved)


def _read(path: Path) -> Recording:
    with np.load(path) as file:
        return Recording(file["features"], file["solved"])
