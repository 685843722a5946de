"""Careless hands: actions, seeds and options of every wrong type and shape, random text, impossible command lines."""

import dataclasses
import itertools
import string
from pathlib import Path
from typing import Any
from unittest import mock

import gymnasium as gym
import numpy as np
import torch

import hrm_gym.api  # noqa: F401 (binds what `commands` replaces for a while)
from hrm_gym import make_task
from hrm_gym.agents.analysis import Settings
from hrm_gym.agents.inference.protocol import Protocol
from hrm_gym.agents.registry import agent_class
from hrm_gym.agents.saved.config import RunOptions
from hrm_gym.cli import (
    COMMANDS,
    analyze,
    compare,
    convert,
    evaluate,
    export,
    generate,
    halting,
    main,
    play,
    plot,
    solve,
)
from hrm_gym.envs.datasets import puzzles_of
from hrm_gym.envs.registration import canonical_id, task_arguments

from .tally import Size, Tally, silent

# ---- steps and resets ------------------------------------------------------------------------------------

KINDS = ["int64", "int8", "uint8", "uint64", ">i4", ">u2", "bool", "float32", "complex64", "O", "U3", "m8[s]", "M8[s]"]
TENSORS = [torch.int64, torch.uint8, torch.uint16, torch.bool, torch.float16, torch.complex64, torch.int32]
THINGS: list[Any] = [
    *(None, "", "abc", b"x", {}, {1}, [], [[]], [[1], [2, 3]], 10**30, -1, 1.5, True, object(), range(3), iter([1])),
    *(float("nan"), float("inf"), 1j, np.float64(1), np.int64(-5), np.ma.array([1, 2]), [None], [[["a"]]], type, len),
]


def thing(rng: np.random.Generator, shape: tuple[int, ...]) -> Any:
    """An action, a seed or an option: something odd, or an array that is nearly right."""
    if rng.random() < 0.25:
        return THINGS[int(rng.integers(len(THINGS)))]
    shape = [shape, shape, shape, shape[:-1], (*shape, 1), shape[::-1], (0,), (3, 2)][int(rng.integers(8))]
    low, high = [(0, 2), (0, 2), (0, 5), (-3, 70), (-(2**62), 2**62)][int(rng.integers(5))]
    numbers = rng.integers(low, high, size=shape)
    if rng.random() < 0.3:
        return torch.from_numpy(np.array(numbers)).to(TENSORS[int(rng.integers(len(TENSORS)))])
    if rng.random() < 0.2:
        return numbers.tolist()
    with np.errstate(all="ignore"):
        return np.array(numbers).astype(KINDS[int(rng.integers(len(KINDS)))])


def steps(size: Size, folder: Path, rng: np.random.Generator) -> list[Tally]:
    """Every environment in every mode with both types of actions."""
    places = []
    for env_id, action_type in itertools.product(("Sudoku4x4-v0", "MazeSmall-v0"), ("board", "edit")):
        few = {"num_examples": 50, "action_type": action_type}
        places.append((1, gym.make(f"hrm_gym:{env_id}", disable_env_checker=True, **few).unwrapped))
        for mode, device in itertools.product(("NextStep", "SameStep", "Disabled"), ({}, {"device": "cpu"})):
            places.append((2, gym.make_vec(f"hrm_gym:{env_id}", 2, autoreset_mode=mode, **device, **few)))
    halt = {"num_examples": 8, "max_segments": 3}
    places.append((1, gym.make("hrm_gym:Sudoku4x4-Halt-v0", disable_env_checker=True, **halt).unwrapped))
    places.append((2, gym.make_vec("hrm_gym:Sudoku4x4-Halt-v0", 2, **halt)))
    step, reset = Tally("wrong actions"), Tally("wrong seeds and options of reset")
    for _, env in places:
        env.reset(seed=0)
    for i in range(size.steps):
        num, env = places[i % len(places)]
        if i % 5:
            action = thing(rng, env.action_space.shape)
            step.case(f"{env} {action!r}", lambda env=env, action=action: env.step(action))
            if step.failures and len(step.failures) > 200:
                break
            continue
        names = ("index", "puzzle", "reset_mask", "foo", 3, "seed")
        chosen = [names[int(rng.integers(len(names)))] for _ in range(int(rng.integers(3)))]
        options: Any = {name: thing(rng, [(num,), (16,), (100,)][int(rng.integers(3))]) for name in chosen}
        options = options if rng.random() < 0.8 else thing(rng, (2,))
        seed = thing(rng, (num,)) if rng.random() < 0.5 else None
        reset.case(f"{env} {seed!r} {options!r}", lambda env=env, s=seed, o=options: env.reset(seed=s, options=o))
    return [step, reset]


# ---- text ------------------------------------------------------------------------------------------------

ALPHABETS = ["01234.", ".123456789", "# SGo\n", string.printable, "é\0٣𝟙\u2028\ufeff", '=,[]{}":abc123.-', "-v0:/.x"]


def text(rng: np.random.Generator) -> str:
    """Random characters, often as many as a board has cells."""
    length = int([rng.integers(0, 12), 16, 36, 81, 100, rng.integers(300)][int(rng.integers(6))])
    alphabet = ALPHABETS[int(rng.integers(len(ALPHABETS)))]
    return "".join(alphabet[i] for i in rng.integers(len(alphabet), size=length))


