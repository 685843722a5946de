"""Watching: every key, the run of puzzles, the command with and without a screen; the agent is made up."""

from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest

from hrm_gym.agents.saved import sources
from hrm_gym.cli import play as command
from hrm_gym.cli.editor import Editor
from hrm_gym.cli.play import Arguments, play
from hrm_gym.cli.player import FIRST_SECONDS, KEYS, RESULT_SECONDS, Case, Player, Step
from hrm_gym.envs.drawing.canvas import Canvas
from hrm_gym.envs.drawing.frame import Search, right_cells
from hrm_gym.envs.drawing.recording import FADE_FRAMES
from hrm_gym.envs.drawing.renderer import HEIGHT, WIDTH
from hrm_gym.envs.registration import make_task
from hrm_gym.envs.task import Task
from hrm_gym.errors import HrmGymError

ENV = "Sudoku4x4-v0"
TASK = make_task(ENV)
EASY_TO_HARD = ("Sudoku4x4-v0", "Sudoku6x6-v0", "Sudoku9x9-v0")


def thinker(segments, right=True):
    """An agent that gets one more cell right each segment and halts after so many of them."""

    def think(case, max_segments):
        puzzle, solution = case.puzzle, TASK.solve(case.puzzle).astype(np.int64)
        for segment in range(1, max_segments + 1):
            last = segment == segments
            answer = np.where(np.arange(len(puzzle)) < segment, solution, np.maximum(puzzle, 1))
            answer = solution if last and right else answer
            belief = 0.9 if last else 0.1
            signals = {"q_halt": belief, "q_continue": 1 - belief}
            yield Step(answer, np.full(len(puzzle), segment / max_segments), belief, signals, last)

    return think


def cases(seed=0):
    return command.random_cases(TASK, seed)


@pytest.fixture
def player():
    return Player(TASK, cases(), thinker(3), speed=2.0, episodes=2)


@pytest.fixture(autouse=True)
def agent(monkeypatch):
    """The command's agent in every test; it halts after three segments."""
    monkeypatch.setattr(command, "load", lambda env_id, checkpoint, device, *_: thinker(3))
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")


# ---- the player ------------------------------------------------------------------------------------------


def test_thinks_shows_the_result_and_goes_on_until_done(player):
    seen = []
    while not player.done:
        seen.append((player.frame.segment, player.frame.ended, player.hold))
        player.advance()
    assert seen == 2 * [(0, "", 0.5), (1, "", 0.5), (2, "", 0.5), (3, "halted", RESULT_SECONDS)]
    assert [result.solved for result in player.results] == [True, True]
    assert [result.segments for result in player.results] == [3, 3]
    assert player.results[0].name != player.results[1].name


def test_time_passes_at_the_chosen_speed(player):
    player.tick(0.4)
    assert player.frame.segment == 0
    player.tick(0.2)
    assert player.frame.segment == 1
    player.tick(0.4)
    assert player.frame.segment == 1


def test_a_frame_holds_what_the_agent_said(player):
    player.advance()
    first = player.frame
    assert first.previous is None and first.belief == 0.1 and first.signals == {"q_halt": 0.1, "q_continue": 0.9}
    player.advance()
    second = player.frame
    assert np.array_equal(second.previous, first.answer)
    assert len(second.accuracies) == len(second.beliefs) == 2
    assert second.accuracies[-1] == right_cells(TASK, second)
    assert second.confidence.shape == (16,) and not second.reveal


def test_max_segments_ends_a_puzzle_and_shows_what_is_wrong():
    player = Player(TASK, cases(), thinker(99, right=False), max_segments=4)
    for _ in range(4):
        player.advance()
    assert player.frame.ended == "out_of_segments" and player.frame.reveal
    assert player.results[0].solved is False and player.results[0].segments == 4


def test_an_end_of_puzzles_is_the_end():
    player = Player(TASK, iter([next(cases())]), thinker(1))
    player.advance()
    assert not player.done
    player.advance()
    assert player.done


def test_no_solution_no_accuracy():
    case = next(cases())
    player = Player(TASK, iter([Case(case.name, case.puzzle, None)]), thinker(2))
    player.advance()
    player.advance()
    assert right_cells(TASK, player.frame) is None and player.frame.accuracies == ()
    assert player.results[0].solved


