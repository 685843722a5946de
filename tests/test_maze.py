"""Mazes: solver, violations, symmetries, generator, the shipped mazes, and, where there are any, real ones."""

import collections
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

from hrm_gym.envs.datasets import read_puzzles
from hrm_gym.envs.drawing.frame import Frame
from hrm_gym.envs.drawing.window import HEIGHT, WIDTH, Renderer
from hrm_gym.envs.maze import counting, shipped, solver, symmetry
from hrm_gym.envs.maze.generator import generate
from hrm_gym.envs.maze.task import MazeTask
from hrm_gym.envs.reading.writing import write_puzzles
from hrm_gym.envs.task import SPLITS, Puzzles
from hrm_gym.errors import HrmGymError

SEEDS = st.integers(0, 2**32)
SMALL = MazeTask(10, 20)
PUZZLES_DIR = os.environ.get("PUZZLES_DIR")

needs_puzzles = pytest.mark.skipif(not PUZZLES_DIR, reason="PUZZLES_DIR names no folder of real puzzles")


def neighbours(cell, size):
    """Those of a cell in the benchmark's order: down, left, right, up."""
    row, column = divmod(cell, size)
    for row_, column_ in ((row + 1, column), (row, column - 1), (row, column + 1), (row - 1, column)):
        if 0 <= row_ < size and 0 <= column_ < size:
            yield row_ * size + column_


def solve_by_the_rule(puzzle, size):
    """The benchmark's rule, word for word: a queue, parents, and the way back from the goal."""
    start, goal = int(np.argmax(puzzle == 2)), int(np.argmax(puzzle == 3))
    parents, queue = {start: start}, collections.deque([start])
    while queue:
        cell = queue.popleft()
        for neighbour in neighbours(cell, size):
            if puzzle[neighbour] != 0 and neighbour not in parents:
                parents[neighbour] = cell
                queue.append(neighbour)
    solution, cell = puzzle.copy(), parents[goal]
    while cell != start:
        solution[cell] = 4
        cell = parents[cell]
    return solution


def random_mazes(num, size, seed, share=0.3):
    """Solvable mazes with random walls, paths of any length."""
    rng = np.random.default_rng(seed)
    found = []
    while len(found) < num:
        board = (rng.random(size * size) >= share).astype(np.uint8)
        board[rng.choice(size * size, 2, replace=False)] = (2, 3)
        if solver.path_cells(board[None], size)[0] > 0:
            found.append(board)
    return np.stack(found)


def shortest_paths(puzzle, size):
    """All shortest answers of one maze, as a set of bytes."""
    start, goal = int(np.argmax(puzzle == 2)), int(np.argmax(puzzle == 3))
    paths = [[start]]
    while not any(path[-1] == goal for path in paths):
        paths = [[*path, n] for path in paths for n in neighbours(path[-1], size) if puzzle[n] and n not in path]
    answers = set()
    for path in paths:
        if path[-1] == goal:
            answer = puzzle.copy()
            answer[path[1:-1]] = 4
            answers.add(answer.tobytes())
    return answers


# ---- solver ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("size", "share"), [(4, 0.2), (10, 0.1), (10, 0.35), (30, 0.3)])
def test_solutions_follow_the_rule(size, share):
    puzzles = random_mazes(20, size, 0, share)
    for puzzle, solution in zip(puzzles, solver.solve(puzzles, size), strict=True):
        assert (solution == solve_by_the_rule(puzzle, size)).all()


def test_the_rating_is_the_number_of_cells_of_the_path():
    puzzles = random_mazes(20, 10, 1)
    marked = (solver.solve(puzzles, 10) == 4).sum(1)
    assert (SMALL.rate(puzzles) == marked + 2).all()


# ---- violations --------------------------------------------------------------------------------------


def test_violations_are_zero_exactly_for_shortest_paths():
    # Every choice of path cells on small boards; several shortest paths are the rule there.
    several = 0
    for puzzle in random_mazes(8, 4, 2, 0.25):
        free = np.flatnonzero(puzzle == 1)
        answers = np.tile(puzzle, (2 ** len(free), 1))
        choices = np.array(list(itertools.product((1, 4), repeat=len(free))), np.uint8)
        answers[:, free] = choices
        right = shortest_paths(puzzle, 4)
        several += len(right) > 1
        violations = counting.violations(np.broadcast_to(puzzle, answers.shape), answers, (4, 4))
        assert {answer.tobytes() for answer in answers[violations == 0]} == right
    assert several


