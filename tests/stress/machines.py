"""Killed processes, full disks, clocks that jump, and two runs in one folder."""

import os
import resource
import signal
import time
from pathlib import Path
from unittest import mock

import numpy as np
import torch
from loop import Loop, tiny

from hrm_gym import make_task
from hrm_gym.agents.saved import checkpoint as checkpoints
from hrm_gym.agents.training.run import train
from hrm_gym.cli import main
from hrm_gym.envs.drawing.recording import Recorder
from hrm_gym.envs.reading.writing import write_puzzles
from hrm_gym.errors import HrmGymError
from hrm_gym.files import save_arrays

from .tally import Size, Tally, in_child, left_over, silent

SETTINGS = {
    **{"env": "Sudoku4x4-v0", "preset": "tiny", "device": "cpu", "dtype": "float32", "hidden_size": 16, "num_heads": 2},
    **{"h_layers": 1, "l_layers": 1, "num_envs": 4, "max_minutes": 0, "eval_minutes": 1e6, "save_minutes": 1e-9},
    **{"eval_puzzles": 4, "test_puzzles": 4},
}
"""Of a run that saves at every step: half of its life is the write of a checkpoint."""


def _options(**more) -> list[str]:
    options = {**SETTINGS, **more}
    return [word for name, value in options.items() for word in (f"--{name.replace('_', '-')}", str(value))]


def kills(size: Size, folder: Path, rng: np.random.Generator) -> list[Tally]:
    """A run that is killed again and again ends as one that nobody disturbed, bit for bit."""
    tally = Tally("kills while a run trains and saves")
    run, calm = folder / "run", folder / "calm"
    steps, before, inside = 0, -1, 0
    # Long enough that it does not end before the last kill.
    budget = {"max_steps": 10_000 * size.kills}
    while tally.cases < size.kills:
        command = (
            ["--resume", str(run)]
            if (run / checkpoints.FILE_NAME).exists()
            else ["--run-dir", str(run), *_options(**budget)]
        )
        child = in_child(lambda command=command: main(["train", *command]))
        if rng.random() < 0.8:
            _wait_for_a_checkpoint(run, child)
        time.sleep(float(rng.random() * 0.3))
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        tally.cases += 1
        inside += run.exists() and bool(left_over(run))
        if not os.WIFSIGNALED(status):
            if os.waitstatus_to_exitcode(status):
                tally.fail(f"kill {tally.cases}", f"the run ended by itself with status {status}")
                return [tally]
            break
        if not (run / checkpoints.FILE_NAME).exists():  # killed before it began
            continue
        try:
            steps = checkpoints.load(run).counters["step"]
        except HrmGymError as error:
            tally.lost += 1
            tally.fail(f"kill {tally.cases}", str(error))
            return [tally]
        tally.lost += steps < before
        before = steps
    tally.what = f"kills of a run, {inside} of them inside a write"
    for signals in ((signal.SIGTERM,), (signal.SIGHUP,), (signal.SIGINT, signal.SIGINT)):
        tally.cases += 1
        child = in_child(lambda: main(["train", "--resume", str(run)]))
        _wait_for_a_checkpoint(run, child)
        for number in signals:
            os.kill(child, number)
        _, status = os.waitpid(child, 0)
        if status or checkpoints.load(run).counters["step"] < before:
            tally.fail(signals, f"status {os.waitstatus_to_exitcode(status)}")
    # The end: neither run may differ from the other.
    end = checkpoints.load(run).counters["step"] + 20
    for command in (["--resume", str(run)], ["--run-dir", str(calm), *_options(**budget, save_minutes=10)]):
        _, status = os.waitpid(in_child(lambda command=command: _until(end, command)), 0)
        if status:
            tally.fail("the last stretch", f"status {os.waitstatus_to_exitcode(status)}")
            return [tally]
    one, other = (checkpoints.load(path).tensors for path in (run, calm))
    if not all(torch.equal(one[name], other[name]) for name in one):
        tally.lost += 1
        tally.fail("the end", "the disturbed run differs from the calm one")
    if left_over(run):
        tally.fail("the end", f"left over: {left_over(run)}")
    return [tally]


def _until(end: int, command: list[str]) -> int:
    """Train with the schedule as it is, and be asked to stop after step `end`."""
    from hrm_gym.agents.training.learner import Learner

    step = Learner.step

    def stepped(learner, *arguments):
        losses = step(learner, *arguments)
        if learner.steps == end:
            os.kill(os.getpid(), signal.SIGTERM)
        return losses

    with mock.patch.object(Learner, "step", stepped):
        return main(["train", *command])


def _wait_for_a_checkpoint(run: Path, child: int) -> None:
    path = run / checkpoints.FILE_NAME
    before = path.stat().st_mtime_ns if path.exists() else 0
    for _ in range(3000):
        if (path.exists() and path.stat().st_mtime_ns != before) or os.waitid(
            os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT
        ):
            return
        time.sleep(0.01)


