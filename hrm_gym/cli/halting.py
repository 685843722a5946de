"""`hrm-gym halting`: when should the agent stop thinking? All policies on one test set."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import hrm_gym
from hrm_gym.agents.inference.frozen_agent import first_puzzles, record
from hrm_gym.agents.saved.load import load_both
from hrm_gym.agents.studies.halting_study import Row, check_costs, plot, study, table
from hrm_gym.cli.bar import bar
from hrm_gym.cli.parse import parse
from hrm_gym.cli.results import FILES, write_results
from hrm_gym.errors import HrmGymError
from hrm_gym.files import check_new, is_file, make_folder
from hrm_gym.options import Options, number


@dataclasses.dataclass(frozen=True)
class Arguments(Options):
    """Compare stopping rules, learned ones among them, on the puzzles of a test set."""

    env: str
    """Environment id of the puzzles."""
    out: str
    """The folder for `table.md`, `result.json` and `plot.png`."""
    checkpoint: str = "pretrained"
    """`pretrained` for the shipped agent, `pretrained:ID` for that of another environment, a run's folder, a file, or
    `hf:OWNER/NAME`."""
    costs: tuple[float, ...] = (0.001, 0.003, 0.01)
    """What a segment costs: thresholds are chosen and DQN and PPO trained for each."""
    limit: int = number(0, least=0)
    """Only the first so many test puzzles; 0: all."""
    fit_puzzles: int = number(1000, least=0)
    """Validation puzzles on which thresholds are chosen and policies learn; 0: all."""
    train_steps: int = number(20_000, least=0)
    """Decisions that DQN and PPO learn from at each cost; 0 leaves them out."""
    max_segments: int = number(16, least=1)
    """The last segment."""
    batch_size: int = number(256, least=1)
    """Puzzles thought about at once."""
    seeds: tuple[int, ...] = (0, 1, 2)
    """Of DQN and PPO, which are trained once for each, and of the random policy."""
    overwrite: bool = False
    """Replace results that are already in the folder."""
    device: str = "auto"
    """`auto`, `cpu` or `cuda`: where the agent thinks; DQN and PPO learn on the CPU."""


def run(argv: Sequence[str]) -> int:
    """Record, run all policies, and write what they came to."""
    args = parse(Arguments, argv, "halting")
    check_costs(args.costs)
    for seed in args.seeds:
        if not 0 <= seed < 1 << 32:  # as Stable-Baselines3 allows
            raise HrmGymError(f"--seeds {seed}: give integers of 0 to {(1 << 32) - 1}")
    if not args.out:
        raise HrmGymError("--out is empty: give a folder")
    out = Path(args.out)
    if is_file(out):
        raise HrmGymError(f"--out {out} is a file: give a folder")
    make_folder(out)
    for name in FILES:
        check_new(out / name, args.overwrite)
    policy, task = load_both(args.env, args.checkpoint, args.device)
    recorded = []
    for split, num in (("validation", args.fit_puzzles), ("test", args.limit)):
        puzzles = first_puzzles(task, split, num)
        with bar(f"thinking about {split} puzzles") as tell:
            recorded.append(record(policy, task, puzzles, args.max_segments, args.batch_size, tell=tell))
    fit, test = recorded
    conditions = {
        "env": args.env,
        "checkpoint": args.checkpoint,
        "agent": policy.name,
        "parameters": policy.num_parameters,
        "test puzzles": len(test),
        "validation puzzles": len(fit),
        "training steps": args.train_steps,
        "max segments": args.max_segments,
        "seeds": args.seeds,
        "device": str(policy.device),
        "hrm-gym": hrm_gym.__version__,
    }

    def say(row: Row) -> None:
        cost = "" if row.cost is None else f"cost {row.cost:g}"
        print(
            f"{row.policy:24} {cost:11} {100 * row.accuracy:6.1f} % {row.mean_segments:6.2f} segments  {row.setting}",
            flush=True,
        )

    with bar("fitting and running policies"):
        result = study(policy.halting, fit, test, args.costs, train_steps=args.train_steps, seeds=args.seeds, say=say)
    figures = {"conditions": conditions, **dataclasses.asdict(result)}
    title = f"{args.env}: {policy.name}, {len(test):,} test puzzles"
    write_results(out, table(result.rows, conditions), figures, lambda: plot(result, title))
    return 0
