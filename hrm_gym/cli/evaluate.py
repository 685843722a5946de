"""`hrm-gym evaluate`: grade an agent on held-out puzzles, or on a file of puzzles."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from hrm_gym.agents.inference.protocol import Protocol
from hrm_gym.cli import tasks
from hrm_gym.cli.bar import bar
from hrm_gym.cli.given import tell_format
from hrm_gym.cli.parse import parse
from hrm_gym.envs.registration import make_task
from hrm_gym.errors import HrmGymError
from hrm_gym.files import check_new, is_there, replacing
from hrm_gym.options import Options, number
from hrm_gym.shares import after_in_words, in_percent, in_words


@dataclasses.dataclass(frozen=True)
class Arguments(Options):
    """Evaluate an agent on a test set or on your own puzzles."""

    protocol: Protocol = dataclasses.field(default_factory=Protocol)
    """The evaluation protocol."""
    env: str = ""
    """Environment id; default: the environment that the checkpoint was trained on."""
    checkpoint: str = "pretrained"
    """`pretrained` (the shipped agent), `pretrained:ID` (the agent shipped for environment ID), a run's folder, a file
    or `hf:OWNER/NAME`."""
    split: Literal["test", "validation", "train"] = "test"
    """The puzzles to use, unless a file is given. Use `validation` as often as you like, `test` only once."""
    puzzles: str = ""
    """Your own puzzles: a file with a table, text, JSON or arrays, compressed or not (docs/puzzle_files.md), a dataset
    folder, or a file in the family's own format (ARC: JSON). Default: the split."""
    limit: int = number(0, least=0)
    """Use only the first N puzzles; 0: all."""
    batch_size: int = number(256, least=1)
    """Puzzles per batch."""
    submission: str = ""
    """Write the chosen answers to this JSON file in the format of the family's competition (ARC Prize)."""
    log_dir: str = ""
    """Add the results to the TensorBoard events in this folder, for example a run's folder."""
    overwrite: bool = False
    """Replace an existing submission."""
    device: str = "auto"
    """`auto`, `cpu`, `cuda` or `mps`."""
    json: bool = False
    """Print one JSON object and nothing else."""


def run(argv: Sequence[str]) -> int:
    """Run the command."""
    if tasks.on_the_spot(argv):
        return tasks.evaluate(parse(tasks.EvaluateArguments, argv, "evaluate"))
    args = parse(Arguments, argv, "evaluate")
    if args.submission:
        check_new(Path(args.submission), args.overwrite)
    if not args.env and args.checkpoint == "pretrained":
        raise HrmGymError("give --env, or the --checkpoint of a run, which knows its environment")
    if args.env:
        _check_env(args.env, args.submission)
    if args.puzzles and not is_there(Path(args.puzzles)):
        raise HrmGymError(f"--puzzles: no file or folder at {args.puzzles}")
    # Imported late: torch takes seconds, and the checks above do not need it.
    from hrm_gym.agents.inference.events import log_evaluation, tensorboard
    from hrm_gym.agents.inference.report import report
    from hrm_gym.agents.saved.load import load_both, trained_env
    from hrm_gym.api import choose_puzzles, grade

    if args.log_dir:
        tensorboard()  # before the evaluation
    if not (env := args.env):
        env = trained_env(args.checkpoint)
        _check_env(env, args.submission)
    policy, task = load_both(env, args.checkpoint, args.device)
    given = choose_puzzles(task, args.split, args.puzzles, args.limit)
    puzzles = given.puzzles
    if args.puzzles:
        tell_format(given, env)
    protocol = args.protocol.for_family(task)
    with bar(f"thinking about {len(puzzles.puzzle):,} puzzles") as tell:
        result, scores, submission = grade(policy, task, puzzles, protocol, args.batch_size, tell)
    if args.submission:
        with replacing(Path(args.submission)) as temporary:
            temporary.write_text(json.dumps(submission), encoding="utf-8")
    conditions = {"env": env, "puzzles": args.puzzles or f"{args.split} split"}
    figures = {**report(policy, result, protocol, **conditions), **scores}
    if args.log_dir:
        log_evaluation(Path(args.log_dir), figures, result)
    if args.json:
        print(json.dumps(figures))
        return 0
    for name, value in in_lines(figures):
        print(f"{name:24} {value}")
    return 0


def _check_env(env: str, submission: str) -> None:
    """Refuse an unknown environment, and a submission to a competition that it does not have."""
    if make_task(env).num_variants == 1 and submission:
        raise HrmGymError(f"--submission: {env} has no competition to send answers to; leave it out")


def in_lines(figures: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the results as pairs of name and value, shares with their 95 % intervals."""
    yield "exactly right", in_words(figures["exact_accuracy"], figures["exact_interval"])
    yield "right by the rules", in_words(figures["valid_accuracy"], figures["valid_interval"])
    yield "right cells", in_percent(figures["cell_accuracy"])
    yield "segments", f"{figures['mean_segments']:.2f} on average"
    segments, shares = after_in_words(figures["accuracy_after_segments"])
    several = {" in the first attempt": "rollouts", " before the vote": "votes"}
    whose = "".join(words for words, name in several.items() if figures["protocol"][name] > 1)
    yield f"after {segments}", f"{shares} % right{whose}"
    for name in figures:
        if name.startswith("pass@"):
            yield name, in_percent(figures[name])
    speed = f"{figures['puzzles_per_second']:g} a second on {figures['device']}"
    yield "puzzles", f"{figures['num_puzzles']:,} of {figures['env']}, {figures['puzzles']}, {speed}"
    yield "agent", f"{figures['agent']}, {figures['num_parameters']:,} parameters"
    usual = Protocol().to_dict()
    protocol = figures["protocol"].items()
    parts = [
        f"{name} {value}" for name, value in protocol if name in ("halting", "max_segments") or value != usual[name]
    ]
    yield "protocol", ", ".join(parts)
