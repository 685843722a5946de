"""Guesses: puzzles that are shown with some, a rule that learns to tell wrong ones, and a policy that makes them."""

import dataclasses
import json

import numpy as np
import pytest
import torch

import hrm_gym
from hrm_gym import make_task
from hrm_gym.agents import state as nests
from hrm_gym.agents.agent import TaskSpec
from hrm_gym.agents.halting.rule import Experience
from hrm_gym.agents.inference import solving
from hrm_gym.agents.inference.evaluation import evaluate
from hrm_gym.agents.inference.guessing import Guessing, guessing
from hrm_gym.agents.inference.loading import load_guessing
from hrm_gym.agents.inference.protocol import Protocol
from hrm_gym.agents.inference.search_options import BOARDS, SearchOptions
from hrm_gym.agents.saved.build import build
from hrm_gym.agents.saved.load import load_both
from hrm_gym.agents.saved.presets import resolve
from hrm_gym.agents.training.learner import Learner
from hrm_gym.cli import main
from hrm_gym.cli.play import Thinker
from hrm_gym.cli.player import Case
from hrm_gym.envs.guesses import MOST, NUMBERS, possible, with_guesses
from hrm_gym.envs.rules import Rules
from hrm_gym.errors import HrmGymError


def small_policy(env="Sudoku4x4-v0", **options):
    """Untrained, of a few hundred weights."""
    sizes = {"preset": "groups_small", "hidden_size": 8, "message_size": 8, "mlp_size": 8, "h_cycles": 1, "l_cycles": 1}
    config = resolve({"env": env, "agent": "trm_symbols", "halting": "soundness", "device": "cpu", **sizes, **options})
    torch.manual_seed(0)
    task = make_task(env)
    return build(config, TaskSpec.of(task)).eval(), task, config


def guessed(env="Sudoku6x6-v0", num=300, share=1.0):
    task = make_task(env)
    puzzles = task.dataset("train").map(lambda array: array[:num])
    uniforms = np.random.default_rng(0).random((len(puzzles.puzzle), 2 + MOST * NUMBERS))
    return task, puzzles, uniforms, with_guesses(task, puzzles, share, uniforms)


# ---- puzzles with guesses ---------------------------------------------------------------------------


def test_guesses_are_symbols_that_the_givens_leave_and_most_of_them_are_right():
    task, puzzles, _, shown = guessed()
    new = shown.puzzle != puzzles.puzzle
    assert (puzzles.puzzle[new] == task.blank).all() and (shown.solution == puzzles.solution).all()
    assert set(new.sum(1)) == set(range(MOST + 1))  # none where a guess leaves a cell without a symbol
    right = (shown.puzzle == shown.solution)[new]
    assert 0.8 < right.mean() < 0.9
    assert (possible(task, shown.puzzle).any(2) | ~(shown.puzzle == task.blank)).all()  # no cell is left empty
    # No symbol stands twice in a group: what is wrong is wrong in a way that takes thought.
    for groups in task.groups:
        for cells in groups:
            ordered = np.sort(shown.puzzle[:, cells], axis=1)
            twice = (ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] != task.blank)
            assert not twice.any()


def test_a_share_of_the_puzzles_gets_guesses():
    _, puzzles, uniforms, shown = guessed(share=0.25)
    with_some = (shown.puzzle != puzzles.puzzle).any(1)
    assert not with_some[uniforms[:, 0] >= 0.25].any() and with_some[uniforms[:, 0] < 0.25].mean() > 0.9


def test_guesses_are_the_same_in_both_libraries():
    task, puzzles, uniforms, shown = guessed()
    tensors = with_guesses(task, puzzles.map(torch.as_tensor), 1.0, torch.as_tensor(uniforms))
    assert (tensors.puzzle.numpy() == shown.puzzle).all()


