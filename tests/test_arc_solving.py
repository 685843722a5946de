"""ARC tasks learned on the spot: sizes and views, networks, votes, files of tasks, and the commands."""

import json
from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest

import hrm_gym as package
from hrm_gym.agents.arc.background import background_of, exchanged, with_black_background
from hrm_gym.agents.arc.boards import boards_of_task, frozen
from hrm_gym.agents.arc.fitting import Fit, Look
from hrm_gym.agents.arc.forms import RICHEST, RUNGS, SURE, USUAL
from hrm_gym.agents.arc.many import Row, appending, read_rows, score, solve_tasks
from hrm_gym.agents.arc.solving import Solver, grade, solve_task
from hrm_gym.envs.arc.shapes import NOTHING, reading_of
from hrm_gym.envs.arc.sources import examples_of, one_task, tasks_for
from hrm_gym.envs.halting.recorded_solvers import SIGNALS
from hrm_gym.errors import HrmGymError


def grid(text):
    return [[int(cell) for cell in row] for row in text.split()]


def task_of(function, inputs):
    """A task whose last input is the test."""
    pairs = [{"input": grid(text), "output": function(np.array(grid(text), np.uint8)).tolist()} for text in inputs]
    return {"train": pairs[:-1], "test": pairs[-1:]}


INPUTS = [
    "00100 01100 00002 20000 02000",
    "10000 00022 00020 11000 01000",
    "20020 00000 01000 01100 00002",
    "02000 00001 22000 00010 10000",
]


def swapped(board):
    """Colours 1 and 2 change places."""
    return np.array([0, 2, 1], np.uint8)[board]


SWAP = task_of(swapped, INPUTS)


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


# ---- a task ------------------------------------------------------------------------------------------


def learned(task, steps=240, **options):
    """Whether a network has every answer of a task right after so many steps, however long these take."""
    examples = examples_of(task)
    boards = boards_of_task(examples)
    fit = Fit(boards.shown, boards.asked, **options)
    look = next(look for look in fit.train(1e9) if look.steps == steps)
    assert look.fitted
    return [answers[-1] for answers in look.answers] == [frozen(pair.output) for pair in examples.tests]


@pytest.mark.slow
@pytest.mark.parametrize(("agent", "steps"), [("hrm_planes", 100), ("trm_planes", 40)])
@pytest.mark.parametrize("form", ["symmetric", "directional"])
def test_a_network_learns_a_drawn_task_in_a_few_steps(agent, steps, form):
    mirrored = [" ".join(row[::-1] for row in text.split()) for text in INPUTS[:3]]
    assert learned(task_of(swapped, mirrored + INPUTS), steps, agent=agent, form=form)


@pytest.mark.parametrize(
    "function", [lambda board: np.tile(board, (1, 2)), lambda board: board[1:3, 1:4] * 0 + 3, lambda board: board.T]
)
def test_answers_of_other_sizes_are_learned(function):
    assert learned(task_of(function, [f"{text} 00000" for text in INPUTS]))


@pytest.mark.slow
def test_a_task_is_solved_within_its_seconds():
    events = []
    examples = examples_of(SWAP)
    solution = solve_task(examples, seconds=8, tell=events.append)
    assert solution.fitted and solution.complete and solution.seconds < 12
    assert frozen(examples.tests[0].output) in solution.attempts[0]
    assert events and [event.seconds for event in events] == sorted(event.seconds for event in events)
    assert all(len(event.look.answers) == 1 for event in events)  # of the test alone, whatever is left out


def test_test_outputs_are_not_looked_at():
    hidden = {**SWAP, "test": [{"input": SWAP["test"][0]["input"]}]}
    seen, unseen = (boards_of_task(examples_of(task)) for task in (SWAP, hidden))
    assert seen.asked[0].answer is None is unseen.asked[0].answer
    assert grade(examples_of(hidden), solve_task(examples_of(hidden), seconds=0.5).attempts) is None


def test_the_second_attempt_comes_from_all_forms():
    solver = Solver(examples_of(SWAP))
    first, noise, other = (((colour,),) for colour in (1, 2, 3))
    solver._early = [Counter({first: 2.0, other: 2.0})]
    solver._votes = [Counter({first: 9.0, noise: 1.0})]
    assert solver.solution().attempts == [[first, other]]
    solver._votes = [Counter()]
    assert solver.solution().attempts == [[first, other]]
    solver._early = [Counter()]
    solver._votes = [Counter({first: 9.0, noise: 1.0})]
    assert solver.solution().attempts == [[first, noise]]


