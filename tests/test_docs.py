"""What the pages promise: their examples run, their commands are understood, the README stays short."""

import importlib
import os
import re
import shlex
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from hrm_gym import cli, make_task

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
ALONE = ("README.md", "docs/environments.md")
"""Pages each of whose examples in Python stands on its own."""


def blocks(path, language):
    """The blocks of code of a page."""
    return re.findall(rf"^```{language}\n(.*?)^```", path.read_text(), flags=re.S | re.M)


def test_ci_runs_the_readmes_test_command():
    commands = re.findall(r"^(python3 -m venv .*-m pytest.*)$", (ROOT / "README.md").read_text(), flags=re.M)
    assert len(commands) == 1
    assert commands[0] in (ROOT / ".ci" / "run").read_text().splitlines()


def test_ci_runs_the_slow_tests_too_and_says_what_it_leaves_out():
    run, page = (ROOT / ".ci" / "run").read_text(), (ROOT / "CONTRIBUTING.md").read_text()
    slow = [
        line for line in run.splitlines() if line.startswith(".venv/bin/python -m pytest") and line.endswith("-m slow")
    ]
    assert len(slow) == 1 and slow[0] in re.sub(r" +#.*", "", page)
    assert "`pytest -m rare`" in run and "`pytest -m rare`" in page


def test_the_readme_names_the_stress_test():
    assert "python -m tests.stress" in (ROOT / "README.md").read_text()


@pytest.mark.parametrize("name", ALONE)
def test_examples_run(name):
    scopes: list[dict[str, object]] = []
    for block in blocks(ROOT / name, "python"):
        scopes.append({})
        exec(compile(block, name, "exec"), scopes[-1])
    stepped = [scope for scope in scopes if "env" in scope]
    assert stepped and all(np.isfinite(float(scope["reward"])) for scope in stepped)  # type: ignore[arg-type]
    (shown,) = (scope for scope in scopes if "figures" in scope)
    assert shown["figures"]["num_puzzles"] == 100 and shown["solution"].valid  # type: ignore[attr-defined, index]


def program(page, words, folder, name):
    """Writes the page's program that holds these words to a file, as a reader would."""
    (block,) = (block for block in blocks(ROOT / "docs" / page, "python") if words in block)
    (folder / name).write_text(block)


def in_shell(folder, *command):
    """What a command in that folder prints."""
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, *command], cwd=folder, env=environ, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


SHORTER = {
    "train": "--max-minutes 0 --max-steps 4 --num-envs 4 --test-puzzles 16 --eval-puzzles 4 --device cpu",
    "evaluate": "--limit 16",
    "play": "--headless",
}
"""What the test adds to the commands of the pages, so that they take seconds."""


@pytest.mark.parametrize("page", ["own_puzzles.md", "own_agents.md", "own_halting_rules.md"])
def test_the_pages_on_own_code_run_as_written(page, own_folder, monkeypatch, capsys):
    """Their files, written as the page says, then every command and every example in Python."""
    text = (ROOT / "docs" / page).read_text()
    files = dict(re.findall(r"`(\w+\.py)`:\n\n```python\n(.*?)^```", text, flags=re.S | re.M))
    assert len(files) == 1
    for name, code in files.items():
        Path(name).write_text(code)
    for block in blocks(ROOT / "docs" / page, "bash"):
        for line in block.splitlines():
            _, command, *words = shlex.split(line)
            assert cli.main([command, *words, *SHORTER[command].split()]) == 0, line
    shown = capsys.readouterr().out
    assert "watch it: hrm-gym play" in shown and "right cells" in shown
    for block in blocks(ROOT / "docs" / page, "python"):
        if block not in files.values():
            exec(compile(block.replace("max_minutes=1", "max_minutes=0.02, test_puzzles=16"), page, "exec"), {})
    if page == "own_puzzles.md":  # a solution breaks no rule, and one wrong cell breaks some
        task = make_task("Latin4x4-v0")
        some = task.dataset("test").map(lambda array: array[:200].astype(np.int64))
        assert not task.violations(some.puzzle, some.solution).any()
        wrong = np.where(np.arange(16) == 5, some.solution % 4 + 1, some.solution)
        assert (task.violations(some.puzzle, wrong) > 0).all()


