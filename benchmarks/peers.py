"""Jumanji's and EnvPool's puzzles as the benchmarks run them: a batch that restarts finished episodes.

    pip install "hrm-gym[peers]"

Actions are drawn beforehand and uniformly at random, as they are for our environments.
"""

from __future__ import annotations

import os
from collections.abc import Callable

import numpy as np

# One core: XLA would start a thread a core.
os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")
os.environ.setdefault("JAX_PLATFORMS", "cpu")

NUM_ACTIONS = 16


def jumanji_batch(name: str, num_envs: int) -> Callable[[], int]:
    """A jitted batch of Jumanji's `Sudoku-v0`, `Maze-v0` or, with a side of its own, `Maze-30`."""
    import jax
    import jumanji
    from jumanji.environments import Maze
    from jumanji.environments.routing.maze.generator import RandomGenerator
    from jumanji.wrappers import VmapAutoResetWrapper

    side = name.removeprefix("Maze-")
    env = Maze(RandomGenerator(int(side), int(side))) if side.isdigit() else jumanji.make(name)
    envs = VmapAutoResetWrapper(env)
    step = jax.jit(envs.step)
    state, _ = jax.jit(envs.reset)(jax.random.split(jax.random.PRNGKey(0), num_envs))
    most = np.asarray(env.action_spec.num_values)
    rng = np.random.default_rng(0)
    actions = [jax.numpy.asarray(rng.integers(most, size=(num_envs, *most.shape))) for _ in range(NUM_ACTIONS)]

    def run() -> int:
        nonlocal state
        for action in actions:
            state, shown = step(state, action)
            jax.block_until_ready(shown)
        return NUM_ACTIONS * num_envs

    return run


def envpool_batch(name: str, num_envs: int) -> Callable[[], int]:
    """A batch of one of EnvPool's environments, such as `Jumanji/Maze-v0`, on one thread."""
    import envpool

    envs = envpool.make_gymnasium(name, num_envs=num_envs, num_threads=1, seed=0)
    envs.reset()
    rng = np.random.default_rng(0)
    actions = [rng.integers(envs.action_space.n, size=num_envs).astype(np.int32) for _ in range(NUM_ACTIONS)]

    def run() -> int:
        for action in actions:
            envs.step(action)
        return NUM_ACTIONS * num_envs

    return run


PEERS: dict[str, dict[str, Callable[[int], Callable[[], int]]]] = {
    "Sudoku9x9-v0": {"Jumanji": lambda num: jumanji_batch("Sudoku-v0", num)},
    "MazeSmall-v0": {
        "Jumanji": lambda num: jumanji_batch("Maze-v0", num),
        "EnvPool": lambda num: envpool_batch("Jumanji/Maze-v0", num),
    },
    "MazeHard-v0": {"Jumanji": lambda num: jumanji_batch("Maze-30", num)},
}
"""What each of our environments is compared with: boards of the same size."""