def test_an_environment_shows_them_in_training_alone():
    rules = Rules("Sudoku9x9-v0", guesses=0.5, hints=0.5)
    uniforms = np.random.default_rng(0).random((200, rules.num_uniforms))
    state = rules.start(rules.data, uniforms)
    given = state.puzzle != rules.task.blank
    wrong = (given & (state.puzzle != state.solution)).any(1)
    assert 0.05 < wrong.mean() < 0.45
    with pytest.raises(HrmGymError, match="only training puzzles get guesses"):
        Rules("Sudoku4x4-v0", guesses=0.5, split="test")
    with pytest.raises(HrmGymError, match="only training puzzles get guesses"):
        Rules("MazeSmall-v0", guesses=0.5)
    with pytest.raises(HrmGymError, match="at least 0 and at most 1"):
        Rules("Sudoku4x4-v0", guesses=2)


# ---- the rule ---------------------------------------------------------------------------------------


def experience(policy, puzzle, solution, sound):
    _, output, signals = policy(policy.initial_state(len(puzzle)), {"puzzle": puzzle})
    right = (output.logits.argmax(-1) == solution).all(1)
    segment, no = torch.ones(len(puzzle), dtype=torch.long), torch.zeros(len(puzzle), dtype=torch.bool)
    others = {"segment": segment, "halted": no, "reward": torch.zeros(len(puzzle)), "ended": no, "right": right}
    return Experience({"puzzle": puzzle}, output, signals, solution=solution, look_ahead=None, sound=sound, **others)


def test_a_puzzle_without_a_solution_teaches_that_alone():
    policy, task, config = small_policy()
    puzzles = task.dataset("train").map(lambda array: torch.as_tensor(array[:4]).long())
    sound = torch.tensor([True, False, True, False])
    losses = Learner(config, policy, task.padding).losses(experience(policy, *puzzles[:2], sound))
    assert (losses["answer"] > 0).tolist() == sound.tolist()
    everywhere = Learner(config, policy, task.padding).losses(experience(policy, *puzzles[:2], None))
    assert (everywhere["answer"] > 0).all()
    # An untrained rule thinks most puzzles sound: it errs more on those that are not.
    assert (losses["halting"] > everywhere["halting"]).tolist() == (~sound).tolist()


def test_training_gives_up_what_seems_hopeless_and_use_does_not():
    rule = small_policy()[0].halting
    signals = {"q_halt": torch.full((3,), -9.0), "q_sound": torch.tensor([-9.0, -9.0, 9.0])}
    segment = torch.tensor([8, 1, 8])
    assert rule.explore(signals, segment, torch.ones(3, 2)).tolist() == [2, 0, 0]
    assert not rule.decide(signals, segment).any()


@pytest.mark.slow
@pytest.mark.parametrize("rule", [{"halting": "soundness"}, {"halting": "q_learning", "give_up": True, "gamma": 0.9}])
def test_it_learns_to_tell_wrong_guesses(tmp_path, rule):
    """Of 4x4 Sudokus with guesses, in some hundred steps: far better than by chance."""
    run = hrm_gym.train(
        "Sudoku4x4-v0",
        "trm_symbols",
        preset="groups_small",
        **rule,
        guesses=0.9,
        max_segments=4,
        max_steps=250,
        max_minutes=0,
        compile=False,
        run_dir=str(tmp_path / "run"),
        device="cpu",
    )
    policy = hrm_gym.load_agent("Sudoku4x4-v0", run.folder)
    task, _, _, shown = guessed("Sudoku4x4-v0", 200)
    given = shown.puzzle != task.blank
    sound = ~(given & (shown.puzzle != shown.solution)).any(1)
    assert 10 < (~sound).sum() < 100
    state = policy.initial_state(len(sound))
    with torch.inference_mode():
        for _ in range(3):
            state, _, signals = policy(state, {"puzzle": torch.as_tensor(shown.puzzle).long()})
    value = policy.halting.solvable(signals).numpy()
    ranked = (value[sound][:, None] > value[~sound]).mean()
    assert ranked > 0.8
    # What it has learned serves a search as it is.
    held_out = task.dataset("validation").map(lambda array: array[:30])
    assert evaluate(policy, task, held_out, Protocol(boards=4, max_segments=8)).exact.mean() > 0.75


