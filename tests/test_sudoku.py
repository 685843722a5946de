"""Sudoku: solver, symmetries, generator, the shipped puzzles, and, where there are any, real ones."""

import csv
import gzip
import itertools
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hrm_gym.envs.sudoku import canonical, shipped, solver, symmetry
from hrm_gym.envs.sudoku.making import deep, extreme, probing, shipping
from hrm_gym.envs.sudoku.making.extreme import generate_pool
from hrm_gym.envs.sudoku.making.generator import generate
from hrm_gym.envs.sudoku.task import BOXES, SudokuTask
from hrm_gym.envs.task import SPLITS, Puzzles
from hrm_gym.errors import HrmGymError
from hrm_gym.files import save_arrays, shipped_arrays

SIZES = sorted(BOXES)
SEEDS = st.integers(0, 2**32)
PUZZLES_DIR = os.environ.get("PUZZLES_DIR")
EXTREME = Path(shipped.__file__).parent / "data" / "extreme.npz"
NAMES = ["4x4", "6x6", "9x9", "16x16", "extreme", "deep", "vicinity"]

needs_puzzles = pytest.mark.skipif(not PUZZLES_DIR, reason="PUZZLES_DIR names no folder of real puzzles")


def name_param(name):
    missing = name == "extreme" and not EXTREME.exists()
    return pytest.param(name, marks=pytest.mark.skipif(missing, reason="data/extreme.npz is not there"))


def is_test(puzzle, solution, boxes):
    return np.array([canonical.form_is_test(form) for form in canonical.canonical_forms(puzzle, solution, boxes)])


def random_images(boards, boxes, seed):
    uniforms = np.random.default_rng(seed).random((len(boards[0]), symmetry.num_uniforms(boxes)))
    return symmetry.random_image(tuple(boards[:2]), uniforms, boxes)


def count_solutions(puzzles, boxes, limit=2):
    return solver.search_all(puzzles, *boxes, limit)[1][:, 0]


def assert_unique_and_minimal(puzzles, solutions, boxes):
    assert (count_solutions(puzzles, boxes) == 1).all()
    for puzzle, solution in zip(puzzles, solutions, strict=True):
        assert (solver.solve(puzzle, boxes) == solution).all()
        cells = np.flatnonzero(puzzle)
        without = np.repeat(puzzle[None], len(cells), axis=0)
        without[np.arange(len(cells)), cells] = 0
        assert (count_solutions(without, boxes) == 2).all()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("module", ["numpy", "torch"])
def test_images_are_undone(size, module):
    boxes, rng = BOXES[size], np.random.default_rng(size)
    tokens = rng.integers(0, size + 1, (20, size * size))  # blanks, too
    uniforms = rng.random((20, symmetry.num_uniforms(boxes)))
    if module == "torch":
        tokens, uniforms = torch.from_numpy(tokens), torch.from_numpy(uniforms)
    (image,) = symmetry.random_image((tokens,), uniforms, boxes)
    assert (image != tokens).any() and (symmetry.undo_image(image, uniforms, boxes) == tokens).all()


# ---- solver and generator ----------------------------------------------------------------------------


@pytest.mark.parametrize("size", [4, 6, 9])
@settings(max_examples=10, deadline=None)
@given(seed=SEEDS)
def test_generated_puzzles_are_unique_and_minimal(size, seed):
    boxes = BOXES[size]
    puzzles = generate(boxes, 3, seed)
    assert_unique_and_minimal(puzzles.puzzle, puzzles.solution, boxes)


def test_a_sequence_can_be_made_in_parts():
    whole = generate((2, 3), 10, 7, "test")
    part = generate((2, 3), 4, 7, "test", first=5)
    assert all((a[5:9] == b).all() for a, b in zip(whole[:2], part[:2], strict=True))
    assert not (generate((2, 3), 10, 8, "test").puzzle == whole.puzzle).all()


