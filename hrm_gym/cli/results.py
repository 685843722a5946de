"""Writing the results of comparisons: a table, the figures as JSON, and a plot if matplotlib is installed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hrm_gym.errors import HrmGymError
from hrm_gym.files import replacing

TABLE, FIGURES, PLOT = FILES = "table.md", "result.json", "plot.png"


def write_results(out: Path, text: str, figures: Any, plot: Callable[[], Any]) -> None:
    """Write the results and print their paths; without matplotlib only the plot is missing.

    Args:
        out: output folder.
        text: the table in Markdown.
        figures: the results, serializable as JSON.
        plot: returns a matplotlib figure.

    Raises:
        HrmGymError: if a file cannot be written.
    """
    with replacing(out / TABLE) as temporary:
        temporary.write_text(text, encoding="utf-8")
    with replacing(out / FIGURES) as temporary:
        temporary.write_text(json.dumps(figures, indent=1), encoding="utf-8")
    print(f"wrote {out / TABLE} and {out / FIGURES}")
    try:
        figure = plot()
    except HrmGymError as error:  # matplotlib is missing; only the plot needs it
        print(error)
        return
    with replacing(out / PLOT) as temporary:
        figure.savefig(temporary, format="png", dpi=150)
    print(f"wrote {out / PLOT}")
