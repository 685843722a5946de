"""Draws the pictures of `docs/lineage`: the family tree, and one segment of each agent as a score.

    python docs/_site/draw_lineage.py

How many steps a segment has comes from the defaults of the agent's options.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from matplotlib import rcParams
from score import Score, arrow, canvas

from hrm_gym.agents.analysis.style import AMBER, BLUE, GREY, INK, PLUM
from hrm_gym.agents.registry import agent_class

FOLDER = Path(__file__).resolve().parents[1] / "lineage"

# ---- one segment of each agent ---------------------------------------------------------------------------


def default(name: str) -> Any:
    """The options of an agent as they are where nobody says anything."""
    return agent_class(name).Config()


def two_states(name: str, gradient_calls: int) -> Score:
    """`hrm` and `trm`; the gradient reaches so many of the last calls."""
    c = default(name)
    score = Score("slow state, z_H", "fast state, z_L")
    cycle = c.l_cycles + 1
    calls = c.h_cycles * cycle
    for call in range(1, calls + 1):
        with_gradient = call > calls - gradient_calls
        if call % cycle:
            score.step("fast state, z_L", "slow state, z_H", puzzle=True, gradient=with_gradient)
        else:
            score.step("slow state, z_H", "fast state, z_L", gradient=with_gradient)
    return score.answer("slow state, z_H")


def repeated(times: int, note: str = "") -> Score:
    """The cells are updated again and again."""
    score = Score("cells", note=note)
    for _ in range(times):
        score.step("cells", puzzle=True)
    return score.answer("cells")


def universal() -> Score:
    """`ut`."""
    score = Score(
        "mean of the steps", fresh=("cells",), note="each cell halts by itself, at the latest at the last step"
    )
    for step in range(default("ut").steps):
        score.step("cells", *["mean of the steps"] * (step == 0), puzzle=step == 0)
        score.step("mean of the steps", "cells")
    return score.answer("mean of the steps")


def looped() -> Score:
    """`looped`."""
    c = default("looped")
    score = Score("cells", note="random at first; how many steps is drawn anew for each batch")
    for step in range(c.mean_steps):
        score.step("cells", puzzle=True, gradient=step >= c.mean_steps - c.gradient_steps)
    return score.answer("cells")


def neural_gpu() -> Score:
    """`neural_gpu`."""
    score = Score(
        "image of the board", note="the puzzle is the first image; as many steps as a message needs to cross it"
    )
    for _ in range(3):
        score.step("image of the board")
    return score.gap().step("image of the board").answer("image of the board")


def scan(memory: str) -> Score:
    """`ntm` and `dnc`."""
    score = Score(memory, "LSTM", note="a cell a step; the second scan says the answers")
    for _ in range(2):
        for _ in range(2):
            score.step("LSTM", memory, puzzle=True).step(memory, "LSTM")
        score.gap()
    return score.answer("LSTM")


def latent_tokens() -> Score:
    """`latent_tokens`."""
    score = Score("thoughts", fresh=("cells",), note="each pass begins from the puzzle; the last one answers")
    for _ in range(default("latent_tokens").prefix_tokens):
        score.step("cells", "thoughts", puzzle=True).step("thoughts", "cells")
    return score.step("cells", "thoughts", puzzle=True).answer("cells")


def trans_nar() -> Score:
    """`trans_nar`."""
    c = default("trans_nar")
    score = Score(
        "graph network", fresh=("transformer",), note="the graph network is frozen once it has learned the algorithm"
    )
    for _ in range(c.nar_steps):
        score.step("graph network", puzzle=True, gradient=False)
    for layer in range(c.layers):
        score.step("transformer", puzzle=layer == 0).step("transformer", "graph network")
    return score.answer("transformer")


def search_trace() -> Score:
    """`search_trace`."""
    chunk = default("search_trace").chunk
    score = Score("text", note=f"in use: {chunk} statements; learned is the solver's whole text at once")
    for _ in range(3):
        score.step("text", puzzle=True, gradient=False)
    return score.gap().step("text", puzzle=True, gradient=False).answer("text")


def tem() -> Score:
    """`tem`."""
    steps = default("tem").steps
    score = Score(
        "memory", "code of the place", note=f"{steps} moves; what the memory expects at the place is the answer"
    )
    for _ in range(2):
        score.step("code of the place", puzzle=True).step("memory", "code of the place", puzzle=True)
    score.gap().step("code of the place", puzzle=True).step("memory", "code of the place", puzzle=True)
    return score.answer("memory")


def spaun() -> Score:
    """`spaun`."""
    race, note = "race of the actions", "the first segment shows the puzzle, each further one carries out an action"
    score = Score("spiking memory", fresh=(race,), note=note)
    score.step(race, "spiking memory", gradient=False).step("spiking memory", race, gradient=False)
    return score.answer("spiking memory")


def direct() -> Score:
    """`direct`."""
    score = Score(fresh=("cells",), note="nothing is carried: each segment gives the same answer")
    for step in range(default("direct").layers):
        score.step("cells", puzzle=step == 0)
    return score.answer("cells")


def legend() -> Any:
    """What the signs mean."""
    axes = canvas(7.4, 0.55)
    signs: list[tuple[str, dict[str, Any], str]] = [
        ("o", {"color": BLUE}, "a step with a gradient"),
        ("o", {"markerfacecolor": "white", "markeredgecolor": BLUE}, "without"),
        ("^", {"color": AMBER, "markersize": 4}, "reads the puzzle"),
        ("s", {"color": INK, "markersize": 6}, "answer, and whether to halt"),
    ]
    at = 0.2
    for marker, look, text in signs:
        axes.plot(at, 0.38, marker, **{"markersize": 9, **look})
        axes.text(at + 0.15, 0.38, text, fontsize=8, color=INK, va="center")
        at += 0.5 + 0.068 * len(text)
    axes.annotate("", (0.3, 0.13), (0.05, 0.13), arrowprops=arrow(BLUE))
    axes.text(
        0.35, 0.13, "a state that is carried to the next segment, without its graph", fontsize=8, color=INK, va="center"
    )
    axes.annotate("", (4.1, 0.05), (4.1, 0.24), arrowprops=arrow(PLUM))
    axes.text(4.22, 0.13, "reads another state as it is then", fontsize=8, color=INK, va="center")
    return axes.figure


def scores() -> dict[str, Score]:
    """Of every agent but the variants of `hrm` and `trm`, whose segments are theirs."""
    return {
        "hrm": two_states("hrm", 2),
        "trm": two_states("trm", default("trm").l_cycles + 1),
        "direct": direct(),
        "gru": repeated(default("gru").updates),
        "ponder": repeated(default("ponder").updates, note="short: the rule halts after any segment"),
        "ut": universal(),
        "looped": looped(),
        "neural_gpu": neural_gpu(),
        "rrn": repeated(default("rrn").steps, note="at each step all joined cells send each other messages"),
        "ntm": scan("memory"),
        "dnc": scan("memory, use, order"),
        "latent_tokens": latent_tokens(),
        "trans_nar": trans_nar(),
        "search_trace": search_trace(),
        "tem": tem(),
        "spaun": spaun(),
    }


# ---- the family tree -------------------------------------------------------------------------------------

LANES = (
    "models of the brain",
    "a memory outside",
    "gated units",
    "cells on a graph",
    "when to halt",
    "one block, again and again",
    "two states, segment by segment",
    "thoughts and texts",
)
TREE = {  # when each was published, and its lane
    "spaun": (2012.9, 0),
    "tem": (2020.9, 0),
    "ntm": (2014.8, 1),
    "dnc": (2016.8, 1),
    "gru": (2014.4, 2),
    "neural_gpu": (2015.9, 2),
    "rrn": (2017.9, 3),
    "trans_nar": (2024.4, 3),
    "act": (2016.2, 4),
    "pondernet": (2021.5, 4),
    "ut": (2018.5, 5),
    "looped": (2025.1, 5),
    "hrm": (2025.5, 6),
    "trm": (2025.8, 6),
    "search_trace": (2024.1, 7),
    "latent_tokens": (2024.9, 7),
}
TAKEN_UP = (
    ("ntm", "dnc"),
    ("ntm", "neural_gpu"),
    ("gru", "neural_gpu"),
    ("act", "pondernet"),
    ("act", "ut"),
    ("act", "hrm"),
    ("ut", "looped"),
    ("hrm", "trm"),
)
"""The later one takes up the earlier one's idea, or is its paper's answer to it."""


def tree() -> Any:
    """The family tree: years from left to right, a lane an idea."""
    lane, left = 0.42, 2.35

    def x(year: float) -> float:  # most of it is of the last years
        return left + 0.37 * (min(year, 2022) - 2012) + 1.1 * max(0.0, year - 2022)

    def y(row: int) -> float:
        return 0.5 + lane * (len(LANES) - 1 - row)

    axes = canvas(x(2026.4), y(0) + 0.3)
    for row, name in enumerate(LANES):
        axes.text(left - 0.15, y(row), name, ha="right", va="center", fontsize=8.5, color=INK)
        axes.plot([left, x(2026.3)], [y(row)] * 2, color=GREY, linewidth=0.6, alpha=0.5, zorder=0)
    for year in (2012, 2014, 2016, 2018, 2020, 2022, 2023, 2024, 2025, 2026):
        axes.plot([x(year)] * 2, [0.28, y(0) + 0.2], color=GREY, linewidth=0.5, alpha=0.35, zorder=0)
        axes.text(x(year), 0.16, str(year), ha="center", va="center", fontsize=7.5, color=INK)
    boxes = {}
    for name, (year, row) in TREE.items():
        ours = name in ("hrm", "trm")
        look = {
            "boxstyle": "round,pad=0.3",
            "facecolor": BLUE if ours else "white",
            "edgecolor": BLUE,
            "linewidth": 1.1,
        }
        colour = "white" if ours else INK
        boxes[name] = axes.text(
            x(year), y(row), name, ha="center", va="center", fontsize=8, color=colour, bbox=look, zorder=3
        )
    for earlier, later in TAKEN_UP:
        ends = [(x(TREE[name][0]), y(TREE[name][1])) for name in (later, earlier)]
        look = {**arrow(PLUM), "connectionstyle": "arc3,rad=0.08", "alpha": 0.8, "shrinkA": 0, "shrinkB": 0}
        patches = {"patchA": boxes[earlier].get_bbox_patch(), "patchB": boxes[later].get_bbox_patch()}
        axes.annotate("", *ends, arrowprops={**look, **patches}, zorder=2)
    return axes.figure


def pictures() -> dict[str, Any]:
    """All figures, by the names of their files."""
    return {"tree": tree(), "legend": legend(), **{name: score.draw() for name, score in scores().items()}}


def main() -> None:
    """Write them."""
    # Text stays text, small and sharp; the same picture gives the same file.
    rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "lineage"})
    for name, figure in pictures().items():
        figure.savefig(FOLDER / f"{name}.svg", facecolor="white", metadata={"Date": None, "Creator": None})


if __name__ == "__main__":
    main()
