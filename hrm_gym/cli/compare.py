"""`hrm-gym compare`: train several agents with the same budget and compare their results."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from hrm_gym.cli.parse import parse
from hrm_gym.cli.results import FILES, write_results
from hrm_gym.envs.registration import task_class
from hrm_gym.errors import HrmGymError
from hrm_gym.files import check_new, is_file, is_folder, is_there, make_folder


@dataclasses.dataclass(frozen=True)
class Arguments:
    """Train agents with the same budget and compare their results.

    If interrupted, run the same command again to continue. You can add agents and seeds later.
    """

    env: str
    """Environment id of the puzzles."""
    agents: tuple[str, ...]
    """Names of agents, or module:NAME."""
    out: str
    """Folder for the runs, `table.md`, `result.json` and `plot.png`."""
    overwrite: bool = False
    """Replace these files even if the folder is not from an earlier comparison."""
    minutes: float = 0.0
    """Training time of each run in minutes; 0: no limit."""
    steps: int = 0
    """Gradient steps of each run; 0: no limit."""
    seeds: int = 3
    """Number of runs of each agent, with seeds 0, 1, ..."""
    at_once: int = 1
    """Number of runs in parallel, one core each. More than 1 uses Ray (`pip install "hrm-gym[ray]"`), on this machine
    or on the cluster at RAY_ADDRESS."""
    preset: str = "auto"
    """Preset of every run; `auto` chooses one by environment, device and agent."""
    num_envs: int = 0
    """Batch size in training; 0: the preset's."""
    test_puzzles: int = 1000
    """Number of test puzzles to evaluate on."""
    device: str = "auto"
    """`auto`, `cpu`, `cuda` or `mps`."""


def run(argv: Sequence[str]) -> int:
    """Train and test the agents and write the results."""
    args = parse(Arguments, argv, "compare")
    if not args.out:
        raise HrmGymError("--out is empty: give a folder")
    out = Path(args.out)
    if is_there(out) and not is_folder(out):
        raise HrmGymError(f"--out {out} is a file: give a folder")
    task_class(args.env)
    # Imported late: torch takes seconds, and the checks above do not need it.
    from hrm_gym.agents.studies.portrait import CONDITIONS, Conditions, compare, table
    from hrm_gym.agents.studies.portrait_plot import plot

    settings = {name: value for name, value in (("preset", args.preset), ("num_envs", args.num_envs)) if value}
    conditions = Conditions(args.env, args.minutes, args.steps, args.test_puzzles, args.device, settings)

    if is_folder(out) and not is_file(out / CONDITIONS):
        for name in FILES:
            check_new(out / name, args.overwrite)

    def say(text: str) -> None:
        print(f"--- {text}", flush=True)

    make_folder(out)
    found = compare(conditions, args.agents, args.seeds, out, say, args.at_once)
    if found is None:
        say("stopped; run the same command again to continue")
        return 130
    text = table(found, conditions)
    results = {
        "conditions": dataclasses.asdict(conditions),
        "runs": [dataclasses.asdict(portrait) for portrait in found],
    }
    print(text)
    write_results(out, text, results, lambda: plot(found, f"{args.env}: {conditions.test_puzzles:,} test puzzles"))
    return 0
