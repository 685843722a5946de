"""search_trace: what solvers tell, what is learned from it, what is written, and its signature result, small."""

import numpy as np
import pytest
import torch
from loop import Loop, tiny

from examples.lineage.search_trace import OPTIONS, against
from hrm_gym import HrmGymError, make_task
from hrm_gym.agents import Protocol, TaskSpec, evaluate
from hrm_gym.agents.inference.frozen_agent import first_puzzles
from hrm_gym.agents.lineage.coordinates import coordinates
from hrm_gym.agents.lineage.search_trace import SearchTrace, SearchTraceConfig


def stated(board, statements, num_tokens):
    board = board.astype(np.int64)
    for cell, token in statements:
        if token < num_tokens:
            board[cell] = token
    return board


# ---- what solvers tell -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("env_id", ["Sudoku4x4-v0", "Sudoku6x6-v0", "Sudoku9x9-v0", "Sudoku16x16-v0"])
def test_a_sudoku_is_solved_by_the_steps_and_by_the_answer(env_id):
    task = make_task(env_id)
    tokens = task.num_tokens
    puzzles = first_puzzles(task, "validation", 30)
    traces = task.trace(puzzles.puzzle, 3000)
    erased = 0
    for i, (puzzle, solution) in enumerate(zip(*puzzles[:2], strict=True)):
        steps = traces.search[i, : traces.num_search[i]]
        answer = traces.answer[i, : traces.num_answer[i]]
        assert (stated(puzzle, steps, tokens) == solution).all() and (stated(puzzle, answer, tokens) == solution).all()
        assert answer[:, 0].tolist() == np.flatnonzero(puzzle == 0).tolist()
        board = puzzle.astype(np.int64)
        for cell, digit in steps:
            assert puzzle[cell] == 0 and (board[cell] == 0) == (digit != 0)  # only what was written is erased
            if digit:
                beside = np.unique([c for part in task.groups for group in part if cell in group for c in group])
                assert digit not in board[beside]
            board[cell] = digit
            erased += digit == 0
    assert (erased > 0) == (env_id == "Sudoku9x9-v0")  # there some guesses are wrong


def test_a_star_closes_cells_in_order_and_tells_a_shortest_path():
    task = make_task("MazeSmall-v0")
    puzzles = first_puzzles(task, "validation", 30)
    traces = task.trace(puzzles.puzzle, 200)
    for i, puzzle in enumerate(puzzles.puzzle):
        steps, answer = traces.search[i, : traces.num_search[i]], traces.answer[i, : traces.num_answer[i]]
        goal = np.array(divmod(int(np.flatnonzero(puzzle == 3)[0]), 10))
        behind = steps[:, 1] - task.num_tokens
        ahead = [abs(np.array(divmod(int(cell), 10)) - goal).sum() for cell in steps[:, 0]]
        assert (np.diff(behind + ahead) >= 0).all() and len(np.unique(steps[:, 0])) == len(steps)
        assert (stated(puzzle, steps, task.num_tokens) == puzzle).all()  # they are notes
        found = dict(steps.tolist())
        assert [found[cell] - task.num_tokens for cell in answer[:, 0]] == list(range(len(answer), 0, -1))
    answers = np.array([stated(p, a[:n], 5) for p, a, n in zip(puzzles.puzzle, *traces[2:], strict=True)])
    assert (task.violations(puzzles.puzzle, answers) == 0).all()


def test_steps_without_room_are_counted_and_no_way_gives_no_answer():
    task = make_task("Sudoku6x6-v0")
    puzzle = task.dataset("validation").puzzle[:5]
    short, long = task.trace(puzzle, 7), task.trace(puzzle, 300)
    assert (short.num_search == long.num_search).all() and (short.search == long.search[:, :7]).all()
    impossible = np.zeros((1, 16), np.uint8)
    impossible[0, [0, 1, 2, 7]] = 1, 2, 3, 4  # nothing is left for the fourth cell
    traces = make_task("Sudoku4x4-v0").trace(impossible, 10)
    assert traces.num_search[0] == traces.num_answer[0] == 0
    closed = np.zeros((1, 100), np.uint8)
    closed[0, [0, 99]] = 2, 3
    assert make_task("MazeSmall-v0").trace(closed, 10).num_answer[0] == 0


# ---- what is learned and written -------------------------------------------------------------------------------


def agent_for(env_id, **options):
    torch.manual_seed(0)
    return SearchTrace(SearchTraceConfig(**{"hidden_size": 16, "layers": 2} | options), TaskSpec.of(make_task(env_id)))


def boards(env_id, num):
    return torch.from_numpy(make_task(env_id).dataset("validation").puzzle[:num].astype(np.int64))


def test_a_text_is_the_search_the_answer_and_the_end():
    puzzle, task = boards("Sudoku4x4-v0", 4), make_task("Sudoku4x4-v0")
    traces = task.trace(puzzle.numpy(), 256)
    for search in (True, False):
        text, length, complete = agent_for("Sudoku4x4-v0", search=search)._solve(puzzle)
        for i in range(4):
            parts = [traces.search[i, : traces.num_search[i]]] * search + [traces.answer[i, : traces.num_answer[i]]]
            expected = np.concatenate([*parts, [[16, 0]]])
            assert length[i] == len(expected) and (text[i, : length[i]] == expected).all() and complete[i]
    text, length, complete = agent_for("Sudoku4x4-v0", context=5)._solve(puzzle)
    assert (length == 5).all() and not complete.any() and (text == traces.search[:, :5]).all()


