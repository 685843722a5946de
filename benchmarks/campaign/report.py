"""What the campaign's files say: how far runs are, how fast they were, and which form of the network is fastest.

python benchmarks/campaign/report.py runs FOLDER...
python benchmarks/campaign/report.py form profile.json gpu_groups
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path
from typing import Any

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

FORMS = {
    "plain": "--no-compile --no-cuda-graphs",
    "compiled": "--compile --no-cuda-graphs",
    "graphs": "--compile --cuda-graphs",
}
"""Options of `hrm-gym train` for the forms of benchmarks/training.py."""
LOSSES_DIFFER = 0.05
"""By how much of itself a form's loss after the same steps may lie from the plain one's, in bfloat16."""


def figures(run: Path) -> dict[str, Any]:
    """Of a run that goes on or is finished: what TensorBoard's events and `result.json` say."""
    events = EventAccumulator(str(run), size_guidance={"scalars": 0}).Reload()
    tags = events.Tags()["scalars"]

    def values(tag: str) -> list[float]:
        return [point.value for point in events.Scalars(tag)] if tag in tags else []

    found: dict[str, Any] = {"run": run.name}
    if rates := values("train/segments_per_second"):
        points = events.Scalars("train/segments_per_second")
        found |= {"step": points[-1].step, "minutes": (points[-1].wall_time - points[0].wall_time) / 60}
        found["segments_per_second"] = statistics.median(rates)  # of seconds, so that compiling does not count
    for name in ("tflops_per_second", "share_of_peak"):
        if spent := values(f"train/{name}"):
            found[name] = statistics.median(spent)
    for name in ("answer_loss", "accuracy"):
        if latest := values(f"train/{name}"):
            found[name] = statistics.mean(latest[-10:])
    validation = "validation/valid_accuracy"
    found["curve"] = [(p.step, p.value) for p in events.Scalars(validation)] if validation in tags else []
    if (run / "result.json").is_file():
        result = json.loads((run / "result.json").read_text())
        found["test"] = (result["valid_accuracy"], *result["valid_interval"], result["num_puzzles"])
        found |= {"minutes": result["training"]["seconds"] / 60, "step": result["training"]["steps"]}
    for path in sorted(run.glob("real*.json")):
        real = json.loads(path.read_text())
        found[path.stem] = (real["valid_accuracy"], *real["valid_interval"], real["num_puzzles"])
    return found


def in_lines(found: dict[str, Any]) -> str:
    """The figures of a run as a person reads them."""
    parts = [f"{found['run']}: step {found.get('step', 0):,}, {found.get('minutes', 0):.1f} minutes"]
    if "segments_per_second" in found:
        speed = f"{found['segments_per_second']:,.0f} segments/s, {found['tflops_per_second']:.3g} TFLOP/s"
        share = f", {100 * found['share_of_peak']:.1f} % of the measured peak" if "share_of_peak" in found else ""
        parts.append(f"  {speed}{share} (medians); loss {found['answer_loss']:.3f}, right {found['accuracy']:.1%}")
    if found["curve"]:
        points = ", ".join(f"{value:.1%} at {step:,}" for step, value in found["curve"])
        parts.append(f"  validation, valid: {points}")
    for name in ("test", *sorted(name for name in found if name.startswith("real"))):
        if name in found:
            share, low, high, num = found[name]
            parts.append(f"  {name}: {share:.1%} valid ({low:.1%} to {high:.1%}) of {num:,}")
    return "\n".join(parts)


def fastest(profile: dict[str, Any], preset: str) -> str:
    """The fastest form of a preset that learns as the plain one does; "plain" where nothing was measured."""
    forms = profile.get("presets", {}).get(preset) or {}
    plain = forms.get("plain")
    good = {
        form: told["ms"]
        for form, told in forms.items()
        if plain is None or abs(told["loss"] - plain["loss"]) <= LOSSES_DIFFER * abs(plain["loss"])
    }
    return min(good, key=good.__getitem__, default="plain")


def main() -> None:
    """Tell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    running = commands.add_parser("runs")
    running.add_argument("folders", nargs="*", type=Path)
    choosing = commands.add_parser("form")
    choosing.add_argument("profile", type=Path)
    choosing.add_argument("preset")
    args = parser.parse_args()
    if args.command == "form":
        profile = json.loads(args.profile.read_text()) if args.profile.is_file() else {}
        print(FORMS[fastest(profile, args.preset)])
        return
    for folder in args.folders:
        if (folder / "config.json").is_file():
            print(in_lines(figures(folder)))


if __name__ == "__main__":
    main()