def test_an_interrupted_solver_gives_the_best_so_far():
    def interrupt(event):
        raise KeyboardInterrupt

    solution = solve_task(examples_of(SWAP), seconds=60, tell=interrupt)
    assert not solution.complete and solution.seconds < 30
    assert all(1 <= len(grids) <= 2 for grids in solution.attempts)


def test_a_task_whose_sizes_no_rule_gives_gets_an_answer_all_the_same():
    sizes = iter([(1, 2), (3, 1), (2, 5)])
    task = task_of(lambda board: np.zeros(next(sizes, (1, 1)), np.uint8), INPUTS)
    solution = solve_task(examples_of(task), seconds=1)
    assert solution.attempts == [[frozen(np.array(task["test"][0]["input"]))]] and not solution.fitted


def test_a_background_of_another_colour_is_taken_for_black():
    def grey(board):
        return np.where(board == 0, 5, board)

    task = task_of(lambda board: swapped(board), INPUTS)
    pairs = [{name: grey(np.array(pair[name])).tolist() for name in pair} for pair in (*task["train"], *task["test"])]
    examples = examples_of({"train": pairs[:-1], "test": pairs[-1:]})
    assert background_of(examples) == 5 and background_of(examples_of(task)) == 0
    black = with_black_background(examples, 5)
    assert [pair.input.tolist() for pair in black.tests] == [task["test"][0]["input"]] and black.tests[0].output is None
    assert exchanged(frozen(pairs[0]["output"]), 5) == frozen(task["train"][0]["output"])
    solver = Solver(examples, seconds=60.0)
    event = next(solver.events())
    assert np.bincount(np.ravel(event.look.answers[0][-1])).argmax() == 5  # grey again
    assert np.bincount(np.ravel(solver.solution().attempts[0][0])).argmax() == 5


@pytest.mark.parametrize(("step", "compared"), [(0.02, (4, 2)), (0.1, (4, 1)), (0.2, (2, 1)), (0.3, None)])
def test_slow_steps_leave_time_for_fewer_networks_in_the_choice(monkeypatch, step, compared):
    plans = []
    monkeypatch.setattr(Solver, "_seconds_a_step", lambda self: step)
    monkeypatch.setattr(Solver, "_choose", lambda self, rungs, left_out, each: plans.append((rungs, left_out)) or ())
    monkeypatch.setattr(Solver, "_answer", lambda self, step: ())
    list(Solver(examples_of(SWAP), seconds=40).events())
    assert [(len(rungs), left_out) for rungs, left_out in plans] == ([compared] if compared else [])


def scripted(monkeypatch, fits, right=()):
    """Replace networks: forms in `fits` reproduce the demonstrations, forms in `right` predict each left-out one too.

    All others answer boards of one colour. Returns the list of forms that are trained.
    """
    trained = []

    def fit(self, rung, seed, shown, asked):
        trained.append(rung)
        wrong = ((1,) * 5,) * 5 if rung in fits else ((0,) * 5,) * 5  # more cells are right where nothing is learned
        answers = [[board.answer if rung in right and board.answer else wrong] for board in asked]
        looks = [Look(20 * (number + 1), rung in fits, answers) for number in range(8)]
        return SimpleNamespace(train=lambda seconds: looks, seconds=99.0, learner=SimpleNamespace(steps=160))

    monkeypatch.setattr(Solver, "_fit", fit)
    return trained


def test_a_form_that_predicts_all_left_out_demonstrations_ends_the_choice(monkeypatch):
    trained = scripted(monkeypatch, fits=("symmetric, colours", "directional"), right=("symmetric, colours",))
    solver = Solver(examples_of(SWAP))
    list(solver._choose(tuple(RUNGS), 2, 2.5))
    assert trained == ["symmetric"] * 2 + ["symmetric, colours"] * 2
    solution = solver.solution()
    assert (solution.rung, solution.left_out) == ("symmetric, colours", (2, 2)) and solution.sure == SURE[True]


def test_a_form_that_finds_no_rule_is_worse_than_one_that_does(monkeypatch):
    scripted(monkeypatch, fits=("directional", "directional, colours"))
    solver = Solver(examples_of(SWAP))
    list(solver._choose(tuple(RUNGS), 2, 2.5))
    assert [form.rung for form in solver._forms] == ["directional", "directional, colours", "symmetric", USUAL]
    assert solver.solution().left_out == (0, 2)


