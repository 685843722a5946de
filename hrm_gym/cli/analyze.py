"""`hrm-gym analyze`: what an agent looks like inside, as figures, paragraphs and plots."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import tyro
from rich.console import Console

from hrm_gym.agents.analysis import ANALYSES, Finding, Settings, analyses_of, findings, open_subject
from hrm_gym.agents.analysis.style import require_matplotlib
from hrm_gym.agents.saved.load import trained_env
from hrm_gym.cli.parse import parse
from hrm_gym.errors import HrmGymError
from hrm_gym.files import check_new, is_folder, is_there, make_folder, replacing


@dataclasses.dataclass(frozen=True)
class Arguments:
    """Look inside an agent: dimensions of its states, convergence, depth, failures, interventions."""

    settings: tyro.conf.OmitArgPrefixes[Settings] = dataclasses.field(default_factory=Settings)
    """How much is looked at."""
    env: str = ""
    """Environment id; empty: that of the checkpoint."""
    checkpoint: str = "pretrained"
    """`pretrained` for the shipped agent, `pretrained:ID` for that of another environment, a run's folder, a file, or
    `hf:OWNER/NAME`."""
    beside: tuple[str, ...] = ()
    """Other agents for the same puzzles, as `--checkpoint`: `convergence` draws them beside this one, as the paper does
    with a recurrent network (`gru`) and a deep feed-forward one (`direct`)."""
    out: str = "analysis"
    """The folder for a JSON file and a plot of each analysis, and `summary.md`."""
    overwrite: bool = False
    """Replace findings that are already in the folder."""
    what: tuple[str, ...] = ()
    """Which analyses, by name; all by default."""
    split: Literal["validation", "test", "train"] = "validation"
    """Which puzzles. Look at `validation` as often as you like, at `test` once."""
    device: str = "auto"
    """`auto`, `cpu` or `cuda`."""


def run(argv: Sequence[str]) -> int:
    """Analyze, and write each finding as soon as it is there."""
    args = parse(Arguments, argv, "analyze", _description())
    chosen = analyses_of(args.what)
    if not args.env and args.checkpoint == "pretrained":
        raise HrmGymError("give --env, or the --checkpoint of a run, which knows its environment")
    out = Path(args.out)
    if not args.out or (is_there(out) and not is_folder(out)):
        raise HrmGymError(f"--out {args.out!r} is not a folder: give one")
    env = args.env or trained_env(args.checkpoint)
    subject = open_subject(env, args.checkpoint, args.split, args.device, args.beside, **args.settings.to_dict())
    make_folder(out)
    for name in ["summary.md", *(f"{one.name}.{kind}" for one in chosen for kind in ("json", "png"))]:
        check_new(out / name, args.overwrite)
    told = {"checkpoint": args.checkpoint, "split": args.split}
    parts = [f"# {env}, {subject.policy.name}: a look inside\n"]
    draws = _can_draw()
    console = Console(stderr=True)
    found = findings(subject, chosen, told)
    for analysis in chosen:
        with console.status(f"{analysis.name}: {analysis.title}"):  # seen on a terminal only
            finding = next(found)
        if isinstance(finding, Finding):
            parts.append(_write(finding, out, draws))
            print(f"{analysis.name}: {finding.text}\n", flush=True)
        else:
            _, reason = finding
            parts.append(f"## {analysis.title}\n\nLeft out: {reason}.\n")
            print(f"{analysis.name}: left out: {reason}\n", flush=True)
    with replacing(out / "summary.md") as temporary:
        temporary.write_text("\n".join(parts))
    print(f"wrote {out / 'summary.md'}")
    return 0


def _can_draw() -> bool:
    try:
        require_matplotlib()
    except HrmGymError as error:  # the figures and paragraphs need no library
        print(error)
        return False
    return True


def _write(finding: Finding, out: Path, draws: bool) -> str:
    """Write a finding's files; gives its part of the summary."""
    name = finding.analysis.name
    with replacing(out / f"{name}.json") as temporary:
        temporary.write_text(json.dumps(finding.to_dict(), indent=1))
    picture = ""
    if draws:
        with replacing(out / f"{name}.png") as temporary:
            finding.plot().savefig(temporary, format="png", dpi=150)
        picture = f"![{finding.analysis.title}]({name}.png)\n\n"
    return f"## {finding.analysis.title}\n\n{picture}{finding.text}\n"


def _description() -> str:
    names = "\n".join(f"  {name:14} {analysis.title}" for name, analysis in ANALYSES.items())
    return f"{Arguments.__doc__}\n\nAnalyses:\n{names}"
