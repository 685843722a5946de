"""What the page that thinks needs besides its own modules: the shipped agents as ONNX graphs, and onnxruntime-web.

    python docs/_site/think.py          # writes build/think/, which `mkdocs build` copies into the site

Run it before the site is built. It needs the extra `onnx`, and npm for the runtime, whose checksum is pinned. Graphs
are made again only if their weights have changed. Nothing of this is committed.
"""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

import hrm_gym
from hrm_gym.agents.saved.sources import pretrained_path

ROOT = Path(__file__).resolve().parents[2]
OUT = ROOT / "build" / "think"
AGENTS = ("SudokuExtreme-v0", "MazeSmall-v0", "MazeHard-v0")
RUNTIME = "onnxruntime-web@1.30.0"
INTEGRITY = "q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ=="
"""The runtime's SHA-512 in base 64, as the package registry states it."""
FILES = ("ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm")
EXAMPLES = {
    "hard Sudoku": ("SudokuExtreme-v0", 4),
    "10x10 maze": ("MazeSmall-v0", 0),
    "30x30 maze": ("MazeHard-v0", 0),
}
"""Puzzles of the test split: their environment and number."""
EASY = "53..7....6..195....98....6.8...6...34..8.3..17...2...6.6....28....419..5....8..79"


def build(out: Path = OUT) -> None:
    """Write graphs, runtime and `agents.json` to a folder."""
    (out / "agents").mkdir(parents=True, exist_ok=True)
    agents = {env_id: agent(env_id, out) for env_id in AGENTS}
    for old in set((out / "agents").iterdir()) - {out / each["file"] for each in agents.values()}:
        old.unlink()  # a graph of former weights
    examples = {name: example(*place) for name, place in EXAMPLES.items()}
    first, *rest = examples.items()
    examples = dict([first, ("easy Sudoku", EASY), *rest])
    facts = {"agents": agents, "runtime": runtime(out / "ort"), "examples": examples}
    (out / "agents.json").write_text(json.dumps(facts), encoding="utf-8")


def agent(env_id: str, out: Path) -> dict[str, Any]:
    """Export a shipped agent; what the page must know of it."""
    import onnx

    weights = pretrained_path(env_id)
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()[:12]
    path = out / "agents" / f"{env_id}.{digest}.onnx"
    if not path.exists():
        hrm_gym.export_onnx(f"pretrained:{env_id}", path)
    model = onnx.load(path)
    about = {entry.key: entry.value for entry in model.metadata_props}
    axes = {
        each.name: [d.dim_param or d.dim_value for d in each.type.tensor_type.shape.dim] for each in model.graph.input
    }
    return {
        "file": f"agents/{path.name}",
        "bytes": path.stat().st_size,
        "parameters": hrm_gym.load_agent(env_id, device="cpu").num_parameters,
        "tokens": json.loads(about["tokens"]),
        "probabilities": about["probabilities"],
        "threshold": float(about["halting_threshold"]),
        "maxSegments": 64 if env_id == "MazeHard-v0" else int(about["max_segments"]),
        "state": {name: shape for name, shape in axes.items() if name.startswith("state/")},
    }


def example(env_id: str, number: int) -> str:
    """A test puzzle as text: one line for a Sudoku, a line a row for a maze."""
    task = hrm_gym.make_task(env_id)
    text = task.format(task.dataset("test").puzzle[number])
    rows = ["".join(row) for row in np.array(list(text)).reshape(task.shape)]
    return "\n".join(rows) if env_id.startswith("Maze") else text


def runtime(folder: Path) -> int:
    """Fetch onnxruntime-web, check it and unpack the files that the page loads; their size in bytes."""
    if not all((folder / name).exists() for name in FILES):
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as place:
            subprocess.run(
                ["npm", "pack", RUNTIME, "--silent", "--pack-destination", place], check=True, stdout=sys.stderr
            )
            (archive,) = Path(place).glob("*.tgz")
            if base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode() != INTEGRITY:
                raise SystemExit(f"{RUNTIME} is not the package whose checksum is pinned")
            with tarfile.open(archive) as packed:
                for name in FILES:
                    member = packed.extractfile(f"package/dist/{name}")
                    assert member is not None
                    (folder / name).write_bytes(member.read())
    return sum((folder / name).stat().st_size for name in FILES)


if __name__ == "__main__":
    build()
