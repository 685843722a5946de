"""Compare stopping rules on one test set: accuracy, mean segments and mean return.

Thresholds and policies are fitted on validation puzzles, which the agent was not trained on, and evaluated once on
the test puzzles.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from hrm_gym.agents.analysis.style import new_figure
from hrm_gym.agents.halting.rule import HaltingRule
from hrm_gym.agents.studies import policies
from hrm_gym.envs.halting.frozen_model import Episodes
from hrm_gym.errors import HrmGymError
from hrm_gym.shares import wilson

THRESHOLDS = (
    ("own rule + margin", "lead", False),
    ("threshold on belief", "belief", False),
    ("threshold on confidence", "confidence_mean", False),
    ("threshold on residual", "residual", True),
    ("threshold on votes", "votes", False),
    ("threshold on left-out demonstrations", "left_out", False),
)
"""Name, signal (see `policies.signals_of`), and whether to halt below the threshold."""


@dataclasses.dataclass(frozen=True)
class Row:
    """One policy on the test set."""

    policy: str
    cost: float | None
    """The cost of a segment for which it was fitted; None if it ignores the cost."""
    setting: str
    """The fitted setting, such as the threshold."""
    accuracy: float
    accuracy_interval: tuple[float, float]
    """95 % Wilson interval."""
    mean_segments: float
    segments_interval: tuple[float, float]
    """95 % normal interval."""
    value: float | None
    """Mean return at that cost."""
    train_seconds: float | None


@dataclasses.dataclass(frozen=True)
class Study:
    """All policies, and the curves of all thresholds."""

    rows: list[Row]
    curves: dict[str, list[tuple[float, float]]]
    """For each family of rules, its mean segments and accuracy at each threshold."""


def study(
    rule: HaltingRule | None,
    fit: Episodes,
    test: Episodes,
    costs: Sequence[float],
    *,
    train_steps: int = 20_000,
    seeds: Sequence[int] = (0, 1, 2),
    say: Callable[[Row], None] = lambda row: None,
) -> Study:
    """Fit and evaluate all policies.

    Args:
        rule: the agent's own halting rule; None if it has none.
        fit: episodes of validation puzzles, for fitting.
        test: episodes of test puzzles, of the same length.
        costs: costs of a segment, each 0 or more.
        train_steps: number of decisions in the training of DQN and PPO at each cost; 0 leaves them out.
        seeds: training seeds of the learners; the first also seeds the random policy.
        say: called with each finished row.

    Raises:
        HrmGymError: on costs out of range, or episodes of different lengths or features.
    """
    check_costs(costs)
    if train_steps < 0:
        raise HrmGymError(f"{train_steps} training steps: give a number, or 0 to leave out DQN and PPO")
    if not seeds:
        raise HrmGymError("no seeds: give at least one")
    if (fit.max_segments, fit.names) != (test.max_segments, test.names):
        raise HrmGymError("validation and test episodes differ in length or features: record both alike")
    rows: list[Row] = []
    fitted, seen = policies.signals_of(rule, fit), policies.signals_of(rule, test)

    def add(policy: str, cost: float | None, setting: str, stops: np.ndarray, seconds: float | None = None) -> None:
        rows.append(_row(test, policy, cost, setting, stops, seconds))
        say(rows[-1])

    last = test.max_segments
    for segments in sorted({2**i for i in range(last.bit_length()) if 2**i < last} | {last}):
        add("fixed", None, f"{segments} segments", policies.fixed(test, segments))
    if rule is not None:
        add("own rule", None, "as the agent decides", policies.threshold(seen["lead"], 0.0))
    add("random", None, "uniform", policies.random(test, seeds[0]))
    add("oracle", None, "first right segment", policies.oracle(test))
    for cost in costs:
        segments = policies.best_fixed(fit, cost)
        add("fixed", cost, f"{segments} segments", policies.fixed(test, segments))
        for policy, name, below in THRESHOLDS:
            if name in seen:
                level = policies.best_level(fit, fitted[name], cost, below)
                setting = f"{name} {'<' if below else '>'} {level:.4g}"
                add(policy, cost, setting, policies.threshold(seen[name], level, below))
        for algorithm in policies.LEARNERS if train_steps else ():
            for seed in seeds:
                began = time.perf_counter()
                model = policies.learn(fit, algorithm, cost, train_steps, seed)
                seconds = time.perf_counter() - began
                setting = f"{train_steps:,} steps, seed {seed}"
                add(algorithm.upper(), cost, setting, policies.stops_of(model, test), seconds)
    return Study(rows, _curves(test, seen))


def check_costs(costs: Sequence[float]) -> None:
    """Refuse negative costs and an empty list.

    Raises:
        HrmGymError: naming the first cost that is out of range.
    """
    if not costs:
        raise HrmGymError("no costs: give at least one, such as 0.01")
    for cost in costs:
        if not (cost >= 0 and math.isfinite(cost)):
            raise HrmGymError(f"cost {cost}: what a segment costs is taken off the reward, give 0 or more")


def _row(
    test: Episodes, policy: str, cost: float | None, setting: str, stops: np.ndarray, seconds: float | None
) -> Row:
    right = policies.right_at(test, stops)
    mean, half = float(stops.mean()), 1.96 * float(stops.std()) / math.sqrt(len(stops))
    return Row(
        policy=policy,
        cost=cost,
        setting=setting,
        accuracy=float(right.mean()),
        accuracy_interval=wilson(int(right.sum()), len(right)),
        mean_segments=mean,
        segments_interval=(mean - half, mean + half),
        value=None if cost is None else policies.value(test, stops, cost),
        train_seconds=None if seconds is None else round(seconds, 2),
    )


def _curves(test: Episodes, seen: dict[str, np.ndarray]) -> dict[str, list[tuple[float, float]]]:
    def point(stops: np.ndarray) -> tuple[float, float]:
        return float(stops.mean()), float(policies.right_at(test, stops).mean())

    curves = {"fixed": [point(policies.fixed(test, k + 1)) for k in range(test.max_segments)]}
    for policy, name, below in THRESHOLDS:
        if name in seen:
            points = [point(policies.threshold(seen[name], x, below)) for x in policies.levels(seen[name])]
            curves[policy] = sorted(points)
    return curves


# ---- as text and as a picture --------------------------------------------------------------------


def table(rows: Sequence[Row], conditions: dict[str, Any]) -> str:
    """A Markdown table with its conditions; intervals are 95 %."""
    lines = ["# When to stop thinking", ""]
    lines += [f"- {name}: {text}" for name, text in conditions.items()]
    lines += [
        "",
        "Costs are of each segment after the first; intervals are 95 %. An answer is right if it satisfies the rules; "
        "for families whose rules do not decide, if it equals the solution.",
        "",
    ]
    lines += ["| policy | cost | setting | right, % | mean segments | value | training, s |"]
    lines += ["| --- | --- | --- | --- | --- | --- | --- |"]
    for row in rows:
        low, high = (100 * bound for bound in row.accuracy_interval)
        few, many = row.segments_interval
        cells = (
            row.policy,
            "" if row.cost is None else f"{row.cost:g}",
            row.setting,
            f"{100 * row.accuracy:.1f} ({low:.1f} to {high:.1f})",
            f"{row.mean_segments:.2f} ({few:.2f} to {many:.2f})",
            "" if row.value is None else f"{row.value:.4f}",
            "" if row.train_seconds is None else f"{row.train_seconds:.1f}",
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def plot(result: Study, title: str) -> Any:
    """Accuracy against mean segments, a matplotlib figure: thresholds as curves, the other policies as marks.

    Where policies other than the oracle come within three per cent of the best accuracy, a second panel magnifies them.

    Raises:
        HrmGymError: if matplotlib is missing.
    """
    least = max(row.accuracy for row in result.rows) - 0.03
    magnifies = any(row.accuracy >= least and row.policy != "oracle" for row in result.rows)
    figure = new_figure(12 if magnifies else 7, 5.5)
    panels = figure.subplots(1, 1 + magnifies, squeeze=False)[0]
    for axes in panels:
        _draw(axes, result)
    panels[0].set(title=title, ylabel="share of puzzles with a right answer")
    if magnifies:
        panels[1].set(title="the best three per cent", ylim=(least, min(1.0, least + 0.035) + 0.001))
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=4, fontsize=8)
    return figure


def _draw(axes: Any, result: Study) -> None:
    for policy, points in result.curves.items():
        axes.plot(*zip(*points, strict=True), label=policy, linewidth=1.2, marker="." if policy == "fixed" else "")
    marks = dict(zip(("own rule", "random", "oracle", "DQN", "PPO"), "Pv*os", strict=True))
    for policy, mark in marks.items():
        rows = [row for row in result.rows if row.policy == policy]
        if not rows:
            continue
        x, y = ([getattr(row, name) for row in rows] for name in ("mean_segments", "accuracy"))
        across, along = (
            np.abs(np.array([getattr(row, name) for row in rows]).T - centre)
            for name, centre in (("segments_interval", x), ("accuracy_interval", y))
        )
        size = 13 if mark == "*" else 7
        axes.errorbar(x, y, xerr=across, yerr=along, fmt=mark, markersize=size, capsize=2, label=policy)
    # The interesting range is the first few segments and the last few per cent.
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter("{x:g}")
    axes.set(xlabel="mean segments")
    axes.grid(alpha=0.3)
