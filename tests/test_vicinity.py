"""The search of the vicinity of published hard puzzles, and the set that is made of what it finds."""

import csv
import gzip
from pathlib import Path

import numpy as np
import pytest

from hrm_gym.envs.sudoku import canonical, shipped, solver
from hrm_gym.envs.sudoku.making import mixture, probing, vicinity
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


@pytest.mark.slow
def test_what_the_search_finds_is_unique_and_minimal_and_has_the_measures_that_it_says():
    state = np.array([5], np.uint64)
    puzzles, grids = np.zeros((12, 81), np.uint8), np.zeros((12, 81), np.uint8)
    found = np.zeros((12, 5), np.int64)
    num = vicinity.grow(state, 150, 0, puzzles, grids, found)
    assert num > 7
    puzzles, grids, found = puzzles[5:num], grids[5:num], found[5:num]
    solutions = solver.search_all(puzzles, 3, 3, 1)[0]
    assert_unique_and_minimal(puzzles, solutions, (3, 3))
    assert (probing.resistance(puzzles) == found[:, 0]).all() and (found[:, 0] >= 188).all()  # the least of the five
    assert (solver.rate(puzzles, (3, 3)) == found[:, 1]).all()
    assert (closures(puzzles) == found[:, 2]).all() and (found[:, 2] > 0).all()
    assert (canonical.canonical_forms(puzzles, solutions, (3, 3)) == grids).all()
    assert len(np.unique(grids, axis=0)) == len(grids)


def test_looking_ahead_again_and_again_opens_random_puzzles_and_not_the_published_ones():
    assert (closures(vicinity.BEGINNINGS) >= 200).sum() >= 4
    assert (closures(generate((3, 3), 50, 0).puzzle) == 0).all()


def test_the_aims_follow_the_histogram_and_each_puzzle_is_chosen_once():
    aims = mixture.aims(1000, 0)
    counts = np.histogram2d(aims[:, 0], aims[:, 1], [mixture._GUESSES, mixture._RESISTANCE])[0]
    assert np.abs(counts - mixture._HISTOGRAM * (1000 / mixture._HISTOGRAM.sum())).max() <= 1
    found = np.array([[220, 10], [230, 30], [240, 60], [250, 90]])
    assert mixture.choose(found, np.array([[12, 221], [85, 249], [28, 229]])).tolist() == [0, 3, 1]


def test_too_few_draws_are_refused(monkeypatch):
    monkeypatch.setattr(mixture, "DRAWS_PER_PUZZLE", 1)
    with pytest.raises(HrmGymError, match="more than 1 draws"):
        mixture.generate_mixture(2, 1, "test", draws=1)


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
    assert (probing.resistance(puzzles) >= vicinity.LEAST).all() and (closures(puzzles) > 0).all()
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