@pytest.mark.parametrize("boxes", [(2, 2), (2, 3), (3, 3)])
def test_boards_with_few_givens_or_none_fit_into_the_search(boxes):
    size = boxes[0] * boxes[1]
    rng = np.random.default_rng(0)
    boards = np.zeros((300, size * size), np.uint8)
    for row, givens in zip(boards, np.arange(300) % 12, strict=True):
        row[rng.integers(size * size, size=givens)] = rng.integers(1, size + 1, size=givens)
    found = count_solutions(boards, boxes, limit=50)
    assert (found <= 50).all() and (found[::12] == 50).all()  # every twelfth board is empty


def test_solutions_are_counted_completely():
    empty = np.zeros((1, 16), np.uint8)
    assert count_solutions(empty, (2, 2), limit=1000) == [288]  # all grids of 4x4


@pytest.mark.parametrize("size", SIZES)
def test_guesses_do_not_hide_contradictions(size):
    task = SudokuTask(size)
    puzzle, solution = (array[0] for array in task.sample(1, np.random.default_rng(0))[:2])
    cell = int(np.flatnonzero(puzzle == 0)[0])
    for digit in range(1, size + 1):
        changed = puzzle.copy()
        changed[cell] = digit
        assert count_solutions(changed[None], task.boxes)[0] == (digit == solution[cell])


# ---- symmetry ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", SIZES)
@settings(max_examples=10, deadline=None)
@given(seed=SEEDS)
def test_the_solution_of_an_image_is_the_image_of_the_solution(size, seed):
    boxes = BOXES[size]
    puzzles = generate(boxes, 3, seed % 1000)
    images = random_images(puzzles, boxes, seed)
    for puzzle, solution in zip(*images, strict=True):
        assert (solver.solve(puzzle, boxes) == solution).all()


@pytest.mark.parametrize("size", SIZES)
def test_numpy_and_torch_give_the_same_images(size):
    boxes = BOXES[size]
    puzzles = generate(boxes, 20, 0)
    uniforms = np.random.default_rng(1).random((20, symmetry.num_uniforms(boxes)))
    images = symmetry.random_image(puzzles[:2], uniforms, boxes)
    tensors = symmetry.random_image(
        tuple(torch.from_numpy(a).long() for a in puzzles[:2]), torch.from_numpy(uniforms), boxes
    )
    for image, tensor, board in zip(images, tensors, puzzles[:2], strict=True):
        assert (tensor.numpy() == image).all()
        assert image.dtype == board.dtype and tensor.dtype == torch.int64


@pytest.mark.parametrize("size", [6, 9, 16])
@settings(max_examples=10, deadline=None)
@given(seed=SEEDS)
def test_the_canonical_form_is_that_of_all_images(size, seed):
    boxes = BOXES[size]
    puzzles = generate(boxes, 5, seed % 1000)
    images = random_images(puzzles, boxes, seed)
    forms = canonical.canonical_forms(*puzzles[:2], boxes)
    assert (canonical.canonical_forms(*images, boxes) == forms).all()
    assert (is_test(*images, boxes) == is_test(*puzzles[:2], boxes)).all()
    if size == 9:  # a form is a grid of its own orbit, so forms of different orbits differ
        assert (canonical.canonical_forms(puzzles.puzzle, forms, boxes) == forms).all()
        assert (SudokuTask(9).violations(forms, forms) == 0).all()


def test_the_canonical_grid_has_the_least_first_band():
    grid = generate((3, 3), 1, 3).solution
    form = canonical.canonical_forms(grid, grid, (3, 3))[0]
    (images,) = random_images((np.repeat(grid, 20_000, axis=0),), (3, 3), 0)
    # Relabelling the first row to 1..9 makes the most of each geometric image.
    label = np.zeros((len(images), 10), np.uint8)
    np.put_along_axis(label, images[:, :9].astype(int), np.arange(1, 10, dtype=np.uint8)[None], 1)
    relabelled = np.take_along_axis(label, images.astype(int), 1)
    assert form[:9].tolist() == list(range(1, 10))
    assert form[:27].tobytes() <= min(row[:27].tobytes() for row in relabelled)


