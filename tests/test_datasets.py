"""Files of puzzles: every form that is read, and what each defect is called."""

import csv
import gzip
import itertools
import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest

from hrm_gym.cli import main
from hrm_gym.envs.datasets import puzzles_of, read_puzzles
from hrm_gym.envs.reading import source as reading
from hrm_gym.envs.reading.writing import write_puzzles
from hrm_gym.envs.registration import make_task
from hrm_gym.envs.task import SPLITS, Puzzles, Task
from hrm_gym.errors import HrmGymError

TASK = make_task("Sudoku4x4-v0")
REAL = Path(os.environ.get("PUZZLES_DIR", "nowhere"))


@pytest.fixture(scope="module")
def puzzles():
    return TASK.dataset("test").map(lambda a: a[:7])


def same(a, b):
    return np.array_equal(a.puzzle, b.puzzle) and np.array_equal(a.solution, b.solution)


# ---- one reader --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz"])
def test_csv_round_trip(puzzles, tmp_path, name):
    write_puzzles(tmp_path / name, puzzles, TASK)
    first = (tmp_path / name).read_bytes()
    assert same(read_puzzles(tmp_path / name, TASK), puzzles)
    write_puzzles(tmp_path / name, puzzles, TASK)
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
    with pytest.raises(HrmGymError, match="has 11 tokens"):
        read_puzzles(tmp_path / "other", TASK)
    (tmp_path / "other" / "all__inputs.npy").write_bytes(b"no array")
    with pytest.raises(HrmGymError, match="cannot read"):
        read_puzzles(tmp_path / "other", TASK)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("d.csv", "task id,answer\n1...,\n", r"no column 'question' \(found: task id, answer\)"),
        ("d.csv", "", "holds no puzzles"),
        ("d.csv", "question\n", "holds no puzzles"),
        ("d.csv", "question\n" + "." * 15 + "\n", "line 2: the text has 15 characters"),
        ("d.csv", "question\n1.y" + "." * 13 + "\n", "line 2: foreign character 'y' at row 1, column 3"),
        ("d.csv", "question\n11" + "." * 14 + "\n", "line 2"),
        ("d.csv", "question\n" + "." * 16 + "\n", "line 2: .*solutions"),
        ("d.txt", "....\n", "line 1"),
        ("d.csv.gz", "question\n", "cannot read .*d.csv.gz"),
        ("d.txt", "", "holds no puzzles"),
        ("d.csv", "question\n" + "." * 200_000 + "\n", "line 2: field larger"),
    ],
)
def test_defects_name_file_and_line(tmp_path, name, content, message):
    (tmp_path / name).write_text(content)
    with pytest.raises(HrmGymError, match=message) as error:
        read_puzzles(tmp_path / name, TASK)
    assert name in str(error.value) and "\n" not in str(error.value)


def refused(match, source, task=TASK, **options):
    with pytest.raises(HrmGymError, match=match) as error:
        read_puzzles(source, task, **options)
    assert "\n" not in str(error.value)


def test_windows_writes_line_ends_and_marks_of_its_own(puzzles, tmp_path):
    texts = [TASK.format(p) for p in puzzles.puzzle]
    answers = [TASK.format(p) for p in puzzles.solution]
    rows = [f"{a},{b}" for a, b in zip(texts, answers, strict=True)]
    (tmp_path / "a.csv").write_bytes(("\ufeff" + "\r\n".join(["question,answer", *rows, ""])).encode())
    (tmp_path / "a.txt").write_bytes(("\ufeff" + "\r\n".join([*texts, ""])).encode())
    for name in ("a.csv", "a.txt"):
        assert same(read_puzzles(tmp_path / name, TASK), puzzles)
    (tmp_path / "one.txt").write_bytes("\r\n".join(texts[0][i : i + 4] for i in range(0, 16, 4)).encode())
    assert same(read_puzzles(tmp_path / "one.txt", TASK), puzzles.map(lambda array: array[:1]))


def test_answers_are_not_looked_for_where_nobody_needs_them(puzzles, tmp_path, monkeypatch):
    (tmp_path / "a.txt").write_text("\n".join(TASK.format(p) for p in puzzles.puzzle))
    monkeypatch.setattr(type(TASK), "solve", None)
    assert (read_puzzles(tmp_path / "a.txt", TASK, solved=False).puzzle == puzzles.puzzle).all()


