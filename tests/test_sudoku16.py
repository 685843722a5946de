"""Sudokus of 16x16: the arrangements of four boxes, easy puzzles, and the code by which their splits are made."""

import numpy as np
import pytest

from hrm_gym.envs.registration import make_task
from hrm_gym.envs.sudoku import arrangements, solver, symmetry
from hrm_gym.envs.sudoku.canonical import grid_code
from hrm_gym.envs.sudoku.making.easy import follows
from hrm_gym.envs.sudoku.making.generator import generate
from hrm_gym.errors import HrmGymError
from tests.test_sudoku import is_test

TASK = make_task("Sudoku16x16-v0")


def images(boards, seed=0):
    uniforms = np.random.default_rng(seed).random((len(boards[0]), TASK.num_uniforms))
    return symmetry.random_image(boards, uniforms, (4, 4))


def test_the_tables_of_two_lines_say_what_all_24_arrangements_say():
    all_24 = arrangements.ARRANGEMENTS[2]
    assert len(set(all_24.tolist())) == 24
    # A place has a candidate as often as not, or two times out of three: from no arrangement to all.
    some = np.random.default_rng(0).integers(0, 1 << 16, (2000, 3))
    for places in (0, (1 << 16) - 1, *some[:, 0].tolist(), *(some[:, 0] | some[:, 1] & some[:, 2]).tolist()):
        within = all_24[all_24 & ~places == 0]
        assert arrangements.count(4, places, True) == len(within)
        assert arrangements.possible(4, places, True) == np.bitwise_or.reduce(within, initial=0)
        if len(within):
            assert arrangements.forced(4, places, True) == np.bitwise_and.reduce(within)
        hit = [box for box in range(4) if places >> 4 * box & 15]
        assert arrangements.boxes_hit(4, places, True) == sum(1 << box for box in hit)


def test_singles_solve_a_puzzle_and_no_given_follows_from_the_others():
    puzzles = generate((4, 4), 5, 3)
    assert (TASK.violations(puzzles.puzzle.astype(int), puzzles.solution.astype(int)) == 0).all()
    assert all(
        np.array_equal(solver.solve(puzzle, (4, 4)), solution) for puzzle, solution in zip(*puzzles[:2], strict=True)
    )
    assert (TASK.rate(puzzles.puzzle) == 0).all()
    traces = TASK.trace(puzzles.puzzle, 256)
    assert (traces.num_search == (puzzles.puzzle == 0).sum(1)).all()  # every step of the plain solver stays
    masks = solver.new_stack(4, 4)[0]
    for puzzle, solution in zip(*puzzles[:2], strict=True):
        assert (TASK.solve(puzzle) == solution).all()
        assert not any(follows(masks, 4, 4, puzzle, cell) for cell in np.flatnonzero(puzzle))


def test_a_solution_that_takes_guesses_is_found():
    """Every second given of an easy puzzle that is needed: the search guesses, and what it finds is a solution."""
    puzzle = TASK.dataset("test").puzzle[:20].copy()
    for row in puzzle:
        row[np.flatnonzero(row)[::8]] = 0
    solutions, counts = solver.search_all(puzzle, 4, 4, 1)
    assert (counts[:, 0] == 1).all() and (counts[:, 1] > 0).any()
    assert (TASK.violations(puzzle.astype(int), solutions.astype(int)) == 0).all()


def test_all_images_of_a_grid_have_its_code_and_other_grids_have_others():
    grids = TASK.dataset("test").solution
    codes = [int(grid_code(grid, 4)) for grid in grids]
    assert len(set(codes)) == len(grids)
    for seed in range(20):
        (turned,) = images((grids[:50],), seed)
        assert (turned != grids[:50]).any(1).all()
        assert [int(grid_code(grid, 4)) for grid in turned] == codes[:50]


def test_the_code_of_one_symmetry_at_a_time():
    """Relabelling, bands, rows, stacks, columns, transposition: each alone moves the grid and keeps the code."""
    grid = TASK.dataset("test").solution[0].reshape(16, 16)
    rng = np.random.default_rng(0)
    within = np.concatenate([4 * i + rng.permutation(4) for i in range(4)])
    bands = (4 * rng.permutation(4)[:, None] + np.arange(4)).ravel()
    label = np.concatenate([[0], 1 + rng.permutation(16)]).astype(np.uint8)
    same = [label[grid], grid[within], grid[bands], grid[:, within], grid[:, bands], grid.T]
    code = grid_code(grid.ravel(), 4)
    for image in same:
        assert (image != grid).any() and grid_code(np.ascontiguousarray(image).ravel(), 4) == code
    # Rows of different bands that change places are no symmetry, and the code sees it.
    other = grid.copy()
    other[[0, 4]] = grid[[4, 0]]
    assert grid_code(other.ravel(), 4) != code


@pytest.mark.slow
def test_the_code_halves_the_grids_and_is_what_keeps_puzzles_apart():
    grids = np.concatenate([TASK.dataset(split).solution for split in ("train", "test")])
    assert is_test(grids, grids, (4, 4)).sum() == len(TASK.dataset("test").solution)
    drawn = TASK.sample(200, np.random.default_rng(0))
    assert 70 <= is_test(*drawn[:2], (4, 4)).sum() <= 130
    puzzle, solution = images(drawn[:2])
    turned = drawn._replace(puzzle=puzzle, solution=solution)
    assert TASK.keys(turned) == TASK.keys(drawn) and len(set(TASK.keys(drawn))) == 200


def test_digits_above_nine_are_letters():
    text = TASK.format(TASK.dataset("test").solution[0])
    assert sorted(text[:16]) == sorted("123456789ABCDEFG")
    assert (TASK.parse(text.replace("G", "0")) == TASK.parse(text.replace("G", "."))).all()
    with pytest.raises(HrmGymError, match="digit G appears twice in row 1"):
        TASK.check(TASK.parse("GG" + 254 * "."))
