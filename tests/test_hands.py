"""What a program may hold in its hands when it calls the package, and what it may have set globally before."""

import os
import random
import shutil

import gymnasium as gym
import numpy as np
import pytest
import torch

import hrm_gym
from hrm_gym.cli import main
from hrm_gym.envs.datasets import puzzles_of
from hrm_gym.envs.reading.writing import write_puzzles
from hrm_gym.errors import HrmGymError

ENV = "Sudoku4x4-v0"
TASK = hrm_gym.make_task(ENV)
PUZZLE, ANSWER = "1...2..4..3..1..", "1423231442313142"
TOKENS = [1, 0, 0, 0, 2, 0, 0, 4, 0, 0, 3, 0, 0, 1, 0, 0]
ROWS = ["1...", "2..4", "..3.", ".1.."]
SHORT = {"max_steps": 2, "num_envs": 4, "test_puzzles": 4, "eval_puzzles": 4, "hidden_size": 16, "device": "cpu"}


def refused(function, *words):
    with pytest.raises(HrmGymError) as refusal:
        function()
    message = str(refusal.value)
    assert len(message.splitlines()) == 1 and len(message) < 400
    assert all(word in message for word in words), message


# ---- a file that changed is read again -------------------------------------------------------------------


def shown(env):
    return {row.tobytes() for row in env.unwrapped.rules.data.puzzle.astype(np.uint8)}


def sets():
    """Two sets of 30 puzzles each that share none."""
    data = TASK.dataset("train")
    return [data.map(lambda array, i=i: array[30 * i : 30 * (i + 1)]) for i in range(2)]


def save(path, puzzles, form):
    if form == "folder":
        path.mkdir(exist_ok=True)
        np.save(path / "all__inputs.npy", puzzles.puzzle.astype(np.int64) + 1)
        np.save(path / "all__labels.npy", puzzles.solution.astype(np.int64) + 1)
    elif form == ".npy":
        np.save(path, puzzles.puzzle)
    else:
        write_puzzles(path, puzzles, TASK)


@pytest.mark.parametrize("form", [".csv", ".txt", ".npy", "folder"])
@pytest.mark.parametrize("make", [gym.make, gym.make_vec])
def test_a_file_that_changed_is_read_again(tmp_path, form, make):
    path = tmp_path / ("a" if form == "folder" else f"a{form}")
    for puzzles in sets():
        save(path, puzzles, form)
        times = [(file, file.stat()) for file in (path.iterdir() if form == "folder" else [path])]
        env = make(f"hrm_gym:{ENV}", dataset=str(path), augment=False)
        assert shown(env) <= {row.tobytes() for row in puzzles.puzzle}
        again = make(f"hrm_gym:{ENV}", dataset=str(path), augment=False)
        assert again.unwrapped.rules.data.puzzle is env.unwrapped.rules.data.puzzle  # kept
        for file, stat in times:  # a copy that keeps the times is another file, too
            os.utime(file, ns=(10**18, 10**18))
            assert stat.st_size == file.stat().st_size
    shutil.rmtree(path) if form == "folder" else path.unlink()
    refused(lambda: make(f"hrm_gym:{ENV}", dataset=str(path), augment=False), "no file at")


def test_a_relative_name_is_another_file_in_another_folder(tmp_path, monkeypatch):
    seen = []
    for name, puzzles in zip("ab", sets(), strict=True):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        write_puzzles("f.csv", puzzles, TASK)
        seen.append({row.tobytes() for row in puzzles_of(TASK, "train", "f.csv").puzzle})
    assert not seen[0] & seen[1]


def test_files_by_split_and_training_see_the_change(tmp_path):
    for i, puzzles in enumerate(sets()):
        write_puzzles(tmp_path / "a.csv", puzzles, TASK)
        source = ",".join(f"{split}={tmp_path / 'a.csv'}" for split in ("validation", "test"))
        with pytest.raises(HrmGymError, match="all puzzles of"):
            puzzles_of(TASK, "validation", source)
        held = puzzles_of(TASK, "test", f"test={tmp_path / 'a.csv'}").puzzle
        assert np.array_equal(held, puzzles.puzzle)
        run = hrm_gym.train(ENV, "trm", run_dir=tmp_path / f"run{i}", dataset=tmp_path / "a.csv", **SHORT)
        assert run.config.dataset == str(tmp_path / "a.csv")


def test_arc_folders_and_their_families(tmp_path, monkeypatch):
    import json

    def write(folder, colour):
        folder.mkdir(exist_ok=True)
        pair = {"input": [[colour]], "output": [[colour]]}
        (folder / "t.json").write_text(json.dumps({"train": [pair, pair], "test": [pair]}))

    monkeypatch.chdir(tmp_path)
    seen = []
    for colour in (3, 4):
        write(tmp_path / "tasks", colour)
        task = hrm_gym.make_task("ARC1-v0", "tasks", side=5)
        assert task is hrm_gym.make_task("ARC1-v0", "tasks", side=5)
        seen.append((task, task.demonstrations(0)[0][0][0, 0]))
    assert [colour for _, colour in seen] == [3, 4] and seen[0][0] != seen[1][0]
    (tmp_path / "elsewhere").mkdir()
    lazy = hrm_gym.make_task("ARC1-v0", "tasks", side=6)
    monkeypatch.chdir(tmp_path / "elsewhere")  # nothing has been read yet
    assert lazy.demonstrations(0)[0][0][0, 0] == 4
    refused(lambda: hrm_gym.make_task("ARC1-v0", "tasks", side=6).identities, "no file or folder")


