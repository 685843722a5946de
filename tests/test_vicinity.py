"""The search of the vicinity of published hard puzzles, and the set that is made of what it finds."""

import csv
import gzip
from pathlib import Path

import numpy as np
import pytest

from hrm_gym.envs.sudoku import canonical, shipped, solver
from hrm_gym.envs.sudoku.making import mixture, plain, probing, vicinity
from hrm_gym.envs.sudoku.making.generator import generate
from hrm_gym.errors import HrmGymError
from tests.test_sudoku import PUZZLES_DIR, assert_unique_and_minimal, needs_puzzles

SPLITS = ("validation", "test")


def searched(split):
    """The puzzles of a shipped split that are not random, and their solutions."""
    puzzles = shipped.load("vicinity", split)
    seed = shipped.SEEDS["vicinity"] + (shipped.VALIDATION_SEED if split == "validation" else 0)
    hard = mixture.places(0, len(puzzles.puzzle), seed) >= mixture.EASY_SHARE
    return puzzles.puzzle[hard], puzzles.solution[hard]


def forms(puzzles, solutions):
    return {form.tobytes() for form in canonical.canonical_forms(puzzles, solutions, (3, 3))}


def closures(puzzles):
    stack = solver.new_stack(3, 3)
    return np.array([probing.closure(stack, puzzle) for puzzle in puzzles])


def measured(puzzles):
    """Survivors, resistance and guesses."""
    state, stack, order = np.zeros(1, np.uint64), solver.new_stack(3, 3), np.arange(81)
    survivors = [probing.survivors(state, stack, order, puzzle, vicinity.ALL) for puzzle in puzzles]
    return np.stack((survivors, probing.resistance(puzzles), solver.rate(puzzles, (3, 3))), axis=1)


@pytest.mark.slow
def test_what_the_search_finds_is_unique_and_minimal_and_has_the_measures_that_it_says():
    state, first = np.array([5], np.uint64), len(vicinity.BEGINNINGS)
    puzzles, grids = np.zeros((first + 6, 81), np.uint8), np.zeros((first + 6, 81), np.uint8)
    found = np.zeros((first + 6, vicinity.COLUMNS), np.int64)
    num = vicinity.grow(state, 100, 0, puzzles, grids, found)
    assert num == first + 6
    puzzles, grids, found = puzzles[:num], grids[:num], found[:num]
    solutions = solver.search_all(puzzles, 3, 3, 1)[0]
    assert_unique_and_minimal(puzzles[first:], solutions[first:], (3, 3))
    assert (measured(puzzles) == found[:, :3]).all()
    assert (found[first:, :3] >= (vicinity.SURVIVE, vicinity.LEAST, vicinity.FEWEST)).all()
    assert (closures(puzzles) > 0).all()
    assert (canonical.canonical_forms(puzzles, solutions, (3, 3)) == grids).all()
    assert len(np.unique(grids, axis=0)) == len(grids)


def test_looking_ahead_again_and_again_opens_random_puzzles_and_not_the_published_ones():
    assert (closures(vicinity.BEGINNINGS) >= 200).all()
    assert (closures(generate((3, 3), 50, 0).puzzle) == 0).all()


def test_candidates_of_published_puzzles_survive_two_guesses_deep_and_those_of_random_ones_do_not():
    survivors = measured(vicinity.BEGINNINGS)[:, 0]
    assert survivors[:3].tolist() == [40, 63, 53] and (survivors >= 22).all()
    assert (measured(generate((3, 3), 10, 0).puzzle)[:, 0] == 0).all()
    state, stack, order = np.zeros(1, np.uint64), solver.new_stack(3, 3), np.arange(81)
    assert probing.survivors(state, stack, order, generate((3, 3), 1, 0).puzzle[0], 1) == 0


def test_a_plain_solver_guesses_as_often_in_every_image_and_never_in_a_puzzle_that_singles_solve():
    state = np.zeros(1, np.uint64)
    grid = generate((3, 3), 1, 0).solution[0]
    for blanks in (0, 1, 5):
        puzzle = grid.copy()
        puzzle[:blanks] = 0
        assert plain.plain_guesses(state, puzzle) == 0
    hard = vicinity.BEGINNINGS[1]
    image = np.where(hard > 0, 10 - hard, 0).reshape(9, 9).T.ravel()
    counts = [np.mean([plain.plain_guesses(state, puzzle) for _ in range(30)]) for puzzle in (hard, image)]
    assert counts[0] == pytest.approx(counts[1], rel=0.2) and min(counts) > 1000


def test_the_aims_are_correlated_as_the_benchmark_is_and_each_puzzle_is_chosen_once():
    aims = mixture.aims(20_000, 0)
    assert np.corrcoef(aims.T) == pytest.approx(mixture._CORRELATIONS, abs=0.03)
    assert np.abs(aims.mean(0)).max() < 0.03 and aims.std(0) == pytest.approx(np.ones(4), abs=0.03)
    found = np.array(
        [[9, 217, 12, 500, 0, 1], [25, 226, 29, 1200, 0, 1], [49, 240, 60, 2500, 0, 1], [26, 225, 29, 1100, 0, 1]]
    )
    wanted = np.array([[-1, -1, -1, -1], [2, 2, 1, 1], [0, 0, 0, 0]])
    assert mixture.choose(mixture._scaled(found), wanted).tolist() == [0, 2, 1]


def test_too_few_draws_are_refused():
    with pytest.raises(HrmGymError, match="more than 1 draws"):
        mixture.generate_mixture(8, 1, "test", draws=1)


@pytest.mark.slow
def test_no_two_splits_share_a_grid():
    train, validation, test = (
        forms(*shipped.load(*where)[:2])
        for where in (("extreme", "train"), ("vicinity", "validation"), ("vicinity", "test"))
    )
    assert not (train & test or train & validation or validation & test)


@pytest.mark.slow
@pytest.mark.parametrize("split", SPLITS)
def test_the_searched_puzzles_resist_and_stay_closed(split):
    puzzles, solutions = searched(split)
    some = puzzles[::5]  # survivors take a tenth of a second
    assert (measured(some) >= (vicinity.SURVIVE, vicinity.LEAST, vicinity.FEWEST)).all()
    assert (closures(puzzles) > 0).all()
    assert len(forms(puzzles, solutions)) == len(puzzles)


@pytest.mark.slow
@needs_puzzles
@pytest.mark.parametrize("name", ["extreme-matched", "forum-hardest", "magictour-top1465", "17clue", "unbiased"])
def test_no_searched_puzzle_is_an_image_of_a_published_one(name):
    with gzip.open(Path(PUZZLES_DIR) / f"sudoku-{name}.csv.gz", "rt") as file:
        grids = np.array([[int(digit) for digit in row["answer"]] for row in csv.DictReader(file)], np.uint8)
    published = forms(grids, grids)
    for split in SPLITS:
        assert not published & forms(*searched(split))
