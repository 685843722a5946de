"""How far does each module move its state? Forward residuals over calls and segments.

HRM (arXiv 2506.21734) shows that L converges within each step of H and is moved again by the next one, while H
converges slowly over the whole computation: "hierarchical convergence". For comparison the paper plots a recurrent
network, which converges early, and a deep feed-forward network, whose first and last layers move most. Other agents can
be plotted for comparison here, too.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from hrm_gym.agents.analysis.finding import Analysis
from hrm_gym.agents.analysis.recording import LAYERS, record
from hrm_gym.agents.analysis.style import SERIES, curve, tidy
from hrm_gym.agents.analysis.subject import Subject

FADED = 0.1
"""A state has converged when its residual stays below this share of its first residual."""


def measure(subject: Subject) -> dict[str, Any]:
    """Residuals of the agent, its untrained twin and the agents for comparison, and their summaries."""
    trained, untrained = subject.trained.residuals, subject.untrained.residuals
    beside = []
    for other in subject.beside:
        rows = record(other.policy, subject.traced, other.trained_segments).residuals
        shown = {
            "agent": other.policy.name,
            "checkpoint": other.checkpoint,
            "parameters": other.policy.num_parameters,
        }
        beside.append({**shown, "rows": rows, "tensors": _tensors(rows)})
    return {
        "trained": trained,
        "untrained": untrained,
        "tensors": _tensors(trained),
        "stirred": _stirred(trained),
        "beside": beside,
    }


def _tensors(rows: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The summary of the rows of each tensor."""
    found = {}
    for name in sorted({row["tensor"] for row in rows}):
        own = [row for row in rows if row["tensor"] == name]
        medians = [row["median"] for row in own]
        awake = [i for i, median in enumerate(medians) if median >= FADED * medians[0]]
        found[name] = {
            "calls": len(own),
            "calls_a_segment": sum(row["segment"] == 1 for row in own),
            "first": medians[0],
            "last": medians[-1],
            "least": min(medians),
            "faded_after": len(own) if not awake else awake[-1] + 1,
        }
    return found


def _stirred(rows: list[dict[str, Any]]) -> dict[str, Any] | None:
    """For a fast tensor: how it converges between steps of the slow one, and how such a step moves it again.

    Geometric means over all segments. `settling`: the last residual of a run of calls divided by its first. `stirring`:
    the first residual after a step of the slow tensor divided by the last one before it.
    """
    runs: list[list[dict[str, Any]]] = []
    for before, row in zip([None, *rows], rows, strict=False):
        if before is None or before["tensor"] != row["tensor"] or before["segment"] != row["segment"]:
            runs.append([])
        runs[-1].append(row)
    fast = {run[0]["tensor"] for run in runs if len(run) > 1}
    if len(fast) != 1 or len({row["tensor"] for row in rows}) < 2:
        return None
    name = fast.pop()
    own = [[max(row["median"], 1e-9) for row in run] for run in runs if run[0]["tensor"] == name]
    settling = np.exp(np.mean([np.log(run[-1] / run[0]) for run in own]))
    stirring = np.exp(np.mean([np.log(b[0] / a[-1]) for a, b in itertools.pairwise(own)]))
    return {"tensor": name, "settling": float(settling), "stirring": float(stirring)}


def describe(figures: dict[str, Any]) -> str:
    """The paragraph on the figures."""
    tensors = figures["tensors"]
    moves = _moves(tensors)
    text = f"{moves[0].upper()}{moves[1:]} {_hierarchy(figures['stirred'])}".strip()
    for other in figures["beside"]:
        text += f" Beside it, {other['agent']} ({other['parameters']:,} parameters): {_moves(other['tensors'])}"
    if figures["beside"]:
        text += " " + " ".join(
            f"The residual of {name}{of} {_faded(tensor)}."
            for of, every in [("", tensors), *((f" of {o['agent']}", o["tensors"]) for o in figures["beside"])]
            for name, tensor in every.items()
            if name != LAYERS
        )
    return text


def _moves(tensors: dict[str, dict[str, Any]]) -> str:
    """The first and last residuals of each tensor, in words."""
    if LAYERS in tensors:
        layers = tensors[LAYERS]
        return (
            f"for the median puzzle, the first of {layers['calls_a_segment']} layers moves what it is given by "
            f"{_percent(layers['first'])} of its length, the last by {_percent(layers['last'])}, and none by less than "
            f"{_percent(layers['least'])}."
        )
    parts = [
        f"{name} by {_percent(tensor['first'])} of its length at first and by {_percent(tensor['last'])} at last"
        for name, tensor in tensors.items()
    ]
    what = "a call" if any(tensor["calls_a_segment"] > 1 for tensor in tensors.values()) else "a segment"
    return f"for the median puzzle, {what} moves {'; '.join(parts)}."


def _percent(share: float) -> str:
    return f"{100 * share:.{3 if share > 0.1 else 2}g} %"


def _faded(tensor: dict[str, Any]) -> str:
    after, calls = tensor["faded_after"], tensor["calls"]
    return (
        f"stays above a tenth of its first value for all {calls} calls"
        if after == calls
        else f"stays below a tenth of its first value after {after} of {calls} calls"
    )


def _hierarchy(stirred: dict[str, Any] | None) -> str:
    """Whether the fast state converges and is moved again, in words."""
    if stirred is None:
        return ""
    name, settling, stirring = stirred["tensor"], stirred["settling"], stirred["stirring"]
    text = (
        f"From the first to the last call between two steps of the other state, the residual of {name} changes by a "
        f"factor of {settling:.2f}, and such a step changes it by a factor of {stirring:.2f} (geometric means)."
    )
    if settling < 0.95 and stirring > 1.05:
        return text + f" That is the paper's hierarchical convergence: {name} settles and is stirred up again."
    return text + " The paper's saw-tooth, settling between the steps and being stirred up by each, is not there."


def draw(figure: Any, figures: dict[str, Any]) -> None:
    """Residuals against segments, call by call, or against layers; one panel per agent."""
    panels = [("trained", figures["trained"]), ("untrained", figures["untrained"])]
    panels += [(f"beside: {other['agent']}", other["rows"]) for other in figures["beside"]]
    columns = 2 if len(panels) != 3 else 3
    lines = -(-len(panels) // columns)
    figure.set_figheight(figure.get_figheight() * (0.9 * lines if lines > 1 else 1))
    every = figure.subplots(lines, columns, sharey=True, squeeze=False).ravel()
    for axes in every[len(panels) :]:
        axes.set_visible(False)
    for place, (axes, (title, rows)) in enumerate(zip(every, panels, strict=False)):
        names = sorted({row["tensor"] for row in rows})
        for colour, name in zip(SERIES, names, strict=False):
            own = [row for row in rows if row["tensor"] == name]
            if name == LAYERS:
                x = [row["call"] + 1 for row in own if row["segment"] == 1]
                own = own[: len(x)]  # every segment is the same pass
            else:
                x = [row["segment"] - 1 + (row["call"] + 1) / row["calls"] for row in own]
            low, high = zip(*(row["quartiles"] for row in own), strict=True)
            curve(axes, x, [row["median"] for row in own], low, high, colour, name)
        axes.set_yscale("log")
        what = "layer" if names == [LAYERS] else "segments"
        tidy(axes, what, "|new − old| / |new|" if place % columns == 0 else "", title)
        if place != 1:  # the twin has the same tensors as the agent
            axes.legend(frameon=False)


ANALYSIS = Analysis("convergence", measure, describe, draw)
