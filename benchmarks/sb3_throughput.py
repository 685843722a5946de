"""How many steps a second Stable-Baselines3 makes: on the native batch, and on its own batches of single environments.

    python benchmarks/sb3_throughput.py
    taskset -c 0 python benchmarks/sb3_throughput.py --env Sudoku4x4-v0 --processes 4

Two measurements: steps of the batch with random actions, and PPO, which decides, steps and learns. All take turns,
repeat by repeat, so that a busy machine slows them alike. `SubprocVecEnv` starts a process for each environment, so it
gets few of them. A second of the processor counts the work of all processes on all cores, so the number of cores does
not matter; a second of the clock depends on it. Needs psutil.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import psutil
import stable_baselines3
import torch
from env_throughput import processor
from stable_baselines3 import PPO
from stable_baselines3.common.env_util import make_vec_env as make_single_envs
from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv

import hrm_gym
from hrm_gym.sb3 import make_vec_env


def random_steps(venv: Any) -> Callable[[int], int]:
    """A function that steps a batch by random actions, drawn beforehand; it rounds up, and returns the steps made."""
    venv.reset()
    actions = [np.stack([venv.action_space.sample() for _ in range(venv.num_envs)]) for _ in range(8)]

    def run(steps: int) -> int:
        times = -(-steps // venv.num_envs)
        for i in range(times):
            venv.step(actions[i % len(actions)])
        return times * venv.num_envs

    return run


def ppo(venv: Any, steps: int) -> Callable[[int], int]:
    """Train PPO on a batch; every `steps` steps it learns four times from all of them. As `random_steps`."""
    size = {"n_steps": max(1, steps // venv.num_envs), "batch_size": min(1024, steps), "n_epochs": 4}
    model = PPO("MultiInputPolicy", venv, **size, seed=0, device="cpu")

    def run(steps: int) -> int:
        before = model.num_timesteps
        return model.learn(steps, reset_num_timesteps=False).num_timesteps - before

    return run


def processor_seconds() -> float:
    """Seconds that this process and its children have used, on all cores."""
    me = psutil.Process()
    times = [process.cpu_times() for process in (me, *me.children(recursive=True))]
    return sum(each.user + each.system for each in times)


def measured(
    runs: dict[str, Callable[[int], int]], steps: int, seconds: float, repeats: int
) -> Iterator[tuple[str, str, list[float]]]:
    """Run all in turns, each for `seconds` of the clock or more; yields name, clock and steps a second of each turn."""
    clocks = {"processor": processor_seconds, "clock": time.perf_counter}
    rates: dict[tuple[str, str], list[float]] = {(name, clock): [] for clock in clocks for name in runs}
    for run in runs.values():
        run(steps)
    for _ in range(repeats):
        for name, run in runs.items():
            begins, done = {clock: read() for clock, read in clocks.items()}, 0
            while time.perf_counter() - begins["clock"] < seconds:
                done += run(steps)
            for clock, read in clocks.items():
                rates[name, clock].append(done / max(read() - begins[clock], 1e-9))
    for (name, clock), values in rates.items():
        yield name, clock, values


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--env", default="Sudoku9x9-v0")
    parser.add_argument("--num-envs", type=int, default=1024, help="of the large native batch")
    parser.add_argument("--processes", type=int, default=8, help="environments of SubprocVecEnv, and of the small ones")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--steps", type=int, default=4096, help="environment steps between two updates of PPO")
    parser.add_argument("--seconds", type=float, default=3, help="a turn, at least")
    args = parser.parse_args()
    torch.set_num_threads(1)
    cores = len(psutil.Process().cpu_affinity()) if hasattr(psutil.Process, "cpu_affinity") else os.cpu_count()
    versions = {"hrm-gym": hrm_gym, "stable-baselines3": stable_baselines3, "torch": torch}
    print(", ".join(f"{name} {module.__version__}" for name, module in versions.items()))
    print(f"{processor()}, {cores} core(s) allowed, load {os.getloadavg()[0]:.2f}")
    print(f"{args.env}, {args.repeats} repeats, PPO learns every {args.steps} steps")
    few = args.processes
    single = {
        name: {"n_envs": few, "seed": 0, "vec_env_cls": cls}
        for name, cls in (("SubprocVecEnv", SubprocVecEnv), ("DummyVecEnv", DummyVecEnv))
    }
    batches = {f"native, {args.num_envs} envs": make_vec_env(args.env, args.num_envs, seed=0)}
    batches[f"native, {few} envs"] = make_vec_env(args.env, few, seed=0)
    batches |= {
        f"{name}, {few} envs": make_single_envs(f"hrm_gym:{args.env}", env_kwargs={"render_mode": None}, **kw)
        for name, kw in single.items()
    }
    first = next(iter(batches))
    for what, make in (("random steps", random_steps), ("PPO", lambda venv: ppo(venv, args.steps))):
        runs = {name: make(venv) for name, venv in batches.items()}
        found = list(measured(runs, args.steps, args.seconds, args.repeats))
        best = {clock: values for name, clock, values in found if name == first}
        for name, clock, values in found:
            ratios = [ours / theirs for ours, theirs in zip(best[clock], values, strict=True)]
            print(
                f"{what:13}{name:24}{statistics.median(values):11,.0f} steps a second of the {clock:10}"
                f"({min(values):,.0f} to {max(values):,.0f}); {first.partition(' envs')[0]} is "
                f"x{statistics.median(ratios):.1f} ({min(ratios):.1f} to {max(ratios):.1f})",
                flush=True,
            )
    for venv in batches.values():
        venv.close()
    print(f"load at the end {os.getloadavg()[0]:.2f}")


if __name__ == "__main__":
    main()