def test_halting_in_the_last_segment_is_halting():
    player = Player(TASK, cases(), thinker(4), max_segments=4)
    for _ in range(4):
        player.advance()
    assert player.frame.ended == "halted"


def test_an_agent_without_a_belief_shows_none():
    def think(case, max_segments):
        for step in thinker(2)(case, max_segments):
            yield step._replace(belief=None, signals={})

    player = Player(TASK, cases(), think)
    player.advance()
    assert player.frame.belief is None and player.frame.beliefs == () and player.frame.signals == {}


def test_space_pauses(player):
    player.key("space")
    player.tick(10)
    assert player.frame.segment == 0 and "paused" in player.frame.message
    player.key("space")
    player.tick(10)
    assert player.frame.segment == 1


def test_right_does_one_segment(player):
    player.key("right")
    assert player.frame.segment == 1 and player.paused
    player.tick(10)
    assert player.frame.segment == 1
    for _ in range(3):
        player.key("right")
    assert player.frame.segment == 0 and len(player.results) == 1


def test_left_goes_back_and_right_on_again(player):
    seen = [player.frame]
    for _ in range(3):
        player.advance()
        seen.append(player.frame)
    for before in seen[-2::-1]:
        player.key("left")
        assert player.paused and player.frame.segment == before.segment
        assert np.array_equal(player.frame.answer, before.answer) and player.frame.ended == before.ended
    for after in seen[1:]:
        player.key("right")
        assert player.frame.segment == after.segment and player.frame.ended == after.ended
    assert len(player.results) == 1  # nothing was thought twice
    player.key("right")
    assert player.frame.segment == 0
    player.key("left")
    assert player.frame.segment == 0  # not into the puzzle before


def test_going_back_hides_what_only_the_end_reveals():
    player = Player(TASK, cases(), thinker(99, right=False), max_segments=2)
    player.advance()
    player.advance()
    assert player.frame.reveal
    player.key("left")
    assert not player.frame.reveal
    player.key("s")
    assert player.frame.reveal
    player.key("s"), player.key("right")
    assert player.frame.reveal and player.frame.ended


def test_signals_have_a_place_before_the_first_segment():
    player = Player(TASK, cases(), thinker(3), asked=("is it right?",))
    assert list(player.frame.signals) == ["is it right?"] and np.isnan(player.frame.signals["is it right?"])


# ---- a puzzle typed in -----------------------------------------------------------------------------------


def typed(player, text):
    for character in text:
        player.key("space" if character == "." else character)


def test_a_puzzle_is_typed_in(player):
    case = next(cases(7))
    player.advance()
    player.key("t")
    player.tick(10)
    assert player.frame.cursor == 0 and not player.frame.puzzle.any()
    typed(player, TASK.format(case.puzzle))
    assert np.array_equal(player.frame.puzzle, case.puzzle) and player.frame.cursor == 0
    player.key("return")
    assert player.frame.cursor is None and player.frame.message.startswith("your puzzle")
    for _ in range(3):
        player.advance()
    assert player.results[-1][:3] == ("your puzzle", True, 3)


def test_what_is_no_puzzle_is_reported_and_escape_goes_back(player):
    player.advance()
    before = player.frame
    player.key("t")
    typed(player, "11")
    player.key("return")
    assert "twice" in player.frame.message and player.frame.cursor == 2
    player.key("escape")
    assert not player.done and player.frame.segment == 1 and np.array_equal(player.frame.answer, before.answer)
    player.key("escape")
    assert player.done


def test_the_editor_moves_clicks_and_corrects():
    editor = Editor(TASK)
    for key in ("left", "4", "down", "2", "backspace", "3", "cell 10", "1", "up", "x"):
        editor.key(key)
    written = {3: 4, 8: 3, 10: 1}
    assert {int(i): int(editor.tokens[i]) for i in np.flatnonzero(editor.tokens)} == written and editor.cursor == 7
    maze = Editor(make_task("MazeSmall-v0"))
    for key in ("s", "#", "space", "g"):
        maze.key(key)
    assert make_task("MazeSmall-v0").format(maze.tokens)[:4] == "S# G" and maze.puzzle().shape == (100,)
    with pytest.raises(HrmGymError, match="given by examples"):
        Editor(make_task("ARC1-v0"))


