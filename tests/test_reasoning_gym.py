"""reasoning-gym's boards as families: their grades are the library's own, and they are environments like ours."""

import importlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import hrm_gym

SIGNS = {"Queens8x8-v0": "__Q", "MiniSudoku-v0": "01234"}
"""How the library writes each token; spaces between them."""


@pytest.fixture
def family():
    library = pytest.importorskip("reasoning_gym")
    module = importlib.import_module("examples.reasoning_gym_boards")
    return lambda env: (hrm_gym.make_task(f"{module.__name__}:{env}"), library)


@pytest.mark.parametrize("env", SIGNS)
def test_grades_are_those_of_the_library(family, env):
    task, library = family(env)
    signs = SIGNS[env]
    source, rng, num = library.create_dataset(task.source, seed=7, size=40), np.random.default_rng(0), 40
    boards = [task.boards(entry) for entry in source]
    puzzle, right = (np.array(part, np.uint8).reshape(num, -1) for part in zip(*boards, strict=True))
    wrong = right.copy()
    cells = rng.integers(task.num_cells, size=num)
    wrong[np.arange(num), cells] = 1 + (wrong[np.arange(num), cells] % (task.num_tokens - 1))
    for answers, expected in ((right, True), (wrong, False)):
        for entry, violations, board in zip(source, task.violations(puzzle, answers), answers, strict=True):
            rows = board.reshape(task.shape)
            text = "\n".join(" ".join(signs[int(token)] for token in row) for row in rows)
            assert (source.score_answer(text, entry) == 1) == (violations == 0) == expected


@pytest.mark.parametrize("env", SIGNS)
def test_they_are_environments(family, env):
    task, _ = family(env)
    assert (task.sample(5, np.random.default_rng(0)).puzzle == task.sample(5, np.random.default_rng(0)).puzzle).all()
    for device in (None, "cpu"):
        envs = hrm_gym.make_vec(f"examples.reasoning_gym_boards:{env}", 16, device=device, autoreset_mode="SameStep")
        _, infos = envs.reset(seed=0)
        answer = np.concatenate([np.asarray(infos["solution"]), np.ones((16, 1), np.int64)], axis=1)
        assert (np.asarray(envs.step(answer)[1]) == 1).all()


def test_a_missing_library_is_named_in_one_line():
    code = "import sys; sys.modules['reasoning_gym'] = None; import examples.reasoning_gym_boards"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=Path(__file__).parent.parent, capture_output=True, text=True
    )
    assert 'pip install "hrm-gym[reasoning-gym]"' in done.stderr.splitlines()[-1]
