"""Pictures and recordings: sizes, marks, text that stays in its box, files that decode again."""

import dataclasses
import os
import pickle
import re

import imageio.v3 as iio
import numpy as np
import pytest

from hrm_gym.cli.player import KEYS as PLAYER_KEYS
from hrm_gym.envs.drawing import canvas as drawing
from hrm_gym.envs.drawing import recording
from hrm_gym.envs.drawing.canvas import Box, Canvas, confidence_colour
from hrm_gym.envs.drawing.frame import (
    Frame,
    Search,
    broken_cells,
    is_another,
    is_right,
    right_cells,
    verdict,
    wrong_cells,
)
from hrm_gym.envs.drawing.help import terms
from hrm_gym.envs.drawing.recording import Recorder
from hrm_gym.envs.drawing.renderer import HEIGHT, TILE, WIDTH, BoardRenderer, Renderer
from hrm_gym.envs.drawing.slot_renderer import ending
from hrm_gym.envs.drawing.text import board_text, headline, legend, signs
from hrm_gym.envs.drawing.window import Window
from hrm_gym.envs.registration import make_task
from hrm_gym.envs.task import Puzzles, Task
from hrm_gym.errors import HrmGymError

KEYS = (("space", "pause"), ("right", "one segment"), ("r", "new puzzle"), ("+ −", "speed"), ("q", "quit"))


class Board(Task):
    """Any board: an answer is right where it equals the all-ones solution."""

    def __init__(self, rows, columns, symbols, boxes=None):
        self.shape, self.symbols, self.boxes = (rows, columns), symbols, boxes

    def sample(self, num, rng):
        solution = np.ones((num, self.num_cells), np.uint8)
        return Puzzles(np.where(rng.random(solution.shape) < 0.4, solution, 0).astype(np.uint8), solution)

    def violations(self, puzzle, answer):
        return (answer != 1).sum(-1)


BOARDS = {
    "4x4": Board(4, 4, ".1234", (2, 2)),
    "6x6": Board(6, 6, ".123456", (2, 3)),
    "9x9": Board(9, 9, ".123456789", (3, 3)),
    "16x16": Board(16, 16, ".WWWWWWWWWWWWWWWW", (4, 4)),
    "30x30": Board(30, 30, " #SGo@"),
    "1x7": Board(1, 7, "_WM"),
    "12x2": Board(12, 2, "_WM"),
}


def frame_of(task, segment=3, seed=0, **changes):
    rng = np.random.default_rng(seed)
    puzzle, solution = (board[0].astype(np.int64) for board in task.sample(1, rng)[:2])
    answer = np.where((puzzle > 0) | (rng.random(puzzle.shape) < 0.7), 1, rng.integers(0, task.num_tokens))
    settings = {
        "puzzle": puzzle,
        "solution": solution,
        "answer": answer,
        "previous": rng.integers(0, task.num_tokens, puzzle.shape),
        "confidence": rng.random(puzzle.shape),
        "segment": segment,
        "belief": 1.0,
        "signals": {"q_halt": 1.0, "q_continue": 0.0},
        "message": "test puzzle 1000  ·  0.25 segments/s",
        "accuracies": (0.5,) * segment,
        "beliefs": (0.1,) * segment,
    }
    return Frame(**{**settings, **changes})


def search_of(task, cell=2, counts=(32, 64, 199)):
    """A search with a guess in one cell."""
    return Search(*counts, guesses=np.where(np.arange(task.num_cells) == cell, 1, 0))


