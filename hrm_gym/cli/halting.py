"""`hrm-gym halting`: compare policies that decide when the agent stops, on one test set."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from hrm_gym.cli.bar import bar
from hrm_gym.cli.parse import parse
from hrm_gym.cli.results import FILES, write_results
from hrm_gym.envs.registration import task_class
from hrm_gym.errors import HrmGymError
from hrm_gym.files import check_new, is_file, make_folder
from hrm_gym.options import Options, number
from hrm_gym.version import __version__

if TYPE_CHECKING:
    from hrm_gym.agents.halting.rule import HaltingRule
    from hrm_gym.agents.studies.halting_study import Row
    from hrm_gym.envs.halting.frozen_model import Episodes


@dataclasses.dataclass(frozen=True)
class Arguments(Options):
    """Compare fixed and learned halting policies on the puzzles of a test set."""

    env: str
    """Environment id of the puzzles."""
    out: str
    """Folder for `table.md`, `result.json` and `plot.png`."""
    checkpoint: str = "pretrained"
    """`pretrained` (the shipped agent), `pretrained:ID` (the agent shipped for environment ID), a run's folder, a file
    or `hf:OWNER/NAME`. For ARC, `pretrained` (the shipped recording) or the `--out` file of `hrm-gym evaluate`."""
    costs: tuple[float, ...] = (0.001, 0.003, 0.01)
    """Costs of a segment. For each cost, thresholds are fitted and DQN and PPO are trained."""
    limit: int = number(0, least=0)
    """Use only the first N test puzzles, or recorded tasks of ARC; 0: all."""
    fit_puzzles: int = number(1000, least=0)
    """Number of validation puzzles on which thresholds are fitted and policies are trained; 0: all. For ARC, recorded
    training tasks."""
    train_steps: int = number(20_000, least=0)
    """Training steps (halting decisions) of DQN and PPO for each cost; 0: leave them out."""
    max_segments: int = number(16, least=1)
    """Maximum number of segments per puzzle."""
    batch_size: int = number(256, least=1)
    """Puzzles per batch; for ARC, where no agent runs, it does not matter."""
    seeds: tuple[int, ...] = (0, 1, 2)
    """Seeds of the random policy and of DQN and PPO, which are trained once per seed."""
    overwrite: bool = False
    """Replace earlier results in the folder."""
    device: str = "auto"
    """Device of the agent: `auto`, `cpu`, `cuda` or `mps`; for ARC, where no agent runs, it does not matter. DQN and
    PPO are always trained on the CPU."""


def run(argv: Sequence[str]) -> int:
    """Record the agent's outputs, run all policies and write the results."""
    args = parse(Arguments, argv, "halting")
    task_class(args.env)
    for seed in args.seeds:
        if not 0 <= seed < 1 << 32:  # the range that Stable-Baselines3 accepts
            raise HrmGymError(f"--seeds {seed}: give integers of 0 to {(1 << 32) - 1}")
    if not args.out:
        raise HrmGymError("--out is empty: give a folder")
    out = Path(args.out)
    if is_file(out):
        raise HrmGymError(f"--out {out} is a file: give a folder")
    # Imported late: torch takes seconds, and the checks above do not need it.
    from hrm_gym.agents.inference.halting_ids import recording_for
    from hrm_gym.agents.studies.halting_study import check_costs, plot, study, table
    from hrm_gym.agents.studies.policies import stable_baselines3

    check_costs(args.costs)
    if args.train_steps:
        stable_baselines3()  # before an hour of thinking
    make_folder(out)
    for name in FILES:
        check_new(out / name, args.overwrite)
    recording = recording_for(args.env, args.checkpoint)
    recorded = _thoughts(args) if recording is None else _solvers(args, recording)
    conditions = {
        "env": args.env,
        **recorded.conditions,
        "training steps": args.train_steps,
        "max segments": args.max_segments,
        "seeds": args.seeds,
        "hrm-gym": __version__,
    }

    def say(row: Row) -> None:
        cost = "" if row.cost is None else f"cost {row.cost:g}"
        print(
            f"{row.policy:24} {cost:11} {100 * row.accuracy:6.1f} % {row.mean_segments:6.2f} segments  {row.setting}",
            flush=True,
        )

    with bar("fitting and running policies"):
        result = study(
            recorded.rule,
            recorded.fit,
            recorded.test,
            args.costs,
            train_steps=args.train_steps,
            seeds=args.seeds,
            say=say,
        )
    figures = {"conditions": conditions, **dataclasses.asdict(result)}
    write_results(out, table(result.rows, conditions), figures, lambda: plot(result, recorded.title))
    return 0


class _Recorded(NamedTuple):
    """What the policies decide about."""

    rule: HaltingRule | None
    """The agent's own rule; None: it has none."""
    fit: Episodes
    """For thresholds and for training policies."""
    test: Episodes
    conditions: dict[str, Any]
    title: str


def _solvers(args: Arguments, source: Path) -> _Recorded:
    """Recorded solvers of ARC tasks."""
    from hrm_gym.envs.halting.recorded_solvers import recorded_episodes

    splits = (("train", args.fit_puzzles), ("test", args.limit))
    fit, test = (recorded_episodes(source, split, args.max_segments).first(num or None) for split, num in splits)
    conditions = {"recording": source.name, "tasks": f"{len(fit)} to fit, {len(test)} to test"}
    return _Recorded(None, fit, test, conditions, f"{args.env}: {source.name}, {len(test):,} tasks")


def _thoughts(args: Arguments) -> _Recorded:
    """The episodes of an agent, which thinks about the puzzles first."""
    from hrm_gym.agents.inference.frozen_agent import first_puzzles, record
    from hrm_gym.agents.saved.load import load_both

    policy, task = load_both(args.env, args.checkpoint, args.device)

    def thoughts(split: str, num: int) -> Episodes:
        puzzles = first_puzzles(task, split, num)
        with bar(f"thinking about {split} puzzles") as tell:
            return record(policy, task, puzzles, args.max_segments, args.batch_size, tell=tell)

    fit, test = thoughts("validation", args.fit_puzzles), thoughts("test", args.limit)
    conditions = {
        "checkpoint": args.checkpoint,
        "agent": policy.name,
        "parameters": policy.num_parameters,
        "test puzzles": len(test),
        "validation puzzles": len(fit),
        "device": str(policy.device),
    }
    title = f"{args.env}: {policy.name}, {len(test):,} test puzzles"
    return _Recorded(policy.halting, fit, test, conditions, title)
