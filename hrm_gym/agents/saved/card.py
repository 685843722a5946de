"""The model card of an agent, from its configuration and its `result.json`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hrm_gym.agents.saved.checkpoint import Checkpoint
from hrm_gym.agents.saved.commands import names
from hrm_gym.agents.saved.presets import resolve
from hrm_gym.errors import HrmGymError
from hrm_gym.shares import after_in_words, in_percent, in_words

_OF_THE_PLACE = ("run_dir", "resume", "device", "dtype", "compile", "cuda_graphs")  # do not affect the trained agent

HEADLINE = "headline"
"""The row of a card with the agent's main figure and its conditions; commands read it."""


def headline(path: Path) -> str:
    """The main figure of an agent and its conditions, from the card beside its weights.

    Args:
        path: the card or the weights.

    Raises:
        HrmGymError: if there is no card, or it lacks this row.
    """
    page = path.with_suffix(".md")
    found = re.search(
        rf"^\| {HEADLINE} \| (.+) \|$", page.read_text(encoding="utf-8") if page.is_file() else "", re.MULTILINE
    )
    if found is None:
        raise HrmGymError(f"there is no card {page} with a row {HEADLINE!r}: hrm-gym export writes one")
    return found[1].replace("**", "")


def card(saved: Checkpoint, result: Mapping[str, Any]) -> str:
    """Write the card, in Markdown.

    Args:
        saved: the run's checkpoint.
        result: the content of its `result.json`.
    """
    training, own = result["training"], result["halting_by_itself"]
    after = result["accuracy_after_segments"]
    segments, shares = after_in_words(after)
    low, high = (100 * bound for bound in own["exact_interval"])
    rows = {
        HEADLINE: f"**{in_percent(own['exact_accuracy'])}** exact (95 %: {low:.1f} to {high:.1f}) on "
        f"{result['puzzles']}, halting by itself within {len(after)} segments",
        "command": f"`{command(saved)}`",
        "training puzzles": f"{training['num_training_puzzles']:,}",
        "parameters": f"{result['num_parameters']:,}, averaged weights stored in bfloat16",
        "halting rule": training["halting"],
        "seed": training["seed"],
        "device": result["device"] if training["processes"] == 1 else f"{training['processes']} x {result['device']}",
        "time": f"{training['seconds'] / 60:.1f} minutes, {training['steps']:,} steps, evaluations included",
        "held-out puzzles": f"{result['puzzles']}, {len(after)} segments, one pass",
        "exact": f"**{_percent(result, 'exact')}** ({100 * result['cell_accuracy']:.2f} % of cells)",
        "valid": f"**{_percent(result, 'valid')}**",
        f"right after {segments} segments": f"{shares} %",
        "halting by itself": f"{_percent(own, 'exact')} in {own['mean_segments']:.1f} segments on average",
    }
    lines = [f"# {result['env']}: {result['agent']}", "", "| | |", "| --- | --- |"]
    lines += [f"| {name} | {value} |" for name, value in rows.items()]
    lines += ["", "Intervals are 95 %, Wilson's. Validation puzzles during training:", ""]
    lines += ["| minutes | steps | exact | valid |", "| --- | --- | --- | --- |"]
    for point in training["validation_curve"]:
        grades = " | ".join(in_percent(point[name]) for name in ("exact_accuracy", "valid_accuracy"))
        lines.append(f"| {point['seconds'] / 60:.1f} | {point['step']:,} | {grades} |")
    return "\n".join(lines) + "\n"


def command(saved: Checkpoint) -> str:
    """The command that trains this agent, with the options that differ from its preset."""
    config = saved.config
    named = {name: getattr(config, name) for name in ("env", "agent", "halting", "preset")}
    try:
        usual = _flat(resolve({**named, "device": "cpu"}).to_dict())
    except HrmGymError:  # a user's puzzle that is not registered here
        usual = {}
    parts = [f"--{name} {value}" for name, value in {**named, **names(config)}.items()]
    for name, value in _flat(config.to_dict()).items():
        if name in named or name in _OF_THE_PLACE or usual.get(name, not value) == value:
            continue
        option = name.replace("_", "-")
        parts.append(f"--{option} {value}" if not isinstance(value, bool) else f"--{'' if value else 'no-'}{option}")
    return " ".join(("hrm-gym train", *parts))


def _flat(config: Mapping[str, Any]) -> dict[str, Any]:
    """Options of the run, the agent and the rule in one flat mapping, as on the command line."""
    flat: dict[str, Any] = {}
    for name, value in config.items():
        flat |= value if isinstance(value, Mapping) else {name: value}
    return flat


def _percent(result: Mapping[str, Any], grade: str) -> str:
    return in_words(result[f"{grade}_accuracy"], result[f"{grade}_interval"])
