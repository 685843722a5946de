"""The documentation: it builds without a warning and without a network, and its notebooks run."""

import html
import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
NO_NETWORK = """
import socket, sys

def refuse(*arguments, **options):
    raise OSError("the documentation asked for the network")

socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse
from mkdocs.__main__ import cli

cli(sys.argv[1:])
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The site, built as the CI builds it."""
    pytest.importorskip("mkdocs", reason="pip install 'hrm-gym[docs]'")
    pytest.importorskip("mkdocstrings", reason="pip install 'hrm-gym[docs]'")
    pytest.importorskip("material", reason="pip install 'hrm-gym[docs]'")
    out = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-c", NO_NETWORK, "build", "--strict", "--site-dir", str(out)]
    env = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return out


def words(path):
    """The text of a page, without its markup."""
    return html.unescape(re.sub(r"<[^>]+>", "", path.read_text()))


@pytest.mark.slow
def test_every_environment_and_agent_has_a_page(site):
    from hrm_gym.envs.registration import _TABLE

    for env_id in _TABLE:
        page = words(site / "environments" / env_id / "index.html")
        assert f"hrm_gym:{env_id}" in page
        if not env_id.startswith("ARC"):  # ARC's data come with an extra
            assert (site / "environments" / f"{env_id}.png").stat().st_size > 3000
    for name in ("hrm", "trm", "trm_symbols", "direct"):
        assert f"--agent {name}" in words(site / "agents" / name / "index.html")
    for name in ("q_learning", "classifier", "pondernet"):
        assert f"--halting {name}" in words(site / "halting_rules" / name / "index.html")


@pytest.mark.slow
def test_reference_and_science_show_what_they_promise(site):
    reference = words(site / "reference" / "index.html")
    for name in ("analyze", "PuzzleEnv", "Protocol", "violations", "initial_state"):
        assert name in reference
    inside = (site / "inside" / "index.html").read_text()
    from hrm_gym.agents.analysis import ANALYSES

    for name in ANALYSES:
        assert f'src="{name}.png"' in inside and f"--what {name}" in words(site / "inside" / "index.html")
        assert (site / "inside" / f"{name}.png").is_file()


@pytest.mark.slow
def test_notebooks_show_their_figures(site):
    for name in ("watch_hrm_think", "halting_with_sb3"):
        assert f'src="../{name}_0.png"' in (site / "notebooks" / name / "index.html").read_text()
        assert (site / "notebooks" / f"{name}_0.png").stat().st_size > 3000


@pytest.mark.slow
def test_pages_load_nothing_from_elsewhere(site):
    elements = r'<(?:script|link(?! rel="canonical")|img)[^>]+(?:src|href)="(https?:[^"]+)"'
    for path in site.rglob("*.html"):
        loaded = re.findall(elements, path.read_text())
        assert not loaded, f"{path.relative_to(site)}: {loaded[:3]}"


# ---- notebooks -------------------------------------------------------------------------------------------


def notebooks():
    """The texts that the notebooks are made of."""
    path = ROOT / "docs" / "_site" / "make_notebooks.py"
    spec = importlib.util.spec_from_file_location("make_notebooks", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["watch_hrm_think", "halting_with_sb3"])
def test_notebooks_are_what_they_are_made_of(name):
    made = notebooks()
    stored = json.loads((ROOT / "docs" / "notebooks" / f"{name}.ipynb").read_text())
    outputs = [cell.pop("outputs") for cell in stored["cells"] if cell["cell_type"] == "code"]
    expected = made.notebook(made.NOTEBOOKS[name])
    for cell in expected["cells"]:
        cell.pop("outputs", None)
    assert stored == expected, "run docs/_site/make_notebooks.py"
    drawn = [data for shown in outputs for output in shown for data in output.get("data", {})]
    assert "image/png" in drawn and any(output["output_type"] == "stream" for shown in outputs for output in shown)


@pytest.mark.rare
@pytest.mark.parametrize("name", ["watch_hrm_think", "halting_with_sb3"])
def test_notebooks_run_at_small_size(name, tmp_path, monkeypatch):
    nbformat = pytest.importorskip("nbformat", reason="pip install 'hrm-gym[notebooks]'")
    nbclient = pytest.importorskip("nbclient", reason="pip install 'hrm-gym[notebooks]'")
    pytest.importorskip("ipykernel", reason="pip install 'hrm-gym[notebooks]'")
    small = {"HRM_GYM_TRAINING_STEPS": "6", "HRM_GYM_STEPS": "1024", "HRM_GYM_PUZZLES": "16", "PYTHONPATH": str(ROOT)}
    for variable, value in small.items():
        monkeypatch.setenv(variable, value)
    book = nbformat.read(ROOT / "docs" / "notebooks" / f"{name}.ipynb", as_version=4)
    nbformat.validate(book)
    place = {"metadata": {"path": str(tmp_path)}}
    nbclient.NotebookClient(book, timeout=300, kernel_name="python3", resources=place).execute()
    shown = [output for cell in book.cells if cell.cell_type == "code" for output in cell.outputs]
    assert sum("image/png" in output.get("data", {}) for output in shown) >= 1
    text = "".join(output.text for output in shown if output.output_type == "stream")
    assert ("solved" in text) if name == "watch_hrm_think" else ("PPO" in text)
