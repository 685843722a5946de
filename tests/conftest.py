import importlib
import os
import subprocess
import sys
from pathlib import Path

os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
if "PYTEST_XDIST_WORKER" in os.environ:  # torch's threads would get in each other's way
    os.environ["OMP_NUM_THREADS"] = "1"

import gymnasium
import pytest

import hrm_gym as package
from hrm_gym.agents import registry
from hrm_gym.cli import main
from hrm_gym.cli import parse as parsing
from hrm_gym.envs import registration
from hrm_gym.envs.puzzle_env import PuzzleEnv

# Agents and halting rules from outside go through all that those of the package go through, as does the puzzle.
for module in ("own_doors", "examples.own_agent", "examples.own_halting_rule"):
    importlib.import_module(module)
package.register_task("Latin3x3-v0", "latin_task:Latin", givens=4)
package.make_task("examples.own_puzzle:Futoshiki4x4-v0")


@pytest.fixture(autouse=True)
def impatient_windows(monkeypatch):
    """Windows that do not wait between frames."""
    monkeypatch.setitem(PuzzleEnv.metadata, "render_fps", 1000)


@pytest.fixture
def without_display():
    """Runs Python code in a process that has no display; gives what it printed."""

    def run(code):
        hidden = ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER")
        env = {name: value for name, value in os.environ.items() if name not in hidden}
        root = Path(__file__).parents[1]
        command = [sys.executable, "-c", code]
        return subprocess.run(command, cwd=root, env=env, capture_output=True, text=True, check=True).stdout

    return run


@pytest.fixture
def own_folder(tmp_path, monkeypatch):
    """An empty folder to write one's own modules to; what they register is forgotten after the test."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    for module, table in ((registry, "_agents"), (registry, "_rules"), (registration, "_registered")):
        monkeypatch.setattr(module, table, dict(getattr(module, table)))
    ids, modules = set(gymnasium.registry), set(sys.modules)
    yield tmp_path
    for name in set(gymnasium.registry) - ids:
        del gymnasium.registry[name]
    for name in set(sys.modules) - modules:  # not of libraries, which would not stand it
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


class UnderstoodError(BaseException):
    """The arguments of a command were allowed; no command takes it for an error of its own."""


@pytest.fixture
def understood(monkeypatch, capsys):
    """Checks the words of a command, up to the point where it would begin to work; `where` names them if they fail."""

    def check(words, where):
        words = ["cpu" if words[i - 1] == "--device" else word for i, word in enumerate(words)]
        real = parsing.parse

        def parse(*arguments, **options):
            real(*arguments, **options)
            raise UnderstoodError

        with monkeypatch.context() as patch:
            patch.setattr(importlib.import_module(f"hrm_gym.cli.{words[0]}"), "parse", parse)
            with pytest.raises(UnderstoodError):
                status = main(words)
                pytest.fail(f"{where}: status {status}: {capsys.readouterr().err}")

    return check


@pytest.fixture
def hrm_gym(capsys):
    """Call a command; gives its exit status, output and errors."""

    def call(*arguments):
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as stop:  # as `--help` ends
            code = stop.code
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        return code, captured.out, captured.err

    return call
