"""Ids, the door for puzzle families of others, and what an import costs."""

import dataclasses
import os
import subprocess
import sys

import gymnasium as gym
import pytest

import hrm_gym
from hrm_gym import HrmGymError
from hrm_gym.agents.saved.config import RunOptions
from hrm_gym.envs.options import OPTIONS, PuzzleOptions
from hrm_gym.envs.registration import canonical_id


def test_import_is_light():
    code = "import sys, hrm_gym; print([m for m in ('torch', 'numba', 'pygame') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_module_prefix_imports_the_package():
    code = "import gymnasium as g; print(g.make('hrm_gym:Sudoku4x4-v0').reset(seed=0)[0]['segment'])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "0"


def test_make_task_gives_one_task_an_id():
    for env_id in hrm_gym.task_ids():
        assert hrm_gym.make_task(env_id) is hrm_gym.make_task(f"hrm_gym/{env_id}")
    assert hrm_gym.make_task("latin_task:Latin", givens=6).givens == 6


@pytest.mark.parametrize("name", ["ARC1-v0", "hrm_gym/ARC1-v0", "hrm_gym:ARC1-v0", "hrm_gym:hrm_gym/ARC1-v0"])
def test_an_id_has_many_spellings(name):
    assert canonical_id(name) == "ARC1-v0"
    assert hrm_gym.make_task(name) is hrm_gym.make_task("ARC1-v0")


def test_a_module_before_an_id_is_imported():
    assert canonical_id("latin_task:Latin3x3-v0") == canonical_id("latin_task:hrm_gym/Latin3x3-v0") == "Latin3x3-v0"


def test_commands_find_modules_of_the_current_folder(tmp_path):
    (tmp_path / "my_puzzle.py").write_text(
        "import hrm_gym\n"
        "from hrm_gym.envs.sudoku.task import SudokuTask\n"
        "hrm_gym.register_task('Mine-v0', 'my_puzzle:Mine', size=4)\n"
        "class Mine(SudokuTask):\n    pass\n"
    )
    code = "import sys; sys.path.remove(''); from hrm_gym.cli import main; sys.exit(main(sys.argv[1:]))"
    root = os.path.dirname(os.path.dirname(hrm_gym.__file__))
    words = ["generate", "--env", "my_puzzle:Mine-v0", "--num", "2", "--out", "out.csv"]
    env = {**os.environ, "PYTHONPATH": root}
    done = subprocess.run([sys.executable, "-c", code, *words], cwd=tmp_path, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out.csv").read_text().count("\n") == 3


def test_registering_twice_is_fine_unless_it_changes():
    hrm_gym.register_task("Latin3x3-v0", "latin_task:Latin", givens=4)
    with pytest.raises(HrmGymError, match="already"):
        hrm_gym.register_task("Latin3x3-v0", "latin_task:Latin", givens=5)


def test_a_run_has_the_options_of_its_environments():
    shared = {field.name for field in dataclasses.fields(PuzzleOptions)}
    assert shared < set(OPTIONS)
    options = RunOptions(segment_cost=0.25, num_examples=3, max_segments=5).env_options()
    env = gym.make("Sudoku4x4-v0", **options).unwrapped
    assert options.keys() == shared and {name: getattr(env.rules.options, name) for name in options} == options
    assert PuzzleOptions(**RunOptions().env_options()) == PuzzleOptions(augment=True, max_segments=16)


def test_a_task_may_not_take_the_environments_arguments():
    for name in OPTIONS:
        with pytest.raises(HrmGymError, match=f"{name!r} is an argument of every environment"):
            hrm_gym.register_task("Own-v0", "latin_task:Latin", **{name: None})


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: hrm_gym.make_task("SudokuExtrem-v0"), "did you mean 'SudokuExtreme-v0'"),
        (lambda: canonical_id("hrm_gym/SudokuExtrem-v0"), "did you mean 'SudokuExtreme-v0'"),
        (lambda: canonical_id("latin_task:Latin"), "unknown environment"),
        (lambda: hrm_gym.make_task("no_such_module:Task"), "PYTHONPATH"),
        (lambda: hrm_gym.make_task("no_such_module:Task-v0"), "PYTHONPATH"),
        (lambda: hrm_gym.make_task("latin_task:Latn"), "did you mean 'Latin'"),
        (lambda: hrm_gym.make_task("latin_task:np"), "not a subclass of Task"),
        (lambda: hrm_gym.register_task("Latin", "latin_task:Latin"), "Name-vNUMBER"),
        (lambda: hrm_gym.register_task("Latin-v1", "latin_task"), "module:Class"),
        (lambda: hrm_gym.register_task("Latin-v1", "latin_task:Latin", split="a"), "rename"),
        (lambda: hrm_gym.register_task("Latin-v1", "latin_task:Latin", givens={1}), "JSON"),
        (lambda: gym.make("Sudoku4x4-v0", disable_env_checker=True).unwrapped.step(0), "reset"),
    ],
)
def test_bad_calls(call, message):
    with pytest.raises(HrmGymError, match=message):
        call()