def corrupted(puzzles, solutions, rng):
    """Answers with a few wrong cells of any kind."""
    answers = solutions.astype(np.int64)
    for _ in range(3):
        cells = rng.integers(0, answers.shape[1], len(answers))
        answers[np.arange(len(answers)), cells] = rng.integers(0, 5, len(answers))
    return puzzles.astype(np.int64), answers


@pytest.mark.parametrize("size", [5, 10, 30])
def test_host_and_device_count_alike(size):
    puzzles = random_mazes(40, size, 3)
    blocked = puzzles[:1].copy()
    blocked[0, puzzles[0] == 1] = 0  # most likely no way is left
    rng = np.random.default_rng(0)
    answers = [solver.solve(puzzles, size), puzzles, rng.integers(0, 5, puzzles.shape)]
    boards = [(puzzles, answer) for answer in answers]
    boards += [corrupted(puzzles, answers[0], rng) for _ in range(3)] + [(blocked, blocked)]
    task = MazeTask(size, 2)
    for puzzle, answer in boards:
        counts = task.violations(puzzle, answer)
        tensors = torch.from_numpy(puzzle).long(), torch.from_numpy(answer).long()
        assert counts.dtype == np.int64 and counts.shape == (len(puzzle),)
        assert (task.violations(*tensors).numpy() == counts).all()
        assert (counting.violations_on_device(*tensors, task.shape).numpy() == counts).all()
    assert (task.violations(puzzles, answers[0]) == 0).all()
    assert (task.violations(puzzles, answers[1]) > 0).mean() > 0.5  # adjacent S and G need no path cell


def test_the_longest_shortest_path_is_measured_on_a_device():
    size = 10
    board = np.zeros((size, size), np.uint8)
    board[::2] = 1  # a snake through every other row
    for row in range(1, size - 1, 2):
        board[row, -1 if row % 4 == 1 else 0] = 1
    board[0, 0], board[size - 2, -1 if (size - 2) % 4 == 0 else 0] = 2, 3
    puzzle = board.reshape(1, -1)
    solution = solver.solve(puzzle, size)
    assert solver.path_cells(puzzle, size)[0] == 54
    tensors = torch.from_numpy(puzzle).long(), torch.from_numpy(solution).long()
    assert counting.violations_on_device(*tensors, (size, size)).tolist() == [0]


def assert_valid_is_without_violations(task, puzzle, answers):
    puzzle = np.broadcast_to(puzzle, answers.shape)
    solution = solver.solve(puzzle, task.size)
    wanted = counting.violations(puzzle, answers, task.shape) == 0
    assert (task.valid(puzzle, solution, answers) == wanted).all()
    tensors = (torch.from_numpy(np.array(array)).long() for array in (puzzle, solution, answers))
    assert (task.valid(*tensors).numpy() == wanted).all()
    return wanted


def test_valid_answers_are_recognised_without_a_search():
    # Every choice of path cells on small boards: detours, rings, loose ends, several shortest paths.
    for puzzle in random_mazes(12, 4, 5, 0.2):
        free = np.flatnonzero(puzzle == 1)
        answers = np.tile(puzzle, (2 ** len(free), 1))
        answers[:, free] = np.array(list(itertools.product((1, 4), repeat=len(free))), np.uint8)
        assert assert_valid_is_without_violations(MazeTask(4, 2), puzzle, answers).any()
    rng = np.random.default_rng(0)
    for size in (5, 10, 30):
        puzzles = random_mazes(200, size, 6)
        solutions = solver.solve(puzzles, size)
        others = solver.solve(puzzles[:, ::-1], size)[:, ::-1]  # shortest paths too, seldom the label's
        assert assert_valid_is_without_violations(MazeTask(size, 2), puzzles, others).all()
        assert (others != solutions).any(1).any()
        for answers in (solutions, puzzles, solutions[rng.permutation(200)], corrupted(puzzles, solutions, rng)[1]):
            assert_valid_is_without_violations(MazeTask(size, 2), puzzles, answers)
        one_cell = solutions.copy()  # a right answer with one cell changed
        one_cell[np.arange(200), rng.integers(0, size * size, 200)] = rng.integers(0, 5, 200)
        assert_valid_is_without_violations(MazeTask(size, 2), puzzles, one_cell)


def test_links_join_neighbours():
    pairs = {(a, b) for a in range(100) for b in neighbours(a, 10)}
    assert {tuple(pair) for pair in SMALL.links.tolist()} == {(a, b) for a, b in pairs if a < b}
    assert len(SMALL.links) == 180


