"""Environments, evaluation, training, drawing and the window for a long time, with memory and file handles watched."""

import contextlib
import ctypes
import gc
import itertools
import os
import time
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import gymnasium as gym
import numpy as np
from loop import Loop, tiny

import hrm_gym
from hrm_gym.agents.inference.evaluation import evaluate
from hrm_gym.agents.inference.protocol import Protocol
from hrm_gym.cli.play import load, random_cases
from hrm_gym.cli.player import KEYS, Player
from hrm_gym.envs.drawing.frame import Frame
from hrm_gym.envs.drawing.renderer import Renderer
from hrm_gym.envs.drawing.window import Window

from .tally import Size, Tally

GROWTH = 1.02
"""What memory may grow to after the warm-up, which is the first third of the time."""


def run(size: Size, folder: Path, rng: np.random.Generator) -> list[Tally]:
    """All soaks in one process by turns, so that what leaks leaks for the whole time; the last row is of them all."""
    works = {
        "environments": _environments(rng),
        "evaluation": _evaluation(),
        "training": _training(),
        "drawing": _drawing(),
        "window": _window(rng),
    }
    tallies = {name: Tally(f"soak: {name}") for name in works}
    whole = Tally("soak", cases=1)
    grown = dict.fromkeys(works, 0)
    start: tuple[int, int] | None = None
    turn = size.soak_seconds / size.soak_rounds / len(works)
    for round_ in range(size.soak_rounds):
        for name, work in works.items():
            before, ends = _memory(), time.monotonic() + turn
            while True:
                next(work)
                tallies[name].cases += 1
                if time.monotonic() >= ends:
                    break
            if start is not None:
                grown[name] += _memory() - before
        if start is None and 3 * (round_ + 1) >= size.soak_rounds:
            start = _memory(), _handles()
    assert start is not None
    end = _memory(), _handles()
    whole.what = f"soak: all by turns, {start[0] / 1e6:.1f} to {end[0] / 1e6:.1f} MB"
    if end[0] > GROWTH * start[0]:
        parts = ", ".join(f"{name} {more / 1e6:+.1f}" for name, more in grown.items())
        whole.fail("soak", f"memory grew from {start[0] / 1e6:.1f} to {end[0] / 1e6:.1f} MB ({parts})")
    if end[1] > start[1]:
        whole.fail("soak", f"file handles grew from {start[1]} to {end[1]}")
    for name, tally in tallies.items():
        tally.what = f"soak: {name}, {grown[name] / 1e6:+.1f} MB"
    return [*tallies.values(), whole]


def _memory() -> int:
    """Bytes that the process holds in memory, without what its allocator keeps for later."""
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):  # of glibc alone
        ctypes.CDLL(None).malloc_trim(0)
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _handles() -> int:
    return len(os.listdir("/proc/self/fd"))


def _environments(rng: np.random.Generator) -> Iterator[None]:
    """A case is 100 steps of every environment, and one made anew."""
    kinds = [("Sudoku6x6-v0", {}), ("MazeSmall-v0", {"device": "cpu"}), ("Sudoku4x4-Halt-v0", {"num_examples": 50})]
    places = [gym.make_vec(f"hrm_gym:{name}", 16, **more) for name, more in kinds]
    for round_ in itertools.count():
        for envs in places:
            envs.reset(seed=round_)
            for _ in range(100):
                envs.step(envs.action_space.sample())
        env = gym.make("hrm_gym:Sudoku4x4-v0")
        env.reset(seed=round_)
        env.close()
        yield


def _evaluation() -> Iterator[None]:
    policy, task = hrm_gym.load_agent("Sudoku4x4-v0", device="cpu"), hrm_gym.make_task("Sudoku4x4-v0")
    puzzles = task.dataset("validation").map(lambda array: array[:64])
    while True:
        evaluate(policy, task, puzzles, Protocol(max_segments=4))
        yield


def _training() -> Iterator[None]:
    """A case is ten steps and a snapshot."""
    loop = Loop(tiny(max_steps=10**9))
    while True:
        for _ in range(10):
            loop.step()
        loop.snapshot()
        yield


def _drawing() -> Iterator[None]:
    task = hrm_gym.make_task("Sudoku6x6-v0")
    puzzles = task.dataset("test")
    renderer = Renderer(task, "soak")
    for i in itertools.cycle(range(100)):
        puzzle, solution = (np.asarray(array[i]).astype(np.int64) for array in puzzles[:2])
        renderer.rgb(Frame(puzzle=puzzle, answer=solution, solution=solution, segment=i % 16, max_segments=16))
        yield


def _window(rng: np.random.Generator) -> Iterator[None]:
    """A case is a frame of the shipped agent thinking in a window, with keys pressed at random.

    The window is opened anew after a hundred puzzles. It has no screen: SDL draws into memory.
    """
    import pygame

    task = hrm_gym.make_task("Sudoku4x4-v0")
    think = load("Sudoku4x4-v0", "pretrained", "cpu")
    keys = [pygame.K_SPACE, pygame.K_RIGHT, pygame.K_r, pygame.K_PLUS, pygame.K_MINUS, pygame.K_s, pygame.K_h]
    for round_ in itertools.count():
        player = Player(task, random_cases(task, round_), think, max_segments=16)
        with mock.patch.dict(os.environ, {"SDL_VIDEODRIVER": "dummy"}):
            window = Window(Renderer(task, "soak", KEYS))
        try:
            while len(player.results) < 100:
                if rng.random() < 0.2:
                    key = keys[int(rng.integers(len(keys)))]
                    pygame.event.post(pygame.event.Event(pygame.KEYDOWN, key=key, unicode=""))
                window.show(player.frame)
                window.wait(0)
                for pressed in window.events():
                    player.key(pressed)
                player.paused = False
                player.tick(1e3)
                yield
        finally:
            window.close()