# ---- puzzles in any hand ---------------------------------------------------------------------------------


def hands(folder):
    (folder / "p.txt").write_text(PUZZLE)
    return [
        *(PUZZLE, ROWS, list(PUZZLE), PUZZLE.encode(), [row.encode() for row in ROWS], [list(row) for row in ROWS]),
        *(TOKENS, tuple(TOKENS), np.array(TOKENS), np.array(TOKENS, ">i2").reshape(4, 4), torch.tensor(TOKENS)),
        *([cell or None for cell in TOKENS], np.array(list(PUZZLE)), folder / "p.txt", f"Grid 1\n{PUZZLE} {ANSWER}"),
        *([TOKENS[i : i + 4] for i in range(0, 16, 4)], iter(TOKENS), "\n".join(ROWS), "1,,,,2,,,4,,,3,,,1,,"),
    ]


def test_solve_takes_a_puzzle_from_any_hand(tmp_path):
    policy = hrm_gym.load_agent(ENV, device="cpu")
    for puzzle in hands(tmp_path):
        assert hrm_gym.solve(ENV, puzzle, policy, device="cpu").text == ANSWER, puzzle


@pytest.mark.parametrize(
    ("puzzle", "word"),
    [
        ([257, *TOKENS[1:]], "257"),
        ([1.9, *TOKENS[1:]], "float64"),
        ([float("nan"), *TOKENS[1:]], "float64"),
        ([-1, *TOKENS[1:]], "-1"),
        ([5, *TOKENS[1:]], "allowed are 0 to 4"),
        (TOKENS[:4], "needs 16"),
        (TOKENS * 2, "needs 16"),
        ([[1, 0], [1]], "rows of equal length"),
        (["1...", "2..", "..3.", ".1.."], "row 2 has 3 characters"),
        ([True] * 16, "bool"),
        *((wrong, "16 integers") for wrong in ({}, {1}, None, object(), 3, 1j, [None, {}] * 8)),
    ],
)
def test_what_is_no_board_is_one_line_before_compiled_code(puzzle, word):
    refused(lambda: hrm_gym.solve(ENV, puzzle, device="cpu"), word)
    env = gym.make(f"hrm_gym:{ENV}")
    refused(lambda: env.reset(options={"puzzle": puzzle}), word)


def test_a_maze_of_foreign_tokens_is_one_line():
    maze = hrm_gym.make_task("MazeSmall-v0").dataset("test").puzzle[0].copy()
    maze[5] = 255
    refused(lambda: hrm_gym.solve("MazeSmall-v0", maze, device="cpu"), "255", "allowed are 0 to 4")


# ---- numbers, agents and data sets -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        *({"rollouts": value} for value in (0, 1.5, "2", None, True, float("nan"))),
        *({"max_segments": value} for value in ("8", -3, 0, 1e9)),
        *({"seconds": value} for value in (float("nan"), float("inf"), -1, "1")),
        *({"boards": -1}, {"vary": "luck"}, {"checkpoint": 3}, {"checkpoint": None}, {"device": 1}, {"device": "gpu"}),
    ],
)
def test_solve_refuses_what_the_command_refuses(options):
    refused(lambda: hrm_gym.solve(ENV, PUZZLE, **{"device": "cpu"} | options), next(iter(options)))


@pytest.mark.parametrize(
    ("options", "word"),
    [
        *(({"limit": value}, "limit") for value in (2.5, -1, "3", True, None, float("nan"))),
        *(({"batch_size": value}, "batch_size") for value in (0, "2", 1.5, None)),
        *(({"split": value}, "split") for value in ("tset", 3, None, ["test"])),
        *(({"puzzles": value}, "") for value in (3, 1.5, True, "nowhere.csv", {"a": 1}, [[]], object())),
    ],
)
def test_evaluate_refuses_in_one_line(options, word):
    refused(lambda: hrm_gym.evaluate(ENV, device="cpu", **options), word)