def test_wrong_answers_are_refused_with_their_line(puzzles, tmp_path):
    path = tmp_path / "a.csv"
    altered, broken = (puzzles.map(np.copy) for _ in range(2))
    given, blank = (int(np.flatnonzero((puzzles.puzzle[2] == 0) == want)[0]) for want in (False, True))
    altered.solution[2, given] = altered.solution[2, given] % 4 + 1
    broken.solution[2, blank] = broken.solution[2, blank] % 4 + 1
    write_puzzles(path, altered, TASK)
    refused(rf"line 4: the answer changes the given at row {given // 4 + 1}, column {given % 4 + 1}", path)
    write_puzzles(path, broken, TASK)
    refused("line 4: the answer breaks the rules", path)
    save_arrays(tmp_path / "arrays", broken, vocabulary=6)
    refused("arrays, row 2: the answer breaks the rules", tmp_path / "arrays")


def test_arrays_of_different_lengths_and_empty_ones_are_refused(puzzles, tmp_path):
    save_arrays(tmp_path / "a", puzzles, vocabulary=6)
    np.save(tmp_path / "a" / "all__labels.npy", puzzles.solution[:-1].astype(np.int64) + 1)
    refused("7 inputs and 6 labels", tmp_path / "a")
    save_arrays(tmp_path / "b", puzzles.map(lambda array: array[:0]), vocabulary=6)
    refused("holds no puzzles", tmp_path / "b")
    (tmp_path / "b" / "all__inputs.npy").write_bytes(b"")
    refused("cannot read", tmp_path / "b")


def test_damaged_and_swelling_gzip_files_are_refused(puzzles, tmp_path, monkeypatch):
    path = tmp_path / "a.csv.gz"
    write_puzzles(path, puzzles, TASK)
    whole = path.read_bytes()
    for damaged in (whole[:-12], whole[:30] + bytes([whole[30] ^ 255]) + whole[31:], whole[:5]):
        path.write_bytes(damaged)
        refused("cannot read", path)
    monkeypatch.setattr(reading, "LARGEST", 1 << 20)
    path.write_bytes(gzip.compress(b"\n" * (1 << 21)))
    refused("unpacks to more than 1 MB", path)


# ---- the splits of a file ----------------------------------------------------------------------------


SIX = make_task("Sudoku6x6-v0")


def random_image(puzzles, seed):
    uniforms = np.random.default_rng(seed).random((len(puzzles.puzzle), SIX.num_uniforms))
    return SIX.augment(puzzles, uniforms)


def fresh(num, seed=7):
    """6x6 puzzles of which no image is a shipped test puzzle."""
    puzzles = SIX.sample(num, np.random.default_rng(seed))
    tested = set(SIX.keys(SIX.dataset("test")))
    keep = np.array([key not in tested for key in SIX.keys(puzzles)])
    return puzzles.map(lambda array: array[keep])


def keys(task, split, source):
    return set(task.keys(puzzles_of(task, split, str(source))))


def test_a_file_falls_into_three_parts_that_share_no_image(tmp_path):
    puzzles = fresh(400)
    images = random_image(puzzles, 0)
    assert (images.puzzle != puzzles.puzzle).any(1).mean() > 0.9
    write_puzzles(tmp_path / "a.csv", puzzles, SIX)
    write_puzzles(tmp_path / "images.csv", images, SIX)
    parts = {split: keys(SIX, split, tmp_path / "a.csv") for split in SPLITS}
    assert not any(a & b for a, b in itertools.combinations(parts.values(), 2))
    sizes = [len(puzzles_of(SIX, split, str(tmp_path / "a.csv")).puzzle) for split in SPLITS]
    assert sum(sizes) == len(puzzles.puzzle) and 0.7 < sizes[0] / sum(sizes) < 0.9 and min(sizes) > 20
    assert all(keys(SIX, split, tmp_path / "images.csv") == parts[split] for split in SPLITS)


