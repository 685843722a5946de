"""How many dimensions does each state use? The participation ratio, compared with an untrained twin.

For eigenvalues l of the covariance of state vectors it is (sum l)^2 / sum l^2, between 1 (all on a line) and F (equal
variance in all directions). HRM (arXiv 2506.21734) reports 89.95 for z_H and 30.22 for z_L, of 512 dimensions, after
training on Sudokus, and no difference before training: a hierarchy of dimensions as in the cortex.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from hrm_gym.agents.analysis.finding import Analysis
from hrm_gym.agents.analysis.recording import Unsuited
from hrm_gym.agents.analysis.style import GREY, SERIES, curve, tidy
from hrm_gym.agents.analysis.subject import Subject

PAPER = {"z_h": 89.95, "z_l": 30.22, "ratio": 89.95 / 30.22, "dimensions": 512}
"""The values in HRM's paper, for 27 M parameters."""


class Moments:
    """Sums over the state vectors of each of n puzzles, which give the ratio for any selection of puzzles.

    Args:
        states: (n, T, ..., F); every segment and position of a puzzle is one vector.
    """

    def __init__(self, states: np.ndarray) -> None:
        num, size = states.shape[0], states.shape[-1]
        x = states.reshape(num, -1, size).astype(np.float64)
        x = x - x.mean((0, 1))  # centre: far from zero the difference of two large sums would lose precision
        self.count = x.shape[1]
        self.sums = x.sum(1)  # (n, F)
        self.squares = (x.transpose(0, 2, 1) @ x).reshape(num, -1)  # (n, F * F)

    def ratio(self, puzzles: np.ndarray) -> float:
        """The participation ratio over `puzzles`, indices with possible repeats."""
        return float(self.ratios(puzzles[None])[0])

    def ratios(self, choices: np.ndarray) -> np.ndarray:
        """The participation ratio of each row of `choices`, indices of puzzles (draws, n): (draws,)."""
        size = self.sums.shape[1]
        found = []
        for some in np.array_split(choices, max(1, len(choices) * size * size >> 22)):  # 32 MiB of covariances each
            weights = np.stack([np.bincount(row, minlength=len(self.sums)) for row in some]).astype(np.float64)
            weights /= weights.sum(1, keepdims=True) * self.count
            mean = weights @ self.sums
            covariance = (weights @ self.squares).reshape(-1, size, size) - mean[:, :, None] * mean[:, None]
            squared = (covariance**2).sum((1, 2)).clip(1e-30)
            found.append(np.trace(covariance, axis1=1, axis2=2) ** 2 / squared)
        return np.concatenate(found)


def measure(subject: Subject) -> dict[str, Any]:
    """Ratios by number of puzzles, for the agent and its twin, with 95 % bootstrap intervals over puzzles."""
    rng, draws = subject.rng(), subject.settings.draws
    result: dict[str, Any] = {"paper": PAPER, "trained": {}, "untrained": {}}
    # Skip tensors that never change: they have no dimensions.
    moving = [name for name, states in subject.trained.states.items() if (states != states[:1, :1]).any()]
    if not moving:
        raise Unsuited(f"no state of the agent {subject.policy.name!r} differs between puzzles or segments")
    for which, every in (("trained", subject.trained.states), ("untrained", subject.untrained.states)):
        states = {name: every[name] for name in moving}
        moments = {name: Moments(array) for name, array in states.items()}
        total = len(next(iter(states.values())))
        sizes = [n for n in (1, 2, 5, 10, 20, 50, 100, 200, 500) if n < total] + [total]
        # Draw the same puzzles for all tensors, so that the quotient of two tensors has an interval, too.
        choices = {n: np.stack([rng.integers(total, size=n) for _ in range(draws)]) for n in sizes}
        for name, moment in moments.items():
            samples = {n: moment.ratios(choices[n]) for n in sizes}
            low, high = np.percentile([samples[n] for n in sizes], [2.5, 97.5], axis=1)
            result[which][name] = {
                "dimensions": states[name].shape[-1],
                "puzzles": sizes,
                "ratio": [round(moment.ratio(np.arange(n)), 3) for n in sizes],
                "interval": [[round(float(a), 3), round(float(b), 3)] for a, b in zip(low, high, strict=True)],
            }
            result[which][name]["samples"] = samples[total]
            in_one = [Moments(states[name][:, t]) for t in range(states[name].shape[1])]
            result[which][name]["by_segment"] = [round(one.ratio(np.arange(total)), 3) for one in in_one]
        _between(result, which)
    return result


