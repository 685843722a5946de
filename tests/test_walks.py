"""Walks: what the family draws, checks and grades; and the parts and the signature result of tem."""

import numpy as np
import pytest
import torch

from examples.lineage.tem_walks import walks
from hrm_gym import HrmGymError, make_task
from hrm_gym.agents import TaskSpec
from hrm_gym.agents.lineage.tem import TEM, TEMConfig
from hrm_gym.envs.drawing.frame import Frame
from hrm_gym.envs.drawing.renderer import Renderer
from hrm_gym.envs.walks.task import WalkTask

STEP = {"^": (-1, 0), ">": (0, 1), "v": (1, 0), "<": (0, -1)}


# ---- the family ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("task", [WalkTask(), WalkTask(12, 2), WalkTask(30, 3, num_objects=2, walls=0.0)])
def test_blanks_are_what_stands_at_places_seen_before(task):
    puzzles = task.sample(200, np.random.default_rng(0))
    for puzzle, solution in zip(*puzzles[:2], strict=True):
        text, marks = task.format(puzzle), {}
        place, answer = (0, 0), ""
        for move, seen in zip(text[: task.steps], text[task.steps :], strict=True):
            place = tuple(a + b for a, b in zip(place, STEP.get(move, (0, 0)), strict=True))
            assert (seen == "_") == (place in marks)
            answer += marks.setdefault(place, seen)
        assert task.format(solution) == text[: task.steps] + answer
        assert (task.solve(puzzle) == solution).all()
        for axis in (0, 1):
            assert np.ptp([place[axis] for place in marks]) < task.side
    assert (puzzles.puzzle == 0).any(1).mean() > 0.9


def test_it_turns_back_at_dead_ends_alone():
    task = WalkTask(walls=0.0)
    move = task.sample(100, np.random.default_rng(0)).puzzle[:, 1 : task.steps].astype(int)
    assert not ((move[:, 1:] - move[:, :-1]) % 4 == 2).any()  # an open square has none


def test_violations_count_wrong_cells_alike_in_numpy_and_torch():
    task, rng = WalkTask(), np.random.default_rng(0)
    puzzle, solution, _ = task.sample(50, rng)
    answer = np.where(rng.random(solution.shape) < 0.3, rng.integers(task.num_tokens, size=solution.shape), solution)
    wrong = (answer != solution).sum(-1)
    assert (task.violations(puzzle, answer) == wrong).all() and wrong.any()
    tensors = (torch.as_tensor(a.astype(np.int64)) for a in (puzzle, answer))
    assert (task.violations(*tensors).numpy() == wrong).all()
    assert (task.violations(puzzle, solution) == 0).all()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (">>abc", "step 1 of the walk is '>'"),
        ("*>*abc", "step 3 of the walk is '*'"),
        ("*><abc", "step 3 of the walk: write"),
        ("*>>ab_", "step 3 of the walk: write"),
        ("*>>a^b", "the object of step 2"),
    ],
)
def test_what_is_no_walk_is_refused_in_one_line(text, message):
    task = WalkTask(3, 3)
    with pytest.raises(HrmGymError, match=message.replace("*", r"\*").replace("^", r"\^")) as error:
        task.check(task.parse(text if len(text) == 6 else text.rjust(6, ">")))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("arguments", [{"steps": 1}, {"side": 1.5}, {"num_objects": 21}, {"walls": 0.6}])
def test_numbers_out_of_range_are_refused(arguments):
    with pytest.raises(HrmGymError, match=f"{next(iter(arguments))}="):
        WalkTask(**arguments)


def test_long_and_short_walks_are_drawn():
    for task in (WalkTask(), WalkTask(3, 2), WalkTask(300, 9)):
        puzzle, solution, _ = task.sample(1, np.random.default_rng(0)).map(lambda a: a[0].astype(np.int64))
        frame = Frame(puzzle=puzzle, answer=solution, segment=1, max_segments=2, solution=solution)
        assert np.ptp(Renderer(task, "walk").rgb(frame)) > 0


# ---- tem -------------------------------------------------------------------------------------------------------


def agent_for(task, **options):
    torch.manual_seed(0)
    return TEM(TEMConfig(**options), TaskSpec.of(task))


def board(task, text):
    return {"puzzle": torch.as_tensor(task.parse(text)[None].astype(np.int64))}


def test_a_code_that_comes_back_reads_what_was_written_there():
    """With moves that undo each other it is exact: what stood at a place is expected there, and nothing before."""
    task = WalkTask(6, 3)
    agent = agent_for(task, steps=6)
    with torch.no_grad():
        agent.turns[2:] = -agent.turns[:2]  # down undoes up, left undoes right
        agent.turns[1], agent.turns[3] = 0.5 * agent.turns[0], -0.5 * agent.turns[0]  # and ways commute
        state, output = agent(agent.initial_state(1), board(task, "*^>v<>abcd__"))
    said = output.logits[0, 6:]
    assert task.format(said.argmax(-1)) == "abcdad"
    g = state["code"].flatten() / 4
    last = 0.5 * 0.9999  # `d` was written two steps ago, and the step between wrote nothing
    assert said[5, task.symbols.index("d")] == pytest.approx(float(agent.beta.detach()) * last, rel=1e-3)
    assert g.norm() == pytest.approx(1.0, abs=1e-5)


def test_segments_go_on_where_the_last_one_stopped():
    task = WalkTask(10, 3)
    puzzle = {"puzzle": torch.as_tensor(task.sample(3, np.random.default_rng(0)).puzzle.astype(np.int64))}
    whole, parts = agent_for(task, steps=10), agent_for(task, steps=4)
    with torch.no_grad():
        _, expected = whole(whole.initial_state(3), puzzle)
        state = parts.initial_state(3)
        for walked in (4, 8, 10, 10):
            state, output = parts(state, puzzle)
            assert (state["walked"] == walked).all()
    assert torch.allclose(output.logits, expected.logits, atol=1e-5)


def test_without_structure_the_moves_do_not_matter():
    task = WalkTask(4, 3)
    for structure, same in ((True, False), (False, True)):
        agent = agent_for(task, structure=structure)
        with torch.no_grad():
            one, other = (agent(agent.initial_state(1), board(task, t))[1].logits for t in ("*^v^ab__", "*><>ab__"))
        assert torch.allclose(one[:, 4:], other[:, 4:]) == same


def test_weights_run_on_longer_walks_and_off_walks_it_says_what_it_needs():
    short, long = TaskSpec.of(WalkTask()), TaskSpec.of(WalkTask(100, 9))
    assert TEM.fits(short, long) and not TEM.fits(short, TaskSpec.of(WalkTask(num_objects=3)))
    with pytest.raises(HrmGymError, match="choose --env Walk-v0") as error:
        agent_for(make_task("MazeSmall-v0"))
    assert "\n" not in str(error.value)


@pytest.mark.rare
def test_revisited_places_are_known_and_without_structure_they_are_not(tmp_path):
    options = {"max_steps": 250, "max_minutes": 0.0, "eval_steps": 250, "eval_puzzles": 16, "test_puzzles": 16}
    found = walks(tmp_path, 200, dtype="float32", **options)
    assert found["tem"].revisited > 0.6 and found["tem"].new_way > 0.6
    assert found["unstructured"].revisited < 0.45 and found["tem"].guess < 0.45
