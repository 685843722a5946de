"""Does thinking longer help, also beyond the segments of training, and where?"""

from __future__ import annotations

from typing import Any

from hrm_gym.agents.analysis.difficulty import difficulty, groups_of
from hrm_gym.agents.analysis.finding import Analysis
from hrm_gym.agents.analysis.style import GREY, INK, LEVELS, curve, percent, segment_axis, tidy
from hrm_gym.agents.analysis.subject import Subject
from hrm_gym.shares import in_percent, share_of, words


def measure(subject: Subject) -> dict[str, Any]:
    """Accuracy after each segment, for all puzzles and by difficulty."""
    right, measured = subject.long.right, difficulty(subject.task, subject.puzzles.puzzle)
    after = [share_of(column) for column in right.T]
    groups = [
        {"difficulty": group.label, "after": [share_of(column) for column in right[group.members].T]}
        for group in groups_of(measured)
    ]
    return {
        "trained_segments": subject.trained_segments,
        "difficulty": measured.name,
        "after": after,
        "groups": groups,
    }


def describe(figures: dict[str, Any]) -> str:
    """The paragraph on the figures."""
    after, trained = figures["after"], figures["trained_segments"]
    best = max(range(len(after)), key=lambda i: after[i]["share"])
    text = (
        f"{words(after[0])} of {after[0]['puzzles']} puzzles are right after one segment, {words(after[trained - 1])} "
        f"after the {trained} of training"
    )
    if len(after) > trained:
        text += f" and {words(after[-1])} after {len(after)}"
        gain = after[-1]["share"] - after[trained - 1]["share"]
        low, high = after[trained - 1]["interval"]
        word = "changes little" if low <= after[-1]["share"] <= high else "helps" if gain > 0 else "harms"
        text += f": thinking beyond training {word}"
    text += f". The best is {in_percent(after[best]['share'])}, after {best + 1}."
    if len(figures["groups"]) > 1 and all(group["after"][-1]["share"] for group in figures["groups"]):
        easy, hard = figures["groups"][0], figures["groups"][-1]
        text += (
            f" The easiest ({figures['difficulty']} {easy['difficulty']}) reach half of their final accuracy after "
            f"{_half(easy)} segments, the hardest ({hard['difficulty']}) after {_half(hard)}; they end at "
            f"{words(easy['after'][-1])} and {words(hard['after'][-1])}."
        )
    return text


def _half(group: dict[str, Any]) -> int:
    shares = [share["share"] for share in group["after"]]
    return next(i + 1 for i, share in enumerate(shares) if share >= shares[-1] / 2)


def draw(figure: Any, figures: dict[str, Any]) -> None:
    """One curve per group and one for all puzzles; segments beyond training are shaded."""
    axes = figure.subplots()
    x = range(1, len(figures["after"]) + 1)

    def line(after: list[dict[str, Any]], colour: str, label: str, dashed: bool = False) -> None:
        low, high = zip(*([100 * bound for bound in share["interval"]] for share in after), strict=True)
        curve(axes, x, [100 * share["share"] for share in after], low, high, colour, label, dashed)

    groups = figures["groups"] if len(figures["groups"]) > 1 else []
    for colour, group in zip(LEVELS[-len(groups) :], groups, strict=False):
        line(group["after"], colour, f"{group['difficulty']} ({group['after'][0]['puzzles']} puzzles)")
    line(figures["after"], INK, f"all ({figures['after'][0]['puzzles']})", dashed=bool(groups))
    trained = figures["trained_segments"]
    segment_axis(axes, len(x))
    percent(axes)
    if len(x) > trained:
        axes.axvspan(trained, len(x) * 1.08, color=GREY, alpha=0.12, linewidth=0)
        axes.text(trained * 1.04, 3, "beyond training", color="#646c7a", fontsize=8)
    tidy(axes, "segments", "puzzles answered right")
    axes.legend(
        frameon=False, fontsize=8, title=figures["difficulty"] if groups else None, loc="center right", alignment="left"
    )


ANALYSIS = Analysis("depth", measure, describe, draw)
