"""Bad input is refused before torch is imported, which takes seconds."""

from __future__ import annotations

import json
import subprocess
import sys

LINES = {
    "solve --env Sudoku9x9-v0 53..7": "a 9x9 board needs 81",
    "solve --env Sudoku9x9-v0 " + "55" + "." * 79: "",
    "solve 53..7": "Sudokus have 16, 36, 81 or 256 cells, mazes 100 or 900",
    "solve --env Nope-v0 53..7": "unknown environment 'Nope-v0'",
    "evaluate --env Nope-v0": "unknown environment 'Nope-v0'",
    "evaluate --env Sudoku6x6-v0 --puzzles nowhere.csv": "nowhere.csv",
    "evaluate --env Sudoku6x6-v0 --rollouts 0": "--rollouts is 0",
    "evaluate --env Sudoku6x6-v0 --submission a.json": "no competition",
    "train --env Nope-v0": "unknown environment 'Nope-v0'",
    "train --env Sudoku4x4-v0 --agent hmr": "unknown agent 'hmr': did you mean 'hrm'?",
    "train --env Sudoku4x4-v0 --halting q_lerning": "did you mean 'q_learning'?",
    "train --env Sudoku4x4-v0 --preset tini": "did you mean 'tiny'?",
    "train --env Sudoku4x4-v0 --lr abc": "--lr 'abc': give a number",
    "train --env Sudoku4x4-v0 --lr -1": "--lr is -1.0: it must be above 0",
    "train --env Sudoku4x4-v0 --num_envs 0": "--num-envs is 0",
    "train --resume nowhere": "there is no such folder",
    "analyze": "give --env",
    "analyze --env Nope-v0": "unknown environment 'Nope-v0'",
    "analyze --env Sudoku4x4-v0 --what dpeth": "did you mean 'depth'?",
    "analyze --env Sudoku4x4-v0 --puzzles 1": "--puzzles is 1",
    "play --env Nope-v0": "unknown environment 'Nope-v0'",
    "halting --env Nope-v0 --out a": "unknown environment 'Nope-v0'",
    "compare --env Nope-v0 --agents gru --out a": "unknown environment 'Nope-v0'",
    "convert weights.pt --out a.pt": "must end in .safetensors",
    "generate --env Sudoku9x9-v0 --out a.xyz": "its suffix decides the format",
}
"""Command lines, and a part of the error that each must print."""
RUN = """
import contextlib, io, json, sys
from hrm_gym.cli import main
found = {}
for line in json.loads(sys.argv[1]):
    with contextlib.redirect_stderr(io.StringIO()) as errors, contextlib.redirect_stdout(io.StringIO()):
        status = main(line.split())
    found[line] = [status, errors.getvalue(), "torch" in sys.modules]
print(json.dumps(found))
"""


def test_bad_input_is_refused_without_torch(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", RUN, json.dumps(list(LINES))], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    found = json.loads(done.stdout)
    for line, part in LINES.items():
        status, errors, torch = found[line]
        assert status == 2 and part in errors and errors.count("\n") == 1, (line, status, errors)
        assert not torch, f"{line}: torch was imported before the error"
    assert not list(tmp_path.iterdir())


def test_a_puzzle_is_solved_without_the_compiler():
    """`torch._dynamo` takes a second to import, and a single puzzle needs no compiled network."""
    code = (
        "import sys, hrm_gym; print(hrm_gym.solve('Sudoku9x9-v0', '53..7....6..195....98....6.8...6...34..8.3..1"
        "7...2...6.6....28....419..5....8..79').valid, 'torch._dynamo' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "False"]
