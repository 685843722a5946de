"""How many sub-environment steps a second: a loop over single environments, a NumPy batch, a torch batch, and others'.

    python benchmarks/env_throughput.py
    python benchmarks/env_throughput.py --env Sudoku6x6-v0 --num-envs 1 64 1024 8192 --device cuda
    taskset -c 0 python benchmarks/env_throughput.py --peers --env Sudoku9x9-v0 MazeSmall-v0 MazeHard-v0

All take turns, repeat by repeat, so that a busy machine slows them alike. Actions are drawn beforehand and uniformly at
random (a board halts every other step), with autoreset "SameStep", so every step is a real one. With `--peers`
(`pip install "hrm-gym[peers]"`) Jumanji's and EnvPool's batches of the same boards run in the same turns. Seconds are
those of the processor, of all threads; on a GPU, those of the clock.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import gymnasium as gym
import numpy as np
from peers import PEERS

import hrm_gym


def processor() -> str:
    """The processor's name, where the system tells it."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def single_loop(env_id: str, action_type: str, num_envs: int) -> Callable[[], int]:
    """A loop over `num_envs` single environments; at most 32 are stepped, the others would cost the same."""
    envs = [gym.make(env_id, action_type=action_type).unwrapped for _ in range(min(num_envs, 32))]
    for seed, env in enumerate(envs):
        env.reset(seed=seed)
        env.action_space.seed(seed)
    actions = [[env.action_space.sample() for env in envs] for _ in range(16)]

    def run() -> int:
        for row in actions:
            for env, action in zip(envs, row, strict=True):
                _, _, terminated, truncated, _ = env.step(action)
                if terminated or truncated:
                    env.reset()
        return len(actions) * len(envs)

    return run


def batch(env_id: str, action_type: str, num_envs: int, device: str | None) -> Callable[[], int]:
    """A native batch of `num_envs` environments."""
    envs = gym.make_vec(env_id, num_envs, action_type=action_type, device=device, autoreset_mode="SameStep").unwrapped
    envs.reset(seed=0)
    envs.action_space.seed(0)
    actions = [envs.action_space.sample() for _ in range(16)]
    if device is not None:
        import torch

        actions = [torch.as_tensor(action, device=device) for action in actions]

    def run() -> int:
        for action in actions:
            envs.step(action)
        if device == "cuda":
            torch.cuda.synchronize()
        return len(actions) * num_envs

    return run


def rate(run: Callable[[], int], seconds: float, clock: Callable[[], float]) -> float:
    """Steps a second, over at least `seconds`."""
    steps, begin = 0, clock()
    while (elapsed := clock() - begin) < seconds:
        steps += run()
    return steps / elapsed


def compare(env_id: str, action_type: str, num_envs: int, args: argparse.Namespace) -> None:
    """Measure one batch of everything in turns, and print medians, spreads and ratios."""
    runs = {"loop": single_loop(env_id, action_type, num_envs), "NumPy": batch(env_id, action_type, num_envs, None)}
    if args.peers:
        runs |= {name: make(num_envs) for name, make in PEERS.get(env_id, {}).items()}
    else:
        runs[f"torch {args.device}"] = batch(env_id, action_type, num_envs, args.device)
    clock = time.process_time if args.device == "cpu" else time.perf_counter
    rates: dict[str, list[float]] = {name: [] for name in runs}
    for run in runs.values():
        run()
    for _ in range(args.repeats):
        for name, run in runs.items():
            rates[name].append(rate(run, args.seconds, clock))
    for name, values in rates.items():
        ratios = [ours / theirs for ours, theirs in zip(rates["NumPy"], values, strict=True)]
        print(
            f"{env_id:14} {action_type:5} {num_envs:5} envs  {name:10} {statistics.median(values):12,.0f} "
            f"({min(values):,.0f} to {max(values):,.0f})  NumPy x{statistics.median(ratios):.1f} "
            f"({min(ratios):.1f} to {max(ratios):.1f})",
            flush=True,
        )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--env", nargs="+", default=["Sudoku9x9-v0"])
    parser.add_argument("--num-envs", type=int, nargs="+", help="default: 1, 64 and 1024; with --peers 1024")
    parser.add_argument("--action-type", nargs="+", default=["board", "edit"], choices=["board", "edit"])
    parser.add_argument("--device", default="cpu", help="of the torch batch")
    parser.add_argument("--peers", action="store_true", help="compare with Jumanji and EnvPool instead of torch")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.5, help="a measurement")
    args = parser.parse_args()

    print(f"hrm-gym {hrm_gym.__version__}, gymnasium {gym.__version__}, numpy {np.__version__}, {processor()}")
    print(f"{args.repeats} repeats of {args.seconds} s, load {os.getloadavg()[0]:.2f}")
    print("sub-environment steps a second: median (lowest to highest); how many times as fast the NumPy batch is")
    for env_id in args.env:
        for action_type in args.action_type:
            for num_envs in args.num_envs or ([1024] if args.peers else [1, 64, 1024]):
                compare(env_id, action_type, num_envs, args)
    print(f"load at the end {os.getloadavg()[0]:.2f}")


if __name__ == "__main__":
    main()