@pytest.mark.parametrize(
    ("answer", "count"),
    [
        ("SoG." + "...." * 3, 0),
        ("S.G." + "...." * 3, 3),  # S and G have no neighbour, and a cell is missing
        ("SoG." + "o..." + "...." * 2, 3),  # S has two, the new cell has one, and it is one too many
        ("SoG." + "...." + "oo.." * 2, 4),  # a ring beside the path: every link is sound
        ("#oG." + "...." * 3, 1),  # S is gone
        ("SoG." + "...S" + "..#." * 2, 3),  # another S and two walls
    ],
)
def test_violations_count_what_is_wrong(answer, count):
    task = MazeTask(4, 2)
    puzzle = task.parse("S.G." + "...." * 3)
    tokens = np.array(["#.SGo".index(character) for character in answer])
    assert task.violations(puzzle[None], tokens[None]).tolist() == [count]


# ---- symmetry ----------------------------------------------------------------------------------------


def test_there_are_eight_images_and_each_is_solved_anew():
    puzzles = generate(10, 20, 20, 0)
    images = SMALL.images(puzzles)
    assert images.puzzle.shape == images.solution.shape == (160, 100)
    assert images.puzzle.dtype == images.solution.dtype == np.uint8
    assert (images.puzzle[:20] == puzzles.puzzle).all()
    boards = puzzles.puzzle.reshape(-1, 10, 10)
    for i, board in enumerate(boards):
        wanted = {np.rot90(b, k).tobytes() for b in (board, board.T) for k in range(4)}
        assert {image.tobytes() for image in images.puzzle[i::20]} == wanted
    for puzzle, solution in zip(*images[:2], strict=True):
        assert (solution == solve_by_the_rule(puzzle, 10)).all()
    assert (images.solution[20:40] != puzzles.solution[:, symmetry.images(10)[1]]).any()  # not the label turned
    numbered = SMALL.images(Puzzles(*puzzles[:2], np.arange(20)))
    assert (numbered.identity == np.tile(np.arange(20), 8)).all()


@settings(max_examples=10, deadline=None)
@given(seed=SEEDS)
def test_the_split_is_the_same_for_all_images(seed):
    puzzles = generate(10, 20, 3, seed)
    images = SMALL.images(puzzles).puzzle
    forms = symmetry.canonical_forms(puzzles.puzzle, 10)
    assert (symmetry.canonical_forms(images, 10) == np.tile(forms, (8, 1))).all()
    assert (symmetry.is_test(images, 10) == np.tile(symmetry.is_test(puzzles.puzzle, 10), 8)).all()
    for i, form in enumerate(forms):
        assert form.tobytes() == min(image.tobytes() for image in images[i::3])


# ---- generator ---------------------------------------------------------------------------------------


@settings(max_examples=10, deadline=None)
@given(seed=SEEDS)
def test_generated_mazes_are_solvable_and_long(seed):
    puzzles = SMALL.sample(5, np.random.default_rng(seed))
    assert (SMALL.rate(puzzles.puzzle) >= 20).all()
    assert (SMALL.violations(*puzzles[:2]) == 0).all()
    for puzzle in puzzles.puzzle:
        SMALL.check(puzzle)


@pytest.mark.parametrize("split", ["train", "test", None])
def test_a_sequence_can_be_made_in_parts(split):
    whole, part = generate(10, 20, 10, 7, split), generate(10, 20, 4, 7, split, first=5)
    assert (whole.puzzle[5:9] == part.puzzle).all()
    assert not (generate(10, 20, 10, 8, split).puzzle == whole.puzzle).all()
    if split:
        assert (symmetry.is_test(whole.puzzle, 10) == (split == "test")).all()


def test_chains_reach_the_distribution_that_rejection_draws():
    # Where rejection is cheap: 6x6 mazes with at least 11 cells, walls and ends as the docstring says.
    size, least, rng = 6, 11, np.random.default_rng(0)
    draws = (rng.random((150_000, size * size)) >= rng.random((150_000, 1))).astype(np.uint8)
    free = draws.sum(1) >= 2
    draws = draws[free]
    order = np.argsort(rng.random(draws.shape) + 2 * (draws == 0), axis=1)[:, :2]  # two random free cells
    np.put_along_axis(draws, order, np.array([[2, 3]], np.uint8), 1)
    drawn = draws[solver.path_cells(draws, size) >= least]
    made = generate(size, least, 3000, 0).puzzle
    assert len(drawn) > 1000
    for measure in (lambda p: (p == 0).sum(1), lambda p: solver.path_cells(p, size)):
        a, b = measure(drawn), measure(made)
        error = (a.var() / len(a) + b.var() / len(b)) ** 0.5
        assert abs(a.mean() - b.mean()) < 4 * error, (a.mean(), b.mean(), error)
    where_walls = (drawn == 0).mean(0), (made == 0).mean(0)
    assert np.abs(where_walls[0] - where_walls[1]).max() < 0.07


