"""The page that thinks, in headless Chromium: it answers and halts as Python does, and asks nobody but its own site."""

import importlib.util
import json
import re
import shutil
import subprocess
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import torch

import hrm_gym
from hrm_gym.agents.inference.think import think

ROOT = Path(__file__).parents[1]
THINK = ROOT / "docs" / "think"
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
LIMITS = {"SudokuExtreme-v0": 16, "MazeSmall-v0": 16, "MazeHard-v0": 64}

PROGRAM = """
<!doctype html><title>test</title><link rel="icon" href="data:,"><div id="board"></div>
<script type="module">
import { open } from "/think/think.js";
import { maze, sudoku } from "/think/puzzles.js";
const refused = [];
document.addEventListener("securitypolicyviolation", (event) => refused.push(event.blockedURI));
const tell = (report) => fetch("/report", { method: "POST", body: JSON.stringify(report) });
try {
  const page = await open(document.getElementById("board"));
  page.find(".think-speed").value = 4;
  const reports = [];
  for (const text of CASES) {
    const kind = text.includes("\\n") ? maze : sudoku;
    page.put(kind, kind.parse(text));
    await page.think();
    const { answer, segment, halt, confidence } = page.thought;
    const said = page.find(".think-state").textContent;
    reports.push({ answer, segment, halt, confidence, times: page.times, said, name: page.facts.name });
  }
  const button = page.find("[data-do=toggle]");
  button.focus();
  button.click();
  const during = button.textContent;
  while (page.running) await new Promise((done) => setTimeout(done, 20));
  const focused = document.activeElement === button;
  const clicked = { during, after: button.textContent, focused, segment: page.thought?.segment };
  await tell({ reports, refused, clicked });
} catch (error) { await tell({ error: String(error.stack ?? error), refused }); }
</script>
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A folder with the page, its agents and its runtime."""
    if BROWSER is None:
        pytest.skip("Chromium is not installed")
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed, from which the page's runtime comes")
    for package in ("onnx", "onnxscript"):
        pytest.importorskip(package)
    spec = importlib.util.spec_from_file_location("think_build", ROOT / "docs" / "_site" / "think.py")
    build = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(build)
    try:
        build.build()
    except subprocess.CalledProcessError:
        pytest.skip("the package registry with the page's runtime cannot be reached")
    folder = tmp_path_factory.mktemp("site")
    shutil.copytree(THINK, folder / "think")
    shutil.copytree(build.OUT, folder / "think", dirs_exist_ok=True)
    return folder


class Site(SimpleHTTPRequestHandler):
    """Serves the folder, forbids the page every other host, and takes its report."""

    def do_GET(self):
        self.server.asked.append(self.path)
        super().do_GET()

    def end_headers(self):
        self.send_header("Content-Security-Policy", "default-src 'self' 'unsafe-inline' 'wasm-unsafe-eval' data:")
        super().end_headers()

    def do_POST(self):
        self.server.report = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(204)
        self.end_headers()
        self.server.done.set()

    def log_message(self, *args):
        pass


def browse(folder, cases, seconds=240):
    """Let Chromium think about puzzles; the page's report what it was refused, and what it asked the site for."""
    (folder / "test.html").write_text(PROGRAM.replace("CASES", json.dumps(cases)))
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Site, directory=str(folder)))
    server.asked, server.report, server.done = [], None, threading.Event()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    port = server.server_port
    command = [
        *(BROWSER, "--headless=new", "--no-sandbox", "--no-first-run", "--disable-gpu", "--disable-dev-shm-usage"),
        *(f"--user-data-dir={folder / 'profile'}", f"http://localhost:{port}/test.html"),
    ]
    browser = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        assert server.done.wait(seconds), f"no report; the browser asked for {server.asked}"
    finally:
        browser.terminate()
        browser.wait(20)
        server.shutdown()
    assert "error" not in server.report, server.report
    return server.report["reports"], server.report["refused"], server.asked, server.report["clicked"]


def text_of(task, puzzle):
    rows = np.array(list(task.format(puzzle))).reshape(task.shape)
    return "\n".join("".join(row) for row in rows) if task.shape != (9, 9) else task.format(puzzle)