def disks(size: Size, folder: Path, rng: np.random.Generator) -> list[Tally]:
    """A disk that takes only so many bytes, by the system's own limit, and folders that cannot be written to."""
    task = make_task("Sudoku4x4-v0")
    puzzles = task.dataset("test").map(lambda array: array[:200])
    snapshot = Loop(tiny()).snapshot()
    frames = rng.integers(255, size=(3, 64, 64, 3)).astype(np.uint8)

    def film(path: Path) -> None:
        with Recorder(path, overwrite=True) as recorder:
            for frame in frames:
                recorder.add(frame, 0.1)

    writers = {
        "a.safetensors": lambda path: checkpoints.save(path, snapshot),
        "a.csv": lambda path: write_puzzles(path, puzzles, task),
        "a.csv.gz": lambda path: write_puzzles(path, puzzles, task),
        "a.npz": lambda path: save_arrays({"a": puzzles.puzzle}, path),
        "a.gif": film,
    }
    full, closed = Tally("full disks"), Tally("folders that cannot be written to")
    sizes = {}
    for name, write in writers.items():
        write(folder / name)
        sizes[name] = (folder / name).stat().st_size
    for i in range(size.disks):
        name, write = list(writers.items())[i % len(writers)]
        path = folder / name
        before, refused = path.read_bytes(), full.refused
        limit = int(rng.integers(sizes[name]))
        full.case(f"{name}, {limit} bytes", lambda path=path, write=write, n=limit: _limited(n, lambda: write(path)))
        if full.refused == refused:
            full.fail(f"{name}, {limit} bytes", "no refusal")
        full.lost += path.read_bytes() != before
        if left_over(folder):
            full.fail(name, f"left over: {left_over(folder)}")
    (folder / "file").write_text("")
    places = [folder / "file" / "inside", Path("/proc/nothing/here"), folder / ("a" * 300)]
    for place in places:
        for name, write in writers.items():
            refused = closed.refused
            closed.case(f"{place / name}", lambda place=place, name=name, write=write: write(place / name))
            if closed.refused == refused:
                closed.fail(place / name, "no refusal")
        command = ["train", *_options(max_steps=1), "--run-dir", str(place)]
        closed.cases += 1
        with silent() as errors:
            status = main(command)
        if status != 2 or len(errors.getvalue().splitlines()) != 1:
            closed.fail(command, f"status {status}: {errors.getvalue()[:200]}")
    return [full, closed]


def _limited(size: int, write) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        write()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def clocks(size: Size, folder: Path, rng: np.random.Generator) -> list[Tally]:
    """The wall clock jumps by years both ways; the steady one jumps ahead, as after a night of sleep."""
    tally = Tally("clocks that jump")
    real, steady = time.time, time.monotonic
    ahead = 0.0

    def wall() -> float:
        return max(0.0, real() + float(rng.normal()) * 1e8)

    def sleepy() -> float:
        nonlocal ahead
        ahead += float(rng.random() < 0.01) * 3600
        return steady() + ahead

    for i in range(size.clocks):
        config = tiny(max_steps=15, num_envs=4, eval_puzzles=4, test_puzzles=4, max_segments=2)
        run = folder / f"run{i}"
        with silent(), mock.patch("time.time", wall), mock.patch("time.monotonic", sleepy):
            result = tally.case(f"run {i}", lambda config=config, run=run: train(config, run))
        if not result or result["training"]["steps"] != 15 or result["training"]["seconds"] < 0:
            tally.fail(f"run {i}", "it did not come to its end")
    return [tally]


def rivals(size: Size, folder: Path, rng: np.random.Generator) -> list[Tally]:
    """Of two runs in one folder one continues and the other gets an error."""
    tally = Tally("two runs in one folder")
    for i in range(size.rivals):
        tally.cases += 1
        run = folder / f"run{i}"
        command = ["train", "--run-dir", str(run), *_options(max_steps=100_000)]
        first = in_child(lambda command=command: main(command))
        _wait_for_a_checkpoint(run, first)
        for others in (["--resume", str(run)], command[1:]):
            child = in_child(lambda others=others: main(["train", *others]))
            _, status = os.waitpid(child, 0)
            if os.waitstatus_to_exitcode(status) != 2:
                tally.fail(f"pair {i}", f"the second ended with {os.waitstatus_to_exitcode(status)}, not 2")
        os.kill(first, signal.SIGTERM)
        _, status = os.waitpid(first, 0)
        if status:
            tally.fail(f"pair {i}", f"the first ended with {os.waitstatus_to_exitcode(status)}")
        try:
            checkpoints.load(run)
        except HrmGymError as error:
            tally.lost += 1
            tally.fail(f"pair {i}", str(error))
    return [tally]