def test_small_canonical_forms_separate_orbits():
    # All 288 grids of 4x4 fall into two orbits, of 96 and 192.
    stack, found = solver.new_stack(2, 2), np.zeros((288, 16), np.uint8)
    solver.start(stack[0], 2, 2, np.zeros(16, np.uint8))
    assert solver.search(stack, 2, 2, found)[0] == 288
    images, form = canonical.geometric_images((2, 2)), np.zeros(16, np.uint8)
    counts: dict[bytes, int] = {}
    for grid in found:
        canonical._least_image(grid, images, 4, form)
        counts[form.tobytes()] = counts.get(form.tobytes(), 0) + 1
    assert len(images) == 128 and len(canonical.geometric_images((2, 3))) == 3456
    assert sorted(counts.values()) == [96, 192]


# ---- the task ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", SIZES)
def test_violations_are_zero_exactly_for_solutions(size):
    task, rng = SudokuTask(size), np.random.default_rng(0)
    puzzles = task.sample(50, rng)
    puzzle, answer = puzzles.puzzle.astype(np.int64), puzzles.solution.astype(np.int64)
    assert (task.violations(puzzle, answer) == 0).all()
    wrong = answer.copy()
    cells = rng.integers(0, task.num_cells, 50)
    wrong[np.arange(50), cells] = (wrong[np.arange(50), cells] + rng.integers(1, size + 1, 50)) % (size + 1)
    assert (task.violations(puzzle, wrong) > 0).all()
    assert (task.violations(puzzle, puzzle) > 0).all()
    assert (task.violations(np.roll(puzzle, 1, axis=0), answer) > 0).any()  # valid grids of other puzzles
    tensors = task.violations(torch.from_numpy(puzzle), torch.from_numpy(wrong))
    assert (tensors.numpy() == task.violations(puzzle, wrong)).all()


def test_violations_count_what_is_missing():
    task = SudokuTask(4)
    blank = np.zeros((1, 16), np.int64)
    assert task.violations(blank, blank) == [48]
    assert task.violations(blank, blank + 1) == [36]
    assert task.violations(blank + 2, blank + 1) == [36 + 16]


def test_a_task_is_its_arguments():
    assert SudokuTask(9) == SudokuTask() != SudokuTask(9, extreme=True) != SudokuTask(9, True, hard_by="resistance")
    assert hash(SudokuTask(6)) == hash(SudokuTask(6))
    assert SudokuTask(4).num_uniforms == 0  # an image of a training puzzle may be a test puzzle
    for size in SIZES:
        task = SudokuTask(size)
        puzzle = task.dataset("test").puzzle[0]
        text = task.format(puzzle)
        assert (task.parse(text.replace(".", "0")) == puzzle).all()


@pytest.mark.parametrize(
    ("puzzle", "words"),
    [
        ("11..............", ["digit 1", "row 1", "column 1", "column 2"]),
        ("1...1...........", ["digit 1", "column 1", "row 2"]),
        ("1....1..........", ["digit 1", "box 1"]),
        ("123............4", ["no solution"]),
        ("1...............", ["several solutions"]),
        ("12", ["2 characters", "16"]),
        ("y...............", ["'y'", "row 1, column 1"]),
    ],
)
def test_bad_puzzles_are_refused_in_one_line(puzzle, words):
    task = SudokuTask(4)
    with pytest.raises(HrmGymError) as error:
        task.check(task.parse(puzzle))
    message = str(error.value)
    assert "\n" not in message and all(word in message for word in words), message


@pytest.mark.parametrize(
    "kwargs",
    [{"size": 5}, {"size": 4, "extreme": True}, {"hard_by": "resistance"}, {"extreme": True, "hard_by": "luck"}],
)
def test_boards_that_do_not_exist_are_refused(kwargs):
    with pytest.raises(HrmGymError):
        SudokuTask(**kwargs)


# ---- the shipped puzzles -----------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("name", [name_param(name) for name in NAMES])
def test_shipped_splits_share_nothing_up_to_symmetry(name):
    boxes, forms = shipped.BOXES[name], {}
    for split, count in shipped.COUNTS[name].items():
        puzzles = shipped.load(name, split)
        assert len(puzzles.puzzle) == count == len(np.unique(puzzles.puzzle, axis=0))
        assert (is_test(*puzzles[:2], boxes) == (split != "train")).all()
        forms[split] = {form.tobytes() for form in canonical.canonical_forms(*puzzles[:2], boxes)}
    assert not any(forms[a] & forms[b] for a, b in itertools.combinations(forms, 2))