@pytest.mark.parametrize("module", ["hrm_gym", "hrm_gym.agents.analysis"])
@pytest.mark.slow
def test_the_front_of_a_package_runs_as_written(module, own_folder, capsys):
    text = importlib.import_module(module).__doc__
    code = textwrap.dedent("\n".join(line for line in text.splitlines() if line.startswith("    ")))
    code = code.replace("max_minutes=1", "max_steps=4, test_puzzles=16").replace('"depth"]', '"depth"], puzzles=20')
    assert len(code.splitlines()) >= 4
    exec(compile(code, module, "exec"), {})
    assert capsys.readouterr().out
    if module == "hrm_gym.agents.analysis":
        assert {path.name for path in own_folder.glob("*.png")} == {"participation.png", "depth.png"}


@pytest.mark.slow
def test_the_page_on_solving_runs_as_written(own_folder, monkeypatch, capsys):
    """Every command that needs no window; puzzles are solved, not only read."""
    page = ROOT / "docs" / "solve.md"
    (maze,) = blocks(page, "text")
    Path("maze.txt").write_text(maze)
    for block in blocks(page, "bash"):
        for line in block.splitlines():
            _, command, *words = shlex.split(line)
            if command == "play" and "--headless" not in words:
                continue
            assert cli.main([command, *words]) == 0, line
    out = capsys.readouterr().out
    assert out.count('"valid": true') == 5 and "| 5  3  4 | 6  7  8 | 9  1  2 |" in out and Path("out.gif").exists()
    for block in blocks(page, "python"):
        exec(compile(block, "solve.md", "exec"), {})


@pytest.mark.rare
def test_the_page_on_other_libraries_is_complete(tmp_path):
    program("libraries.md", "make_vec_env(ENV", tmp_path, "my_halting.py")
    shown = in_shell(tmp_path, "my_halting.py")
    learned, to_the_end = map(float, re.findall(r"\d\.\d+", shown))
    assert learned > to_the_end + 0.1


def commands():
    """Each `hrm-gym COMMAND ...` of the pages, with where it stands."""
    for path in PAGES:
        for block in blocks(path, "bash"):
            for line in block.splitlines():
                for part in line.split("&&"):
                    words = shlex.split(part, comments=True)
                    if words[:1] in (["hrm-gym"], [".venv/bin/hrm-gym"]):
                        yield path.name, tuple(words[1:])
                    elif "train_agent.py" in words:
                        yield path.name, ("train", *words[words.index("train_agent.py") + 1 :])


OWN = {"latin:Latin4x4-v0", "my_net:my_net", "my_rule:cautious"}
"""What pages write to files; their commands have a test of their own."""
COMMANDS = sorted({command for command in commands() if not OWN & set(command[1])})


@pytest.mark.parametrize(
    ("page", "words"), COMMANDS, ids=[f"{page}: {' '.join(words)}"[:90] for page, words in COMMANDS]
)
def test_commands_are_understood(page, words, understood):
    """Up to the point where they would begin to work."""
    if "--version" in words:
        assert cli.main(words) == 0
        return
    if "--resume" in words:  # asks the run itself; its other options may be those of any run
        words = [word for i, word in enumerate(words) if "--resume" not in (word, words[i - 1])]
    if "--dataset" in words:  # read before the options are
        words = [word for i, word in enumerate(words) if "--dataset" not in (word, words[i - 1])]
    understood(words, page)


def test_one_entry_point():
    """Pages say `hrm-gym train`, and the script only where another program starts it."""
    for path in PAGES:
        for block in blocks(path, "bash"):
            assert "python train_agent.py" not in block and "python play.py" not in block, path.name