def test_the_next_form_takes_over_where_demonstrations_are_not_reproduced(monkeypatch):
    trained = scripted(monkeypatch, fits=(RICHEST,))
    solver = Solver(examples_of(SWAP), seconds=0.05)
    list(solver._answer(step=1e-5))
    assert trained[:3] == [USUAL, RICHEST, RICHEST]
    assert solver.solution().fitted and solver.solution().rung == RICHEST
    assert solver.solution().attempts[0][0] == ((1,) * 5,) * 5  # votes without a fit count a tenth


def test_the_same_seed_gives_the_same_network():
    boards = boards_of_task(examples_of(SWAP))
    answers = []
    for _ in range(2):
        looks = Fit(boards.shown, boards.asked, seed=3).train(1e9)
        answers.append([next(looks).answers for _ in range(2)])
    assert answers[0] == answers[1]


# ---- sizes and views ---------------------------------------------------------------------------------


def reading(function, inputs=INPUTS):
    boards = [np.array(grid(text), np.uint8) for text in inputs]
    return reading_of([(board, function(board)) for board in boards[:-1]], boards[-1:]), boards


@pytest.mark.parametrize(
    ("function", "name", "views"),
    [
        (lambda board: board[::-1], "as large as the input", 1),
        (lambda board: board[:3].T, "always 5 times 3", 2),
        (lambda board: np.kron(board, np.ones((3, 3), np.uint8)), "3 times 3 of the input", 3),
        (lambda board: board[:, :1] * 0, "1 times 5 parts of the input", 5),
        (lambda board: board[:2, :4], "always 2 times 4", 2),
        (lambda board: np.kron(board, np.ones((2, 2), np.uint8)), "2 times 2 of the input", 3),
    ],
)
def test_sizes_follow_from_the_demonstrations(function, name, views):
    found, boards = reading(function)
    assert found.name == name
    for board in boards:
        seen = found.look(board)
        assert seen.shape == (views, *function(board).shape) and seen.min() >= NOTHING and seen.max() <= 9


def test_turned_inputs_are_read_on_their_side():
    found, boards = reading(np.rot90, [f"{text} 00000" for text in INPUTS])
    assert found.name == "the input on its side"
    assert any(np.array_equal(view, np.rot90(boards[0])) for view in found.look(boards[0]))


def test_parts_between_lines_and_boxes_of_objects():
    lined, _ = reading(
        lambda board: board[:2, :2], ["12500 00500 55555 00521 01500", "00501 22500 55555 10522 00500"] * 2
    )
    assert lined.name == "the parts between lines"
    cut, boards = reading(
        lambda board: board[np.ix_((board == 7).any(1), (board == 7).any(0))],
        [
            "00000 07070 00770 10000 00010",
            "77000 70000 00000 00020 00002",
            "00000 00000 00007 00077 03300",
            "01010 00700 07700 0000 1".replace("0000 1", "00001"),
        ],
    )
    assert np.array_equal(cut.look(boards[1])[0], [[7, 7], [7, 0]])


# ---- many tasks --------------------------------------------------------------------------------------


def test_tasks_are_read_as_they_are_handed_out(tmp_path):
    write(tmp_path / "repository" / "data" / "training" / "swap.json", SWAP)
    write(tmp_path / "repository" / "data" / "evaluation" / "other.json", SWAP)
    write(tmp_path / "corpus" / "Copy" / "Copy1.json", SWAP)
    write(tmp_path / "corpus" / "Order" / "Order1.json", SWAP)
    hidden = {"swap": {**SWAP, "test": [{"input": SWAP["test"][0]["input"]}]}}
    kaggle = write(tmp_path / "kaggle" / "arc-agi_test_challenges.json", hidden)
    write(tmp_path / "kaggle" / "sample_submission.json", {"swap": [{"attempt_1": [[0]], "attempt_2": [[0]]}]})
    fresh = write(tmp_path / "re_arc" / "tasks" / "swap.json", [*SWAP["train"], *SWAP["test"]] * 3)
    assert set(tasks_for(str(tmp_path / "repository"))) == {"swap", "other"}
    assert set(tasks_for(str(tmp_path / "corpus"))) == {"Copy1", "Order1"}
    assert tasks_for(str(kaggle))["swap"].tests[0].output is None
    assert len(one_task(fresh).demonstrations) == 4 and len(one_task(fresh).tests) == 1
    with pytest.raises(HrmGymError, match="holds 2 tasks"):
        one_task(tmp_path / "corpus")