# ---- the search -------------------------------------------------------------------------------------


def knowing(spec, solution, least):
    """Instead of the network: knows the solution, tells wrong guesses, and is right on boards with `least` givens."""

    def think(state, board):
        given = board != spec.blank
        wrong = (given & (board != solution)).any(1)
        ready = ~wrong & (given.sum(1) >= least)
        logits = torch.zeros(*board.shape, spec.num_tokens)
        known = torch.where(ready[:, None], solution, board)
        logits = logits.scatter(2, known.unsqueeze(2), 9.0)
        q_halt = torch.where(ready, 5.0, -5.0)
        return state, logits, torch.stack((q_halt, torch.where(wrong, -9.0, 9.0)), 1), torch.zeros(len(board), 8)

    return think


def searching(most, boards=8):
    """A search about a 6x6 Sudoku with a mind that is right once `most` right symbols are given."""
    policy, task, _ = small_policy("Sudoku6x6-v0")
    puzzle, solution = (torch.as_tensor(array[:1]).long() for array in task.dataset("test")[:2])
    search = Guessing(policy, task, boards)
    search._think = knowing(policy.agent.spec, solution, int((puzzle != task.blank).sum()) + most)
    return search, puzzle, solution


def test_noise_reaches_the_thoughts_of_a_search_and_nothing_else():
    search, _, _ = searching(3)
    plain = search.initial_state(2)
    noisy = search.perturbed(plain, 1.0, torch.Generator().manual_seed(0))
    for name, tensor in noisy._asdict().items():
        assert name == "inner" or torch.equal(tensor, getattr(plain, name)), name
    before, after = (dict(nests.items(state.inner)) for state in (plain, noisy))
    assert all(not torch.equal(tensor, after[name]) for name, tensor in before.items())


@pytest.mark.parametrize("guesses", [3, 4, 6])
def test_a_search_goes_as_deep_as_it_must(guesses):
    search, puzzle, solution = searching(guesses)
    state = search.initial_state(1)
    for segment in range(1, 40):  # noqa: B007
        state, output, signals = search(state, {"puzzle": puzzle})
        if signals["q_halt"][0] > 0:
            break
    assert torch.equal(output.logits.argmax(-1), solution)
    assert segment > SearchOptions().first + SearchOptions().segments * (guesses - 3)
    assert torch.equal(state.board[:, 0], puzzle)
    # What it is sure of, it goes on saying.
    for _ in range(8):
        state, output, _ = search(state, {"puzzle": puzzle})
        assert torch.equal(output.logits.argmax(-1), solution)


def test_hopeless_boards_make_room_at_once_and_only_possible_ones_wait():
    search, puzzle, solution = searching(99)
    spec = search.agent.spec
    state = search.initial_state(1)
    for _ in range(SearchOptions().first):
        state, *_ = search(state, {"puzzle": puzzle})
    assert state.used.sum() == 8 and (state.depth[0, 1:] == 3).all() and (state.age[0, 1:] == 0).all()
    assert (state.promise[0].diff() <= 0).all()
    before = {tuple(board.tolist()) for board in state.board[0, 1:]}
    assert len(before) == 7
    state, *_ = search(state, {"puzzle": puzzle})
    for board, age in zip(state.board[0, 1:], state.age[0, 1:], strict=True):
        given = board != spec.blank
        assert age == 0 or torch.equal(board[given], solution[0, given])  # those that went on were right
        kept = puzzle[0] != spec.blank
        assert torch.equal(board[kept], puzzle[0, kept])
    for board, promise in zip(state.waiting[0], state.promise[0], strict=True):
        if promise > 0:
            assert possible(search.task, board[None])[0].any(-1)[board == spec.blank].all()


