"""The wheel and the sdist: built here, installed into a clean environment without a network, and used from elsewhere.

The clean environment finds the libraries of this one, so that none is downloaded, and of the package nothing but what
was installed.
"""

import importlib
import os
import re
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from email import message_from_bytes
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
    """The wheel and the sdist of a copy of the checkout, in which links are plain files, as in some on Windows."""
    setuptools = pytest.importorskip("setuptools", reason="building needs setuptools")
    if int(setuptools.__version__.split(".")[0]) < 77:
        pytest.skip(f"building needs setuptools 77; here is {setuptools.__version__}")
    if not (ROOT / ".git").exists():
        pytest.skip("no git checkout: what belongs to the package is not known")
    copy, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("dist")
    files = run("git", "ls-files", "-z", cwd=ROOT).split("\0")
    for name in filter(None, files):
        source, target = ROOT / name, copy / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_symlink():
            target.write_text(os.readlink(source))
        elif source.is_file():
            target.write_bytes(source.read_bytes())
    build = f"from setuptools import build_meta as b; b.build_wheel({str(out)!r}); b.build_sdist({str(out)!r})"
    done = subprocess.run(
        [sys.executable, "-c", build], cwd=copy, env=clean_environ(), capture_output=True, text=True, timeout=300
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0, said[-4000:]
    warnings = [line for line in said.splitlines() if re.search("warning|deprecat", line, re.IGNORECASE)]
    assert not [line for line in warnings if "byte-compiling is disabled" not in line], said[-4000:]
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
    assert {"hrm_gym/agents/pretrained/SudokuExtreme-v0.safetensors", "hrm_gym/PROVENANCE.md"} <= held
    assert {name.partition("/")[0] for name in held} == {
        "hrm_gym",
        "hrm_gym_command.py",
        f"hrm_gym-{hrm_gym.__version__}.dist-info",
    }
    assert not [name for name in held | kept if "__pycache__" in name]


def test_the_sdist_holds_the_repository(built):
    with tarfile.open(built[1]) as archive:
        kept = {name.partition("/")[2] for name in archive.getnames()}
    left_out = {".gitignore", "agents", "envs"}
    tracked = {
        name
        for name in run("git", "ls-files", cwd=ROOT).splitlines()
        if not name.startswith("checkpoints/") and (ROOT / name).exists()
    }
    assert tracked - left_out <= kept
    assert {"tests/loop.py", "tests/data/small_hrm_rope.npz", "CHANGELOG.md", "constraints.txt"} <= kept
    assert not kept & {"agents", "envs"}


def metadata_of(wheel):
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        return message_from_bytes(archive.read(name))


def test_what_an_index_shows(built):
    metadata = metadata_of(built[0])
    assert metadata["License-Expression"] == "MIT" and metadata["Author"] and metadata["Keywords"]
    assert metadata.get_all("Project-URL") and metadata["Description-Content-Type"] == "text/markdown"
    text = metadata.get_payload()
    assert "**Reasoning as reinforcement learning.**" in text
    links = re.findall(r"\]\(([^)]+)\)", text)
    assert links and all(link.startswith(("https://", "#")) for link in links)


def test_relative_links_lead_into_the_repository(monkeypatch):
    monkeypatch.syspath_prepend(ROOT)
    lead = importlib.import_module("setup").on_an_index
    text = "![a GIF](docs/a.gif), [a page](docs/a.md#b), [there](#here) and [far](https://example.org/a)"
    assert lead(text, "https://host/me/it") == (
        "![a GIF](https://host/me/it/raw/HEAD/docs/a.gif), [a page](https://host/me/it/blob/HEAD/docs/a.md#b), "
        "[there](#here) and [far](https://example.org/a)"
    )
    assert lead(text, "") == "*a GIF*, a page, [there](#here) and [far](https://example.org/a)"


def test_an_environment_and_a_trained_agent_need_little(built):
    needed = {re.split(r"[<>=;\[ ]", one)[0]: one for one in metadata_of(built[0]).get_all("Requires-Dist")}
    core = {name for name, one in needed.items() if "extra ==" not in one}
    assert {"gymnasium", "torch", "numpy"} <= core
    assert not core & {"pygame-ce", "imageio", "imageio-ffmpeg", "moviepy", "tensorboard", "stable-baselines3"}


def test_the_halves_at_the_root_are_the_package(tmp_path):
    """From the root `envs` and `agents` are `hrm_gym.envs` and `hrm_gym.agents`."""
    for name in ("envs", "agents"):
        source = ROOT / name
        assert not source.is_symlink() or os.readlink(source) == f"hrm_gym/{name}"
        try:
            (tmp_path / name).symlink_to(ROOT / "hrm_gym" / name)
        except OSError:
            pytest.skip("no links here")
    code = (
        "import envs.sudoku.task, envs, agents.registry, agents.models.hrm, pickle\n"
        "from agents import Agent\n"
        "from envs.task import Task\n"
        "import hrm_gym.agents.models.hrm, hrm_gym.envs.sudoku.task, hrm_gym.envs.task as ours\n"
        "assert envs is hrm_gym.envs and agents is hrm_gym.agents and Task is ours.Task\n"
        "assert envs.sudoku.task is hrm_gym.envs.sudoku.task and envs.sudoku is hrm_gym.envs.sudoku\n"
        "assert agents.registry is hrm_gym.agents.registry and Agent is hrm_gym.agents.Agent\n"
        "assert agents.models.hrm is hrm_gym.agents.models.hrm\n"
        "assert ours.__name__ == ours.__spec__.name == 'hrm_gym.envs.task' and ours.__package__ == 'hrm_gym.envs'\n"
        "assert pickle.loads(pickle.dumps(Task)) is Task\n"
        "import envs.nothing\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.stderr.splitlines()[-1] == "ModuleNotFoundError: No module named 'hrm_gym.envs.nothing'"


@pytest.mark.parametrize(
    "kind", [pytest.param("wheel", marks=pytest.mark.slow), pytest.param("sdist", marks=pytest.mark.rare)]
)
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