CASES = [
    ("SudokuExtreme-v0", 0),
    ("SudokuExtreme-v0", 1),
    ("SudokuExtreme-v0", 2),
    ("MazeSmall-v0", 0),
    ("MazeHard-v0", 0),
]


@pytest.fixture(scope="module")
def thought(site):
    """Three Sudokus and two mazes, thought about by the page."""
    puzzles = [hrm_gym.make_task(env).dataset("test").puzzle[number] for env, number in CASES]
    texts = [text_of(hrm_gym.make_task(env), puzzle) for (env, _), puzzle in zip(CASES, puzzles, strict=True)]
    return puzzles, *browse(site, texts)


@pytest.mark.rare
def test_the_page_answers_and_halts_as_python(thought):
    puzzles, reports, *_ = thought
    for (env, number), puzzle, report in zip(CASES, puzzles, reports, strict=True):
        policy = hrm_gym.load_agent(env, device="cpu")
        policy.agent.dtype = torch.float32
        for segment, ours in enumerate(think(policy, puzzle[None].astype(np.int64), LIMITS[env]), start=1):  # noqa: B007
            if ours.halt:
                break
        assert report["name"] == env and (report["segment"], report["halt"]) == (segment, bool(ours.halt))
        np.testing.assert_array_equal(report["answer"], ours.answer[0])
        if ours.halt:
            np.testing.assert_allclose(report["confidence"], ours.confidence[0], atol=1e-2)
        task = hrm_gym.make_task(env)
        solution = task.dataset("test").solution[number]
        right = bool(task.valid(puzzle[None], solution[None], np.array([report["answer"]]))[0])
        assert ("is right" in report["said"]) == right
    assert sum(report["halt"] for report in reports) >= 4


@pytest.mark.rare
def test_one_button_thinks_pauses_and_thinks_again(thought):
    """Its word changes and it keeps the focus of the keyboard; after a halt it starts from the puzzle."""
    _, reports, _, _, clicked = thought
    assert reports[-1]["halt"]
    assert clicked == {"during": "pause", "after": "think", "focused": True, "segment": reports[-1]["segment"]}


@pytest.mark.rare
def test_no_request_leaves_the_site(thought):
    _, _, refused, asked, _ = thought
    assert refused == []
    assert any(path.endswith(".onnx") for path in asked) and any(path.endswith(".wasm") for path in asked)


@pytest.mark.rare
def test_a_request_that_left_the_site_would_be_seen(site):
    page = (site / "think" / "mind.js").read_text()
    (site / "think" / "mind.js").write_text("fetch('http://elsewhere.test/x').catch(() => null);" + page)
    try:
        _, refused, *_ = browse(site, [])
    finally:
        (site / "think" / "mind.js").write_text(page)
    assert refused == ["http://elsewhere.test/x"]


def test_the_modules_are_plain_javascript():
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")
    for path in sorted(THINK.glob("*.js")):
        checked = subprocess.run(
            [node, "--input-type=module", "--check"], stdin=path.open(), capture_output=True, text=True
        )
        assert checked.returncode == 0, checked.stderr
        assert len(path.read_text().splitlines()) < 300


ESLINT = ("npx", "--yes", "eslint@9.39.5", "--config", str(ROOT / "docs" / "_site" / "eslint.config.mjs"))


def lint(folder):
    """What the linter says about the modules of a folder."""
    if shutil.which("npx") is None:
        pytest.skip("npm is not installed, from which the linter comes")
    done = subprocess.run([*ESLINT, "."], cwd=folder, capture_output=True, text=True)
    if done.returncode not in (0, 1):
        pytest.skip(f"the linter cannot be run: {done.stderr[-200:]}")
    return done.stdout


@pytest.mark.slow
def test_the_linter_finds_nothing_to_mend(tmp_path):
    (tmp_path / "planted.js").write_text("const unused = windw.location;\n")
    found = lint(tmp_path)
    assert "no-undef" in found and "no-unused-vars" in found
    assert lint(THINK) == ""


def test_nothing_is_loaded_from_elsewhere():
    for path in THINK.iterdir():
        assert not re.search(r"https?://|//cdn", path.read_text()), path