def test_runs_policies_paths_and_puzzles_in_hand(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data = TASK.dataset("train").puzzle[:200]
    run = hrm_gym.train(ENV, "trm", run_dir="a", dataset=data, **SHORT)
    assert run.folder == tmp_path / "a" and run.config.dataset == str(tmp_path / "a" / "puzzles.csv.gz")
    assert not {row.tobytes() for row in puzzles_of(TASK, "train", run.config.dataset).puzzle} - {
        row.tobytes() for row in data
    }
    policy = run.load("cpu")
    few = {"limit": 4, "max_segments": 2, "device": "cpu"}
    seen = [hrm_gym.evaluate(ENV, one, **few)["cell_accuracy"] for one in (run, run.folder, str(run.folder), policy)]
    assert len(set(seen)) == 1
    policy.train()
    assert hrm_gym.evaluate(ENV, policy, **few)["cell_accuracy"] == seen[0] and policy.training
    for start in (run, run.folder, str(run.folder)):
        assert hrm_gym.train(ENV, "trm", init_from=start, **SHORT).config.init_from == str(run.folder)
    refused(lambda: hrm_gym.evaluate("Sudoku6x6-v0", policy), "boards of 4x4")
    for dataset in (3, {"a": 1}, [PUZZLE]):
        refused(lambda dataset=dataset: hrm_gym.train(ENV, "trm", dataset=dataset, **SHORT))
    for make in (hrm_gym.make, hrm_gym.make_vec):
        refused(lambda make=make: make(ENV, dataset=data), "dataset is a ndarray", "path")
        refused(lambda make=make: make(3), "give the id")


def test_a_policy_in_hand_takes_every_board_that_its_file_takes():
    policy = hrm_gym.load_agent("Sudoku9x9-v0", device="cpu")
    agents, options = (policy, "pretrained:Sudoku9x9-v0"), {"boards": 1, "rollouts": 1, "max_segments": 4}
    found = [hrm_gym.solve(ENV, PUZZLE, agent, device="cpu", **options) for agent in agents]
    assert found[0].text == found[1].text and found[0].segments == found[1].segments
    assert policy.agent.spec.num_cells == 81 and policy.source is not None


@pytest.mark.parametrize("num_envs", [2.0, "2", True, None, 0, float("nan"), np.float64(2)])
def test_slots_are_counted_by_integers(num_envs):
    refused(lambda: hrm_gym.make_vec(ENV, num_envs), "num_envs")
    assert hrm_gym.make_vec(ENV, np.int64(2)).num_envs == 2


@pytest.mark.parametrize("steps", [0, -5, 2.5, "3", True])
def test_steps_are_counted_by_integers(steps):
    refused(lambda: hrm_gym.make_vec(ENV, 2, max_episode_steps=steps), "max_episode_steps")


# ---- what is set globally --------------------------------------------------------------------------------


def numbers():
    return random.random(), float(np.random.rand()), float(torch.rand(()))  # noqa: NPY002


def seeded():
    random.seed(1)
    np.random.seed(1)  # noqa: NPY002
    torch.manual_seed(1)


def test_measuring_moves_no_random_numbers(tmp_path):
    seeded()
    expected = numbers()
    for call in (
        lambda: hrm_gym.load_agent(ENV, device="cpu"),
        lambda: hrm_gym.evaluate(ENV, limit=2, max_segments=2, rollouts=2, device="cpu"),
        lambda: hrm_gym.solve(ENV, PUZZLE, rollouts=3, device="cpu"),
        lambda: hrm_gym.train(ENV, "trm", run_dir=tmp_path / "run", **SHORT),
        lambda: refused(lambda: hrm_gym.solve(ENV, "1")),
    ):
        seeded()
        call()
        assert numbers() == expected


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
@pytest.mark.parametrize("place", ["cpu", "meta"])
def test_what_torch_and_numpy_were_set_to_before_does_not_matter(tmp_path, dtype, place):
    known = hrm_gym.evaluate(ENV, limit=3, max_segments=2, device="cpu")["cell_accuracy"]
    before = np.seterr(all="raise")
    try:
        torch.set_default_dtype(dtype)
        torch.set_default_device(place)
        with torch.inference_mode(), torch.autocast("cpu"):
            assert hrm_gym.evaluate(ENV, limit=3, max_segments=2, device="cpu")["cell_accuracy"] == known
            assert hrm_gym.solve(ENV, PUZZLE, device="cpu").valid
            assert hrm_gym.train(ENV, "trm", run_dir=tmp_path / "run", **SHORT).result
        assert torch.get_default_dtype() == dtype and torch.get_default_device().type == place
    finally:
        torch.set_default_device(None)
        torch.set_default_dtype(torch.float32)
        np.seterr(**before)


@pytest.mark.parametrize(
    "words",
    [
        ["analyze", "--env", ENV, "--out"],
        ["compare", "--env", ENV, "--agents", "gru", "--steps", "1", "--out"],
        ["generate", "--env", ENV, "--num", "1", "--out"],
        ["export", "--out", "a.safetensors"],
        ["convert", "--out", "a.safetensors"],
        ["evaluate", "--env", ENV, "--puzzles"],
        ["solve", "--env", ENV],
    ],
    ids=lambda words: words[0],
)
def test_names_that_no_system_allows_are_one_line(words, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a" * 300, "a\0b", "/proc/" + "b" * 5000):
        assert main([*words, name]) == 2
        error = capsys.readouterr().err
        assert error.startswith("error: ") and len(error.splitlines()) == 1
    assert not list(tmp_path.iterdir())
