"""Does the agent think longer about harder puzzles?"""

from __future__ import annotations

from typing import Any

import numpy as np

from hrm_gym.agents.analysis.difficulty import difficulty, groups_of
from hrm_gym.agents.analysis.finding import Analysis
from hrm_gym.agents.analysis.recording import Unsuited
from hrm_gym.agents.analysis.style import BLUE, INK, LEVELS, percent, tidy
from hrm_gym.agents.analysis.subject import Subject
from hrm_gym.shares import bars, share_of, words


def rank(values: np.ndarray) -> np.ndarray:
    """Ranks of values (n,); ties get their mean rank."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = counts.cumsum()
    return ((last - counts + last - 1) / 2)[place]


def spearman(a: np.ndarray, b: np.ndarray) -> float:
    """Rank correlation; 0 if one of the two is constant."""
    x, y = (rank(values) - rank(values).mean() for values in (a, b))
    scale = np.sqrt((x @ x) * (y @ y))
    return float(x @ y / scale) if scale else 0.0


def measure(subject: Subject) -> dict[str, Any]:
    """By difficulty: when the agent halts within the segments of training, and its accuracy then."""
    if not subject.policy.halting.signals:
        raise Unsuited("the agent's halting rule has no signals, so it ignores the puzzle")
    last = subject.trained_segments
    halt = subject.long.halt[:, :last].copy()
    halt[:, -1] = True
    stop = halt.argmax(1)  # (N,), from 0
    right = subject.long.right[np.arange(len(stop)), stop]
    first = np.where(subject.long.right[:, :last].any(1), subject.long.right[:, :last].argmax(1) + 1, 0)
    measured = difficulty(subject.task, subject.puzzles.puzzle)
    rng = subject.rng()
    draws = [rng.integers(len(stop), size=len(stop)) for _ in range(subject.settings.draws)]
    low, high = np.percentile([spearman(measured.values[d], stop[d]) for d in draws], [2.5, 97.5])
    solved = first > 0
    return {
        "difficulty": measured.name,
        "max_segments": last,
        "correlation": round(spearman(measured.values, stop), 4),
        "correlation_interval": [round(float(low), 4), round(float(high), 4)],
        "right": share_of(right),
        "mean_segments": round(float(stop.mean() + 1), 3),
        "segments_after_first_right": round(float((stop + 1 - first)[solved].mean()), 3) if solved.any() else None,
        "groups": [
            {
                "difficulty": group.label,
                "halts_after": [int(n) for n in np.bincount(stop[group.members], minlength=last)],
                "mean_segments": round(float(stop[group.members].mean() + 1), 3),
                "standard_error": round(float(stop[group.members].std() / np.sqrt(len(group.members))), 4),
                "right": share_of(right[group.members]),
            }
            for group in groups_of(measured)
        ],
    }


def describe(figures: dict[str, Any]) -> str:
    """The paragraph on the figures."""
    low, high = figures["correlation_interval"]
    text = (
        f"With its own halting the agent is right on {words(figures['right'])} of {figures['right']['puzzles']} "
        f"puzzles, in {figures['mean_segments']:.2f} segments on average."
    )
    if len(figures["groups"]) > 1:
        easy, hard = figures["groups"][0], figures["groups"][-1]
        text += (
            f" It spends {easy['mean_segments']:.2f} on the easiest ({figures['difficulty']} {easy['difficulty']}) and "
            f"{hard['mean_segments']:.2f} on the hardest ({hard['difficulty']}); the rank correlation of difficulty "
            f"and halting segment is {figures['correlation']:.2f} ({low:.2f} to {high:.2f}): "
            f"it {'thinks' if low > 0 else 'does not think'} longer about harder puzzles."
        )
    late = figures["segments_after_first_right"]
    if late is not None:
        text += f" It halts {abs(late):.1f} segments {'after' if late >= 0 else 'before'} its first right answer."
    return text


def draw(figure: Any, figures: dict[str, Any]) -> None:
    """Left: the distribution of halting segments. Right: their mean, and the accuracy."""
    left, right = figure.subplots(1, 2)
    groups = figures["groups"]
    x = np.arange(1, figures["max_segments"] + 1)
    colours = LEVELS[-len(groups) :]
    bottom = np.zeros(len(x))
    for colour, group in zip(colours, groups, strict=True):
        counts = np.array(group["halts_after"])
        left.bar(x, counts, bottom=bottom, color=colour, width=0.85, label=group["difficulty"])
        bottom += counts
    tidy(left, "halts after segment", "puzzles")
    left.xaxis.get_major_locator().set_params(integer=True)
    left.set_xlim(0.3, len(x) + 0.7)
    left.legend(frameon=False, fontsize=8, title=figures["difficulty"], alignment="left")
    places = np.arange(len(groups))
    means = [group["mean_segments"] for group in groups]
    errors = [1.96 * group["standard_error"] for group in groups]
    right.errorbar(places, means, yerr=errors, color=BLUE, marker="o", capsize=3, label="segments")
    right.set_xticks(places, [group["difficulty"] for group in groups])
    right.set_xlim(-0.4, len(groups) - 0.6)
    right.set_ylim(0, 1.3 * max(m + e for m, e in zip(means, errors, strict=True)))
    tidy(right, figures["difficulty"], "mean segments")
    other = right.twinx()
    middle, below, above = np.array([bars(group["right"]) for group in groups]).T
    other.errorbar(places, middle, yerr=(below, above), color=INK, marker="s", linestyle=":", capsize=3, markersize=4)
    percent(other)
    other.spines["top"].set_visible(False)
    other.set_ylabel("right when it halts", color=INK)
    right.plot([], [], color=INK, marker="s", linestyle=":", markersize=4, label="right when it halts")
    right.legend(frameon=False, fontsize=8, loc="lower right")


ANALYSIS = Analysis("stopping", measure, describe, draw)
