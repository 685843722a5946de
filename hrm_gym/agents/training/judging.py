"""The end of a run: its only evaluation on test puzzles, `result.json`, and a summary in words."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hrm_gym.agents.inference.evaluation import evaluate
from hrm_gym.agents.inference.protocol import Protocol
from hrm_gym.agents.inference.report import report
from hrm_gym.agents.inference.search_options import BOARDS
from hrm_gym.agents.policy import Policy
from hrm_gym.agents.saved.commands import again
from hrm_gym.agents.saved.preset_table import PRESETS
from hrm_gym.agents.training import parallel
from hrm_gym.agents.training.callbacks import Scores
from hrm_gym.agents.training.progress import Progress
from hrm_gym.agents.training.trainer import Trainer
from hrm_gym.envs.datasets import puzzles_of
from hrm_gym.envs.guesses import can_guess
from hrm_gym.envs.task import Puzzles
from hrm_gym.files import replacing
from hrm_gym.shares import in_percent

SEARCHED, SEARCH_SEGMENTS = 100, 64
"""Test puzzles for the evaluation with guesses on several boards, and segments for each."""


def judge(trainer: Trainer, show: Progress, run_dir: Path, evaluated: Callable[[Scores], object]) -> dict[str, Any]:
    """Evaluate the averaged weights on test puzzles, print the result, and write and return `result.json`.

    Args:
        trainer: the run's.
        show: prints.
        run_dir: the run's folder.
        evaluated: is given the scores.
    """
    config = trainer.whole
    policy = trainer.judged()
    policy.agent.grow(1.0)  # full size, as after loading, even if the run ended early
    puzzles = puzzles_of(trainer.task, "test", config.dataset or None).map(lambda array: array[: config.test_puzzles])
    show.say(f"[dim]testing on {len(puzzles.puzzle):,} puzzles, with all segments and with its own halting ...[/]")
    shown = {"env": config.env, "puzzles": f"the first {len(puzzles.puzzle):,} of the test split"}
    all_segments = Protocol(halting="fixed", max_segments=config.max_segments)
    by_itself = Protocol(halting="learned", max_segments=config.max_segments)
    scores = evaluate(policy, trainer.task, puzzles, all_segments, tell=show.testing)
    fixed = report(policy, scores, all_segments, **shown)
    halted = evaluate(policy, trainer.task, puzzles, by_itself, tell=show.testing)
    learned = report(policy, halted, by_itself, **shown)
    show.evaluation(trainer.learner.steps, trainer.seconds, scores, name=f"test, {len(puzzles.puzzle):,} puzzles")
    evaluated(Scores.of("test", trainer.learner.steps, trainer.seconds, scores))
    show.say(
        f"with its own halting: {in_percent(learned['exact_accuracy'])} exact in {learned['mean_segments']:.1f} "
        f"segments on average, at most {config.max_segments}"
    )
    result = {
        **fixed,
        "halting_by_itself": learned,
        **_with_guesses(trainer, show, policy, puzzles),
        "training": {
            "steps": trainer.learner.steps,
            "seconds": round(trainer.seconds, 1),
            "device": config.device,
            "processes": parallel.size(),
            "num_training_puzzles": trainer.envs.num_puzzles,
            "validation_curve": trainer.curve,
            **{name: getattr(config, name) for name in ("preset", "halting", "seed", "max_segments", "graded_by")},
        },
    }
    with replacing(run_dir / "result.json") as temporary:
        temporary.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    steps = PRESETS[config.preset].steps if config.preset in PRESETS else 0
    if trainer.learner.steps < steps / 2 and learned["valid_accuracy"] < 0.5:
        few = f"{trainer.learner.steps:,} steps are few"
        budget = "--max-steps" if 0 < config.max_steps <= trainer.learner.steps else "--max-minutes"
        show.say(f"{few}: this preset needs about {steps:,}; give a larger {budget}")
    show.say(f"watch it: {again(config, 'play')} --checkpoint {run_dir}")
    return result


def _with_guesses(trainer: Trainer, show: Progress, policy: Policy, puzzles: Puzzles) -> dict[str, Any]:
    """The accuracy of a policy that has learned to give up, with guesses on several boards in parallel."""
    if not (policy.halting.gives_up and can_guess(trainer.task)):
        return {}
    few = puzzles.map(lambda array: array[:SEARCHED])
    shown = {"env": trainer.whole.env, "puzzles": f"the first {len(few.puzzle):,} of the test split"}
    show.say(f"[dim]testing with {BOARDS} boards in parallel on {len(few.puzzle):,} puzzles ...[/]")
    protocol = Protocol(boards=BOARDS, max_segments=SEARCH_SEGMENTS)
    searched = evaluate(policy, trainer.task, few, protocol, tell=show.testing)
    found = report(policy, searched, protocol, **shown)
    show.say(
        f"with guesses on {BOARDS} boards: {in_percent(found['exact_accuracy'])} exact in "
        f"{found['mean_segments']:.1f} segments on average, at most {SEARCH_SEGMENTS}"
    )
    return {"with_guesses": found}