@pytest.mark.slow
def test_many_tasks_are_solved_side_by_side_and_scored():
    examples = examples_of(SWAP)
    hopeless = examples_of({**SWAP, "test": [{"input": [[1, 2]], "output": [[7]]}]})
    rows = list(solve_tasks({"a": examples, "b": hopeless}, seconds=8, processes=2))
    assert {row.name: row.two for row in rows} == {"a": True, "b": False}
    figures = score(rows, 4)  # two that were not reached count as wrong
    assert figures["pass@2"] == 0.25 and figures["num_done"] == 2 and figures["core_seconds"] > 1


def test_a_row_tells_what_the_solver_knew_second_by_second():
    solve_task(examples_of(SWAP), seconds=0.1)  # compiled code is loaded within the first seconds of a process
    row = next(solve_tasks({"swap": examples_of(SWAP)}, seconds=3.5))
    course = row.course
    assert [int(second) for second in course.seconds] == sorted({int(second) for second in course.seconds})
    assert len(course.seconds) == len(course.signals) == len(course.solved) >= 2
    assert all(len(signals) == len(SIGNALS) and 0 <= min(signals) <= max(signals) <= 1 for signals in course.signals)
    last = dict(zip(SIGNALS, course.signals[-1], strict=True))
    right, tried = row.solution.left_out
    assert (
        last["choosing"] == 0 and last["left_out"] == right / max(1, tried) and 0 <= last["vote_lead"] <= last["votes"]
    )
    assert course.solved[-1] == row.two and Row.from_dict(json.loads(json.dumps(row.to_dict()))) == row


def test_rows_are_kept_and_gone_on_with(tmp_path):
    path, conditions = tmp_path / "rows.jsonl", {"seconds": 1.0}
    rows = list(solve_tasks({"a": examples_of(SWAP)}, seconds=0.5))
    with appending(path, conditions) as append:
        append(rows[0])
    with path.open("a") as file:
        file.write('{"name": "half')  # the process was killed here
    assert read_rows(path, conditions) == {"a": rows[0]}
    with appending(path, conditions) as append:
        append(rows[0])
    assert len(path.read_text().splitlines()) == 3
    with pytest.raises(HrmGymError, match=r"was made with seconds 1\.0, not 2\.0"):
        read_rows(path, {"seconds": 2.0})
    path.write_text("nonsense\n")
    with pytest.raises(HrmGymError, match="does not hold results"):
        read_rows(path, conditions)


# ---- commands ----------------------------------------------------------------------------------------


def test_solve_prints_two_attempts_and_says_whether_they_are_right(hrm_gym, tmp_path):
    path = write(tmp_path / "swap.json", SWAP)
    code, out, err = hrm_gym("solve", "--env", "ARC1-v0", path, "--seconds", 6)
    assert code == 0, err
    assert "swap: " in out and "% sure" in out and "attempt 1\n01000" in out
    code, out, _ = hrm_gym("solve", "--env", "ARC1-v0", path, "--seconds", 1, "--pretty")
    assert "\x1b[48;2;" in out
    wrong = write(tmp_path / "wrong.json", {**SWAP, "test": [{"input": [[1]], "output": [[9]]}]})
    code, _, err = hrm_gym("solve", "--env", "ARC1-v0", wrong, "--seconds", 0.5)
    assert code == 1 and "not right" in err


def test_solve_writes_a_submission_and_json(hrm_gym, tmp_path):
    folder = write(tmp_path / "tasks" / "swap.json", SWAP).parent
    write(folder / "again.json", SWAP)
    target = tmp_path / "submission.json"
    arguments = ("solve", "--env", "ARC1-v0", folder, "--seconds", 0.5, "--processes", 1)
    _, out, _ = hrm_gym(*arguments, "--json", "--submission", target)
    rows = [json.loads(line) for line in out.splitlines()]
    assert [row["name"] for row in rows] == ["again", "swap"] and "attempts" in rows[0] and "sure" in rows[0]
    entries = json.loads(target.read_text())
    assert set(entries) == {"swap", "again"} and set(entries["swap"][0]) == {"attempt_1", "attempt_2"}
    code, _, err = hrm_gym(*arguments, "--submission", target)
    assert code == 2 and str(target) in err