@pytest.mark.parametrize(
    ("env", "question"), [("Parity-v0", "10110="), ("Copy-v0", "314="), ("Chain-v0", "20314567:1>>=")]
)
def test_a_question_is_typed_as_it_is_written(env, question):
    task = make_task(env)
    editor = Editor(task)
    for key in question:
        editor.key(key)
    assert np.array_equal(editor.puzzle(), task.parse(question))


def test_a_typed_puzzle_is_thought_about_even_where_results_stay():
    player = Player(TASK, cases(), thinker(3), episodes=2, stay=True)
    for _ in range(4):
        player.advance()
    assert player.paused
    player.key("t")
    typed(player, TASK.format(next(cases(7)).puzzle))
    player.key("return")
    assert not player.paused


class Undecided(Task):
    """Two cells with the digits 1 and 2, whose solver alone finds out that a puzzle has several solutions."""

    shape, symbols = (1, 2), ".12"

    def solve(self, puzzle):
        if (puzzle > 0).sum() != 1:
            raise HrmGymError("the puzzle has several solutions: add givens")
        return np.array([1, 2], np.uint8)

    def sample(self, num, rng):
        raise NotImplementedError

    def violations(self, puzzle, answer):
        return (answer == 0).sum(-1)


def test_what_only_the_solver_refuses_is_reported_too():
    case = Case("a puzzle", np.array([1, 0]), np.array([1, 2]))
    player = Player(Undecided(), iter([case]), lambda case, most: iter(()))
    player.key("t")
    player.key("return")
    assert "several solutions" in player.frame.message and player.frame.cursor == 0


def test_r_takes_a_new_puzzle(player):
    before = player.frame.puzzle
    player.advance()
    player.key("r")
    assert player.frame.segment == 0 and not np.array_equal(before, player.frame.puzzle)
    assert player.results == []


@pytest.mark.parametrize("key, speed", [("+", 4.0), ("=", 4.0), ("-", 1.0), ("_", 1.0)])
def test_plus_and_minus_change_the_speed(player, key, speed):
    player.key(key)
    assert player.speed == speed and f"{speed:g} segments/s" in player.frame.message
    for _ in range(20):
        player.key(key)
    assert 0.25 <= player.speed <= 64


def test_s_reveals(player):
    player.advance()
    player.key("s")
    assert player.frame.reveal
    player.advance()
    assert player.frame.reveal
    player.key("s")
    assert not player.frame.reveal


def test_h_helps_and_any_key_goes_back(player):
    player.key("h")
    assert player.frame.overlay == KEYS
    player.tick(10)
    assert player.frame.segment == 0
    player.key("r")
    assert player.frame.overlay == () and player.frame.segment == 0
    player.tick(10)
    assert player.frame.segment == 1


@pytest.mark.parametrize("key", ["q", "escape", "quit"])
@pytest.mark.parametrize("helping", [False, True])
def test_quit(player, key, helping):
    if helping:
        player.key("h")
    player.key(key)
    assert player.done


def test_other_keys_do_nothing(player):
    frame = player.frame
    for key in ("x", "left", "é", "f1"):
        player.key(key)
    assert player.frame is frame


def test_stay_pauses_at_the_result():
    player = Player(TASK, cases(), thinker(1), stay=True)
    player.tick(10)
    assert player.frame.ended and player.paused
    player.tick(10)
    assert player.frame.ended
    player.key("space")
    player.tick(10)
    assert not player.frame.ended


def test_without_a_solution_the_help_knows_no_key_that_reveals_it():
    case = next(cases())
    player = Player(TASK, iter([Case(case.name, case.puzzle, None)]), thinker(2))
    player.key("h")
    assert [key for key, _ in player.frame.overlay] == [key for key, _ in KEYS if key != "s"]


def test_a_frame_holds_the_search_from_the_beginning():
    none = np.zeros(16, np.int64)
    begin, later = Search(1, 0, 0, none), Search(8, 5, 2, none + 1)

    def think(case, max_segments):
        for step in thinker(2)(case, max_segments):
            yield step._replace(search=later)

    player = Player(TASK, cases(), think, search=begin)
    assert player.frame.search is begin and np.isnan(player.frame.confidence).all()
    player.advance()
    assert player.frame.search is later
    player.key("left")
    assert player.frame.search is begin


# ---- the command -----------------------------------------------------------------------------------------