QUESTIONS = ("is it right?", "is more thought worth it?", "is it hopeless?")
STATES = {
    "start": {"segment": 0, "confidence": None, "belief": None, "signals": {}, "previous": None},
    "thinking": {},
    "no belief": {"belief": None, "beliefs": (), "signals": {"residual": 0.5}},
    "many signals": {"signals": {f"a_long_name_{i}": 1.0 for i in range(5)}},
    "halted": {"ended": "halted", "segment": 16},
    "out of segments": {"ended": "out_of_segments", "reveal": True, "segment": 16},
    "help": {"overlay": KEYS},
    "typing": {"cursor": 3, "overlay": KEYS, "message": "the puzzle contradicts itself: digit 1 appears twice " * 3},
    "long": {"segment": 1000, "max_segments": 1000},
    "search": {"search": True, "signals": dict.fromkeys(QUESTIONS, 0.5)},
    "help about a search": {"search": True, "signals": dict.fromkeys(QUESTIONS, 0.5), "overlay": PLAYER_KEYS},
}


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("board", BOARDS)
def test_size_is_constant_and_no_text_is_cut(board, state, monkeypatch):
    """Every text is drawn whole, inside its box, at the size that its place was designed for."""
    cut = []
    whole = Canvas.fit

    def watched(self, text, box, size):
        fitted, fitted_size = whole(self, text, box, size)
        assert self.text_width(fitted, fitted_size) <= box.width
        # On the board a broad symbol may shrink; words may not.
        if fitted != text or (fitted_size != size and len(text) > 1):
            cut.append((text, fitted, size, fitted_size))
        return fitted, fitted_size

    monkeypatch.setattr(Canvas, "fit", watched)
    task = BOARDS[board]
    searched = {"search": search_of(task)} if "search" in STATES[state] else {}
    picture = Renderer(task, "SudokuExtreme-v0", KEYS).rgb(frame_of(task, **{**STATES[state], **searched}))
    assert cut == []
    assert picture.shape == (HEIGHT, WIDTH, 3) and picture.dtype == np.uint8
    assert HEIGHT % 2 == WIDTH % 2 == 0
    # Nothing touches the rim of the picture.
    rim = np.concatenate([picture[:4].reshape(-1, 3), picture[-4:].reshape(-1, 3), picture[:, -20:].reshape(-1, 3)])
    assert len(np.unique(rim, axis=0)) == 1


@pytest.mark.parametrize("board", BOARDS)
def test_glyphs_stay_in_their_tiles(board):
    """What is drawn of one symbol alone lies within its cell."""
    task = BOARDS[board]
    empty = np.zeros(task.num_cells, np.int64)
    cell = task.num_cells // 2
    one = empty.copy()
    one[cell] = task.num_tokens - 1
    renderer = Renderer(task)
    a, b = (renderer.rgb(Frame(puzzle=empty, answer=board)) for board in (empty, one))
    changed = (a != b).any(-1)
    changed[:, 630:] = False  # the panel counts broken rules
    ys, xs = np.nonzero(changed)
    rows, columns = task.shape
    side = min(592 / rows, 592 / columns)
    row, column = divmod(cell, columns)
    left, top = 24 + (592 - side * columns) / 2 + column * side, 24 + (592 - side * rows) / 2 + row * side
    assert len(xs) > 3
    assert left - 1 <= xs.min() and xs.max() <= left + side + 1
    assert top - 1 <= ys.min() and ys.max() <= top + side + 1


def test_text_that_is_too_long_is_shrunk_then_cut():
    canvas = Canvas(200, 50)
    box = Box(0, 0, 60, 20)
    assert canvas.fit("short", box, 20) == ("short", 20)
    text, size = canvas.fit("a little longer", box, 20)
    assert size < 20
    text, size = canvas.fit("far too long for any box of this width", box, 20)
    assert text.endswith("…") and canvas.text_width(text, size) <= 60
    assert canvas.fit("wide", Box(0, 0, 1, 20), 20)[0] == ""


def test_every_picture_is_a_fresh_array():
    task = BOARDS["4x4"]
    renderer, frame = Renderer(task), frame_of(task)
    a, b = renderer.rgb(frame), renderer.rgb(frame)
    assert np.array_equal(a, b) and not np.shares_memory(a, b) and a.flags.writeable


