"""How do states move? The states of puzzles over segments, projected to two dimensions.

All states of all puzzles, flattened to vectors, are projected on their first two principal components. Each path is one
puzzle from its first to its last segment.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from hrm_gym.agents.analysis.finding import Analysis
from hrm_gym.agents.analysis.recording import record
from hrm_gym.agents.analysis.style import AMBER, BLUE, INK, tidy
from hrm_gym.agents.analysis.subject import Subject
from hrm_gym.shares import share_of, words

SHOWN = 40
"""Maximum number of paths in the plot."""


def project(states: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Project states (n, T, ...) on two principal components: (n, T, 2), and their shares of the variance, (2,)."""
    num, segments = states.shape[:2]
    x = states.reshape(num * segments, -1).astype(np.float64)
    x -= x.mean(0)
    # There are fewer states than dimensions, so the Gram matrix is smaller than the covariance.
    values, vectors = np.linalg.eigh(x @ x.T)
    top = np.maximum(values[:-3:-1], 0)
    points = vectors[:, :-3:-1] * np.sqrt(top)
    return points.reshape(num, segments, 2), top / max(float(values.clip(0).sum()), 1e-30)


def measure(subject: Subject) -> dict[str, Any]:
    """The paths of the traced puzzles, and how they end."""
    every = subject.long.right[:, : subject.trained_segments]
    # Wrong answers are usually few and all of interest.
    wrong = np.flatnonzero(~every[:, -1])[: min(SHOWN // 2, subject.settings.traced)]
    chosen = np.concatenate((wrong, np.flatnonzero(every[:, -1])[: subject.settings.traced - len(wrong)]))
    right, shown = every[chosen], subject.puzzles.map(lambda array: array[chosen])
    figures: dict[str, Any] = {
        "right": share_of(every[:, -1]),
        "puzzles": chosen.tolist(),
        "right_at_end": right[:, -1].tolist(),
        "tensors": {},
    }
    for name, states in record(subject.policy, shown, subject.trained_segments).states.items():
        points, shares = project(states)
        steps = np.linalg.norm(np.diff(states.reshape(*states.shape[:2], -1), axis=1), axis=2)  # (n, T - 1)
        figures["tensors"][name] = {
            "paths": np.round(points, 3).tolist(),
            "variance": [round(float(share), 4) for share in shares],
            "last_step": {
                word: round(float(np.median(steps[some, -1] / steps[some, 0].clip(1e-9))), 4) if some.any() else None
                for word, some in (("right", right[:, -1]), ("wrong", ~right[:, -1]))
            }
            if steps.shape[1]
            else {"right": None, "wrong": None},
        }
    return figures


def describe(figures: dict[str, Any]) -> str:
    """The paragraph on the figures."""
    wrong = int((~np.array(figures["right_at_end"])).sum())
    right = figures["right"]
    text = f"{words(right)} of {right['puzzles']} puzzles end right; {wrong} of the paths end wrong."
    for name, tensor in figures["tensors"].items():
        text += f" Two components hold {100 * sum(tensor['variance']):.0f} % of the variance of {name}"
        moved = [f"{100 * x:.2g} % where they end {word}" for word, x in tensor["last_step"].items() if x is not None]
        if moved:
            text += f"; a state's last move is, of its move in the second segment, {' and '.join(moved)} (medians)"
        text += "."
    still = [tensor["last_step"] for tensor in figures["tensors"].values()]
    if all(one["wrong"] is not None and one["right"] is not None for one in still):
        restless = all(one["wrong"] > 2 * one["right"] for one in still)
        text += (
            " The state comes to rest at right answers and keeps moving at wrong ones."
            if restless
            else " Whether an answer is right does not follow from how far its state still moves."
        )
    return text


def draw(figure: Any, figures: dict[str, Any]) -> None:
    """One panel per tensor; a dot marks the end of a path."""
    panels = figure.subplots(1, len(figures["tensors"]), squeeze=False)[0]
    right = np.array(figures["right_at_end"])
    shown = np.concatenate((np.flatnonzero(~right)[: SHOWN // 2], np.flatnonzero(right)))[:SHOWN]
    for axes, (name, tensor) in zip(panels, figures["tensors"].items(), strict=True):
        paths = np.array(tensor["paths"])
        for i in sorted(shown, key=lambda i: not right[i]):
            colour = BLUE if right[i] else AMBER
            axes.plot(*paths[i].T, color=colour, alpha=0.45, linewidth=0.9, zorder=2 if right[i] else 3)
            axes.plot(*paths[i].T, color=colour, marker=".", markersize=2, linestyle="", alpha=0.45, zorder=3)
            axes.plot(*paths[i, 0], marker=".", color=INK, markersize=3, alpha=0.5, zorder=4)
            axes.plot(*paths[i, -1], marker="o", color=colour, markersize=5, markeredgecolor="white", zorder=5)
        first, second = (f"component {i + 1} ({100 * s:.0f} %)" for i, s in enumerate(tensor["variance"]))
        tidy(axes, first, second, name)
    for colour, label, mark in ((BLUE, "ends right", "o"), (AMBER, "ends wrong", "o"), (INK, "segment 1", ".")):
        panels[0].plot([], [], color=colour, marker=mark, linestyle="", label=label)
    panels[0].legend(frameon=False, fontsize=8)


ANALYSIS = Analysis("trajectories", measure, describe, draw)