def test_a_search_that_finds_nothing_begins_anew():
    search, puzzle, _ = searching(99)
    state, begun = search.initial_state(1), []
    for segment in range(1, 60):
        state, *_ = search(state, {"puzzle": puzzle})
        if (state.depth[0, 1:][state.age[0, 1:] == 0] == 3).all() and state.used.all():
            begun.append(segment)
    assert begun[0] == SearchOptions().first and len(begun) > 1


def test_puzzles_do_not_see_each_other_and_states_are_nests():
    policy, task, _ = small_policy("Sudoku6x6-v0")
    puzzles = torch.as_tensor(task.dataset("test").puzzle[:3]).long()
    search = Guessing(policy, task, 4)
    together, alone = search.initial_state(3), search.initial_state(1)
    for _ in range(7):
        together, said, _ = search(together, {"puzzle": puzzles})
        alone, own, _ = search(alone, {"puzzle": puzzles[1:2]})
    assert torch.allclose(said.logits[1], own.logits[0], atol=1e-4)
    assert torch.equal(together.board[1], alone.board[0])
    swapped = nests.take(together, torch.tensor([2, 0]))
    assert torch.equal(swapped.board[0], together.board[2])


def test_one_board_is_the_policy_itself_and_others_are_refused():
    policy, task, _ = small_policy()
    assert guessing(policy, task, 1) is policy
    assert guessing(policy, task, 0).boards == BOARDS
    with pytest.raises(HrmGymError, match="boards is -1"):
        guessing(policy, task, -1)
    plain = build(dataclasses.replace(small_policy()[2], halting="classifier", halting_options=None), policy.agent.spec)
    assert guessing(plain, task, 0) is plain
    with pytest.raises(HrmGymError, match="cannot detect a wrong guess"):
        guessing(plain, task, 4)
    with pytest.raises(HrmGymError, match="has no guesses"):
        guessing(policy, make_task("MazeSmall-v0"), 4)


def test_a_search_says_how_far_it_has_come():
    """Counted from its boards: those given up are gone, and those that are right go on."""
    search, puzzle, solution = searching(4)
    state, given_up = search.initial_state(1), 0
    assert [int(count) for count in search.search(state)[:3]] == [1, 0, 0]
    assert not search.search(state).guesses.any()
    for _ in range(40):
        before = state
        state, _, signals = search(state, {"puzzle": puzzle})
        boards = before.board[0, 1:][before.used[0, 1:]]
        given_up += int(((boards != search.task.blank) & (boards != solution)).any(1).sum())  # what the mind knows
        found = search.search(state)
        assert int(found.open) == state.used.sum() and int(found.waiting) == (state.promise > 0).sum()
        assert int(found.given_up) == given_up
        if signals["q_halt"][0] > 0:
            break
    assert given_up > 0
    guessed = found.guesses[0] != search.task.blank
    assert guessed.sum() == 4 and not (guessed & (puzzle[0] != search.task.blank)).any()
    assert torch.equal(found.guesses[0][guessed], solution[0][guessed])
    # The answer stays, and so do the guesses that it comes from.
    state, *_ = search(state, {"puzzle": puzzle})
    assert torch.equal(search.search(state).guesses, found.guesses)


def test_who_makes_no_guesses_has_no_search():
    policy, _, _ = small_policy()
    assert policy.search(policy.initial_state(1)) is None


def test_the_window_shows_the_search():
    search, puzzle, _ = searching(4)
    thinker, state = Thinker(search), search.initial_state(1)
    assert thinker.search[:3] == (1, 0, 0) and thinker.search.guesses.shape == (36,)
    for step in thinker(Case("a puzzle", puzzle[0].numpy(), None), 10):
        state, *_ = search(state, {"puzzle": puzzle})
        found = search.search(state)
        assert step.search[:3] == tuple(int(count) for count in found[:3])
        assert (step.search.guesses == found.guesses[0].numpy()).all()
    assert (step.search.guesses != search.task.blank).sum() == 4 and step.search.given_up > 0