@pytest.mark.slow
@pytest.mark.parametrize("name", [name_param(name) for name in NAMES])
def test_shipped_puzzles_have_their_solution_and_rating(name):
    puzzles, rating = shipped.load(name, "test"), shipped_arrays(shipped.__package__, name)["test_rating"]
    puzzle, solution = (array[:1000] for array in puzzles[:2])
    solutions, counts = solver.search_all(puzzle, *shipped.BOXES[name], 2)
    assert (counts[:, 0] == 1).all() and (solutions == solution).all()
    assert (solver.rate(puzzle, shipped.BOXES[name]) == rating[:1000]).all()


@pytest.mark.slow
def test_the_smallest_shipped_file_is_made_again_byte_for_byte(tmp_path):
    shipping.write_shipped("4x4", tmp_path / "4x4.npz")
    assert (tmp_path / "4x4.npz").read_bytes() == (EXTREME.parent / "4x4.npz").read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["6x6", "9x9", "16x16"])
@pytest.mark.parametrize("split", SPLITS)
def test_the_first_shipped_puzzles_are_made_again(name, split):
    num = 20 if name == "16x16" else 200
    again, stored = shipping.generate_split(name, split, num), shipped.load(name, split)
    assert all((a == b[:num]).all() for a, b in zip(again[:2], stored[:2], strict=True))


@pytest.mark.rare
@pytest.mark.skipif(not EXTREME.exists(), reason="data/extreme.npz is not there")
@pytest.mark.parametrize("name, split, walks", [("extreme", "train", 1), ("deep", "test", 3)])
def test_the_first_walks_of_the_extreme_puzzles_are_made_again(name, split, walks):
    hard_by, seed = shipped.HARD_BY[name], shipped.SEEDS[name]
    num = extreme.POOLS[hard_by] if split == "test" else 1000
    stored = shipped.load(name, split).map(lambda array: array[:num])
    again = generate_pool(num, seed, split, 0, walks, hard_by)
    hunted = extreme.places(0, num, seed) >= extreme.EASY_SHARE
    met = again.puzzle.any(1)
    assert (met & hunted).any() and met[~hunted].all()
    assert (again.puzzle[met] == stored.puzzle[met]).all() and (again.solution[met] == stored.solution[met]).all()


@pytest.mark.skipif(not EXTREME.exists(), reason="data/extreme.npz is not there")
@pytest.mark.slow
def test_searched_puzzles_resist_as_their_split_says():
    def resistance_of_searched(name, split):
        puzzles = shipped.load(name, split).puzzle[:1000]
        searched = extreme.places(0, len(puzzles), shipped.SEEDS[name]) >= extreme.EASY_SHARE
        resistance = probing.resistance(puzzles)
        assert not (resistance[~searched] >= deep.DEEP["train"]).any()
        return resistance[searched]

    assert 0.49 <= (resistance_of_searched("extreme", "train") >= deep.DEEP["train"]).mean() <= 0.51
    assert (resistance_of_searched("deep", "test") >= deep.DEEP["test"]).all()
    assert not (resistance_of_searched("extreme", "test") >= deep.DEEP["train"]).any()


@settings(max_examples=5, deadline=None)
@given(seed=SEEDS)
def test_resistance_is_the_same_for_all_images_of_a_puzzle(seed):
    puzzles = generate((3, 3), 5, seed)
    assert (probing.resistance(random_images(puzzles, (3, 3), seed)[0]) == probing.resistance(puzzles.puzzle)).all()


