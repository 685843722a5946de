"""The plot of the family portrait: one panel per agent, with all other agents in grey."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hrm_gym.agents.analysis.style import BLUE, GREY, PLUM, curve, new_figure, percent, segment_axis, tidy
from hrm_gym.agents.studies.portrait import Portrait, by_agent

COLUMNS = 4


def plot(found: Sequence[Portrait], title: str) -> Any:
    """Accuracy against segments, a matplotlib figure.

    Each panel shows one agent: the mean over seeds in blue, their range as a band, and a plus for each seed at its
    learned halting. The means of the other agents are grey.

    Raises:
        HrmGymError: if matplotlib is missing.
    """
    shown = {
        agent: figures
        for agent, portraits in by_agent(found).items()
        if (figures := [p.figures for p in portraits if p.figures])
    }
    # For each agent and segment, the accuracies of all seeds.
    shares = {agent: list(zip(*(f["after_each"] for f in of), strict=True)) for agent, of in shown.items()}
    columns = min(COLUMNS, max(1, len(shown)))
    lines = max(1, -(-len(shown) // columns))
    figure = new_figure(max(5.0, 2.5 * columns), 0.6 + 1.9 * lines)
    panels = figure.subplots(lines, columns, sharex=True, sharey=True, squeeze=False).ravel()
    for axes in panels[len(shown) :]:
        axes.set_visible(False)
    for place, (axes, agent) in enumerate(zip(panels, shown, strict=False)):
        for other in shares.keys() - {agent}:
            axes.plot(_segments(shares[other]), _means(shares[other]), color=GREY, alpha=0.35, linewidth=0.8)
        own = [[100 * share for share in seeds] for seeds in shares[agent]]
        low, high = [min(seeds) for seeds in own], [max(seeds) for seeds in own]
        curve(axes, _segments(own), [sum(seeds) / len(seeds) for seeds in own], low, high, BLUE, agent)
        x, y = [f["by_itself_segments"] for f in shown[agent]], [100 * f["by_itself"] for f in shown[agent]]
        axes.plot(x, y, "P", color=PLUM, markersize=6, markeredgecolor="white", markeredgewidth=0.6, clip_on=False)
        below = place + columns >= len(shown)  # no panel below it
        tidy(axes, "segments" if below else "", "solved" if place % columns == 0 else "", agent)
        axes.tick_params(labelbottom=below)
        segment_axis(axes, max(map(len, shares.values())))
        percent(axes)
    figure.suptitle(f"{title} (plus: halting by itself)", fontsize=11)
    return figure


def _segments(shares: list[Any]) -> range:
    return range(1, len(shares) + 1)


def _means(shares: list[Any]) -> list[float]:
    return [100 * sum(seeds) / len(seeds) for seeds in shares]
