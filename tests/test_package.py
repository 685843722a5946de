"""The wheel and the sdist: built here, installed into a clean environment without a network, and used from elsewhere.

The clean environment finds the libraries of this one, so that none is downloaded, and of the package nothing but what
was installed.
"""

import os
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest

import hrm_gym

ROOT = Path(__file__).parent.parent
USE = """
import socket

def refuse(*arguments, **options):
    raise OSError("the package asked for the network")

socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse
import gymnasium as gym
import hrm_gym

env = gym.make("hrm_gym:Sudoku4x4-v0", split="test")
obs, info = env.reset(seed=0)
assert env.step([*info["solution"], 1])[1] == 1.0
assert hrm_gym.solve("Sudoku4x4-v0", "1...2..4..3..1..").valid
print(hrm_gym.__file__)
"""


def clean_environ():
    """The variables of this process without those that lead to this checkout."""
    return {
        name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
    }


def run(*command, cwd):
    """The output of a command; its errors, where it fails."""
    done = subprocess.run(
        [*map(str, command)], cwd=cwd, env=clean_environ(), capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The wheel and the sdist of a copy of the checkout."""
    setuptools = pytest.importorskip("setuptools", reason="building needs setuptools")
    if int(setuptools.__version__.split(".")[0]) < 77:
        pytest.skip(f"building needs setuptools 77; here is {setuptools.__version__}")
    if not (ROOT / ".git").exists():
        pytest.skip("no git checkout: what belongs to the package is not known")
    copy, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("dist")
    files = run("git", "ls-files", "-z", cwd=ROOT).split("\0")
    for name in filter(None, files):
        source, target = ROOT / name, copy / name
        if source.is_symlink():
            target.parent.mkdir(parents=True, exist_ok=True)
            target.symlink_to(os.readlink(source))
        elif source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(source.read_bytes())
    build = f"from setuptools import build_meta as b; b.build_wheel({str(out)!r}); b.build_sdist({str(out)!r})"
    run(sys.executable, "-c", build, cwd=copy)
    (wheel,), (sdist,) = out.glob("*.whl"), out.glob("*.tar.gz")
    return wheel, sdist


def test_both_hold_the_package_and_its_data(built):
    tracked = {
        name
        for name in run("git", "ls-files", "hrm_gym", cwd=ROOT).splitlines()
        if (ROOT / name).is_file() and not name.endswith(".pyc")
    }
    wheel, sdist = built
    with zipfile.ZipFile(wheel) as archive:
        held = set(archive.namelist())
    with tarfile.open(sdist) as archive:
        kept = {name.partition("/")[2] for name in archive.getnames()}
    assert tracked <= held and tracked <= kept
    assert "hrm_gym/agents/pretrained/SudokuExtreme-v0.safetensors" in held
    assert not [name for name in held if name.startswith(("tests/", "docs/", "examples/"))]


@pytest.mark.parametrize("kind", ["wheel", "sdist"])
def test_it_works_from_a_clean_environment(built, kind, tmp_path):
    wheel, sdist = built
    place, elsewhere = tmp_path / "clean", tmp_path / "elsewhere"
    elsewhere.mkdir()
    run(sys.executable, "-m", "venv", "--without-pip", place, cwd=elsewhere)
    python = place / ("Scripts" if os.name == "nt" else "bin") / "python"
    libraries = sysconfig.get_paths()["purelib"]
    inside = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_paths()['purelib'])", cwd=elsewhere).strip())
    # A line of a .pth file is a place to look in. The .pth files there are not read: one may lead to this checkout.
    (inside / "libraries.pth").write_text(libraries + "\n")
    source = wheel if kind == "wheel" else sdist
    run(
        *(
            sys.executable,
            "-m",
            "pip",
            "--python",
            python,
            "install",
            "--no-index",
            "--no-deps",
            "--no-build-isolation",
        ),
        *("--ignore-installed", "--quiet", source),
        cwd=elsewhere,
    )
    where = run(python, "-c", USE, cwd=elsewhere).strip()
    assert Path(where).is_relative_to(place)
    command = python.parent / "hrm-gym"
    assert run(command, "--version", cwd=elsewhere) == f"hrm-gym {hrm_gym.__version__}\n"
