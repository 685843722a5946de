"""Systems that the tests do not run on: what Windows does otherwise, as far as Linux can show it."""

import ast
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from hrm_gym.agents.arc.many import appending, solve_tasks
from hrm_gym.agents.saved import checkpoint as checkpoints
from hrm_gym.agents.saved.sources import pretrained_path
from hrm_gym.agents.training.interrupts import Interrupts
from hrm_gym.agents.training.monitor import _remove_files, _remove_folder

ROOT = Path(__file__).parent.parent
SOURCES = sorted([*(ROOT / "hrm_gym").rglob("*.py"), *(ROOT / "examples").rglob("*.py")])
TEXT = {"open", "read_text", "write_text"}


def names_no_encoding(call):
    """Whether a call opens a text file in the encoding that the system prefers, which on Windows is not UTF-8."""
    name = getattr(call.func, "attr", getattr(call.func, "id", ""))
    owner = getattr(getattr(call.func, "value", None), "id", "")
    ours = name != "open" and isinstance(call.func, ast.Name)  # `read_text(text, task)` reads puzzles
    if name not in TEXT or owner in ("os", "archive", "self") or ours:
        return False
    modes = [a.value for a in call.args if isinstance(a, ast.Constant) and isinstance(a.value, str)]
    binary = name == "open" and any("b" in mode for mode in modes)
    return not binary and "encoding" not in [keyword.arg for keyword in call.keywords]


def test_text_files_are_utf8_everywhere():
    found = []
    for path in SOURCES:
        calls = [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)]
        found += [f"{path.relative_to(ROOT)}:{call.lineno}" for call in calls if names_no_encoding(call)]
    assert not found, "these open text without encoding="


@pytest.mark.parametrize("encoding", ["cp1252", "ascii"])
@pytest.mark.slow
def test_commands_print_on_a_console_that_has_few_characters(tmp_path, encoding):
    """And in a locale without UTF-8, where `open` without an encoding fails on ours."""
    code = f"""
from hrm_gym import make_task
from hrm_gym.cli import main
task = make_task("Sudoku4x4-v0")
board = task.format(task.dataset("test").puzzle[0])
for call in (
    ["envs"], ["agents"], ["solve", "--env", "Sudoku4x4-v0", "--exact", board],
    ["play", "--env", "Sudoku4x4-v0", "--headless", "--episodes", "1"],
    ["train", "--env", "Sudoku4x4-v0", "--preset", "tiny", "--max-minutes", "0", "--max-steps", "1",
     "--test-puzzles", "4", "--eval-puzzles", "4", "--run-dir", r"{tmp_path / "run"}"],
    ["analyze", "--env", "Sudoku4x4-v0", "--puzzles", "4", "--traced", "2", "--what", "stopping",
     "--out", r"{tmp_path / "looked"}"],
    ["export", r"{tmp_path / "run"}", "--out", r"{tmp_path / "agent.safetensors"}"],
):
    assert main(call) == 0, call
"""
    env = os.environ | {"PYTHONIOENCODING": encoding, "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "LC_ALL": "C"}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    assert (tmp_path / "looked" / "summary.md").is_file()


def test_results_with_the_line_ends_of_windows_are_continued_without_loss(tmp_path):
    path = tmp_path / "results.jsonl"
    lines = b'{"conditions": {}}\r\n{"name": "a"}\r\n{"name": "b"}\r\n'
    path.write_bytes(lines + b'{"na')
    with appending(path, {}):
        pass
    assert path.read_bytes() == lines


def test_a_loaded_checkpoint_does_not_keep_its_file_open():
    """Windows replaces no file that is mapped into memory, and a resumed run replaces its checkpoint."""
    maps = Path("/proc/self/maps")
    if not maps.exists():
        pytest.skip("only Linux shows which files are mapped")
    path = pretrained_path("Sudoku4x4-v0")
    saved = checkpoints.load(path)
    assert saved.tensors and str(path) not in maps.read_text(encoding="utf-8")


def test_a_run_without_a_checkpoint_leaves_no_folder_where_an_open_file_cannot_be_removed(tmp_path, monkeypatch):
    folder, lock = tmp_path / "run", tmp_path / "run" / ".lock"
    folder.mkdir()
    for name in ("config.json", ".lock", "log.csv", "events.out.tfevents.1"):
        (folder / name).touch()
    unlink = Path.unlink

    def held(path, missing_ok=False):
        if path == lock:
            raise PermissionError(13, "used by another process")
        unlink(path, missing_ok=missing_ok)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", held)
        _remove_files(folder)
    assert list(folder.iterdir()) == [lock]
    _remove_folder(folder)
    assert folder.is_dir()
    lock.unlink()  # as `filelock` does on Windows when it releases it
    _remove_folder(folder)
    assert not folder.exists()


def test_as_many_processes_as_windows_can_wait_for(monkeypatch):
    monkeypatch.setattr(sys, "platform", "win32")
    assert list(solve_tasks({}, processes=64)) == []


def test_signals_that_windows_lacks(monkeypatch):
    monkeypatch.delattr(signal, "SIGHUP")
    with Interrupts() as interrupts:
        signal.raise_signal(signal.SIGTERM)
    assert interrupts.asked
