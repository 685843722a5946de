"""`hrm-gym halting`: when should the agent stop thinking? All policies on one test set."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

import tyro

import hrm_gym
from hrm_gym.agents.inference.live import first_puzzles, record
from hrm_gym.agents.registry import choose_device
from hrm_gym.agents.studies.halting_study import Row, check_costs, plot, require_matplotlib, study, table
from hrm_gym.agents.training.checkpoint import load_both
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
    train_puzzles: int = 1000
    """Training puzzles on which thresholds are chosen and policies learn; 0: all."""
    train_steps: int = 20_000
    """Decisions that DQN and PPO learn from at each cost; 0 leaves them out."""
    max_segments: int = 16
    """The last segment."""
    batch_size: int = 256
    """Puzzles thought about at once."""
    seed: int = 0
    """Of DQN, PPO and the random policy."""
    device: str = "auto"
    """`auto`, `cpu` or `cuda`: where the agent thinks; DQN and PPO learn on the CPU."""


def run(argv: Sequence[str]) -> int:
    """Record, run all policies, and write what they came to."""
    args = tyro.cli(Arguments, args=list(argv), prog="hrm-gym halting")
    for name in ("limit", "train_puzzles", "train_steps"):
        if getattr(args, name) < 0:
            raise HrmGymError(f"--{name.replace('_', '-')} {getattr(args, name)}: give a number of 0 or more")
    check_costs(args.costs)
    require_matplotlib()
    out = Path(args.out)
    if out.exists() and not out.is_dir():
        raise HrmGymError(f"--out {out} is a file: give a folder")
    agent, task = load_both(args.env, args.checkpoint, choose_device(args.device))
    train, test = (
        record(agent, task, first_puzzles(task, split, num), args.max_segments, args.batch_size)
        for split, num in (("train", args.train_puzzles), ("test", args.limit))
    )
    conditions = {
        "env": args.env,
        "checkpoint": args.checkpoint,
        "agent": agent.config.agent,
        "parameters": agent.num_parameters,
        "test puzzles": len(test),
        "training puzzles": len(train),
        "training steps": args.train_steps,
        "max segments": args.max_segments,
        "seed": args.seed,
        "device": str(agent.h_init.device),
        "hrm-gym": hrm_gym.__version__,
    }

    def say(row: Row) -> None:
        cost = "" if row.cost is None else f"cost {row.cost:g}"
        print(
            f"{row.policy:24} {cost:11} {100 * row.accuracy:6.1f} % {row.mean_segments:6.2f} segments  {row.setting}",
            flush=True,
        )

    result = study(train, test, args.costs, train_steps=args.train_steps, seed=args.seed, say=say)
    figures = {"conditions": conditions, **dataclasses.asdict(result)}
    figure = plot(result, f"{args.env}: {agent.config.agent}, {len(test):,} test puzzles")
    with replacing(out / "table.md") as temporary:
        temporary.write_text(table(result.rows, conditions))
    with replacing(out / "result.json") as temporary:
        temporary.write_text(json.dumps(figures, indent=1))
    with replacing(out / "plot.png") as temporary:
        figure.savefig(temporary, format="png", dpi=150)
    print(f"wrote {out / 'table.md'}, {out / 'result.json'} and {out / 'plot.png'}")
    return 0
