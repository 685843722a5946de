"""Attempts at one puzzle: how they differ, and how solving makes them."""

import numpy as np
import pytest
import torch

import hrm_gym
from hrm_gym import make_task
from hrm_gym.agents.inference import solving
from hrm_gym.agents.inference.attempts import Attempts
from hrm_gym.agents.inference.evaluation import evaluate
from hrm_gym.agents.inference.protocol import Protocol
from hrm_gym.agents.inference.solving import solve_puzzles, suited
from hrm_gym.agents.inference.think import boards_of
from hrm_gym.agents.saved.load import load_both
from hrm_gym.envs.guesses import possible
from hrm_gym.errors import HrmGymError


@pytest.fixture(scope="module")
def extreme():
    """The shipped agent, its task, and four puzzles that it does not solve within four segments."""
    policy, task = load_both("SudokuExtreme-v0", device="cpu")
    puzzles = task.dataset("validation").map(lambda array: array[:24])
    right = evaluate(policy, task, puzzles, Protocol(halting="fixed", max_segments=4)).valid
    return policy, task, puzzles.map(lambda array: array[~right][:4])


def attempts_at(policy, task, puzzles, vary, seed=0):
    boards = boards_of(puzzles, policy.device)
    return Attempts(policy, task, boards, vary, torch.Generator().manual_seed(seed))


def test_every_candidate_is_guessed_once_before_any_is_guessed_again(extreme):
    policy, task, puzzles = extreme
    board = torch.as_tensor(puzzles.puzzle[0]).long()
    left = possible(task, board[None])[0]
    count = int(left.sum())
    made = attempts_at(policy, task, puzzles, "guess")
    number = torch.arange(count + 3)
    shown = made.show(torch.zeros_like(number), number).boards.puzzle
    assert torch.equal(shown[0], board)  # the first attempt is about the puzzle as it is
    changed = shown != board
    assert changed[1 : count + 1].sum(1).tolist() == [1] * count
    cells = changed[1 : count + 1].int().argmax(1)
    guesses = {(int(cell), int(shown[i, cell])) for i, cell in enumerate(cells, start=1)}
    symbols = torch.tensor(task.group_symbols)
    assert guesses == {(int(cell), int(symbols[k])) for cell, k in left.nonzero()}
    assert changed[count + 1 :].sum(1).tolist() == [2, 2]  # then two at a time


