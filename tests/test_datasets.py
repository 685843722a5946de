"""Files of puzzles: every form that is read, and what each defect is called."""

import csv
import gzip
import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest

from hrm_gym.envs.datasets import read_puzzles, write_csv
from hrm_gym.envs.registration import make_task
from hrm_gym.errors import HrmGymError

TASK = make_task("Sudoku4x4-v0")
REAL = Path(os.environ.get("PUZZLES_DIR", "nowhere"))


@pytest.fixture(scope="module")
def puzzles():
    return TASK.dataset("test").map(lambda a: a[:7])


def same(a, b):
    return np.array_equal(a.puzzle, b.puzzle) and np.array_equal(a.solution, b.solution)


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz"])
def test_csv_round_trip(puzzles, tmp_path, name):
    write_csv(tmp_path / name, puzzles, TASK)
    first = (tmp_path / name).read_bytes()
    assert same(read_puzzles(tmp_path / name, TASK), puzzles)
    write_csv(tmp_path / name, puzzles, TASK)
    assert (tmp_path / name).read_bytes() == first


def test_missing_answers_are_solved_and_columns_are_found_by_name(puzzles, tmp_path):
    path = tmp_path / "b.csv"
    lines = ["rating,question", *(f"0,{TASK.format(p)}" for p in puzzles.puzzle)]
    path.write_text("\n".join(lines))
    assert same(read_puzzles(path, TASK), puzzles)


def test_a_puzzle_a_line(puzzles, tmp_path):
    text = "\n\n".join(TASK.format(p) for p in puzzles.puzzle)
    (tmp_path / "c.txt").write_text(text)
    (tmp_path / "c.txt.gz").write_bytes(gzip.compress(text.encode()))
    for name in ("c.txt", "c.txt.gz"):
        assert same(read_puzzles(tmp_path / name, TASK), puzzles)


def save_arrays(folder, puzzles, vocabulary):
    folder.mkdir(parents=True)
    np.save(folder / "all__inputs.npy", puzzles.puzzle.astype(np.int64) + 1)
    np.save(folder / "all__labels.npy", puzzles.solution.astype(np.int64) + 1)
    (folder / "dataset.json").write_text(json.dumps({"vocab_size": vocabulary}))


def test_reference_folders_count_tokens_from_one(puzzles, tmp_path):
    save_arrays(tmp_path / "data" / "train", puzzles, vocabulary=6)
    assert same(read_puzzles(tmp_path / "data" / "train", TASK), puzzles)
    with pytest.raises(HrmGymError, match=r"several splits: give .*train"):
        read_puzzles(tmp_path / "data", TASK)
    save_arrays(tmp_path / "other", puzzles, vocabulary=11)
    with pytest.raises(HrmGymError, match="speaks of 11 tokens"):
        read_puzzles(tmp_path / "other", TASK)
    (tmp_path / "other" / "all__inputs.npy").write_bytes(b"no array")
    with pytest.raises(HrmGymError, match="cannot read"):
        read_puzzles(tmp_path / "other", TASK)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("d.csv", "puzzle,answer\n1...,\n", r"no column 'question' \(found: puzzle, answer\)"),
        ("d.csv", "", "no column 'question' .found: none"),
        ("d.csv", "question\n", "holds no puzzles"),
        ("d.csv", "question\n" + "." * 15 + "\n", "line 2: the puzzle has 15 characters"),
        ("d.csv", "question\n1.x" + "." * 13 + "\n", "line 2: foreign character 'x' at row 1, column 3"),
        ("d.csv", "question\n11" + "." * 14 + "\n", "line 2"),
        ("d.csv", "question\n" + "." * 16 + "\n", "line 2: .*solutions"),
        ("d.txt", "....\n", "line 1"),
        ("d.csv.gz", "question\n", "cannot read .*d.csv.gz"),
    ],
)
def test_defects_name_file_and_line(tmp_path, name, content, message):
    (tmp_path / name).write_text(content)
    with pytest.raises(HrmGymError, match=message) as error:
        read_puzzles(tmp_path / name, TASK)
    assert name in str(error.value) and "\n" not in str(error.value)


def test_places_that_are_not_there(puzzles, tmp_path):
    with pytest.raises(HrmGymError, match="no file at"):
        read_puzzles(tmp_path / "absent.csv", TASK)
    with pytest.raises(HrmGymError, match=r"no all__inputs\.npy"):
        read_puzzles(tmp_path, TASK)
    with pytest.raises(HrmGymError, match="there is no folder"):
        write_csv(tmp_path / "absent" / "a.csv", puzzles, TASK)


def test_a_full_disk_keeps_the_file_from_before(puzzles, tmp_path, monkeypatch):
    path = tmp_path / "a.csv"
    path.write_text("precious")

    def full(self, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(HrmGymError, match=r"No space left on device.*untouched"):
        write_csv(path, puzzles, TASK)
    assert path.read_text() == "precious" and len(list(tmp_path.iterdir())) == 1


def test_the_hub_is_asked_only_for_a_named_file_and_says_what_is_missing(monkeypatch):
    with pytest.raises(HrmGymError, match="names no file"):
        read_puzzles("hf:sapientinc/sudoku-extreme", TASK)
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(HrmGymError, match=r"hrm-gym\[hub\]"):
        read_puzzles("hf:sapientinc/sudoku-extreme/test.csv", TASK)


def test_a_file_of_the_hub_is_read_like_any_other(puzzles, tmp_path, monkeypatch):
    import types

    write_csv(tmp_path / "test.csv", puzzles, TASK)
    asked = []

    def download(repo, name, repo_type):
        asked.append((repo, name, repo_type))
        return str(tmp_path / "test.csv")

    hub = types.SimpleNamespace(hf_hub_download=download)
    monkeypatch.setitem(sys.modules, "huggingface_hub", hub)
    assert same(read_puzzles("hf:sapientinc/sudoku-extreme/test.csv", TASK), puzzles)
    assert asked == [("sapientinc/sudoku-extreme", "test.csv", "dataset")]


def test_environments_use_a_file_of_puzzles(puzzles, tmp_path):
    import gymnasium as gym

    write_csv(tmp_path / "a.csv", puzzles, TASK)
    env = gym.make("hrm_gym:Sudoku4x4-v0", dataset=str(tmp_path / "a.csv"))
    rows = {row.tobytes() for row in puzzles.puzzle.astype(np.int64)}
    assert all(env.reset(seed=seed)[0]["puzzle"].tobytes() in rows for seed in range(10))


@pytest.mark.skipif(not REAL.is_dir(), reason="PUZZLES_DIR names no folder of real puzzles")
def test_real_puzzles_are_read_and_solved_as_their_authors_did():
    task = make_task("SudokuExtreme-v0")
    puzzles = read_puzzles(REAL / "sudoku-extreme-real-rows.csv", task)
    for puzzle, solution in zip(puzzles.puzzle, puzzles.solution, strict=True):
        assert np.array_equal(task.solve(puzzle), solution)
    matched = read_puzzles(REAL / "sudoku-extreme-matched.csv.gz", task)
    with gzip.open(REAL / "sudoku-extreme-matched.csv.gz", "rt") as file:
        first = next(iter(csv.DictReader(file)))
    assert len(matched.puzzle) == 10_000 and task.format(matched.puzzle[0]) == first["question"]