def _between(result: dict[str, Any], which: str) -> None:
    """The quotient of the first tensor's ratio and the second's, in the same draws."""
    tensors = result[which]
    drawn = [tensor.pop("samples") for tensor in tensors.values()]
    if len(tensors) != 2:
        return
    first, second = tensors.values()
    low, high = np.percentile(drawn[0] / drawn[1], [2.5, 97.5])
    ratio = first["ratio"][-1] / second["ratio"][-1]
    result[f"{which}_hierarchy"] = {
        "of": list(tensors),
        "ratio": round(ratio, 3),
        "interval": [round(float(low), 3), round(float(high), 3)],
    }


def describe(figures: dict[str, Any]) -> str:
    """The paragraph on the figures."""
    parts = []
    for name, tensor in figures["trained"].items():
        low, high = tensor["interval"][-1]
        before = figures["untrained"][name]["ratio"][-1]
        parts.append(
            f"{name} fills {tensor['ratio'][-1]:.1f} of its {tensor['dimensions']} dimensions "
            f"({low:.1f} to {high:.1f} over puzzles); in the untrained twin {before:.1f}"
        )
    num = next(iter(figures["trained"].values()))["puzzles"][-1]
    text = f"Over {num} puzzles, {'; '.join(parts)}."
    if "trained_hierarchy" not in figures:
        return text
    after, before = figures["trained_hierarchy"], figures["untrained_hierarchy"]
    low, high = after["interval"]
    first, second = after["of"]
    text += (
        f" The ratio of {first} to {second} is {after['ratio']:.2f} ({low:.2f} to {high:.2f}), and "
        f"{before['ratio']:.2f} ({before['interval'][0]:.2f} to {before['interval'][1]:.2f}) without training."
    )
    reported = f"the {PAPER['ratio']:.2f} that the paper reports for HRM ({PAPER['z_h']} to {PAPER['z_l']})"
    if low > 1 and low > before["interval"][1]:
        size = "at least as large as" if high >= PAPER["ratio"] else "smaller than"
        return text + f" So training has made {first} the higher-dimensional one; the gap is {size} {reported}."
    if high < 1:
        return text + f" So {second} is the higher-dimensional one, the reverse of {reported}."
    return text + f" So no hierarchy of dimensions has come from training at this size, unlike {reported}."


def draw(figure: Any, figures: dict[str, Any]) -> None:
    """Left: against the number of puzzles, over all segments. Right: by segment."""
    left, right = figure.subplots(1, 2, sharey=True)
    for which in ("trained", "untrained"):
        dashed = which == "untrained"
        for colour, (name, tensor) in zip(SERIES, figures[which].items(), strict=False):
            low, high = zip(*tensor["interval"], strict=True)
            curve(left, tensor["puzzles"], tensor["ratio"], low, high, colour, f"{name}, {which}", dashed)
            segments = range(1, len(tensor["by_segment"]) + 1)
            right.plot(segments, tensor["by_segment"], color=colour, linestyle="--" if dashed else "-", linewidth=1.8)
    left.set_xscale("log")
    left.xaxis.set_major_formatter("{x:g}")
    size = max(tensor["dimensions"] for tensor in figures["trained"].values())
    left.set_yscale("log", base=2)
    left.set_ylim(0.9, 1.3 * size)
    left.yaxis.set_major_formatter("{x:g}")
    for axes in (left, right):
        axes.axhline(size, color=GREY, linewidth=0.9, linestyle=":")
    right.text(1, size * 1.04, f"{size} dimensions", color=GREY, fontsize=8)
    tidy(left, "puzzles seen", "participation ratio", "all segments together, 95 % intervals")
    tidy(right, "segment", "", "each segment by itself, all puzzles")
    right.xaxis.get_major_locator().set_params(integer=True)
    left.legend(frameon=False, fontsize=8, loc="lower right")


ANALYSIS = Analysis("participation", measure, describe, draw)