@pytest.mark.parametrize(
    "change",
    [
        {"segment": 4},
        {"belief": 0.3},
        {"belief": None},
        {"signals": {"q_halt": 1.0, "q_continue": 0.5}},
        {"signals": {"q_halt": 1.0}},
        {"signals": {"p_halt": 1.0, "q_continue": 0.0}},
        {"ended": "halted"},
        {"ended": "out_of_segments"},
        {"reveal": True},
        {"previous": None},
        {"confidence": None},
        {"solution": None},
        {"message": "other"},
        {"overlay": KEYS},
        {"cursor": 2},
        {"beliefs": (0.9, 0.1, 0.5)},
        {"search": search_of(BOARDS["6x6"])},
    ],
    ids=lambda change: next(iter(change)),
)
def test_everything_in_a_frame_is_seen(change):
    task = BOARDS["6x6"]
    renderer, frame = Renderer(task), frame_of(task)
    assert not np.array_equal(renderer.rgb(frame), renderer.rgb(dataclasses.replace(frame, **change)))


def test_a_replaced_given_is_seen():
    task = BOARDS["4x4"]
    puzzle = np.array([1] + [0] * 15)
    pictures = [Renderer(task).rgb(Frame(puzzle=puzzle, answer=puzzle * token)) for token in (1, 2)]
    assert not np.array_equal(*pictures)


def test_the_ramp_is_ordered_by_lightness():
    """So its order survives colour blindness and grey printing."""
    ramp = np.array([confidence_colour(c) for c in np.linspace(0, 1, 101)], float)
    lightness = ramp @ (0.2126, 0.7152, 0.0722)
    assert (np.diff(lightness) <= 0.5).all() and lightness[0] - lightness[-1] > 100
    assert confidence_colour(-1) == confidence_colour(0) and confidence_colour(2) == confidence_colour(1)
    # Ink keeps a contrast of 3 to 1, the least for large text, on every ground.
    for colour in ramp:
        bright, dark = sorted((_luminance(drawing.ink_on(tuple(colour))), _luminance(colour)), reverse=True)
        assert (bright + 0.05) / (dark + 0.05) >= 3


def _luminance(colour):
    share = np.asarray(colour) / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    return float(linear @ (0.2126, 0.7152, 0.0722))


def test_a_network_that_diverged_is_still_drawn():
    task, nan = BOARDS["6x6"], float("nan")
    confidence = np.full(task.num_cells, nan)
    Renderer(task).rgb(frame_of(task, confidence=confidence, belief=nan, signals={"q": nan}, beliefs=(0.5, nan, 0.5)))


def words_of(frame, task, monkeypatch):
    """All texts of a picture."""
    words = []
    monkeypatch.setattr(Canvas, "text", lambda self, text, *rest, **options: words.append(text))
    Renderer(task).rgb(frame)
    return words


@pytest.mark.parametrize(
    ("ended", "answer", "expected"),
    [
        ("halted", 1, "solved, stopped by itself"),
        ("halted", 2, "wrong, stopped too early"),
        ("out_of_segments", 1, "solved, out of time"),
        ("out_of_segments", 2, "out of time"),
        ("", 1, "thinking"),
    ],
)
def test_the_panel_says_how_an_episode_ended(ended, answer, expected, monkeypatch):
    task = BOARDS["4x4"]
    words = words_of(frame_of(task, ended=ended, answer=np.full(16, answer)), task, monkeypatch)
    assert words.count(expected) == 1 and sum("solved" in word or "out of time" in word for word in words) <= 1
    assert any(word.startswith("stopped at") for word in words) == (ended == "halted")
    assert ending(False, True) == "" and ending(True, True) == "halted" and ending(True, False) == "out_of_segments"


def test_an_agent_without_signals_has_no_row_for_them():
    task = BOARDS["4x4"]
    known, unknown, none = (
        Renderer(task).rgb(frame_of(task, 0, signals=signals, belief=None, beliefs=(), confidence=None, previous=None))
        for signals in ({"a": 0.0}, {"a": float("nan")}, {})
    )
    row = slice(186, 210)
    assert len(np.unique(none[row, 644:936].reshape(-1, 3), axis=0)) > 1  # what comes next has moved up
    changed = (known != unknown).any(-1)
    assert changed.any() and not changed[:, :640].any()  # a dash keeps the place of a number
    ys = np.nonzero(changed)[0]
    assert row.start <= ys.min() and ys.max() <= row.stop


