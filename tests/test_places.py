"""Machines that let little be written, and programs with windows of their own."""

import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import gymnasium as gym
import pytest

import hrm_gym

pygame = pytest.importorskip("pygame")
PACKAGE = Path(hrm_gym.__file__).parent
NOWHERE = {"HOME": "/proc/nothing", "XDG_CACHE_HOME": "/proc/nothing", "NUMBA_CACHE_DIR": "/proc/nothing"}
CODE = """
import logging, sys
logging.basicConfig()
import hrm_gym
import numpy
from hrm_gym.envs.splitmix import scramble
scramble(numpy.uint64(3))
env = hrm_gym.make("Sudoku4x4-v0", num_examples=20)
env.reset(seed=0)
print(env.step(env.action_space.sample())[1])
"""


SETPRIV = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"]
"""For root, who may write everywhere: a user without that right."""
bound = pytest.mark.skipif(
    not hasattr(os, "getuid") or (os.getuid() == 0 and shutil.which("setpriv") is None), reason="root needs setpriv"
)


def run_elsewhere(package, **changes):
    """A step of an environment in a process whose package lies elsewhere and whose user is bound by permissions."""
    env = {name: value for name, value in os.environ.items() if name not in ("NUMBA_CACHE_DIR", "PYTHONPATH")}
    env |= {"PYTHONPATH": str(package.parent), "PYTHONDONTWRITEBYTECODE": "1", **changes}
    command = [*(SETPRIV if os.getuid() == 0 else []), sys.executable, "-c", CODE]
    return subprocess.run(command, env=env, capture_output=True, text=True, cwd="/")


@pytest.fixture
def read_only(tmp_path):
    """A copy of the package that nobody may write to, without what was compiled beside the original."""
    package = tmp_path / "site" / "hrm_gym"
    shutil.copytree(PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__"))
    for path in [package.parent, *package.parent.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    yield package
    for path in [package.parent, *package.parent.rglob("*")]:
        if path.is_dir():
            path.chmod(0o755)


@bound
@pytest.mark.parametrize("keeps", [True, False])
@pytest.mark.slow
def test_a_read_only_package_and_no_home(tmp_path, read_only, keeps):
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    temporary.chmod(0o777 if keeps else 0o555)
    done = run_elsewhere(read_only, TMPDIR=str(temporary), **NOWHERE)
    assert done.returncode == 0 and done.stdout.strip() == "0.0", done.stderr
    lines = [line for line in done.stderr.splitlines() if "compiled code" in line]
    assert len(lines) == 1 and "NUMBA_CACHE_DIR" in lines[0]
    if keeps:
        kept = next(temporary.glob("hrm-gym-*"))
        assert str(kept) in lines[0] and not kept.stat().st_mode & 0o077 and list(kept.rglob("*.nbi"))


@bound
@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() != 0, reason="only root can give a folder away")
@pytest.mark.slow
def test_a_folder_of_somebody_else_is_not_trusted(tmp_path, read_only):
    temporary = tmp_path / "temporary"
    planted = temporary / "hrm-gym-0"
    planted.mkdir(parents=True)
    planted.chmod(0o777)
    os.chown(planted, 65534, 65534)
    done = run_elsewhere(read_only, TMPDIR=str(temporary), **NOWHERE)
    assert done.returncode == 0 and not list(planted.iterdir()), done.stderr
    assert "compiled in every process" in done.stderr


# ---- windows ---------------------------------------------------------------------------------------------


def human():
    env = gym.make("hrm_gym:Sudoku4x4-v0", render_mode="human", num_examples=20)
    env.reset(seed=0)
    env.render()
    return env


def window_of(env):
    return env.unwrapped._view._window


def test_closing_one_window_leaves_the_other():
    one, two = human(), human()
    assert window_of(one).surface is not window_of(two).surface
    one.close()
    two.step(two.action_space.sample())
    assert window_of(two).surface.get_at((5, 5)) != (0, 0, 0, 255)
    two.close()
    two.close()


def test_windows_of_the_program_stay_open():
    mine = pygame.display.set_mode((60, 40))
    mine.fill((1, 2, 3))
    cart = gym.make("CartPole-v1", render_mode="rgb_array")
    cart.reset(seed=0)
    env = human()
    env.close()
    assert pygame.display.get_init() and pygame.display.get_surface() is mine and mine.get_at((0, 0))[:3] == (1, 2, 3)
    pygame.display.flip()
    assert cart.render().any()
    cart.close()  # which ends pygame
    pygame.quit()


def test_a_window_that_others_have_ended_opens_again():
    env, cart = human(), gym.make("CartPole-v1", render_mode="human")
    cart.reset(seed=0)
    cart.step(0)
    cart.close()
    assert not pygame.display.get_init()
    env.step(env.action_space.sample())
    assert window_of(env).surface.get_at((5, 5)) != (0, 0, 0, 255)
    env.close()


def test_keys_of_other_windows_are_left_to_them():
    env, other = human(), pygame.Window("other", (30, 30))
    pygame.event.clear()
    key = {"key": pygame.K_r, "unicode": "r", "mod": 0, "scancode": 0}
    pygame.event.post(pygame.event.Event(pygame.KEYDOWN, window=other, **key))
    pygame.event.post(pygame.event.Event(pygame.KEYDOWN, key=pygame.K_q, unicode="q", mod=0, scancode=0))
    assert window_of(env).events() == ["q"]
    assert [event.unicode for event in pygame.event.get(pygame.KEYDOWN)] == ["r"]
    env.close()
    other.destroy()


def test_pickles_hold_no_window():
    env = human()
    again = pickle.loads(pickle.dumps(env.unwrapped._view))
    assert again._window is None
    env.close()


@pytest.mark.slow
def test_commands_announce_a_compilation_and_a_library_stays_silent(tmp_path):
    (tmp_path / "small.py").write_text(
        "from hrm_gym.envs.jit import njit\n"
        "def one(x):\n    return x + 1\n"
        "def two(x):\n    return x + 2\n"
        "one.__module__ = two.__module__ = 'hrm_gym.small'\n"
        "assert njit()(one)(1) + njit()(two)(1) == 5\n"
    )
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(PACKAGE.parent)])}
    lines = []
    for code in ("import small", "from hrm_gym.cli import main; main(['agents']); import small"):
        done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
        lines.append(done.stderr.splitlines())
    assert lines[0] == [] and len(lines[1]) == 1 and lines[1][0].startswith("compiling puzzle code")