def test_no_guess_is_ruled_out_by_a_given(extreme):
    _, task, puzzles = extreme
    board, left = puzzles.puzzle[0], possible(task, torch.as_tensor(puzzles.puzzle[:1]).long())[0].numpy()
    for cell in range(task.num_cells):
        for k, symbol in enumerate(task.group_symbols):
            row, column = divmod(cell, 9)
            box = [9 * (row // 3 * 3 + i) + column // 3 * 3 + j for i in range(3) for j in range(3)]
            seen = {*board[9 * row : 9 * row + 9], *board[column::9], *board[box]}
            assert left[cell, k] == (board[cell] == task.blank and symbol not in seen)


@pytest.mark.slow
def test_guesses_solve_what_one_attempt_does_not(extreme):
    policy, task, puzzles = extreme
    one = solve_puzzles(policy, task, puzzles, max_segments=4)
    many = solve_puzzles(policy, task, puzzles, rollouts=33, max_segments=4)
    assert not any(found.valid for found in one) and sum(found.valid for found in many) >= 2
    for puzzle, found in zip(puzzles.puzzle, many, strict=True):
        assert found.valid == (task.violations(puzzle[None], found.tokens[None])[0] == 0)
        assert (found.tokens == puzzle)[puzzle != task.blank].all() or not found.valid
        assert 1 < found.attempts <= 33 and 1 <= found.segments <= 4
    chosen = evaluate(policy, task, puzzles, Protocol(rollouts=33, vary="guess", select="rules", max_segments=4))
    assert chosen.valid.sum() >= 2


def test_few_slots_are_refilled_and_change_no_answer(extreme, monkeypatch):
    policy, task, puzzles = extreme
    whole = solve_puzzles(policy, task, puzzles, rollouts=9, max_segments=3, vary="guess")
    monkeypatch.setitem(solving.SLOTS, "cpu", 5)
    reports = []
    few = solve_puzzles(
        policy, task, puzzles, rollouts=9, max_segments=3, vary="guess", tell=lambda *args: reports.append(args)
    )
    assert [found.valid for found in few] == [found.valid for found in whole]
    assert reports[-1] == (4, 4) and all(done <= of == 4 for done, of in reports)


def test_without_time_there_are_as_many_attempts_as_asked_for(extreme):
    policy, task, puzzles = extreme
    for found in solve_puzzles(policy, task, puzzles, rollouts=3, max_segments=1, vary="noise"):
        assert (found.attempts, found.segments, found.valid) == (3, 1, False)


def test_when_the_time_is_up_every_puzzle_has_had_a_segment(extreme, monkeypatch):
    policy, task, puzzles = extreme
    monkeypatch.setitem(solving.SLOTS, "cpu", 1)
    for found in solve_puzzles(policy, task, puzzles, seconds=1e-9):
        assert (found.attempts, found.segments) == (1, 1)


def test_with_time_attempts_go_on(extreme):
    policy, task, puzzles = extreme
    (found,) = solve_puzzles(policy, task, puzzles.map(lambda a: a[:1]), seconds=1.0, max_segments=1, vary="noise")
    assert found.attempts > 1


def test_the_answer_that_breaks_fewest_rules_is_kept():
    policy, task = load_both("Sudoku6x6-v0", device="cpu")
    puzzles = task.dataset("test").map(lambda array: array[:16])
    short = [task.violations(p[None], s.tokens[None])[0] for p, s in _solved(policy, task, puzzles, 1)]
    longer = [task.violations(p[None], s.tokens[None])[0] for p, s in _solved(policy, task, puzzles, 3)]
    assert all(b <= a for a, b in zip(short, longer, strict=True)) and sum(longer) < sum(short)


def _solved(policy, task, puzzles, max_segments):
    return zip(puzzles.puzzle, solve_puzzles(policy, task, puzzles, max_segments=max_segments), strict=True)


def test_attempts_suit_the_family_and_the_agent(extreme):
    policy, task, _ = extreme
    assert suited(policy, task) == "guess"  # it answers all images alike
    assert suited(*load_both("Sudoku6x6-v0", device="cpu")) == "symmetry"
    assert suited(*load_both("MazeSmall-v0", device="cpu")) == "noise"


def test_what_cannot_be_varied_is_refused(extreme):
    policy, task = load_both("MazeSmall-v0", device="cpu")
    puzzles = make_task("MazeSmall-v0").dataset("test").map(lambda array: array[:2])
    with pytest.raises(HrmGymError, match="vary 'guess': MazeTask does not say which symbols"):
        solve_puzzles(policy, task, puzzles, vary="guess")
    with pytest.raises(HrmGymError, match="no symmetries that can be undone"):
        solve_puzzles(policy, task, puzzles, vary="symmetry")
    with pytest.raises(HrmGymError, match="did you mean 'guess'"):
        hrm_gym.solve("Sudoku4x4-v0", "1...2..4..3..1..", vary="gues", device="cpu")
    with pytest.raises(HrmGymError, match="vary 'guess'"):
        evaluate(policy, task, puzzles, Protocol(rollouts=2, vary="guess"))


def test_a_full_board_has_nothing_to_guess(extreme):
    policy, task, puzzles = extreme
    full = puzzles._replace(puzzle=puzzles.solution)
    number = torch.tensor([0, 1, 2])
    shown = attempts_at(policy, task, full, "guess").show(torch.zeros_like(number), number).boards.puzzle
    assert (shown.numpy() == np.asarray(full.solution[0])).all()
