"""What commands that compare leave in their folder: a table, the figures, and a plot where one can be drawn."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hrm_gym.errors import HrmGymError
from hrm_gym.files import replacing

TABLE, FIGURES, PLOT = FILES = "table.md", "result.json", "plot.png"


def write_results(out: Path, text: str, figures: Any, plot: Callable[[], Any]) -> None:
    """Write them, and say so; without matplotlib the plot alone is missing.

    Args:
        out: the folder.
        text: the table, Markdown.
        figures: as JSON has them.
        plot: gives a matplotlib figure.

    Raises:
        HrmGymError: where a file cannot be written.
    """
    with replacing(out / TABLE) as temporary:
        temporary.write_text(text)
    with replacing(out / FIGURES) as temporary:
        temporary.write_text(json.dumps(figures, indent=1))
    print(f"wrote {out / TABLE} and {out / FIGURES}")
    try:
        figure = plot()
    except HrmGymError as error:  # matplotlib, which only the plot needs
        print(error)
        return
    with replacing(out / PLOT) as temporary:
        figure.savefig(temporary, format="png", dpi=150)
    print(f"wrote {out / PLOT}")
