"""A user's generator makes the puzzles of a family."""

import dataclasses
import pickle
import re
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest

import hrm_gym
from examples.own_generator import Givens, corridors
from hrm_gym.envs.rules import Rules
from hrm_gym.envs.task import Puzzles
from hrm_gym.errors import HrmGymError


def crossed(num, rng):
    """Mazes of 12x12 without walls."""
    mazes = np.full((num, 144), 1, np.uint8)
    for maze in mazes:
        maze[rng.choice(144, 2, replace=False)] = 2, 3
    return mazes


def test_mazes_of_corridors_are_trees_with_loops():
    rng = np.random.default_rng(0)
    trees, loops = corridors(40, rng, 9, 0.0), corridors(40, rng, 9, 0.5)
    assert ((trees != 0).sum(1) == 2 * 25 - 1).all() and (loops != 0).sum(1).mean() > 54
    task = hrm_gym.make_task("MazeSmall-v0", size=11, min_path=2, generator=corridors)
    puzzles = task.sample(40, rng)
    assert not task.violations(puzzles.puzzle, puzzles.solution).any()


def test_sudokus_have_the_number_of_givens_that_was_asked_for():
    made = Givens(40)(20, np.random.default_rng(0))
    assert ((made.puzzle > 0).sum(1) == 40).all()
    assert (made.solution[made.puzzle > 0] == made.puzzle[made.puzzle > 0]).all()


def test_environments_show_its_puzzles():
    kwargs = {"size": 12, "min_path": 2, "generator": crossed}
    env = gym.make("MazeSmall-v0", **kwargs)
    obs, info = env.reset(seed=3)
    assert (obs["puzzle"] != 0).all()  # the family itself never makes a maze without walls
    answer = np.append(info["solution"], 1)
    assert env.step(answer)[1] == 1
    batch = gym.make_vec("MazeSmall-v0", num_envs=4, split="test", **kwargs)
    assert (batch.reset(seed=3)[0]["puzzle"] != 0).all()
    splits = [env.unwrapped.task.dataset(split) for split in ("train", "validation", "test")]
    keys = [set(env.unwrapped.task.keys(split)) for split in splits]
    assert not (keys[0] & keys[1] or keys[0] & keys[2] or keys[1] & keys[2])


def test_the_page_runs_as_written():
    page = Path(__file__).parent.parent / "docs" / "own_generators.md"
    (block,) = re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), flags=re.S | re.M)
    scope = {}
    exec(compile(block, page.name, "exec"), scope)
    board = scope["env"].reset(seed=0)[0]["puzzle"].reshape(12, 12)  # turned or mirrored, as in training
    border = np.concatenate([board[0], board[-1], board[1:-1, 0], board[1:-1, -1]])
    assert set(border) == {1, 2, 3} and 0 in board


def test_a_task_is_the_same_for_the_same_generator_and_travels_to_other_processes():
    task, again = (hrm_gym.make_task("MazeSmall-v0", size=12, min_path=2, generator=crossed) for _ in range(2))
    plain = hrm_gym.make_task("MazeSmall-v0", size=12, min_path=2)
    assert task is again and task != plain and isinstance(task, type(plain)) and "crossed" in repr(task)
    assert pickle.loads(pickle.dumps(task)) is task
    rules = pickle.loads(pickle.dumps(Rules("MazeSmall-v0", size=12, min_path=2, generator=crossed)))
    assert rules.task is task


def test_a_run_is_trained_on_it_and_evaluated_on_it(hrm_gym, tmp_path):
    arguments = "size=12,min_path=2,generator=test_generators:crossed"
    small = ("--preset", "tiny", "--num-envs", 4, "--max-segments", 2, "--eval-puzzles", 4, "--test-puzzles", 4)
    run = ("--max-minutes", 0, "--max-steps", 2, "--run-dir", tmp_path / "run")
    code, _, err = hrm_gym("train", "--env", "MazeSmall-v0", "--task-args", arguments, *small, *run)
    assert code == 0, err
    code, _, err = hrm_gym("evaluate", "--checkpoint", tmp_path / "run", "--split", "validation", "--limit", 4)
    assert code == 0, err
    out = tmp_path / "mazes.csv"
    code, _, err = hrm_gym("generate", "--env", "MazeSmall-v0", "--task-args", arguments, "--num", 5, "--out", out)
    assert code == 0 and "#" not in out.read_text(), err


def test_training_never_sees_the_familys_own_test_puzzles():
    plain = hrm_gym.make_task("Sudoku4x4-v0")
    own = plain.dataset("test")

    def copied(num, rng):
        index = rng.integers(0, len(own.puzzle), num)
        return Puzzles(own.puzzle[index], own.solution[index])

    task = hrm_gym.make_task("Sudoku4x4-v0", generator=copied)
    with pytest.raises(HrmGymError, match=r"few puzzles|no training puzzle"):
        task.dataset("train")


@dataclasses.dataclass
class Thawed:
    size: int = 5

    def __call__(self, num, rng):
        return crossed(num, rng)


def ignoring(num, rng):
    return crossed(num, np.random.default_rng())


def narrow(num, rng):
    return crossed(num, rng)[:, :143]


def wrong(num, rng):
    mazes = crossed(num, rng)
    return Puzzles(mazes, mazes)


def failing(num, rng):
    return crossed(num, rng) / nothing  # noqa: F821


def closed(num, rng):
    mazes = crossed(num, rng)
    mazes[:] = 0
    mazes[:, 0], mazes[:, 143] = 2, 3
    return mazes


@pytest.mark.parametrize(
    ("generator", "words"),
    [
        (Thawed(), "Thawed cannot be hashed: a dataclass needs frozen=True"),
        (ignoring, "ignoring must draw from `rng` alone"),
        (narrow, "narrow"),
        (wrong, "wrong gives a solution with"),
        (failing, "NameError: name 'nothing'"),
        (closed, "closed"),
        (5, "give a function of"),
        ("crossed", "give a function of"),
        ("test_generators:crosed", "did you mean 'crossed'"),
        ("no_such_module:crossed", "no module 'no_such_module'"),
    ],
)
def test_a_wrong_generator_is_one_line_with_its_place(generator, words):
    with pytest.raises(HrmGymError) as caught:
        hrm_gym.make_task("MazeSmall-v0", size=12, min_path=2, generator=generator)
    line = str(caught.value)
    assert words in line and "\n" not in line
    assert "test_generators.py:" in line or not callable(generator)


def test_it_does_not_go_with_files_or_tasks_by_examples(tmp_path):
    with pytest.raises(HrmGymError, match="dataset and generator"):
        hrm_gym.make_task("MazeSmall-v0", str(tmp_path), generator=crossed)
    with pytest.raises(HrmGymError, match="belong to tasks"):
        hrm_gym.make_task("ARC1-v0", generator=crossed)