def test_the_axis_of_the_curves_grows_with_what_was_thought(monkeypatch):
    task = BOARDS["4x4"]
    assert "8" in words_of(frame_of(task, 3, max_segments=64), task, monkeypatch)
    monkeypatch.undo()
    words = words_of(frame_of(task, 20, max_segments=64), task, monkeypatch)
    assert "20" in words and "64" not in words and "8" not in words


def test_cells_that_break_a_rule_are_marked_while_thinking():
    task = make_task("Sudoku4x4-v0")
    puzzle = np.zeros(16, np.int64)
    puzzle[0] = 1
    answer = puzzle.copy()
    answer[[3, 5, 15]] = 1, 1, 1  # 3 shares a row and 5 a box with the given; 15 shares a column with 3
    frame = Frame(puzzle=puzzle, answer=answer, segment=1)
    assert np.flatnonzero(broken_cells(task, frame)).tolist() == [3, 5, 15]
    answer[0] = 2
    assert broken_cells(task, dataclasses.replace(frame, answer=answer))[0]
    alone = np.where(np.arange(16) == 3, 1, 0)
    assert not broken_cells(task, Frame(puzzle=puzzle * 0, answer=alone)).any()
    unmarked = dataclasses.replace(frame, puzzle=answer)  # nothing but givens
    for shown, seen in ((frame, True), (unmarked, False)):
        board = Renderer(task).rgb(shown)[:, :620].astype(int)
        assert (np.abs(board - drawing.WRONG).max(-1) < 6).any() == seen


