"""A score: one segment of an agent as a picture. See `draw_lineage`."""

from __future__ import annotations

from typing import Any, NamedTuple

from hrm_gym.agents.analysis.style import AMBER, BLUE, GREY, INK, PLUM, new_figure

COLOURS = BLUE, PLUM, "#3f8f7f"
STEP, RADIUS = 0.42, 0.085
"""Inches from step to step, and of a step's disc."""
ROW = 0.42
"""Inches from line to line."""
LEFT, RIGHT = 1.45, 0.95
"""Inches for names, and for the answer."""


class Step(NamedTuple):
    """A state gets its next value."""

    time: float
    row: int
    reads: list[int]
    puzzle: bool
    gradient: bool


class Score:
    """What happens in one segment: a line for each state, time from left to right.

    Args:
        carried: the states that go on to the next segment, from top to bottom.
        fresh: the states that each segment begins anew, below them.
        note: what the lines do not tell.
    """

    def __init__(self, *carried: str, fresh: tuple[str, ...] = (), note: str = "") -> None:
        self.rows = [*carried, *fresh]
        self.carried, self.note = set(carried), note
        self.steps: list[Step] = []
        self.gaps: list[float] = []
        self.now = 0.0
        self.answered: tuple[float, int] | None = None

    def step(self, row: str, *reads: str, puzzle: bool = False, gradient: bool = True) -> Score:
        """`row` gets a new value from its own, those of the rows it reads, and the puzzle."""
        self.now += 1
        others = [self.rows.index(name) for name in reads]
        self.steps.append(Step(self.now, self.rows.index(row), others, puzzle, gradient))
        return self

    def gap(self) -> Score:
        """Steps of the same kind are left out."""
        self.now += 1
        self.gaps.append(self.now)
        return self

    def answer(self, row: str) -> Score:
        """The answer is read from `row`."""
        self.answered = self.now + 0.6, self.rows.index(row)
        return self

    def draw(self) -> Any:
        """As a matplotlib figure."""
        wide = LEFT + STEP * (self.now + 1.2) + RIGHT
        high = ROW * len(self.rows) + 0.25 + (0.2 if self.note else 0)
        axes = canvas(max(wide, 4.6), high)
        bottom = 0.2 if self.note else 0

        def x(time: float) -> float:
            return LEFT + STEP * time

        def y(row: int) -> float:
            return bottom + 0.2 + ROW * (len(self.rows) - 1 - row)

        end = self.now + 1.2
        for edge in (0.2, end):
            axes.plot([x(edge)] * 2, [bottom, high - 0.03], color=GREY, linewidth=0.7, alpha=0.6)
        for row, name in enumerate(self.rows):
            colour = COLOURS[row]
            axes.text(LEFT - 0.2, y(row), name, ha="right", va="center", fontsize=8, color=colour)
            times = [step.time for step in self.steps if step.row == row]
            first, last = (
                (-0.3, end + 0.5) if name in self.carried else (times[0], max(times[-1], self._last_read(row)))
            )
            axes.plot([x(first), x(last)], [y(row)] * 2, color=colour, linewidth=1.2, zorder=1)
            if name in self.carried:
                axes.annotate("", (x(last) + 0.08, y(row)), (x(last), y(row)), arrowprops=arrow(colour))
        for time, row, reads, puzzle, gradient in self.steps:
            for other in reads:
                towards = RADIUS if y(other) > y(row) else -RADIUS
                ends = (x(time), y(row) + towards), (x(time), y(other))
                axes.annotate("", *ends, arrowprops=arrow(COLOURS[other]), zorder=2)
            face = COLOURS[row] if gradient else "white"
            axes.add_patch(disc(x(time), y(row), facecolor=face, edgecolor=COLOURS[row], linewidth=1.2, zorder=3))
            if puzzle:
                axes.plot(x(time), y(row) - RADIUS - 0.045, "^", color=AMBER, markersize=3.6, zorder=4)
        for time in self.gaps:
            for row in range(len(self.rows)):
                shown = {"facecolor": "white", "edgecolor": "none", "pad": 0.5}
                axes.text(x(time), y(row), "…", ha="center", va="center", fontsize=9, color=INK, bbox=shown)
        if self.answered:
            time, row = self.answered
            axes.plot(x(time), y(row), "s", color=INK, markersize=6, zorder=4)
        if self.note:
            axes.text(0.05, 0.07, self.note, fontsize=7, color=INK, va="center")
        return axes.figure

    def _last_read(self, row: int) -> float:
        answered = self.answered[0] if self.answered and self.answered[1] == row else 0.0
        return max([answered, *(step.time for step in self.steps if row in step.reads)])


def canvas(wide: float, high: float) -> Any:
    """Axes without a frame, in inches."""
    figure = new_figure(wide, high)
    figure.set_layout_engine("none")
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, wide), ylim=(0, high))
    axes.axis("off")
    return axes


def arrow(colour: str) -> dict[str, Any]:
    """How arrows look."""
    return {"arrowstyle": "-|>", "color": colour, "linewidth": 0.8, "mutation_scale": 6, "shrinkA": 0, "shrinkB": 0}


def disc(x: float, y: float, **look: Any) -> Any:
    """A step."""
    from matplotlib.patches import Circle

    return Circle((x, y), RADIUS, **look)