# ---- the task ----------------------------------------------------------------------------------------


def test_a_task_is_its_arguments():
    assert MazeTask() == MazeTask(30, 110) != SMALL
    assert hash(MazeTask(10, 20)) == hash(SMALL)
    assert repr(SMALL) == "MazeTask(size=10, min_path=20, smallest=None, shortest=None, redrawn=0)"
    assert SMALL.num_uniforms == 0 and SMALL.symbols[SMALL.blank] == " "


@pytest.mark.parametrize(("size", "min_path"), [(3, 3), (61, 10), (10, 1), (10, 21), (30, 181)])
def test_boards_that_do_not_exist_are_refused(size, min_path):
    with pytest.raises(HrmGymError, match="choose"):
        MazeTask(size, min_path)


def test_mazes_are_read_with_their_spaces():
    puzzle, solution = (array[0] for array in shipped.load("small", "test")[:2])
    text = SMALL.format(puzzle)
    rows = [text[i : i + 10] for i in range(0, 100, 10)]
    for form in (text, text + "\n", text.replace(" ", "."), "\n".join(rows), "\r\n".join(rows) + "\r\n"):
        assert (SMALL.parse(form) == puzzle).all()
    assert (SMALL.parse(SMALL.format(solution)) == solution).all()


MAZE = ["S.#.", "..#.", "..#.", "..#G"]


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (MAZE, ["no solution", "S to G"]),
        (["..#.", *MAZE[1:]], ["no S"]),
        ([*MAZE[:3], "..#."], ["no G"]),
        (["SS..", "...G", "....", "...."], ["2 S", "row 1, column 1", "row 1, column 2"]),
        (["S..G", "...G", "....", "...."], ["2 G", "row 2, column 4"]),
        (["S..G", "...", "....", "...."], ["row 2", "3 characters", "4"]),
        (["S..G", "....", "...."], ["3 rows", "4"]),
        (["S..G"], ["4 characters", "16"]),
        ([""], ["0 characters", "16"]),
        (["S..G", "..y.", "....", "...."], ["'y'", "row 2, column 3"]),
        (["SooG", "....", "....", "...."], ["'o'", "row 1, column 2"]),
    ],
)
def test_bad_mazes_are_refused_in_one_line(rows, words):
    task = MazeTask(4, 2)
    for refuse in (task.check, task.solve):
        with pytest.raises(HrmGymError) as error:
            refuse(task.parse("\n".join(rows)))
        message = str(error.value)
        assert "\n" not in message and all(word in message for word in words), message


def test_tokens_without_ends_are_refused():
    with pytest.raises(HrmGymError, match="no S"):
        SMALL.check(np.ones(100, np.uint8))


def test_files_keep_their_leading_spaces(tmp_path):
    puzzles = Puzzles(*(array[:30] for array in shipped.load("small", "test")[:2]))
    write_puzzles(tmp_path / "mazes.csv", puzzles, SMALL)
    (tmp_path / "mazes.txt").write_text("".join(SMALL.format(puzzle) + "\n" for puzzle in puzzles.puzzle))
    assert (puzzles.puzzle[:, 0] == 1).any() and (puzzles.puzzle[:, -1] == 1).any()
    for name in ("mazes.csv", "mazes.txt"):
        read = read_puzzles(tmp_path / name, SMALL)
        assert (read.puzzle == puzzles.puzzle).all() and (read.solution == puzzles.solution).all()
    (tmp_path / "bad.csv").write_text(f'question\n"{"#" * 100}"\n')
    with pytest.raises(HrmGymError, match=r"bad\.csv, line 2: the maze has no S"):
        read_puzzles(tmp_path / "bad.csv", SMALL)


def test_the_picture_shows_what_it_should():
    puzzle, solution = (array[0] for array in shipped.load("small", "test")[:2])
    altered, renderer = puzzle.copy(), Renderer(SMALL)
    altered[[np.argmax(puzzle == 0), np.argmax(puzzle == 2)]] = (1, 0)
    sure = np.full(100, 0.9)
    frames = [
        Frame(puzzle=puzzle, answer=puzzle),
        Frame(puzzle=puzzle, answer=altered),
        Frame(puzzle=puzzle, answer=solution),
        Frame(puzzle=puzzle, answer=solution, confidence=sure),
        Frame(puzzle=puzzle, answer=solution, confidence=sure, previous=puzzle),
        Frame(puzzle=puzzle, answer=solution, confidence=sure, solution=solution, reveal=True),
        Frame(puzzle=puzzle, answer=altered, confidence=sure, solution=solution, reveal=True),
    ]
    boards = [renderer.rgb(frame)[:, :620] for frame in frames]
    assert renderer.rgb(frames[0]).shape == (HEIGHT, WIDTH, 3)
    assert all((a != b).any() for a, b in itertools.combinations(boards, 2))


