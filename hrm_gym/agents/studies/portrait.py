"""The family portrait: a comparison of agents on one puzzle family, each trained with the same budget.

Every agent is trained once per seed, with the preset of the puzzle and its own defaults, and evaluated on the same
test puzzles. Runs go one after another or in parallel. Each result is kept in the folder of its run, so an interrupted
comparison resumes where it stopped, and a finished one can get further agents and seeds.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from hrm_gym.agents.agent import TaskSpec
from hrm_gym.agents.inference.evaluation import evaluate_stops
from hrm_gym.agents.inference.protocol import Protocol
from hrm_gym.agents.inference.report import report
from hrm_gym.agents.inference.think import boards_of, observation
from hrm_gym.agents.registry import import_named
from hrm_gym.agents.saved import checkpoint as checkpoints
from hrm_gym.agents.saved.build import build
from hrm_gym.agents.saved.config import Config
from hrm_gym.agents.saved.load import load_both
from hrm_gym.agents.saved.presets import resolve
from hrm_gym.agents.studies.parallel_jobs import require_ray, run_jobs
from hrm_gym.agents.training.flops import segment_flops
from hrm_gym.agents.training.interrupts import Interrupts
from hrm_gym.agents.training.run import train
from hrm_gym.envs.registration import canonical_id, make_task
from hrm_gym.errors import HrmGymError
from hrm_gym.files import is_there, read_json, replacing
from hrm_gym.version import __version__

SEGMENTS = 16
"""Maximum number of segments in the test of every agent, whatever it had in training."""
SHOWN = (1, 2, 4, 8, 16)
_DONE, CONDITIONS = "portrait.json", "conditions.json"
_HALTING = ("fixed", "learned")
_NEEDED = {"parameters", "segment_flops", "after", "after_each", "by_itself", "by_itself_segments", "device", "halting"}


@dataclasses.dataclass(frozen=True)
class Conditions:
    """The settings common to all runs of a comparison."""

    env: str
    minutes: float = 0.0
    """Minutes of training, including evaluations on validation puzzles; 0: no limit."""
    steps: int = 0
    """Gradient steps of training; 0: no limit."""
    test_puzzles: int = 1000
    device: str = "auto"
    settings: dict[str, Any] = dataclasses.field(default_factory=dict)
    """Further options for every run, such as a preset."""

    def __post_init__(self) -> None:
        for name, unit in (("minutes", "minutes"), ("steps", "steps"), ("test_puzzles", "puzzles")):
            if not 0 <= getattr(self, name) < float("inf"):
                raise HrmGymError(f"{name} is {getattr(self, name)}: give a number of {unit}, 0 or more")
        if not (self.minutes or self.steps):
            raise HrmGymError("minutes and steps are both 0: give the budget of a run, such as --minutes 5")
        if not self.test_puzzles:
            raise HrmGymError("test_puzzles is 0: give at least 1")

    def config(self, agent: str, seed: int) -> Config:
        """The configuration of one run.

        Raises:
            HrmGymError: on an unknown name or a setting that the agent does not have.
        """
        budget = {"max_minutes": self.minutes, "max_steps": self.steps, "test_puzzles": self.test_puzzles}
        if self.minutes:
            budget["eval_minutes"] = self.minutes / 4  # few evaluations: their cost differs between agents
        named = {"env": self.env, "agent": agent, "seed": seed, "device": self.device}
        return resolve({**named, **budget, **self.settings})


@dataclasses.dataclass(frozen=True)
class Portrait:
    """One agent with one seed."""

    agent: str
    seed: int
    figures: dict[str, Any]
    """Its results; empty if it failed."""
    reason: str = ""
    """Why it failed."""


def compare(
    conditions: Conditions,
    agents: Sequence[str],
    num_seeds: int,
    out: Path,
    say: Callable[[str], None] = lambda text: None,
    num_at_once: int = 1,
) -> list[Portrait] | None:
    """Train and test all agents with all seeds.

    Args:
        conditions: the settings of every run.
        agents: names, or "module:NAME".
        num_seeds: the seeds are 0, 1, ...
        out: the folder of the runs; finished runs in it are not repeated.
        say: called with lines of progress.
        num_at_once: runs in parallel; more than one uses Ray, with one core per process.

    Returns:
        The results, agent by agent; None if a signal ended a run. If an agent does not fit the puzzle or its loss
        diverges, its result is the reason, and the other agents continue.

    Raises:
        HrmGymError: on unknown names, on no agents, seeds or runs, on a folder with other conditions, or if Ray is
            needed and missing.
    """
    if num_at_once < 1:
        raise HrmGymError(f"{num_at_once} runs at once: give at least 1")
    if num_at_once > 1:
        require_ray()  # fail before any run starts
    if not agents or num_seeds < 1:
        raise HrmGymError(f"{len(agents)} agents and {num_seeds} seeds: give at least one of each")
    named = list(dict.fromkeys(import_named(agent) for agent in agents))
    configs = {agent: conditions.config(agent, 0) for agent in named}  # check all names first
    _keep_conditions(conditions, out)
    runs = [(agent, seed) for seed in range(num_seeds) for agent in named]
    modules = {import_named(agent): agent for agent in agents}  # for the import in other processes
    jobs = [(modules[agent], conditions, dataclasses.replace(configs[agent], seed=seed), out) for agent, seed in runs]
    found: list[Portrait] = []

    def finished(portrait: Portrait | None) -> bool:
        if portrait is not None:
            found.append(portrait)
            if portrait.reason:
                say(f"{portrait.agent}: {portrait.reason}")
        return portrait is not None

    if num_at_once > 1:
        say(f"{len(jobs)} runs, {num_at_once} at a time")
        num_gpus = 1.0 if configs[named[0]].device.startswith("cuda") else 0.0
        for number, portrait in run_jobs(_run, jobs, num_at_once, num_gpus):
            if not finished(portrait):
                return None
            say(f"{runs[number][0]}, seed {runs[number][1]} is done ({len(found)} of {len(jobs)})")
    else:
        with Interrupts() as interrupts:  # a request to stop lets a running test finish
            for number, job in enumerate(jobs):
                say(f"{runs[number][0]}, seed {runs[number][1]} ({number + 1} of {len(jobs)})")
                if not finished(_run(*job)) or (interrupts.asked and number + 1 < len(jobs)):
                    return None
    return sorted(found, key=lambda portrait: (named.index(portrait.agent), portrait.seed))


def _run(name: str, conditions: Conditions, config: Config, out: Path) -> Portrait | None:
    """One run, in this process or another; None if a signal ended it.

    A `HrmGymError` becomes its result.
    """
    import_named(name)
    try:
        return _portrait(conditions, config, out.resolve() / "runs")
    except HrmGymError as error:
        return Portrait(config.agent, config.seed, {}, str(error))


def _keep_conditions(conditions: Conditions, out: Path) -> None:
    """Record the conditions, and refuse a folder with others: one table compares equal budgets only."""
    path = out / CONDITIONS
    now = dataclasses.asdict(conditions) | {"env": canonical_id(conditions.env)}
    if is_there(path):
        before = read_json(path)
        for name, value in now.items():
            if before.get(name) != value:
                raise HrmGymError(
                    f"{out} holds a comparison with {name} {before.get(name)!r}, and now it is {value!r}: "
                    "give another --out, or the same conditions"
                )
        return
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(now, indent=1) + "\n", encoding="utf-8")


def _portrait(conditions: Conditions, config: Config, runs: Path) -> Portrait | None:
    """One run: new, resumed or already finished; None if a signal ended it."""
    run_dir = runs / f"{config.agent}-seed{config.seed}"
    done, saved = run_dir / _DONE, run_dir / checkpoints.FILE_NAME
    if done.exists():
        figures = read_json(done)
        if missing := _NEEDED - set(figures):
            raise HrmGymError(f"{done} lacks {', '.join(sorted(missing))}: delete it, and the run is tested again")
        return Portrait(config.agent, config.seed, figures)
    config = dataclasses.replace(config, run_dir=str(run_dir))
    with torch.device("meta"):  # refuses a puzzle that does not fit the agent, before anything is written
        build(config, TaskSpec.of(make_task(config.env)))
    resumed = checkpoints.load(saved) if saved.exists() else None
    result = train(config if resumed is None else resumed.config, run_dir, resumed)
    if result is None:
        return None
    figures = _figures(conditions, run_dir) | {
        "halting": config.halting,
        "preset": config.preset,
        "minutes": round(result["training"]["seconds"] / 60, 2),
        "steps": result["training"]["steps"],
    }
    with replacing(done) as temporary:
        temporary.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    return Portrait(config.agent, config.seed, figures)


def _figures(conditions: Conditions, run_dir: Path) -> dict[str, Any]:
    """Test results of the trained agent, and the cost of a segment."""
    policy, task = load_both(conditions.env, run_dir, conditions.device)
    puzzles = task.dataset("test").map(lambda array: array[: conditions.test_puzzles])
    shown = {"env": conditions.env, "puzzles": f"the first {len(puzzles.puzzle):,} of the test split"}
    protocols = {halting: Protocol.from_dict({"halting": halting, "max_segments": SEGMENTS}) for halting in _HALTING}
    results = evaluate_stops(policy, task, puzzles, list(protocols.values()))
    reports = {
        halting: report(policy, result, protocols[halting], **shown)
        for halting, result in zip(protocols, results, strict=True)
    }
    first = boards_of(puzzles.map(lambda array: array[:1]), policy.device)
    after = reports["fixed"]["accuracy_after_segments"]
    return {
        "parameters": policy.num_parameters,
        "segment_flops": segment_flops(policy, observation(first.puzzle, first.identity)),
        "after": {str(segments): after[segments - 1] for segments in SHOWN},
        "after_each": after,
        "by_itself": reports["learned"]["valid_accuracy" if task.verifiable else "exact_accuracy"],
        "by_itself_segments": reports["learned"]["mean_segments"],
        "device": str(policy.device),
        "reports": reports,
    }


# ---- as text and as a picture --------------------------------------------------------------------


def by_agent(found: Sequence[Portrait]) -> dict[str, list[Portrait]]:
    """The portraits of each agent, in their order."""
    return {name: [p for p in found if p.agent == name] for name in dict.fromkeys(p.agent for p in found)}


def table(found: Sequence[Portrait], conditions: Conditions) -> str:
    """A Markdown table with its conditions: means over seeds, and for learned halting also the range over seeds.

    A row names the seeds that failed, which its means leave out.
    """
    rows = {
        "env": conditions.env,
        "budget of a run": ", ".join(
            [f"{conditions.minutes:g} minutes"] * bool(conditions.minutes)
            + [f"{conditions.steps:,} steps"] * bool(conditions.steps)
        ),
        "seeds": len({p.seed for p in found}),
        "test puzzles": f"the first {conditions.test_puzzles:,}",
        "device": ", ".join(dict.fromkeys(p.figures["device"] for p in found if p.figures)) or "none",
        "further settings": conditions.settings or "preset and defaults of each agent",
        "hrm-gym": __version__,
    }
    lines = [f"# {conditions.env}: the family portrait", "", *(f"- {name}: {text}" for name, text in rows.items()), ""]
    lines += ["| agent | halting | parameters | MFLOP a segment | minutes | steps "]
    lines[-1] += f"| after {' / '.join(map(str, SHOWN))} segments, % | by itself, % | in segments |"
    lines += ["| --- | --- | --- | --- | --- | --- | --- | --- | --- |"]
    for agent, portraits in by_agent(found).items():
        all_figures = [p.figures for p in portraits if p.figures]
        failed = [p.reason for p in portraits if not p.figures]
        if not all_figures:
            lines.append(f"| `{agent}` | | | | | | {failed[0]} | | |")
            continue
        named = f"`{agent}`"
        if failed:
            reasons = "; ".join(dict.fromkeys(failed))
            named += f" ({len(all_figures)} of {len(portraits)} seeds; {len(failed)} failed: {reasons})"

        def mean(value: Callable[[dict[str, Any]], float], of: list[dict[str, Any]] = all_figures) -> float:
            return sum(map(value, of)) / len(of)

        after = " / ".join(f"{100 * mean(lambda f, s=segments: f['after'][str(s)]):.1f}" for segments in SHOWN)  # type: ignore[misc]
        halted = [100 * f["by_itself"] for f in all_figures]
        spread = f" ({min(halted):.1f} to {max(halted):.1f})" if len(halted) > 1 else ""
        cells = (
            named,
            f"`{all_figures[0]['halting']}`",
            f"{all_figures[0]['parameters']:,}",
            f"{mean(lambda f: f['segment_flops']) / 1e6:.1f}",
            f"{mean(lambda f: f['minutes']):.1f}",
            f"{mean(lambda f: f['steps']):,.0f}",
            after,
            f"{sum(halted) / len(halted):.1f}{spread}",
            f"{mean(lambda f: f['by_itself_segments']):.1f}",
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"