def test_text(capsys):
    assert play(Arguments(env=ENV, headless=True, episodes=2)) == 0
    out = capsys.readouterr().out
    assert out.count("segment 3 of 64") == 2 and out.count("segment 0 of 64") == 2
    assert out.count(": solved in 3 segments") == 2
    assert out.count("less than 50 % sure") == 1  # the legend stands once, above all boards
    boards = out.split("segment 3 of 64")[1:]  # of a confidence of 3/64, so every open cell is marked
    assert all(board.split("test puzzle")[0].split("segment")[0].count("?") for board in boards)


def test_text_marks_what_is_unsure_alone(capsys, monkeypatch):
    def think(case, max_segments):
        for step in thinker(3)(case, max_segments):
            yield step._replace(confidence=np.full(16, 0.5))

    monkeypatch.setattr(command, "load", lambda *_: think)
    assert play(Arguments(env=ENV, headless=True)) == 0
    legend, _, boards = capsys.readouterr().out.partition("segment 0")
    assert "?" in legend and "?" not in boards


def test_another_shortest_path_is_recognised(capsys, monkeypatch):
    task = make_task("MazeSmall-v0")
    maze = "S  " + "#" * 7 + "   " + "#" * 7 + "  G" + "#" * 77

    def think(case, max_segments):
        across = case.puzzle.reshape(10, 10).T.reshape(-1)
        answer = task.solve(across).reshape(10, 10).T.reshape(-1).astype(np.int64)
        assert (answer != case.solution).any()
        yield Step(answer, np.ones(100), 0.9, {}, True)

    monkeypatch.setattr(command, "load", lambda *_: think)
    assert play(Arguments(env="MazeSmall-v0", puzzle=maze, headless=True)) == 0
    out = capsys.readouterr().out
    assert "segment 1 of 64  ·  right (another shortest path)" in out
    assert "your puzzle: right (another shortest path) in 1 segment" in out and "wrong" not in out


def test_the_seed_chooses_the_puzzles(capsys):
    texts = []
    for seed in (1, 1, 2):
        play(Arguments(env=ENV, headless=True, seed=seed))
        texts.append(capsys.readouterr().out)
    assert texts[0] == texts[1] != texts[2]


def test_the_namespace_before_an_id(capsys):
    assert play(Arguments(env=f"hrm_gym/{ENV}", headless=True)) == 0
    assert ": solved in 3 segments" in capsys.readouterr().out


@pytest.mark.parametrize("suffix", [".gif", ".mp4"])
def test_recording_decodes(tmp_path, suffix, capsys):
    path = tmp_path / f"out{suffix}"
    assert play(Arguments(env=ENV, headless=True, record=path, episodes=2, speed=5.0)) == 0
    frames = iio.imread(path)
    first, thinking, result = (round(10 * s) for s in (FIRST_SECONDS, 0.2, RESULT_SECONDS))  # of an MP4, ten a second
    fades = FADE_FRAMES  # from the second segment to the result; the others are too short for it
    assert frames.shape == (2 * (4 + fades if suffix == ".gif" else first + 2 * thinking + result), HEIGHT, WIDTH, 3)
    assert f"written: {path}" in capsys.readouterr().out


def test_window_records_what_was_seen(tmp_path):
    path = tmp_path / "out.gif"
    assert play(Arguments(env=ENV, record=path, episodes=1, speed=60.0)) == 0
    assert 1 <= len(iio.imread(path)) <= 4 + 3 * FADE_FRAMES


def test_window_closes_on_its_button(monkeypatch, capsys):
    monkeypatch.setattr("hrm_gym.envs.drawing.window.Window.events", lambda self: ["quit"])
    assert play(Arguments(env=ENV)) == 0
    assert capsys.readouterr().out == ""


