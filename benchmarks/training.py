"""How fast a training step is: slot-segments a second and the share of the device's matrix rate, form by form.

    python benchmarks/training.py
    python benchmarks/training.py --presets small groups --steps 20 --threads 1
    python benchmarks/training.py --presets gpu_groups --device cuda --profile

The forms are `plain`, `compiled`, and on a GPU `graphs`: compiled with CUDA graphs. They take turns, so that a busy
machine slows them alike. The matrix rate is that of a product of two large matrices in the device's fast type. On a
GPU some steps are queued in a row, as in training, and then waited for. `--profile` tells of ten steps what share of
the time the device computes, how long the host takes to queue a step, what makes it wait, and what takes longest.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from pathlib import Path
from typing import Any

import torch
from halting_throughput import processor
from torch.profiler import ProfilerActivity, profile

import hrm_gym
from hrm_gym.agents.saved.build import DTYPES
from hrm_gym.agents.saved.devices import choose_dtype
from hrm_gym.agents.saved.preset_table import PRESETS
from hrm_gym.agents.saved.presets import resolve
from hrm_gym.agents.training.flops import Meter, measured_peak
from hrm_gym.agents.training.loop import segments
from hrm_gym.agents.training.trainer import Trainer
from hrm_gym.errors import first_line

ENVS = {
    **{"tiny": "Sudoku4x4-v0", "small": "Sudoku6x6-v0", "groups_small": "Sudoku6x6-v0"},
    **{"local": "MazeSmall-v0", "grid": "MazeSmall-v0", "gpu_local": "MazeHard-v0", "gpu_grid": "MazeHard-v0"},
}
FORMS = {
    "plain": {"compile": False},
    "compiled": {"compile": True},
    "graphs": {"compile": True, "cuda_graphs": True},
}
TRAIN_OPTIONS = {"plain": "--no-compile", "compiled": "--compile", "graphs": "--compile --cuda-graphs"}
"""The same for `hrm-gym train`."""
LOSSES_DIFFER = 0.05
"""How far the loss of a form may lie from the plain one's after the same steps, relative to it, in bfloat16."""
WARM = 3
"""Steps before any is timed: they compile, and record graphs."""
IN_A_ROW = 10
"""Steps that a GPU is given at once, and steps that are profiled."""
WAITS = ("Synchronize", "Memcpy", "aten::item", "aten::_local_scalar_dense", "aten::nonzero")
"""What a host that waits for its GPU calls: parts of names."""


class Steps:
    """A training run, some steps at a time; its clock stands still, so that its budget never ends.

    Args:
        options: of the run.
        form: a key of `FORMS`.
    """

    def __init__(self, options: dict[str, Any], form: str) -> None:
        self.trainer = Trainer(resolve({**options, **FORMS[form]}))
        self._segments = segments(self.trainer)
        self.loss = float("nan")

    def run(self, num: int) -> tuple[float, float]:
        """Some steps in a row; seconds until they are queued, and until they are done, each a step."""
        began = time.perf_counter()
        for _ in range(num):
            loss = next(self._segments).losses["answer_loss"]
        queued = time.perf_counter() - began
        self.loss = float(loss)  # the host waits here, and for nothing else
        return queued / num, (time.perf_counter() - began) / num


def matrix_rate(device: torch.device, size: int = 1024, repeats: int = 10) -> float:
    """Operations a second of a product in the device's fast type, the best of a few."""
    if device.type == "cuda":
        return measured_peak(device)
    # Where a processor has no bfloat16, a product in it takes a hundred times as long.
    a, b = torch.randn(2, size, size).to(DTYPES[choose_dtype("cpu")])
    shortest = float("inf")
    for _ in range(repeats):
        began = time.perf_counter()
        a @ b
        shortest = min(shortest, time.perf_counter() - began)
    return 2 * size**3 / shortest


def covered(spans: list[tuple[float, float]]) -> float:
    """How much of the line the spans (begin, end) cover together."""
    total, end = 0.0, float("-inf")
    for begin, until in sorted(spans):
        total += max(0.0, until - max(begin, end))
        end = max(end, until)
    return total


def look_inside(run: Steps, num: int = IN_A_ROW) -> dict[str, Any]:
    """A profile of some steps: times in milliseconds a step, shares in [0, 1]."""
    on_gpu = run.trainer.device.type == "cuda"
    activities = [ProfilerActivity.CPU] + [ProfilerActivity.CUDA] * on_gpu
    with profile(activities=activities) as profiled:
        queued, done = run.run(num)
    events = list(profiled.events())
    kernels = [e for e in events if e.device_type == torch.autograd.DeviceType.CUDA]
    host = [e for e in events if e.device_type == torch.autograd.DeviceType.CPU]
    spans = [(float(e.time_range.start), float(e.time_range.end)) for e in (kernels or host)]
    longest: dict[str, float] = {}
    for row in profiled.key_averages():
        spent = row.self_device_time_total if on_gpu else row.self_cpu_time_total
        longest[row.key] = longest.get(row.key, 0.0) + spent
    waits: dict[str, list[float]] = {}
    for event in host:
        if on_gpu and any(name in event.name for name in WAITS):
            waits.setdefault(event.name, []).append(event.time_range.elapsed_us())
    top = sorted(longest.items(), key=lambda item: -item[1])[:8]
    whole = 1e6 * done * num
    return {
        "ms": 1e3 * done,
        "queued_ms": 1e3 * queued,
        "busy": covered(spans) / whole,
        "kernels": len(kernels) / num,
        # The last wait is the profile's own, for the loss of the last step.
        "waits": {name: [len(spent) / num, sum(spent) / 1e3 / num] for name, spent in waits.items()},
        "longest": {name: spent / 1e3 / num for name, spent in top},
    }


