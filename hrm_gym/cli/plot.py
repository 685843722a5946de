"""`hrm-gym plot`: plot the learning curves of several runs."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from hrm_gym.agents.studies.learning_curves import Along, plot_curves, read_curve
from hrm_gym.cli.parse import parse, positional
from hrm_gym.errors import HrmGymError
from hrm_gym.files import check_new, replacing

FORMATS = (".png", ".svg", ".pdf")


@dataclasses.dataclass(frozen=True)
class Arguments:
    """Plot learning curves (accuracy on validation puzzles) of finished or unfinished runs."""

    runs: tuple[str, ...] = positional("RUN")
    """Folders of the runs."""
    out: str = "curves.png"
    """Output file: .png, .svg or .pdf."""
    overwrite: bool = False
    """Replace an existing file."""
    along: Along = "minutes"
    """Unit of the x axis."""
    grade: Literal["exact", "valid"] = "exact"
    """Accuracy to plot: `exact`, answers equal to the solution, or `valid`, answers that satisfy the rules."""


def run(argv: Sequence[str]) -> int:
    """Run the command."""
    args = parse(Arguments, argv, "plot")
    out = Path(args.out)
    if not args.runs:
        raise HrmGymError("no runs: give at least one folder")
    if out.suffix not in FORMATS:
        raise HrmGymError(f"--out {args.out!r}: the name must end in one of {', '.join(FORMATS)}")
    check_new(out, args.overwrite)
    curves = [read_curve(Path(folder)) for folder in args.runs]
    figure = plot_curves(curves, args.along, args.grade)
    with replacing(out) as temporary:
        figure.savefig(temporary, format=out.suffix[1:], dpi=150)
    for curve in curves:
        last = curve.points[-1]
        print(
            f"{curve.name:32} {100 * last[f'{args.grade}_accuracy']:5.1f} % {args.grade} after "
            f"{last['seconds'] / 60:.1f} minutes, {last['step']:,} steps"
        )
    print(f"wrote {out}")
    return 0