def test_a_file_for_each_split(tmp_path):
    puzzles = fresh(60)
    names = [tmp_path / f"{name}.csv" for name in "abc"]
    for i, name in enumerate(names):
        write_puzzles(name, puzzles.map(lambda array, i=i: array[20 * i : 20 * (i + 1)]), SIX)
    source = ",".join(f"{split}={name}" for split, name in zip(SPLITS, names, strict=True))
    for i, split in enumerate(SPLITS):
        assert same(puzzles_of(SIX, split, source), puzzles.map(lambda array, i=i: array[20 * i : 20 * (i + 1)]))
    with pytest.raises(HrmGymError, match="names no file for 'validation'"):
        puzzles_of(SIX, "validation", f"train={names[0]},test={names[1]}")
    # What stands in two of them, even as an image, is not trained on.
    write_puzzles(names[1], random_image(puzzles.map(lambda array: array[5:20]), 1), SIX)
    assert same(puzzles_of(SIX, "train", f"test={names[1]},train={names[0]}"), puzzles.map(lambda array: array[:5]))
    with pytest.raises(HrmGymError, match=r"a.csv contains all puzzles of .*a.csv, or symmetric"):
        puzzles_of(SIX, "train", f"train={names[0]},test={names[0]}")


@pytest.mark.parametrize("env_id", ["Sudoku6x6-v0", "Sudoku9x9-v0", "MazeSmall-v0"])
def test_training_refuses_images_of_the_shipped_test_puzzles(tmp_path, env_id):
    task = make_task(env_id)
    tested = task.dataset("test").map(lambda array: array[:30])
    if task.num_uniforms:
        images = task.augment(tested, np.random.default_rng(0).random((30, task.num_uniforms)))
    else:
        images = task.images(tested).map(lambda array: array[-30:])
    assert (images.puzzle != tested.puzzle).any(1).all()
    write_puzzles(tmp_path / "a.csv", images, task)
    for source in (str(tmp_path / "a.csv"), f"train={tmp_path / 'a.csv'}"):
        with pytest.raises(HrmGymError, match=r"the family's test split contains all puzzles of .*, or"):
            puzzles_of(task, "train", source)
    assert len(puzzles_of(task, "test", f"test={tmp_path / 'a.csv'}").puzzle) == 30
    # A few among others are left out: of hard 9x9 Sudokus, some share a grid by chance.
    own = task.dataset("train").map(lambda array: array[:20])
    both = Puzzles(*(np.concatenate(pair) for pair in zip(images[:2], own[:2], strict=True)))
    write_puzzles(tmp_path / "both.csv", both, task)
    assert same(puzzles_of(task, "train", f"train={tmp_path / 'both.csv'}"), own)


class Mirrored(Task):
    """Rows of letters of which some are shown; the mirror image of a puzzle is one."""

    shape = (1, 10)
    symbols = ".ab"

    def sample(self, num, rng):
        solution = rng.integers(1, 3, (num, 10)).astype(np.uint8)
        return Puzzles(solution * (rng.random((num, 10)) < 0.5), solution)

    def violations(self, puzzle, answer):
        return (answer == 0).sum(-1) + ((puzzle > 0) & (puzzle != answer)).sum(-1)

    def images(self, puzzles):
        return puzzles.map(lambda array: np.concatenate([array, array[:, ::-1]]))


def test_images_of_sampled_puzzles_stay_in_one_split():
    task = Mirrored()
    shown = [{row.tobytes() for row in task.images(task.dataset(split)).puzzle} for split in SPLITS]
    assert all(shown) and not any(a & b for a, b in itertools.combinations(shown, 2))


def test_a_family_with_too_few_puzzles_for_three_splits_is_refused():
    class Few(Mirrored):
        def sample(self, num, rng):
            return super().sample(num, np.random.default_rng(0)).map(lambda array: array[:1])

    with pytest.raises(HrmGymError, match="Few has so few puzzles that all validation puzzles are images"):
        Few().dataset("validation")


def test_symmetries_that_nobody_listed_are_refused():
    class Shifted(Mirrored):
        num_uniforms = 1

    with pytest.raises(HrmGymError, match="Shifted shows puzzles under symmetries"):
        Shifted().dataset("train")


# ---- what is written ---------------------------------------------------------------------------------