def test_own_puzzle(capsys):
    puzzle = TASK.format(next(cases()).puzzle)
    assert play(Arguments(env=ENV, puzzle=puzzle, headless=True)) == 0
    assert "your puzzle: solved in 3 segments" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"puzzle": "12"}, "the text has 2 characters"),
        ({"puzzle": "y" + "." * 15}, "'y'"),
        ({"puzzle": "11" + "." * 14}, ""),
        ({"puzzle": "." * 16}, ""),
        ({"episodes": 0}, "--episodes 0"),
        ({"max_segments": -1}, "--max-segments -1"),
        ({"speed": float("nan")}, "--speed nan"),
        ({"seed": -1}, "--seed -1"),
        ({"env": "Sudoku5x5-v0"}, "Sudoku4x4-v0"),
        ({"env": None, "checkpoint": "runs/mine"}, "no checkpoint at runs/mine"),
        ({"record": Path("out.avi")}, ".gif or .mp4"),
        ({"record": Path("no/such/folder/out.gif")}, "there is no folder no/such/folder"),
    ],
    ids=str,
)
def test_bad_input_is_one_line(arguments, message):
    with pytest.raises(HrmGymError) as error:
        play(Arguments(**{"env": ENV, "headless": True, **arguments}))
    assert message in str(error.value) and "\n" not in str(error.value)


def test_no_display_is_one_line(without_display):
    code = (
        "from tests.test_play import *\n"
        "command.load = lambda *_: thinker(3)\n"
        "try:\n    play(Arguments(env=ENV))\n"
        "except HrmGymError as error:\n    print(error)"
    )
    out = without_display(code)
    assert "--headless --record out.gif" in out and out.count("\n") == 1


HALT = "Sudoku4x4-Halt-v0"


def test_a_halting_id_shows_every_decision_as_text(capsys):
    for env_id in (HALT, f"hrm_gym/{HALT}"):
        assert play(Arguments(env=env_id, headless=True, max_segments=4)) == 0
        lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("segment")]
        assert lines == [
            "segment 0 of 4",
            "segment 1 of 4  ·  continue (q_halt 10 %, q_continue 90 %)",
            "segment 2 of 4  ·  continue (q_halt 10 %, q_continue 90 %)",
            "segment 3 of 4  ·  halt (q_halt 90 %, q_continue 10 %)  ·  right",
        ]
    assert play(Arguments(env=HALT, headless=True, max_segments=2)) == 0
    assert "segment 2 of 2  ·  continue, out of segments (" in capsys.readouterr().out
    assert play(Arguments(env=ENV, headless=True, max_segments=4)) == 0
    assert "continue" not in capsys.readouterr().out


def test_a_halting_id_shows_every_decision_in_the_picture(tmp_path, monkeypatch):
    """The frames of a film and the boards of a strip; an ordinary id shows none."""
    words = []
    draw = Canvas.text
    monkeypatch.setattr(Canvas, "text", lambda self, text, *a, **k: words.append(text) or draw(self, text, *a, **k))
    for name, expected in (
        ("film.gif", ["ready", "continue", "continue", "halt: right"]),
        ("strip.png", ["the puzzle", "continue 1", "continue 2", "halt 3: right"]),
    ):
        words.clear()
        assert play(Arguments(env=HALT, headless=True, record=tmp_path / name)) == 0
        assert [word for word in words if word in expected] == expected
        words.clear()
        assert play(Arguments(env=ENV, headless=True, record=tmp_path / f"plain_{name}")) == 0
        assert words and not {"continue", "continue 1", "halt: right", "halt 3: right"} & set(words)


def test_ctrl_c_ends_an_endless_recording(tmp_path, monkeypatch, capsys):
    def think(case, max_segments):
        yield from thinker(99)(case, 2)
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "load", lambda *_: think)
    path = tmp_path / "out.gif"
    assert play(Arguments(env=ENV, headless=True, record=path)) == 0
    assert len(iio.imread(path)) == 3 + 2 * FADE_FRAMES
    times = [iio.immeta(path, index=i)["duration"] for i in range(3 + 2 * FADE_FRAMES)]
    assert times[0] == 1000 * FIRST_SECONDS and sum(times[1:5]) == sum(times[5:]) == 500


def test_the_default_is_the_hardest_with_an_agent(tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "PRETRAINED", tmp_path)
    with pytest.raises(HrmGymError, match="no agent is shipped"):
        command.default_env("pretrained")
    for env_id in EASY_TO_HARD:
        (tmp_path / f"{env_id}.safetensors").touch()
        assert command.default_env("pretrained") == env_id


def test_the_window_counts_what_was_solved():
    player = Player(TASK, cases(), thinker(2), max_segments=4)
    assert "solved" not in player.frame.message
    while len(player.results) < 2:
        player.advance()
    assert player.frame.message.endswith("2 of 2 solved")