# ---- the shipped mazes -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["small", "hard"])
def test_shipped_splits_share_nothing_up_to_symmetry(name):
    size, forms = shipped.SIZES[name], {}
    for split, count in shipped.COUNTS[name].items():
        puzzles = shipped.load(name, split)
        assert len(puzzles.puzzle) == len(puzzles.solution) == count
        assert (symmetry.is_test(puzzles.puzzle, size) == (split != "train")).all()
        assert (solver.path_cells(puzzles.puzzle, size) >= shipped.MIN_PATHS[name]).all()
        forms[split] = {form.tobytes() for form in symmetry.canonical_forms(puzzles.puzzle, size)}
        assert len(forms[split]) == count
    assert not any(forms[a] & forms[b] for a, b in itertools.combinations(forms, 2))


def test_mazes_of_other_sizes_have_three_splits_too():
    task = MazeTask(6, 8)
    keys = {split: set(task.keys(task.dataset(split))) for split in SPLITS}
    assert [len(task.dataset(split).puzzle) for split in SPLITS] == [10_000, 500, 1_000]
    assert not any(keys[a] & keys[b] for a, b in itertools.combinations(keys, 2))


@pytest.mark.parametrize(("name", "num"), [("small", 200), ("hard", 3)])
@pytest.mark.parametrize("split", SPLITS)
def test_the_first_shipped_mazes_are_made_again(name, num, split):
    again, stored = shipped.generate_split(name, split, num), shipped.load(name, split)
    assert (again.puzzle == stored.puzzle[:num]).all() and (again.solution == stored.solution[:num]).all()
    assert MazeTask(shipped.SIZES[name], shipped.MIN_PATHS[name]).dataset(split).puzzle.shape == stored.puzzle.shape


def test_a_file_is_made_again_byte_for_byte(tmp_path, monkeypatch):
    monkeypatch.setitem(shipped.COUNTS, "small", {"train": 30, "validation": 10, "test": 20})
    for name in ("a.npz", "b.npz"):
        SMALL.write_shipped(tmp_path / name)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    arrays = np.load(tmp_path / "a.npz")
    again = shipped.unpack(arrays["train_walls"], arrays["train_ends"], 10)
    assert (again == shipped.load("small", "train").puzzle[:30]).all()


def test_what_does_not_ship_is_refused(tmp_path):
    with pytest.raises(HrmGymError, match="ships no puzzles"):
        MazeTask(8, 10).write_shipped(tmp_path / "x.npz")
    with pytest.raises(HrmGymError, match="did you mean"):
        shipped.write_shipped("smal", tmp_path / "x.npz")
    with pytest.raises(HrmGymError, match="unknown split"):
        SMALL.dataset("dev")


# ---- real mazes --------------------------------------------------------------------------------------


@needs_puzzles
def test_real_mazes_are_solved_to_the_letter():
    path = Path(PUZZLES_DIR) / "maze-30x30-hard.csv.gz"
    with gzip.open(path, "rt") as file:
        rating = [int(row["rating"]) for row in csv.DictReader(file)]
    task = MazeTask()
    real = read_puzzles(path, task)
    assert len(real.puzzle) == 1000
    assert (solver.solve(real.puzzle, 30) == real.solution).all()
    assert (task.rate(real.puzzle) == rating).all()
    assert (task.violations(*real[:2]) == 0).all()


@needs_puzzles
def test_hard_mazes_are_distributed_as_the_benchmark():
    real = read_puzzles(Path(PUZZLES_DIR) / "maze-30x30-hard.csv.gz", MazeTask()).puzzle
    for split in SPLITS:
        made = shipped.load("hard", split).puzzle
        for measure in (lambda p: (p == 0).sum(1), lambda p: solver.path_cells(p, 30)):
            for share in (5, 25, 50, 75, 95):
                assert abs(np.percentile(measure(made), share) / np.percentile(measure(real), share) - 1) < 0.05
            assert abs(measure(made).mean() / measure(real).mean() - 1) < 0.02