def test_generating_replaces_no_file_unless_told(tmp_path, capsys):
    out = tmp_path / "a.csv"
    arguments = ["generate", "--env", "Sudoku4x4-v0", "--num", "3", "--out", str(out)]
    assert main(arguments) == 0
    out.write_text("precious")
    for more in ([], ["--shipped"]):
        assert main([*arguments, *more]) == 2
    assert out.read_text() == "precious" and "--overwrite" in capsys.readouterr().err
    assert main([*arguments, "--overwrite"]) == 0 and len(read_puzzles(out, TASK).puzzle) == 3


def test_temporary_files_touch_nothing_of_the_user(puzzles, tmp_path):
    (tmp_path / "mine").write_text("precious")
    (tmp_path / "a.csv.tmp").symlink_to(tmp_path / "mine")
    write_puzzles(tmp_path / "a.csv", puzzles, TASK)
    assert (tmp_path / "a.csv.tmp").is_symlink() and (tmp_path / "mine").read_text() == "precious"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv", "a.csv.tmp", "mine"]
    mask = os.umask(0)
    os.umask(mask)
    assert (tmp_path / "a.csv").stat().st_mode & 0o777 == 0o666 & ~mask  # readable by others as any file


def test_the_table_of_environments_has_a_column_a_split(capsys, monkeypatch):
    monkeypatch.setattr("hrm_gym.cli.envs.task_ids", lambda: ("Sudoku4x4-v0",))
    assert main(["envs"]) == 0
    printed = capsys.readouterr().out
    assert all(word in printed for word in (*SPLITS, "20,000", "1,000"))


# ---- places ------------------------------------------------------------------------------------------


def test_places_that_are_not_there(puzzles, tmp_path):
    with pytest.raises(HrmGymError, match="no file at"):
        read_puzzles(tmp_path / "absent.csv", TASK)
    with pytest.raises(HrmGymError, match=r"no all__inputs\.npy"):
        read_puzzles(tmp_path, TASK)
    with pytest.raises(HrmGymError, match="there is no folder"):
        write_puzzles(tmp_path / "absent" / "a.csv", puzzles, TASK)


def test_a_full_disk_keeps_the_file_from_before(puzzles, tmp_path, monkeypatch):
    path = tmp_path / "a.csv"
    path.write_text("precious")

    def full(self, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(HrmGymError, match=r"No space left on device.*untouched"):
        write_puzzles(path, puzzles, TASK)
    assert path.read_text() == "precious" and len(list(tmp_path.iterdir())) == 1


def test_the_hub_is_asked_only_for_a_named_file_and_says_what_is_missing(monkeypatch):
    with pytest.raises(HrmGymError, match="names no file"):
        read_puzzles("hf:sapientinc/sudoku-extreme", TASK)
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(HrmGymError, match=r"hrm-gym\[hub\]"):
        read_puzzles("hf:sapientinc/sudoku-extreme/test.csv", TASK)


def test_a_file_of_the_hub_is_read_like_any_other(puzzles, tmp_path, monkeypatch):
    import types

    write_puzzles(tmp_path / "test.csv", puzzles, TASK)
    asked = []

    def download(repo, name, repo_type):
        asked.append((repo, name, repo_type))
        return str(tmp_path / "test.csv")

    hub = types.SimpleNamespace(hf_hub_download=download)
    monkeypatch.setitem(sys.modules, "huggingface_hub", hub)
    assert same(read_puzzles("hf:sapientinc/sudoku-extreme/test.csv", TASK), puzzles)
    assert asked == [("sapientinc/sudoku-extreme", "test.csv", "dataset")]


@pytest.mark.parametrize("source", ["~/a.csv", "train=~/a.csv"])
def test_a_changed_file_of_the_home_folder_is_read_again(puzzles, tmp_path, monkeypatch, source):
    monkeypatch.setenv("HOME", str(tmp_path))
    training = TASK.dataset("train")
    for begin in (0, 50):
        part = training.map(lambda array, begin=begin: array[begin : begin + 50])
        write_puzzles(tmp_path / "a.csv", part, TASK)
        rows = {row.tobytes() for row in part.puzzle}
        assert {row.tobytes() for row in puzzles_of(TASK, "train", source).puzzle} <= rows


def test_environments_use_a_file_of_puzzles(tmp_path):
    import gymnasium as gym

    puzzles = TASK.dataset("train").map(lambda a: a[:60])
    write_puzzles(tmp_path / "a.csv", puzzles, TASK)
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