# ---- the agent that ships ---------------------------------------------------------------------------


@pytest.mark.slow
def test_the_shipped_agent_solves_by_guesses_what_it_does_not_solve_without():
    policy, task = load_both("SudokuDeep-v0", "pretrained:SudokuExtreme-v0", "cpu")
    puzzles = task.dataset("validation").map(lambda array: array[:10])
    alone = evaluate(policy, task, puzzles, Protocol(max_segments=12))
    together = evaluate(policy, task, puzzles, Protocol(max_segments=12, boards=12))
    assert together.exact.sum() >= alone.exact.sum() + 3
    # What it is sure of is right: it halts on nothing else.
    assert together.exact[together.segments < 12].mean() > 0.9


@pytest.mark.parametrize(
    ("env", "asked", "boards"),
    [("SudokuExtreme-v0", 0, BOARDS), ("Sudoku9x9-v0", 0, BOARDS), ("SudokuExtreme-v0", 1, 1), ("Sudoku6x6-v0", 0, 1)],
)
def test_by_default_an_agent_that_can_give_up_searches(env, asked, boards):
    assert load_guessing(env, device="cpu", boards=asked)[0].boards == boards


@pytest.mark.slow
def test_files_of_puzzles_are_solved_by_guesses_a_few_at_a_time(monkeypatch):
    policy, task = load_guessing("Sudoku9x9-v0", device="cpu", boards=4)
    monkeypatch.setitem(solving.SLOTS, "cpu", 8)
    puzzles = task.dataset("validation").map(lambda array: array[:5])
    found = solving.solve_puzzles(policy, task, puzzles, max_segments=8)
    assert sum(s.valid for s in found) >= 4


@pytest.mark.slow
def test_commands_take_boards(capsys):
    shipped = ["--env", "SudokuExtreme-v0", "--checkpoint", "pretrained:SudokuExtreme-v0", "--boards", "6"]
    assert main(["evaluate", *shipped, "--limit", "2", "--max-segments", "4", "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["protocol"]["boards"] == 6 and figures["num_puzzles"] == 2
    puzzle = "53..7....6..195....98....6.8...6...34..8.3..17...2...6.6....28....419..5....8..79"
    assert main(["solve", *shipped, puzzle]) == 0
    assert capsys.readouterr().out.split()[0] == "534678912"
    assert main(["play", *shipped, "--headless", "--puzzle", puzzle]) == 0
    shown = capsys.readouterr().out
    assert "your puzzle: solved in" in shown and "boards: 1 open, 0 waiting, 0 given up" in shown
    assert "* the agent guesses" in shown
    assert main(["evaluate", "--env", "Sudoku6x6-v0", "--boards", "6", "--limit", "2"]) == 2
    assert "cannot detect a wrong guess" in capsys.readouterr().err


def test_the_python_door_takes_boards_and_finds_the_agent_for_them():
    """`evaluate` of the shipped agents: with several boards the one that guesses."""
    found = hrm_gym.evaluate("SudokuExtreme-v0", boards=2, limit=2, max_segments=3, device="cpu")
    assert found["protocol"]["boards"] == 2 and found["num_puzzles"] == 2
    with pytest.raises(HrmGymError, match="cannot detect a wrong guess"):
        hrm_gym.evaluate("Sudoku6x6-v0", boards=2, limit=2)


def test_more_boards_need_a_larger_margin():
    options = SearchOptions(margin=3.0)
    margins = [options.margin_for(boards) for boards in (2, 8, BOARDS, 128)]
    assert margins == sorted(margins) and margins[2] == 3.0
    assert SearchOptions.from_dict(json.loads(options.to_json())) == options
