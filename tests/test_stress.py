"""The stress suite in its small form: `python -m tests.stress --full` takes an hour."""

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
def test_the_small_stress_suite():
    """In a process of its own: it forks, limits files and counts memory."""
    command = [sys.executable, "-m", "tests.stress"]
    done = subprocess.run(command, cwd=Path(__file__).parents[1], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = done.stdout.splitlines()
    assert (
        rows[0].split() == ["what", "cases", "refused", "failures", "lost"] and len(rows) == 29
    )  # 27 kinds of cases, a title and a sum
    assert all(row.split()[-2:] == ["0", "0"] for row in rows[1:])
