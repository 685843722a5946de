"""`hrm-gym analyze`: measure an agent's hidden states and report figures, text and plots."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from hrm_gym.agents.analysis.settings import TITLES, Settings, check_names
from hrm_gym.agents.analysis.style import require_matplotlib
from hrm_gym.cli.bar import bar
from hrm_gym.cli.parse import parse
from hrm_gym.envs.registration import task_class
from hrm_gym.errors import HrmGymError
from hrm_gym.files import check_new, is_folder, is_there, make_folder, replacing

if TYPE_CHECKING:
    from hrm_gym.agents.analysis import Finding


@dataclasses.dataclass(frozen=True)
class Arguments:
    """Analyze an agent's hidden states: their dimension and convergence, depth, failures, interventions."""

    settings: Settings = dataclasses.field(default_factory=Settings)
    """The size of the analysis."""
    env: str = ""
    """Environment id; default: the environment that the checkpoint was trained on."""
    checkpoint: str = "pretrained"
    """`pretrained` (the shipped agent), `pretrained:ID` (the agent shipped for environment ID), a run's folder, a file
    or `hf:OWNER/NAME`."""
    beside: tuple[str, ...] = ()
    """Checkpoints of other agents for the same puzzles, which `convergence` plots for comparison. The paper compares
    with a recurrent network (`gru`) and a deep feed-forward network (`direct`)."""
    out: str = "analysis"
    """Folder for `summary.md` and for the JSON file and plot of each analysis."""
    overwrite: bool = False
    """Replace earlier results in the folder."""
    what: tuple[str, ...] = ()
    """Names of the analyses to run; default: all."""
    split: Literal["validation", "test", "train"] = "validation"
    """The puzzles to use. Use `validation` as often as you like, `test` only once."""
    device: str = "auto"
    """`auto`, `cpu`, `cuda` or `mps`."""


def run(argv: Sequence[str]) -> int:
    """Run the analyses and write each result as soon as it is ready."""
    args = parse(Arguments, argv, "analyze", _description())
    check_names(args.what)
    if args.env:
        task_class(args.env)
    elif args.checkpoint == "pretrained":
        raise HrmGymError("give --env, or the --checkpoint of a run, which knows its environment")
    out = Path(args.out)
    if not args.out or (is_there(out) and not is_folder(out)):
        raise HrmGymError(f"--out {args.out!r} is not a folder: give one")
    # Imported late: torch takes seconds, and the checks above do not need it.
    from hrm_gym.agents.analysis import Finding, analyses_of, findings, open_subject
    from hrm_gym.agents.saved.load import trained_env

    chosen, env = analyses_of(args.what), args.env or trained_env(args.checkpoint)
    subject = open_subject(env, args.checkpoint, args.split, args.device, args.beside, **args.settings.to_dict())
    make_folder(out)
    for name in ["summary.md", *(f"{one.name}.{kind}" for one in chosen for kind in ("json", "png"))]:
        check_new(out / name, args.overwrite)
    conditions = {"checkpoint": args.checkpoint, "split": args.split}
    parts = [f"# {env}, {subject.policy.name}: a look inside\n"]
    draws = _can_draw()
    found = findings(subject, chosen, conditions)
    with bar("looking inside") as tell:
        for number, analysis in enumerate(chosen):
            tell(number, len(chosen), f"{analysis.name}: {analysis.title}")
            finding = next(found)
            if isinstance(finding, Finding):
                parts.append(_write(finding, out, draws))
                print(f"{analysis.name}: {finding.text}\n", flush=True)
            else:
                _, reason = finding
                parts.append(f"## {analysis.title}\n\nLeft out: {reason}.\n")
                print(f"{analysis.name}: left out: {reason}\n", flush=True)
    with replacing(out / "summary.md") as temporary:
        temporary.write_text("\n".join(parts), encoding="utf-8")
    print(f"wrote {out / 'summary.md'}")
    return 0


def _can_draw() -> bool:
    try:
        require_matplotlib()
    except HrmGymError as error:  # only plots need matplotlib
        print(error)
        return False
    return True


def _write(finding: Finding, out: Path, draws: bool) -> str:
    """Write the files of one analysis and return its part of the summary."""
    name = finding.analysis.name
    with replacing(out / f"{name}.json") as temporary:
        temporary.write_text(json.dumps(finding.to_dict(), indent=1), encoding="utf-8")
    picture = ""
    if draws:
        with replacing(out / f"{name}.png") as temporary:
            finding.plot().savefig(temporary, format="png", dpi=150)
        picture = f"![{finding.analysis.title}]({name}.png)\n\n"
    return f"## {finding.analysis.title}\n\n{picture}{finding.text}\n"


def _description() -> str:
    names = "\n".join(f"  {name:14} {title}" for name, title in TITLES.items())
    return f"{Arguments.__doc__}\n\nAnalyses:\n{names}"