def describe(seen: dict[str, Any], on_gpu: bool) -> str:
    """A profile in lines."""
    what = "the device computes" if on_gpu else "operators run"
    lines = [
        f"    {seen['ms']:.1f} ms a step while profiled; {what} {100 * seen['busy']:.0f} % of it, "
        f"the host queues it in {seen['queued_ms']:.1f} ms"
    ]
    for name, (count, spent) in seen["waits"].items():
        lines.append(f"    waits: {count:5.1f} x {name}, {spent:.2f} ms a step")
    for name, spent in seen["longest"].items():
        lines.append(f"    {spent:8.2f} ms  {name[:90]}")
    return "\n".join(lines)


def compare(preset: str, args: argparse.Namespace, peak: float) -> dict[str, Any]:
    """Measure a preset in all forms, print and give the figures."""
    device = torch.device(args.device)
    options = {"env": ENVS.get(preset, "SudokuExtreme-v0"), "preset": preset, "agent": args.agent}
    options |= {"device": args.device, **dict(map(setting, args.set))}
    runs: dict[str, Steps] = {}
    for form in args.forms:
        began = time.perf_counter()
        try:
            run = Steps(options, form)
            run.run(WARM)
        except Exception as error:  # a form that a machine does not have must not hide the others
            print(f"  {form:8} failed: {type(error).__name__}: {first_line(error)[:300]}", flush=True)
            continue
        runs[form] = run
        print(f"  {form:8} warm in {time.perf_counter() - began:.0f} s, loss {run.loss:.4f}", flush=True)
    if not runs:
        return {}
    row = IN_A_ROW if device.type == "cuda" else 1
    times: dict[str, list[tuple[float, float]]] = {form: [] for form in runs}
    for _ in range(-(-args.steps // row)):
        for form, run in runs.items():
            times[form].append(run.run(row))
    trainer = next(iter(runs.values())).trainer
    config, flops = trainer.config, Meter(trainer).flops
    print(f"{preset} ({config.agent}, batch {config.num_envs}, {config.dtype}, {flops / 1e9:.1f} GFLOP a step)")
    figures: dict[str, Any] = {}
    for form, spent in times.items():
        done = [seconds for _, seconds in spent]
        middle = statistics.median(done)
        figures[form] = {
            "ms": 1e3 * middle,
            "queued_ms": 1e3 * statistics.median(queued for queued, _ in spent),
            "segments_per_second": config.num_envs / middle,
            "tflops_per_second": flops / middle / 1e12,
            "share_of_rate": flops / middle / peak,
            "loss": runs[form].loss,
        }
        print(
            f"  {form:8} {1e3 * middle:7.1f} ms a step ({1e3 * min(done):.1f} to {1e3 * max(done):.1f})  "
            f"{config.num_envs / middle:9,.0f} segments a second  {flops / middle / 1e12:7.2f} TFLOP/s, "
            f"{100 * flops / middle / peak:5.1f} % of the rate"
        )
        if form != "plain" and "plain" in times:
            ratios = [a / b for (_, a), (_, b) in zip(times["plain"], spent, strict=True)]
            print(
                f"           {statistics.median(ratios):.2f} times as fast as plain "
                f"({min(ratios):.2f} to {max(ratios):.2f})"
            )
    if args.profile:
        for form, run in runs.items():
            figures[form]["profile"] = look_inside(run)
            print(f"  {form}, ten steps:\n{describe(figures[form]['profile'], device.type == 'cuda')}", flush=True)
    print(f"fastest: hrm-gym train --preset {preset} {TRAIN_OPTIONS[fastest(figures)]}", flush=True)
    return figures


def fastest(figures: dict[str, Any]) -> str:
    """The fastest form whose loss agrees with the plain one's.

    Args:
        figures: of each form, not empty: `ms` and `loss`.
    """
    plain = figures.get("plain", {}).get("loss")
    good = [
        form
        for form, measured in figures.items()
        if plain is None or abs(measured["loss"] - plain) <= LOSSES_DIFFER * abs(plain)
    ]
    return min(good or figures, key=lambda form: figures[form]["ms"])


def setting(text: str) -> tuple[str, Any]:
    """A name and a value from NAME=VALUE; the value is JSON, or else text."""
    name, _, value = text.partition("=")
    try:
        return name, json.loads(value)
    except json.JSONDecodeError:
        return name, value


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--presets", nargs="+", default=["small", "medium", "groups"], choices=list(PRESETS))
    parser.add_argument("--agent", default="auto")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--forms", nargs="+", choices=list(FORMS), help="default: all that the device has")
    parser.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE", help="other options of the runs")
    parser.add_argument("--steps", type=int, default=10, help="timed steps of each form")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("--json", type=Path, help="write the figures to this file, too")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    device = torch.device(args.device)
    on_gpu = device.type == "cuda"
    args.forms = args.forms or list(FORMS if on_gpu else ("plain", "compiled"))
    peak = matrix_rate(device)
    name = torch.cuda.get_device_name(device) if on_gpu else f"{processor()}, {args.threads} threads"
    print(f"hrm-gym {hrm_gym.__version__}, torch {torch.__version__}, {name}")
    print(f"load {os.getloadavg()[0]:.2f}, matrix rate {peak / 1e12:,.3f} TFLOP/s in {choose_dtype(args.device)}")
    figures = {"device": name, "torch": torch.__version__, "matrix_tflops": peak / 1e12, "presets": {}}
    for preset in args.presets:
        figures["presets"][preset] = compare(preset, args, peak)
        if args.json:
            args.json.parent.mkdir(parents=True, exist_ok=True)
            args.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