def test_an_agent_of_ones_own_learns_the_tasks_and_is_named(hrm_gym, own_folder):
    (own_folder / "mine.py").write_text(
        "from hrm_gym.agents import register_agent\nfrom hrm_gym.agents.models.planes import PlanesHRM\n"
        "register_agent('my_planes', f'{__name__}:Mine')\n"
        "class Mine(PlanesHRM):\n"
        "    def __init__(self, config, spec):\n        super().__init__(config, spec)\n        print('mine learns')\n"
    )
    path = write(own_folder / "swap.json", SWAP)
    common = ("--env", "ARC1-v0", "--seconds", 0.3, "--agent", "mine:my_planes")
    _, out, err = hrm_gym("solve", *common, path)
    assert "mine learns" in out, err
    _, out, err = hrm_gym("evaluate", *common, "--puzzles", path, "--json")
    assert json.loads(out.splitlines()[-1])["agent"] == "mine:my_planes", err
    code, _, err = hrm_gym("solve", *common[:-1], "yours:my_planes", path)
    assert code == 2 and "no module 'yours'" in err


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"train": SWAP["train"]}, "has no test"),
        ({"train": [{"input": [[1]]}], "test": SWAP["test"]}, "demonstration 1, output: is missing"),
        ({"train": [{"input": [[1, 11]], "output": [[1]]}], "test": SWAP["test"]}, "has the colour 11"),
        ([1, 2], "holds no tasks"),
    ],
)
def test_broken_tasks_are_named_in_a_line(hrm_gym, tmp_path, content, said):
    path = write(tmp_path / "broken.json", content)
    code, _, err = hrm_gym("solve", "--env", "ARC1-v0", path)
    assert code == 2 and said in err and len(err.splitlines()) == 1
    code, _, err = hrm_gym("solve", "--env", "ARC1-v0", tmp_path / "nowhere.json")
    assert code == 2 and "no file or folder" in err


def test_evaluate_goes_on_where_it_was(hrm_gym, tmp_path):
    path = write(tmp_path / "tasks.json", {"a": SWAP, "b": SWAP, "c": SWAP})
    out = tmp_path / "rows.jsonl"
    arguments = ("evaluate", "--env", "ARC1-v0", "--puzzles", path, "--seconds", 0.5, "--processes", 1, "--out", out)
    code, text, err = hrm_gym(*arguments, "--limit", 1, "--json")
    assert code == 0 and json.loads(text)["num_tasks"] == 1, err
    first = out.read_text()
    code, text, _ = hrm_gym(*arguments, "--json")
    figures = json.loads(text)
    assert out.read_text().startswith(first) and figures["num_done"] == figures["num_tasks"] == 3
    assert set(figures) >= {"pass@1", "pass@2", "pass@2_interval", "core_seconds_per_task"}
    code, text, _ = hrm_gym(*arguments)
    assert "pass@2" in text and len(out.read_text().splitlines()) == 4
    code, _, err = hrm_gym(*arguments, "--seed", 1)
    assert code == 2 and "was made with seed 0" in err


def test_python_solves_a_task_as_it_is_and_from_a_file(tmp_path):
    solution = package.solve("ARC1-v0", SWAP, seconds=0.5)
    assert len(solution.attempts) == 1
    assert package.solve("ARC1-v0", write(tmp_path / "swap.json", SWAP), seconds=0.5).attempts
    figures = package.evaluate("ARC1-v0", puzzles=str(tmp_path / "swap.json"), seconds=0.5)
    assert figures["num_tasks"] == 1
    with pytest.raises(HrmGymError, match="unknown setting 'halting'"):
        package.evaluate("ARC1-v0", puzzles=str(tmp_path / "swap.json"), halting="fixed")


def test_train_says_what_a_processor_can_do(hrm_gym):
    code, _, err = hrm_gym("train", "--env", "ARC1-v0", "--device", "cpu")
    assert code == 2 and "hrm-gym solve --env ARC1-v0 TASK.json" in err


def test_play_shows_a_task_being_learned(hrm_gym, tmp_path):
    path, target = write(tmp_path / "swap.json", SWAP), tmp_path / "strip.png"
    code, out, err = hrm_gym(
        "play", "--env", "ARC1-v0", "--puzzle", path, "--headless", "--record", target, "--seconds", 1
    )
    assert code == 0 and target.stat().st_size > 1000 and "swap: " in out, err
    code, _, err = hrm_gym("play", "--env", "ARC1-v0", "--headless")
    assert code == 2 and "--puzzle TASK.json" in err