@pytest.mark.parametrize("split", [0, 1])
@pytest.mark.slow
def test_a_deep_puzzle_is_unique_minimal_and_of_its_split(split):
    state = np.array([3], np.uint64)
    puzzles, solutions = np.zeros((2, 81), np.uint8), np.zeros((2, 81), np.uint8)
    deep.hunt_deep(state, split, deep.DEEP["train"], puzzles, solutions, 2)
    met = puzzles.any(1)
    assert met[0] and (probing.resistance(puzzles[met]) >= deep.DEEP["train"]).all()
    assert (is_test(puzzles[met], solutions[met], (3, 3)) == split).all()
    assert_unique_and_minimal(puzzles[met], solutions[met], (3, 3))


def test_a_set_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(HrmGymError, match="did you mean"):
        shipping.write_shipped("9x8", tmp_path / "x.npz")
    with pytest.raises(HrmGymError, match="did you mean"):
        shipped.load("9x8", "test")
    with pytest.raises(HrmGymError, match="cannot write"):
        save_arrays({}, tmp_path)  # a folder


# ---- real puzzles ------------------------------------------------------------------------------------


def real(name, limit=None):
    path = Path(PUZZLES_DIR) / name
    with (gzip.open if path.suffix == ".gz" else open)(path, "rt") as file:
        rows = list(csv.DictReader(file))[:limit]
    task = SudokuTask()
    boards = (np.stack([task.parse(row[key]) for row in rows]) for key in ("question", "answer"))
    return Puzzles(*boards), np.array([int(row["rating"]) for row in rows])


@pytest.mark.slow
@needs_puzzles
@pytest.mark.parametrize("name", ["sudoku-extreme-real-rows.csv", "sudoku-forum-hardest.csv.gz"])
def test_real_puzzles_are_solved(name):
    puzzles, _ = real(name, 500)
    solutions, counts = solver.search_all(puzzles.puzzle, 3, 3, 2)
    assert (counts[:, 0] == 1).all() and (solutions == puzzles.solution).all()


@pytest.mark.slow
@needs_puzzles
def test_the_hardest_real_puzzles_are_deep_and_random_ones_are_not():
    assert (probing.resistance(real("sudoku-forum-hardest.csv.gz", 300)[0].puzzle) >= deep.DEEP["train"]).mean() > 0.98
    assert not (probing.resistance(real("sudoku-unbiased.csv.gz", 300)[0].puzzle) >= deep.DEEP["train"]).any()


def statistics(rating):
    return np.array([rating.mean(), *np.percentile(rating, [25, 50, 75, 90])])


@pytest.mark.slow
@needs_puzzles
@pytest.mark.skipif(not EXTREME.exists(), reason="data/extreme.npz is not there")
def test_extreme_puzzles_are_as_hard_as_the_benchmark():
    wanted = statistics(solver.rate(real("sudoku-extreme-matched.csv.gz")[0].puzzle, (3, 3)))
    got = statistics(shipped_arrays(shipped.__package__, "extreme")["test_rating"])
    assert (np.abs(got / wanted - 1) <= 0.15).all(), (got, wanted)


@pytest.mark.slow
@needs_puzzles
@pytest.mark.skipif(not EXTREME.exists(), reason="data/extreme.npz is not there")
def test_as_many_deep_puzzles_resist_as_in_the_benchmark():
    wanted = (probing.resistance(real("sudoku-extreme-matched.csv.gz", 2000)[0].puzzle) >= deep.DEEP["train"]).mean()
    got = (probing.resistance(shipped.load("deep", "test").puzzle) >= deep.DEEP["train"]).mean()
    assert abs(got - wanted) <= 0.03, (got, wanted)


# ---- what agents may know ----------------------------------------------------------------------------


@pytest.mark.parametrize("size", SIZES)
def test_groups_hold_every_digit_of_a_solution_once(size):
    task = SudokuTask(size)
    solution = task.sample(20, np.random.default_rng(0)).solution
    assert len(task.groups) == 3 and task.group_symbols == tuple(range(1, size + 1))
    for partition in task.groups:
        assert partition.shape == (size, size) and sorted(partition.ravel()) == list(range(size * size))
        assert (np.sort(solution[:, partition], axis=-1) == np.arange(1, size + 1)).all()
    assert len({frozenset(group) for partition in task.groups for group in partition.tolist()}) == 3 * size
