"""`hrm-gym halting`: when should the agent stop thinking? All policies on one test set."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

import tyro

import hrm_gym
from hrm_gym.agents.inference.live import first_puzzles, record
from hrm_gym.agents.load import load_both
from hrm_gym.agents.studies.halting_study import Row, check_costs, plot, study, table
from hrm_gym.errors import HrmGymError
from hrm_gym.files import replacing


@dataclasses.dataclass(frozen=True)
class Arguments:
    """Compare stopping rules, learned ones among them, on the puzzles of a test set."""

    env: str
    """Environment id of the puzzles."""
    out: str
    """The folder for `table.md`, `result.json` and `plot.png`."""
    checkpoint: str = "pretrained"
    """`pretrained` for the shipped agent, a run's folder, or a file."""
    costs: tuple[float, ...] = (0.001, 0.003, 0.01)
    """What a segment costs: thresholds are chosen and DQN and PPO trained for each."""
    limit: int = 0
    """Only the first so many test puzzles; 0: all."""
    fit_puzzles: int = 1000
    """Validation puzzles on which thresholds are chosen and policies learn; 0: all."""
    train_steps: int = 20_000
    """Decisions that DQN and PPO learn from at each cost; 0 leaves them out."""
    max_segments: int = 16
    """The last segment."""
    batch_size: int = 256
    """Puzzles thought about at once."""
    seeds: tuple[int, ...] = (0, 1, 2)
    """Of DQN and PPO, which are trained once for each, and of the random policy."""
    device: str = "auto"
    """`auto`, `cpu` or `cuda`: where the agent thinks; DQN and PPO learn on the CPU."""


def run(argv: Sequence[str]) -> int:
    """Record, run all policies, and write what they came to."""
    args = tyro.cli(Arguments, args=list(argv), prog="hrm-gym halting")
    for name in ("limit", "fit_puzzles", "train_steps"):
        if getattr(args, name) < 0:
            raise HrmGymError(f"--{name.replace('_', '-')} {getattr(args, name)}: give a number of 0 or more")
    check_costs(args.costs)
    if not args.out:
        raise HrmGymError("--out is empty: give a folder")
    out = Path(args.out)
    if out.exists() and not out.is_dir():
        raise HrmGymError(f"--out {out} is a file: give a folder")
    policy, task = load_both(args.env, args.checkpoint, args.device)
    fit, test = (
        record(policy, task, first_puzzles(task, split, num), args.max_segments, args.batch_size)
        for split, num in (("validation", args.fit_puzzles), ("test", args.limit))
    )
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

    result = study(policy.halting, fit, test, args.costs, train_steps=args.train_steps, seeds=args.seeds, say=say)
    figures = {"conditions": conditions, **dataclasses.asdict(result)}
    with replacing(out / "table.md") as temporary:
        temporary.write_text(table(result.rows, conditions))
    with replacing(out / "result.json") as temporary:
        temporary.write_text(json.dumps(figures, indent=1))
    print(f"wrote {out / 'table.md'} and {out / 'result.json'}")
    try:
        figure = plot(result, f"{args.env}: {policy.name}, {len(test):,} test puzzles")
    except HrmGymError as error:  # matplotlib, which only the plot needs
        print(error)
        return 0
    with replacing(out / "plot.png") as temporary:
        figure.savefig(temporary, format="png", dpi=150)
    print(f"wrote {out / 'plot.png'}")
    return 0