def texts(size: Size, folder: Path, rng: np.random.Generator) -> list[Tally]:
    """Every parser."""
    tasks = [make_task(name) for name in ("Sudoku4x4-v0", "Sudoku6x6-v0", "Sudoku9x9-v0", "MazeSmall-v0")]
    small = tasks[0]
    env = gym.make("hrm_gym:Sudoku4x4-v0", disable_env_checker=True).unwrapped
    parsers = {
        **{f"parse {task}": task.parse for task in tasks},
        "solve": lambda line: small.solve(small.parse(line)),
        "reset": lambda line: env.reset(options={"puzzle": line}),
        "task arguments": task_arguments,
        "id": canonical_id,
        "family": lambda line: make_task("Sudoku4x4-v0", **task_arguments(line)),
        "dataset": lambda line: puzzles_of(small, "train", line),
        "split": lambda line: puzzles_of(small, line),
    }
    tally = Tally("random text to parsers")
    names = list(parsers)
    for i in range(size.texts):
        line = text(rng)
        name = names[i % len(names)]
        tally.case(f"{name} {line!r}", lambda name=name, line=line: parsers[name](line))
    return [tally]


# ---- commands --------------------------------------------------------------------------------------------

VALUES = [
    *("", "nan", "inf", "-inf", "-1", "-0.5", "0", "1", "1.5", "1e400", "abc", "9" * 30, "0x10", "٣", "{}", "[]", "--"),
    *("a" * 300, "true", "None", "..", "/", "/proc/nothing", "a\0b", "tiny", "cpu", "hrm", "fixed", "test", "\n", "🙂"),
]
FORMS: dict[str, list[Any]] = {
    "train": [RunOptions, agent_class("hrm").Config],
    "evaluate": [evaluate.Arguments, Protocol],
    "solve": [solve.Arguments],
    "halting": [halting.Arguments],
    "generate": [generate.Arguments],
    "play": [play.Arguments],
    "analyze": [analyze.Arguments, Settings],
    "plot": [plot.Arguments],
    "compare": [compare.Arguments],
    "export": [export.Arguments],
    "convert": [convert.Arguments],
    "envs": [],
    "agents": [],
}
NO_ENV = ("envs", "agents", "slove", "plot", "export")
NEEDED = {
    "evaluate": ["--limit", "2"],
    "solve": ["--seconds", "0", "1...............", "--max-segments", "1"],
    "halting": ["--out", "study", "--limit", "2", "--fit-puzzles", "2", "--train-steps", "0"],
    "generate": ["--out", "new.csv", "--num", "1"],
    "compare": ["--agents", "gru", "--out", "portrait", "--steps", "1"],
    "export": ["nowhere", "--out", "new.safetensors"],
    "convert": ["nowhere", "--out", "new.safetensors"],
    "plot": ["nowhere"],
    "play": ["--headless", "--episodes", "1", "--max-segments", "1"],
}


def commands(size: Size, folder: Path, rng: np.random.Generator) -> list[Tally]:
    """Every command with values that its options do not allow, through the entry of the command line.

    What is allowed begins no training, opens no window and makes no lists: those who ask for a network of 10^30 cells
    get one as far as their memory reaches.
    """
    tally = Tally("impossible command lines")
    chosen = [command for command in COMMANDS if command not in ("envs", "agents")] + ["envs", "agents", "slove"]
    with (
        mock.patch("hrm_gym.agents.training.run.train", lambda *arguments: None),
        mock.patch("hrm_gym.agents.training.run.free_run_dir", lambda config: Path(folder / "run")),
        mock.patch("hrm_gym.api.grade", _reached),
        mock.patch("hrm_gym.agents.inference.solving.solve_puzzles", _reached),
        mock.patch("hrm_gym.agents.inference.frozen_agent.record", _reached),
        mock.patch("hrm_gym.cli.generate.write_puzzles", _reached),
        mock.patch("hrm_gym.cli.play.Player", _reached),
        mock.patch("hrm_gym.agents.analysis.table.findings", _reached),
        mock.patch("hrm_gym.agents.studies.portrait.compare", _reached),
    ):
        for i in range(size.commands):
            command = chosen[i % len(chosen)]
            fields = [field.name for form in FORMS.get(command, []) for field in dataclasses.fields(form)] + ["foo"]
            line = [command] if command in NO_ENV else [command, "--env", "Sudoku4x4-v0"]
            line += NEEDED.get(command, [])
            for _ in range(int(rng.integers(1, 4))):
                line.append("--" + fields[int(rng.integers(len(fields)))].replace("_", "-"))
                if rng.random() < 0.9:
                    line.append(VALUES[int(rng.integers(len(VALUES)))])
            tally.case(line, lambda line=line: _call(line, tally))
    return [tally]


class Reached(Exception):
    """The arguments were allowed, and the work would begin."""


def _reached(*arguments: Any, **named: Any) -> None:
    raise Reached


def _call(line: list[str], tally: Tally) -> None:
    with silent() as printed:
        try:
            status = main(line)
        except Reached:
            return
        except SystemExit as stop:
            status = stop.code
    said = printed.getvalue()
    if status == 2:
        tally.refused += 1
        if len(said.splitlines()) != 1 or not said.startswith("error: "):
            raise AssertionError(f"refused in {len(said.splitlines())} lines: {said[:200]!r}")
    elif status not in (0, None, 1):
        raise AssertionError(f"status {status}: {said[:200]!r}")