def test_training_goes_through_the_text_of_the_solver_and_its_board_is_the_solution_then():
    loop = Loop(tiny(agent="search_trace", num_envs=4, max_segments=5, chunk=9))
    for segment in range(1, 4):
        state, *_ = loop.policy(loop.state, loop.obs)
        assert state.ended.all() == (segment == 3)
        loop.step()
    traces = make_task("Sudoku4x4-v0").trace(loop.experience.obs["puzzle"].numpy(), 50)
    assert (loop.experience.segment == 3).all() and loop.experience.ended.all() and loop.experience.right.all()
    assert (state.length == torch.as_tensor(traces.num_search + traces.num_answer + 1)).all()


def test_written_in_small_or_large_pieces_it_is_the_same_text_and_the_loss_is_that_of_a_parallel_pass():
    """The memory of keys and values gives what a pass over the whole text gives, from whatever length."""
    puzzle, texts = boards("Sudoku4x4-v0", 3), []
    for chunk in (12, 3, 1):
        agent = agent_for("Sudoku4x4-v0", chunk=chunk, context=20).eval()
        with torch.no_grad():
            agent.end.bias[0] = -100.0  # no END
            state, losses = agent.initial_state(3), []
            for _ in range(12 // chunk):
                state, output = agent(state, {"puzzle": puzzle})
                losses.append(output.aux_loss)
        texts.append(state)
    assert (texts[0].length == 12).all()
    for text in texts[1:]:
        assert torch.equal(text.statements, texts[0].statements) and torch.equal(text.board, texts[0].board)
        assert torch.allclose(text.thought, texts[0].thought, atol=1e-5)
    own = texts[0].statements.numpy()[:, :12]
    agent._solve = lambda puzzle: (own, np.full(3, 12), np.ones(3, bool))
    _, loss = agent._learn(agent.initial_state(3), puzzle)
    assert torch.allclose(loss, torch.stack(losses).mean(0), atol=1e-5)


def test_only_the_way_from_cell_to_cell_counts_and_a_sudoku_knows_its_boxes():
    puzzle, texts, losses = boards("MazeSmall-v0", 3), [], []
    agent = agent_for("MazeSmall-v0", context=20)
    for moved in (0.0, 7.0):
        agent.coordinates += moved
        losses.append(agent.train()(agent.initial_state(3), {"puzzle": puzzle})[1].aux_loss)
        texts.append(agent.eval()(agent.initial_state(3), {"puzzle": puzzle})[0].statements)
    assert torch.allclose(*losses, atol=1e-4) and torch.equal(*texts)
    places = coordinates(TaskSpec.of(make_task("Sudoku4x4-v0")))
    assert places.shape == (17, 3)  # row, column and box
    assert places[[0, 3, 6, 15, 16]].tolist() == [[0, 0, 0], [0, 3, 1], [1, 2, 1], [3, 3, 3], [-1, -1, -1]]
    assert coordinates(TaskSpec.of(make_task("MazeSmall-v0")))[[0, 99]].tolist() == [[0, 0], [9, 9]]


def test_a_text_stops_at_its_end_or_where_there_is_no_room():
    puzzle = boards("Sudoku4x4-v0", 2)
    agent = agent_for("Sudoku4x4-v0", chunk=4, context=6).eval()
    with torch.no_grad():
        agent.end.bias[0] = -100.0  # no END
        state = agent.initial_state(2)
        for _ in range(3):
            state, output = agent(state, {"puzzle": puzzle})
        assert (state.length == 6).all() and not state.ended.any() and (output.aux_loss == 0).all()
        agent.end.bias[0] = 100.0  # END
        state, output = agent(agent.initial_state(2), {"puzzle": puzzle})
    assert state.ended.all() and (state.length == 1).all()
    assert torch.equal(output.logits.argmax(-1), puzzle) and (output.logits.softmax(-1).amax(-1) > 0.95).all()


def test_in_use_no_solver_is_asked():
    loop, task = Loop(tiny(agent="search_trace", num_envs=2)), make_task("Sudoku4x4-v0")

    def refuse(puzzle):
        raise AssertionError("the solver was asked")

    loop.policy.agent._solve = refuse
    with pytest.raises(AssertionError, match="asked"):
        loop.step()
    puzzles = first_puzzles(task, "validation", 4)
    evaluate(loop.policy, task, puzzles, Protocol(max_segments=2))  # even while it trains
    loop.policy.eval()(loop.policy.initial_state(2), loop.obs)


@pytest.mark.parametrize("env_id", ["Parity-v0", "Latin3x3-v0"])
def test_without_a_solver_it_says_so_in_one_line(env_id):
    spec = TaskSpec.of(make_task(env_id))
    with pytest.raises(HrmGymError, match="give its Task `trace`") as error:
        SearchTrace(SearchTraceConfig(), spec)
    assert "\n" not in str(error.value)
    with pytest.raises(HrmGymError, match="does not split"):
        SearchTraceConfig(hidden_size=10, num_heads=4)


# ---- the signature result --------------------------------------------------------------------------------------


@pytest.mark.rare
def test_the_search_written_first_gives_more_right_answers(tmp_path):
    """On 4x4 Sudokus, after as many steps; after as much time see `docs/lineage/search_trace.md`. Some five minutes."""
    options = {"max_steps": 3000, "max_minutes": 0.0, "eval_steps": 3000, "eval_puzzles": 16, "test_puzzles": 16}
    found = against(
        "Sudoku4x4-v0", tmp_path, 500, num_examples=3000, dtype="float32", **OPTIONS["Sudoku4x4-v0"], **options
    )
    search, answers = found["search"], found["answers"]
    assert search["segments"] == answers["segments"] == 1  # not 16: the texts end
    assert search["share"] > answers["share"] + 0.05 and answers["share"] > 0.3