def test_a_path_is_marked_where_it_ends():
    from hrm_gym.envs.maze.view import _broken

    task = make_task("MazeSmall-v0")
    maze = task.dataset("test").map(lambda array: array[0].astype(np.int64))
    frame = Frame(puzzle=maze.puzzle, answer=maze.solution)
    assert not _broken(frame, task.shape).any()
    path = np.flatnonzero((maze.solution == task.symbols.index("o")) & (maze.puzzle == task.symbols.index(" ")))
    cut = maze.solution.copy()
    cut[path[len(path) // 2]] = task.symbols.index(" ")
    assert _broken(dataclasses.replace(frame, answer=cut), task.shape).sum() in (1, 2)


def test_a_point_of_the_picture_leads_to_its_cell():
    renderer = Renderer(BOARDS["12x2"])
    assert renderer.cell_at(30, 30) is None and renderer.cell_at(700, 300) is None
    assert renderer.cell_at(320 - 10, 30) == 0 and renderer.cell_at(320 + 10, 610) == 23


@pytest.mark.parametrize(
    ("env", "clicks"), [("Walk-v0", True), ("Copy-v0", False), ("Sudoku4x4-v0", True), ("MazeSmall-v0", True)]
)
def test_the_cursor_is_seen_and_points_at_its_cell(env, clicks):
    task = make_task(env)
    renderer, puzzle = Renderer(task), task.dataset("test").puzzle[0].astype(np.int64)
    first, second = (renderer.rgb(Frame(puzzle=puzzle, answer=puzzle, cursor=cell)) for cell in (0, 1))
    rows, columns = np.nonzero((first != second).any(2))
    assert len(rows)
    if clicks:
        left, right = columns.min() + 9, columns.max() - 9
        assert [renderer.cell_at(x, rows.mean()) for x in (left, right)] == [0, 1]


def test_the_panel_shows_signals_by_name_and_no_value_that_was_not_learned(monkeypatch):
    task = BOARDS["4x4"]
    words = words_of(frame_of(task, signals={"q_halt": 0.25}, belief=0.5), task, monkeypatch)
    assert {"q_halt", "25 %", "believed right"} <= set(words)
    assert not any("continue" in word for word in words)
    words = words_of(frame_of(task, signals={}, belief=None, beliefs=()), task, monkeypatch)
    assert not any("q_" in word or "believed" in word or "halt" in word for word in words)


def test_right_cells_leave_the_givens_out():
    task = make_task("Sudoku4x4-v0")
    puzzles = task.dataset("train").map(lambda array: array[0].astype(np.int64))
    blank = puzzles.puzzle == 0
    frame = Frame(puzzle=puzzles.puzzle, answer=puzzles.puzzle, solution=puzzles.solution)
    assert right_cells(task, frame) == 0.0
    one = np.where(np.arange(16) == np.argmax(blank), puzzles.solution, puzzles.puzzle)
    assert right_cells(task, dataclasses.replace(frame, answer=one)) == 1 / blank.sum()
    assert right_cells(task, dataclasses.replace(frame, answer=puzzles.solution)) == 1.0
    assert right_cells(task, dataclasses.replace(frame, solution=None)) is None


def test_whether_an_answer_is_right_may_be_unknown():
    task = make_task("ARC1-v0")
    board = np.zeros(task.num_cells, np.int64)
    assert is_right(task, Frame(puzzle=board, answer=board)) is None


def test_a_task_may_draw_its_own_board():
    class Cross:
        def __init__(self, task):
            self.task = task

        def board(self, canvas, area, frame):
            canvas.path([(area.x, area.y), (area.right, area.bottom)], drawing.INK, 5)

        def key(self, canvas, area):
            canvas.text("a cross", area, 20, drawing.INK)

    class Own(Board):
        view = Cross

    frame = frame_of(BOARDS["4x4"])
    plain = Renderer(BOARDS["4x4"], "t").rgb(frame)
    assert not np.array_equal(plain, Renderer(Own(4, 4, ".1234"), "t").rgb(frame))


def test_survives_pygame_quit_and_pickling():
    import pygame

    renderer, frame = Renderer(BOARDS["4x4"]), frame_of(BOARDS["4x4"])
    before = renderer.rgb(frame)
    pygame.quit()  # as Gymnasium's HumanRendering does when it closes
    assert np.array_equal(renderer.rgb(frame), before)
    assert np.array_equal(pickle.loads(pickle.dumps(renderer)).rgb(frame), before)


# ---- searches, answers that the rules allow, and text -------------------------------------------------------


def test_a_search_is_counted_and_its_guesses_are_in_circles(monkeypatch):
    task = BOARDS["9x9"]
    plain = frame_of(task, previous=None)
    found = search_of(task, cell=4, counts=(31, 17, 5))
    words = words_of(dataclasses.replace(plain, search=found), task, monkeypatch)
    assert {"1 guess", "31 open · 17 waiting · 5 given up"} <= set(words)
    monkeypatch.undo()
    assert not any("open" in word for word in words_of(plain, task, monkeypatch))
    monkeypatch.undo()

    def with_ring(frame):
        """Cells in which the colour of guesses is seen."""
        board = Renderer(task).rgb(frame)[:616, :616].astype(int)
        rows, columns = np.nonzero(np.abs(board - drawing.GUESS).max(-1) < 6)
        return {int((y - 24) // (592 / 9) * 9 + (x - 24) // (592 / 9)) for y, x in zip(rows, columns, strict=True)}

    assert with_ring(plain) == set() and with_ring(dataclasses.replace(plain, search=found)) == {4}


def test_an_answer_that_overrules_a_guess_shows_both():
    task = BOARDS["4x4"]
    puzzle = np.zeros(16, np.int64)
    same, other = (
        Renderer(task).rgb(Frame(puzzle=puzzle, answer=np.full(16, answer), segment=1, search=search_of(task, cell=0)))
        for answer in (1, 2)
    )
    corner = slice(26, 80), slice(26, 80)  # where the overruled guess stands
    assert (same[corner] != other[corner]).any()


def test_a_strip_shows_a_search_below_each_board():
    task = BOARDS["9x9"]
    frame = frame_of(task)
    without = BoardRenderer(task).rgb(frame)
    first, second = (
        BoardRenderer(task).rgb(dataclasses.replace(frame, search=search_of(task, counts=counts)))
        for counts in ((1, 0, 0), (32, 0, 0))
    )
    assert first.shape == second.shape and len(first) > len(without)
    assert (first[TILE:] != second[TILE:]).any() and np.array_equal(first[:TILE], second[:TILE])


@pytest.mark.parametrize(
    ("changes", "absent", "present"),
    [
        ({}, {"guesses", "open, waiting, given up"}, {"confidence", "right cells", "is it right?", "believed right"}),
        ({"confidence": None}, {"confidence"}, {"right cells"}),
        ({"solution": None, "accuracies": ()}, {"right cells"}, {"confidence"}),
        ({"belief": None, "signals": {}}, {"is it right?", "believed right"}, {"confidence"}),
        ({"search": search_of(BOARDS["9x9"])}, set(), {"guesses", "open, waiting, given up"}),
    ],
)
def test_the_help_explains_what_is_there_and_nothing_else(changes, absent, present, monkeypatch):
    task = BOARDS["9x9"]
    frame = frame_of(task, **{"signals": {"is it right?": 0.5}, **changes})
    explained = {term for term, _ in terms(frame, task)}
    assert present <= explained and not absent & explained and {"segment", "broken rules"} <= explained
    words = words_of(frame, task, monkeypatch)
    shown = " ".join(words)
    for term in explained - {"guesses", "open, waiting, given up"}:
        assert term in words, f"{term} is explained and not there"
    assert ("guess" in shown and "waiting" in shown) == ("guesses" in explained)
    for term in absent - {"confidence"}:  # the key of the colours keeps that word
        assert term not in words, f"{term} is there and not explained"


def another_path():
    """A maze with two shortest paths: the label's and another one."""
    task = make_task("MazeSmall-v0")
    puzzle = task.parse("S  " + "#" * 7 + "   " + "#" * 7 + "  G" + "#" * 77).astype(np.int64)
    solution = task.solve(puzzle).astype(np.int64)
    across = lambda board: board.reshape(10, 10).T.reshape(-1)  # noqa: E731
    return task, puzzle, solution, across(task.solve(across(puzzle))).astype(np.int64)


def test_another_shortest_path_is_right(monkeypatch):
    task, puzzle, solution, other = another_path()
    assert (solution != other).any()
    label, frame, wrong = (
        Frame(puzzle=puzzle, solution=solution, answer=answer, segment=2, ended="halted", reveal=True)
        for answer in (solution, other, puzzle)
    )
    assert verdict(task, frame) == "right (another shortest path)" and is_another(task, frame)
    assert verdict(task, label) == "right" and not is_another(task, label)
    assert verdict(task, wrong) == "wrong" and not is_another(task, wrong)
    assert right_cells(task, frame) == 1.0
    assert not wrong_cells(task, frame).any() and wrong_cells(task, wrong).any()
    assert headline(task, frame).endswith("right (another shortest path)")
    words = words_of(frame, task, monkeypatch)
    assert "right (another shortest path)" in words and not any("too early" in word for word in words)
    monkeypatch.undo()
    words = []
    monkeypatch.setattr(Canvas, "text", lambda self, text, *rest, **options: words.append(text))
    BoardRenderer(task).rgb(frame)
    assert "segment 2: right (another shortest path)" in words


def test_no_cell_of_another_solution_is_framed():
    task = make_task("Sudoku4x4-v0")
    puzzle = np.zeros(16, np.int64)
    solution = task.dataset("test").solution[0].astype(np.int64)
    swapped = np.array([0, 2, 1, 3, 4])[solution]
    frame = Frame(puzzle=puzzle, solution=solution, answer=swapped, segment=1, reveal=True)
    assert verdict(task, frame) == "right (another solution)" and not wrong_cells(task, frame).any()
    swapped[0] = swapped[1]
    assert verdict(task, frame) == "wrong" and wrong_cells(task, frame).any()


def test_marks_of_a_text():
    task = make_task("Sudoku4x4-v0")
    puzzle = np.array([1, 2, *[0] * 14])
    answer = np.array([1, 4, 3, 4, *[1] * 12])
    confidence = np.full(16, 0.9)
    confidence[[0, 3, 4, 5]] = 0.1, 0.49, 0.5, 0.2
    found = Search(8, 3, 1, guesses=np.where(np.arange(16) == 5, 1, 0))
    frame = Frame(puzzle=puzzle, answer=answer, confidence=confidence, segment=1, search=found)
    assert "".join(signs(task, frame)) == " ! ? *" + " " * 10
    assert board_text(task, answer, signs(task, frame)).splitlines()[1] == "| 1  4!| 3  4?|"
    assert headline(task, frame) == "segment 1 of 16  ·  boards: 8 open, 3 waiting, 1 given up  ·  1 guess"
    assert all(mark in legend(frame) for mark in "?!*")
    plain = dataclasses.replace(frame, search=None)
    assert "*" not in legend(plain) and "boards" not in headline(task, plain)
    assert "".join(signs(task, plain)) == " ! ? ?" + " " * 10
    unknown = dataclasses.replace(plain, confidence=np.full(16, np.nan), answer=puzzle, segment=0)
    assert not "".join(signs(task, unknown)).strip()


# ---- window ----------------------------------------------------------------------------------------------


@pytest.fixture
def window(monkeypatch):
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    window = Window(Renderer(BOARDS["4x4"]))
    yield window
    window.close()


def test_window_shows_and_hears(window):
    import pygame

    frame = frame_of(BOARDS["4x4"])
    window.show(frame)
    shown = pygame.surfarray.array3d(window.surface).swapaxes(0, 1)
    assert np.array_equal(shown, Renderer(BOARDS["4x4"]).rgb(frame))
    assert window.wait(1000) >= 0
    for key, written in (
        (pygame.K_RIGHT, ""),
        (pygame.K_SPACE, " "),
        (pygame.K_r, "R"),
        (pygame.K_EQUALS, "+"),
    ):
        pygame.event.post(pygame.event.Event(pygame.KEYDOWN, key=key, unicode=written))
    pygame.event.post(pygame.event.Event(pygame.KEYDOWN, key=pygame.K_ESCAPE, unicode="\x1b"))
    pygame.event.post(pygame.event.Event(pygame.MOUSEBUTTONDOWN, button=1, pos=(600, 600)))
    pygame.event.post(pygame.event.Event(pygame.MOUSEBUTTONDOWN, button=1, pos=(900, 600)))
    pygame.event.post(pygame.event.Event(pygame.QUIT))
    assert window.events() == ["right", "space", "r", "+", "escape", "cell 15", "quit"]
    assert window.events() == []


def test_a_window_may_fade_from_segment_to_segment(monkeypatch):
    import pygame

    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    task = BOARDS["4x4"]
    window = Window(Renderer(task), fade=10.0)
    first = frame_of(task, 1)
    second = dataclasses.replace(first, segment=2, answer=np.full(16, 4), previous=first.answer)

    def shown():
        return pygame.surfarray.array3d(window.surface).swapaxes(0, 1).astype(int)

    now = [1000]
    monkeypatch.setattr(pygame.time, "get_ticks", lambda: now[0])
    try:
        window.show(first)
        before = shown()
        window.show(second)
        assert np.array_equal(shown(), before)
        now[0] += 5000
        window.show(second)
        after = Renderer(task).rgb(second).astype(int)
        assert np.abs(shown() - (before + after) / 2).max() < 4
        now[0] += 6000
        window.show(second)
        assert np.array_equal(shown(), after)
    finally:
        window.close()


def test_window_closes_twice(window):
    window.close()
    window.close()
    window.show(frame_of(BOARDS["4x4"]))
    assert window.events() == []


def test_without_a_display_one_line_says_what_to_do(without_display):
    code = (
        "from tests.test_rendering import *\n"
        "try:\n    Window(Renderer(BOARDS['4x4']))\n"
        "except HrmGymError as error:\n    print(error)"
    )
    out = without_display(code)
    assert re.fullmatch(r"no display available \(.*\)\n", out), "what to do depends on who asked"


# ---- recordings ------------------------------------------------------------------------------------------


def record(path, frames=4, seconds=0.3, overwrite=False):
    task = BOARDS["6x6"]
    renderer = Renderer(task)
    with Recorder(path, overwrite) as recorder:
        for segment in range(frames):
            recorder.add(renderer.rgb(frame_of(task, segment)), 1.0 if segment == frames - 1 else seconds)
    assert recorder.written
    return renderer


def test_gif_decodes(tmp_path):
    path = tmp_path / "out.gif"
    renderer = record(path)
    frames = iio.imread(path)
    assert frames.shape == (4, HEIGHT, WIDTH, 3)
    assert [iio.immeta(path, index=i)["duration"] for i in range(4)] == [300, 300, 300, 1000]
    difference = np.abs(frames[2].astype(int) - renderer.rgb(frame_of(BOARDS["6x6"], 2)))
    assert difference.mean() < 0.5 and difference.max() < 16  # of 255, by one palette: nothing that the eye could see
    assert path.stat().st_size < 400_000
    assert os.listdir(tmp_path) == ["out.gif"]


def test_a_small_mark_keeps_its_hue_beside_a_large_board_and_nothing_else_flickers(tmp_path):
    x, y = np.meshgrid(np.linspace(0, 1, 300), np.linspace(0, 1, 300))
    board = np.stack((230 * x, 180 + 50 * y, 240 - 90 * x * y), -1).astype(np.uint8)  # from blue to green to white
    marked = board.copy()
    marked[100:104, 100:104] = (180, 105, 0)
    with Recorder(tmp_path / "out.gif") as recorder:
        for i in range(40):  # more than the palette is made of
            recorder.add(marked if i >= 30 else board, 0.1)
    frames = iio.imread(tmp_path / "out.gif").astype(int)
    with_mark, without = frames[-1], frames[0]
    assert np.abs(with_mark[101, 101] - marked[101, 101]).max() < 16
    moved = (with_mark != without).any(-1)
    assert moved.sum() == 16 and moved[100:104, 100:104].all()


def test_mp4_decodes(tmp_path):
    path = tmp_path / "out.mp4"
    record(path, frames=3)
    frames = iio.imread(path)
    assert frames.shape == (3 + 3 + 10, HEIGHT, WIDTH, 3)
    assert os.listdir(tmp_path) == ["out.mp4"]


@pytest.mark.parametrize("name", ["out.avi", "out", "out.gif.txt"])
def test_other_suffixes_are_refused(tmp_path, name):
    with pytest.raises(HrmGymError, match=r"must end in .gif or .mp4"):
        Recorder(tmp_path / name)


def test_a_missing_folder_is_reported_at_once(tmp_path):
    with pytest.raises(HrmGymError, match="there is no folder"):
        Recorder(tmp_path / "none" / "out.gif")
    (tmp_path / "folder.gif").mkdir()
    with pytest.raises(HrmGymError, match="it is a folder"):
        Recorder(tmp_path / "folder.gif")


def test_a_full_disk_leaves_the_older_file_alone(tmp_path, monkeypatch):
    path = tmp_path / "out.gif"
    path.write_bytes(b"older")

    def full(self, part):
        part.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(recording.Recorder, "_write_gif", full)
    with pytest.raises(HrmGymError, match="No space left on device"):
        record(path, overwrite=True)
    assert path.read_bytes() == b"older" and os.listdir(tmp_path) == ["out.gif"]


def test_ctrl_c_keeps_what_was_recorded_and_a_failure_does_not(tmp_path):
    picture = Renderer(BOARDS["4x4"]).rgb(frame_of(BOARDS["4x4"]))
    for error, kept in ((KeyboardInterrupt, True), (RuntimeError, False)):
        path = tmp_path / f"{error.__name__}.gif"
        with pytest.raises(error), Recorder(path) as recorder:
            recorder.add(picture, 0.1)
            raise error
        assert path.exists() == kept
    with Recorder(tmp_path / "empty.gif") as recorder:
        pass
    assert not recorder.written
