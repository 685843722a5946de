"""Does a solved board stay solved, and do wrong answers become fixed points?

HRM-like models are known for wrong fixed points (arXiv 2601.10679): the answer no longer changes but is wrong.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from hrm_gym.agents.analysis.finding import Analysis
from hrm_gym.agents.analysis.recording import Unsuited
from hrm_gym.agents.analysis.style import AMBER, BLUE, INK, percent, segment_axis, tidy
from hrm_gym.agents.analysis.subject import Subject
from hrm_gym.shares import share_of, words

STATES = ("right, at rest", "right, still changing", "wrong, still changing", "wrong, at rest")


def measure(subject: Subject) -> dict[str, Any]:
    """The fate of boards that were right at some segment, and the stability of the final answers."""
    thoughts = subject.long
    right, segments = thoughts.right, thoughts.right.shape[1]
    if segments < 2:
        raise Unsuited("episodes of one segment have no second one in which an answer could change")
    once: np.ndarray = np.asarray(right.any(1))
    first = right.argmax(1)
    after_first = np.arange(segments) >= first[:, None]
    stayed = (right | ~after_first).all(1)
    # At rest: the answer did not change in the last quarter of the segments.
    window = max(1, segments // 4)
    rest = ~thoughts.changed[:, -window:].any(1)
    end = right[:, -1]
    kinds: list[np.ndarray] = [end & rest, end & ~rest, ~end & ~rest, ~end & rest]
    # In the plot an answer is at rest if it does not change in the next `window` segments: (N, T - window).
    coming = np.lib.stride_tricks.sliding_window_view(thoughts.changed[:, 1:], window, axis=1).any(2)
    now = right[:, : coming.shape[1]]
    shares = [now & ~coming, now & coming, ~now & coming, ~now & ~coming]

    def moves(some: np.ndarray) -> float | None:
        return float(np.median(thoughts.residual[some, -1])) if some.any() else None

    return {
        "segments": segments,
        "trained_segments": subject.trained_segments,
        "window": window,
        "once_right": share_of(once),
        "stayed_right": share_of(stayed[once]) if once.any() else None,
        "right_again_at_end": share_of(end[once]) if once.any() else None,
        "at_end": {name: share_of(kind) for name, kind in zip(STATES, kinds, strict=True)},
        "residual_at_end": {"right": moves(end), "wrong": moves(~end)},
        "over_segments": {
            name: [round(float(share), 4) for share in kind.mean(0)] for name, kind in zip(STATES, shares, strict=True)
        },
    }


def describe(figures: dict[str, Any]) -> str:
    """The paragraph on the figures."""
    text = f"{words(figures['once_right'])} of the puzzles are right after some segment of {figures['segments']}."
    if figures["stayed_right"] is not None:
        text += (
            f" Of these {words(figures['stayed_right'])} stay right in every later segment, and "
            f"{words(figures['right_again_at_end'])} are right at the end."
        )
    at_end = figures["at_end"]
    wrong = sum(at_end[name]["share"] for name in STATES[2:])
    if not wrong:
        return text + " No answer is wrong at the end, so no wrong fixed point was seen."
    resting = at_end["wrong, at rest"]["share"] / wrong
    text += (
        f" At the end, {100 * resting:.0f} % of the wrong answers have not changed in the last "
        f"{figures['window']} segments: "
    )
    text += "most failures are wrong fixed points." if resting > 0.5 else "most failures never come to rest."
    moves = figures["residual_at_end"]
    if moves["right"] is not None and moves["wrong"] is not None:
        text += (
            f" In the last segment the state moves by {moves['right']:.2g} at right answers and by "
            f"{moves['wrong']:.2g} at wrong ones (median of |new - old| / (|new| + |old|))."
        )
    return text


def draw(figure: Any, figures: dict[str, Any]) -> None:
    """Stacked areas: right and wrong answers, at rest or not."""
    axes = figure.subplots()
    layers = [100 * np.array(figures["over_segments"][name]) for name in STATES]
    x = np.arange(1, len(layers[0]) + 1)
    axes.stackplot(x, layers, colors=(BLUE, "#9ec1e8", "#f3d19a", AMBER), labels=STATES, linewidth=0)
    segment_axis(axes, len(x))
    axes.set_xlim(1, len(x))
    percent(axes, 100)
    if figures["trained_segments"] < len(x):
        axes.axvline(figures["trained_segments"], color=INK, linewidth=0.9, linestyle="--")
        axes.text(figures["trained_segments"] * 1.03, 4, "beyond training", color="white", fontsize=8)
    tidy(axes, "segments", "puzzles")
    axes.grid(False)
    title = f"at rest: unchanged in the next {figures['window']} segments"
    axes.legend(
        title=title, frameon=False, fontsize=8, title_fontsize=8, ncols=4, loc="lower right", bbox_to_anchor=(1.01, 1.0)
    )


ANALYSIS = Analysis("fixed_points", measure, describe, draw)
