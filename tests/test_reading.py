"""One reader for the forms in which people keep puzzles: what they write is what is read, and it says what it took."""

import bz2
import gzip
import io
import json
import lzma
import os
import threading
import zipfile

import numpy as np
import pytest

from hrm_gym import make_task
from hrm_gym.cli import main
from hrm_gym.envs.drawing.text import board_text
from hrm_gym.envs.reading.source import read, read_text
from hrm_gym.envs.reading.writing import FORMS, PACKERS, write_puzzles
from hrm_gym.errors import HrmGymError

NINE = make_task("Sudoku9x9-v0")
PUZZLE = "53..7....6..195....98....6.8...6...34..8.3..17...2...6.6....28....419..5....8..79"
TOKENS = NINE.parse(PUZZLE)
SOLUTION = NINE.format(NINE.solve(TOKENS))
ROWS = [PUZZLE[i : i + 9] for i in range(0, 81, 9)]
SOLVED = [SOLUTION[i : i + 9] for i in range(0, 81, 9)]
LIST = [[int(c) for c in row.replace(".", "0")] for row in ROWS]


def framed(rows, edge, rule, between="|", space=""):
    """The rows with boxes of three between `between`."""
    lines = [edge] if edge else []
    for i, row in enumerate(rows):
        if i in (3, 6):
            lines.append(rule)
        boxes = [space.join(row[j : j + 3]) for j in (0, 3, 6)]
        side = between if edge else ""
        lines.append(side + space + f"{space}{between}{space}".join(boxes) + space + side)
    return "\n".join([*lines, edge] if edge else lines)


SPACED = framed(ROWS, "+-------+-------+-------+", "|-------+-------+-------|", space=" ")
OPEN = framed(ROWS, "", "------+-------+------", " | ", " ").replace("  |  ", " | ")
SIMPLE = framed(ROWS, "*-----------*", "|---+---+---|")
DRAWN = board_text(NINE, TOKENS) + "\nvalid, 1 attempt, 2 segments\n\n"

ONE = {
    **{f"blanks {c}": PUZZLE.replace(".", c) for c in "0_*-x?X ·．０"},
    **{f"rows with {c}": "\n".join(ROWS).replace(".", c) for c in "0_*-x?X ·"},
    "stripped rows": "\n".join(row.replace(".", " ").rstrip() for row in ROWS),
    "full-width digits": PUZZLE.translate({ord(d): chr(ord(d) + 0xFEE0) for d in "123456789"}),
    "commas": ",".join(PUZZLE.replace(".", "0")),
    "commas and nothing": "\n".join(",".join(row).replace(".", "") for row in ROWS),
    "semicolons": "\n".join(";".join(row) for row in ROWS),
    "tabs": "\n".join("\t".join(row) for row in ROWS),
    "spaces": "\n".join(" ".join(row) for row in ROWS),
    "a line of spaces": " ".join(PUZZLE.replace(".", "0")),
    **{f"open frames {c}": OPEN.replace(".", c) for c in ".0_-"},
    **{f"frames {c}": SPACED.replace(".", c) for c in ".0_- "},
    **{f"SimpleSudoku {c}": SIMPLE.replace(".", c) for c in ".X"},
    "rules of dashes": "\n".join([*ROWS[:3], "---------", *ROWS[3:6], "---------", *ROWS[6:]]),
    "gaps between boxes": "\n".join([*ROWS[:3], "", *ROWS[3:6], "", *ROWS[6:]]),
    "pretty": DRAWN,
    "colours": board_text(NINE, TOKENS, bold=NINE.is_given(TOKENS)),
    "sdk": "#AMe\n#DTest\n[Puzzle]\n" + "\n".join(ROWS) + "\n[State]\n" + "\n".join(SOLVED),
    "a title": "Grid 01\n" + "\n".join(ROWS).replace(".", "0"),
    "a rating": PUZZLE + "  1.2",
    "a bank": f"0000183b305c  {PUZZLE.replace('.', '0')}  1.2",
    "a remark": PUZZLE + " # easy",
    "a Python list": str(LIST),
    "JSON rows": json.dumps(LIST),
    "JSON with null": json.dumps([[cell or None for cell in row] for row in LIST]),
    "JSON texts": json.dumps(ROWS),
    "JSON object": json.dumps({"board": LIST, "difficulty": "Hard"}),
    "JSON nest": json.dumps(
        {"newboard": {"grids": [{"value": LIST, "solution": [[int(c) for c in r] for r in SOLVED]}]}}
    ),
}


@pytest.mark.parametrize("name", ONE)
def test_one_board(name):
    given = read_text(ONE[name], NINE)
    assert (given.puzzles.puzzle == TOKENS).all() and len(given.puzzles.puzzle) == 1
    assert given.format.startswith("JSON" if ONE[name].lstrip()[0] in "[{" and "[P" not in ONE[name] else "text")


OTHER = NINE.dataset("test").map(lambda array: array[:3])
BOARDS = [NINE.format(tokens) for tokens in OTHER.puzzle]
ANSWERS = [NINE.format(tokens) for tokens in OTHER.solution]
PAIRS = list(zip(BOARDS, ANSWERS, strict=True))


def in_rows(text):
    return "\n".join(text[i : i + 9] for i in range(0, 81, 9))


SEVERAL = {
    "a.sdm": "\n".join(BOARDS),
    "a.txt": "\n\n".join(map(in_rows, BOARDS)),
    "b.txt": "\n".join(map(in_rows, BOARDS)),
    "grids.txt": "\n".join(f"Grid {i:02}\n{in_rows(b).replace('.', '0')}" for i, b in enumerate(BOARDS)),
    "frames.ss": "\n\n".join(
        framed([b[i : i + 9] for i in range(0, 81, 9)], "*-----------*", "|---+---+---|") for b in BOARDS
    ),
    "drawn.txt": "".join(board_text(NINE, t) + "\nvalid\n\n" for t in OTHER.puzzle),
    **{
        f"answers{i}.txt": "\n".join(s.join(pair) for pair in PAIRS)
        for i, s in enumerate([" ", ",", ";", "\t", "|", ":"])
    },
    "a.CSV": "question,answer\n" + "\n".join(map(",".join, PAIRS)),
    "semicolons.csv": "question;answer\n" + "\n".join(map(";".join, PAIRS)),
    "tabs.tsv": "Puzzle\tSolution\n" + "\n".join(map("\t".join, PAIRS)),
    "no header.csv": "\n".join(map(",".join, PAIRS)),
    "kaggle.csv": "quizzes,solutions\n" + "\n".join(f"{a.replace('.', '0')},{b}" for a, b in PAIRS),
    "kaggle3m.csv": "id,puzzle,solution,clues,difficulty\n" + "\n".join(f"1,{a},{b},24,0.0" for a, b in PAIRS),
    "named as text.txt": "puzzle,solution\n" + "\n".join(map(",".join, PAIRS)),
    "a.json": json.dumps([{"puzzle": a, "solution": b} for a, b in PAIRS]),
    "columns.json": json.dumps({"quizzes": BOARDS, "solutions": ANSWERS}),
    "boards.json": json.dumps(OTHER.puzzle.reshape(3, 9, 9).tolist()),
    "a.jsonl": "\n".join(json.dumps({"question": a, "answer": b}) for a, b in PAIRS),
    "lists.jsonl": "\n".join(json.dumps(row) for row in OTHER.puzzle.tolist()),
    "solution.sdk": "".join(f"[Puzzle]\n{in_rows(a)}\n[Solution]\n{in_rows(b)}\n" for a, b in PAIRS),
}


@pytest.mark.parametrize("above", ["Grid 01\n", "# easy\n"])
@pytest.mark.parametrize("blank", " -.")
def test_a_row_of_blanks_is_a_row(above, blank):
    rows = [*ROWS[:3], "." * 9, *ROWS[4:]]
    board = "\n".join(rows).replace(".", blank)
    gap = " " * 9 if blank == "." else ""
    given = read_text(f"{above}{board}\n{gap}\n" * 2, NINE).puzzles.puzzle
    assert (given == NINE.parse("".join(rows))).all() and len(given) == 2


@pytest.mark.parametrize("name", SEVERAL)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le"])
def test_files(tmp_path, name, encoding):
    (tmp_path / name).write_bytes(SEVERAL[name].replace("\n", "\r\n").encode(encoding))
    given = read(tmp_path / name, NINE)
    assert all(np.array_equal(a, b) for a, b in zip(given.puzzles[:2], OTHER[:2], strict=True)), given.format
    assert given.format in ("text", "a table", "a table without a header", "JSON")


@pytest.mark.parametrize("shape", [(-1, 81), (-1, 9, 9)])
def test_arrays(tmp_path, shape):
    puzzles, solutions = (array.reshape(shape) for array in OTHER[:2])
    np.save(tmp_path / "a.npy", puzzles)
    np.savez(tmp_path / "a.npz", quizzes=puzzles, solutions=solutions)
    sources = [tmp_path / "a.npy", tmp_path / "a.npz", puzzles, list(puzzles), puzzles.tolist(), OTHER]
    sources += [{"quizzes": puzzles, "solutions": solutions}, iter(BOARDS), np.array(BOARDS), tuple(BOARDS)]
    np.savez(tmp_path / "unnamed.npz", puzzles, solutions)
    sources += [tmp_path / "unnamed.npz"]
    for source in sources:
        assert np.array_equal(read(source, NINE).puzzles.puzzle, OTHER.puzzle)
    np.savez(tmp_path / "unnamed.npz", puzzles, puzzles)
    with pytest.raises(HrmGymError, match=r"unnamed.npz, puzzle 1: the answer breaks the rules"):
        read(tmp_path / "unnamed.npz", NINE)
    for wrong in (
        puzzles + 0.5,
        puzzles.astype(float),
        puzzles + 7,
        puzzles[..., :-1],
        puzzles > 0,
        [3, 4],
        {},
        {"a": 1},
    ):
        with pytest.raises(HrmGymError) as refusal:
            read(wrong, NINE)
        assert len(str(refusal.value).splitlines()) == 1


@pytest.mark.parametrize("nothing", [None, "", float("nan"), np.float64("nan")])
def test_solutions_missing_in_a_list_are_found(nothing):
    solutions = [ANSWERS[0], nothing, ANSWERS[2]]
    rows = [{"puzzle": a, "solution": b} for a, b in zip(BOARDS, solutions, strict=True)]
    for source in ({"puzzle": BOARDS, "solution": solutions}, rows):
        assert np.array_equal(read(source, NINE).puzzles.solution, OTHER.solution)
    with pytest.raises(HrmGymError, match="puzzle 1: the solution: it has shape"):
        read({"puzzle": BOARDS, "solution": [3.5, *solutions[1:]]}, NINE)


def test_solutions_missing_in_a_table_of_pandas_are_found():
    pandas = pytest.importorskip("pandas")
    for kind in (object, "string"):
        table = pandas.DataFrame({"puzzle": BOARDS, "solution": [ANSWERS[0], None, ANSWERS[2]]}, dtype=kind)
        table.loc[2, "solution"] = float("nan")
        for source in (table, table.to_dict("records")):
            assert np.array_equal(read(source, NINE).puzzles.solution, OTHER.solution)


PACK = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}


def test_packed_files_streams_and_pipes(tmp_path):
    text = "\n".join(BOARDS).encode()
    for suffix, pack in PACK.items():
        (tmp_path / f"a.txt{suffix}").write_bytes(pack(text))
        (tmp_path / f"wrong{suffix}").write_bytes(text)
        assert np.array_equal(read(tmp_path / f"a.txt{suffix}", NINE).puzzles.puzzle, OTHER.puzzle)
        with pytest.raises(HrmGymError, match="is not compressed by"):
            read(tmp_path / f"wrong{suffix}", NINE)
    with zipfile.ZipFile(tmp_path / "sudoku.zip", "w") as archive:
        archive.writestr("sudoku.csv", SEVERAL["kaggle.csv"])
    assert read(tmp_path / "sudoku.zip", NINE).format == "a table, zip"
    for stream in (io.StringIO(text.decode()), io.BytesIO(text)):
        assert len(read(stream, NINE).puzzles.puzzle) == 3
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=(tmp_path / "pipe").write_bytes, args=(text,))
    writer.start()
    assert len(read(tmp_path / "pipe", NINE).puzzles.puzzle) == 3
    writer.join()


def test_numbers_of_two_digits():
    task = make_task("Sudoku16x16-v0")
    tokens = task.dataset("test").puzzle[0]
    for separator in (" ", ",", "\t"):
        text = "\n".join(separator.join(map(str, row)) for row in tokens.reshape(16, 16))
        assert (task.parse(text) == tokens).all()
    assert (task.parse(task.format(tokens).lower()) == tokens).all()


# ---- mazes -----------------------------------------------------------------------------------------------

TEN = make_task("MazeSmall-v0")
MAZE = TEN.dataset("test").puzzle[0]
LINES = [TEN.format(row) for row in MAZE.reshape(10, 10)]
TEXT = "\n".join(LINES)
MAZES = {
    "rows": TEXT,
    "a line": "".join(LINES),
    "dots": TEXT.replace(" ", "."),
    "E": TEXT.replace("G", "E"),
    "X": TEXT.replace("#", "X"),
    "0 and 1": TEXT.translate(str.maketrans({"#": "1", " ": "0"})),
    "blocks": TEXT.replace("#", "█"),
    "wide blocks": TEXT.translate(str.maketrans({"#": "██", " ": "  ", "S": "S ", "G": "G "})),
    "stripped": "\n".join(line.rstrip() for line in LINES),
    "spaced": "\n".join(" ".join(line) for line in LINES),
    "commas": "\n".join(",".join(line).replace(" ", "0").replace("#", "1") for line in LINES),
    "framed": "+----------+\n" + "\n".join(f"|{line}|" for line in LINES) + "\n+----------+",
    "pretty": board_text(TEN, MAZE),
}


@pytest.mark.parametrize("name", MAZES)
def test_mazes(tmp_path, name):
    given = read_text(MAZES[name] + "\n", TEN)
    assert (given.puzzles.puzzle == MAZE).all()


OPEN_MAZE = make_task("MazeSmall-v0", size=4, min_path=2)
OPEN_TEXT = "S..............G"
WAYS = ["Sooo...o...o...G", "S...o...o...oooG"]


@pytest.mark.parametrize("separator", [" ", ",", ";", "\t", "|", ":"])
@pytest.mark.parametrize("suffix", [".txt", ".csv"])
def test_a_maze_after_a_maze_is_its_answer(tmp_path, separator, suffix):
    path = tmp_path / f"a{suffix}"
    for answer in WAYS:  # both are shortest, and what is given is kept
        path.write_text(f"{OPEN_TEXT}{separator}{answer}\n" * 2)
        given = read(path, OPEN_MAZE).puzzles
        assert (given.solution == OPEN_MAZE.parse(answer)).all() and len(given.puzzle) == 2
    for wrong in (
        OPEN_TEXT,
        WAYS[0].replace("o...G", "....G"),
        WAYS[0].replace("o.", "#.", 1),
        WAYS[0].replace("S", "."),
    ):
        path.write_text(f"{OPEN_TEXT}{separator}{WAYS[1]}\n{OPEN_TEXT}{separator}{wrong}\n")
        with pytest.raises(HrmGymError, match=r"line 2: the (answer|solution)"):
            read(path, OPEN_MAZE)


def test_short_rows_are_cells_only_where_spaces_are():
    lines = TEXT.replace(" ", ".").splitlines()
    with pytest.raises(HrmGymError, match="row 3 has 9 characters, not 10"):
        TEN.parse("\n".join([*lines[:2], lines[2][:-1], *lines[3:]]))


# ---- what is no puzzle -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("\n".join(ROWS[:8]), "72 characters in 8 rows"),
        ("\n".join([*ROWS[:8], "....8..7"]), "row 9 has 8 characters, not 9"),
        (PUZZLE + "\n" + PUZZLE[:-1] + "\n" + PUZZLE, "line 2: the text has 80 characters"),
        (f"{PUZZLE},{SOLUTION}\n{PUZZLE},{SOLUTION[:-1]}é", "line 2: the solution: foreign character 'é'"),
        (f"question,answer\n{PUZZLE},{SOLUTION[:-1]}", "line 2: the solution: the text has 80 characters"),
        ("1" * 131_073, "the text has 131073 characters"),
        (PUZZLE.replace("5", "é", 1), "foreign character 'é' at row 1, column 1"),
        (PUZZLE + " " + SOLUTION[:-1] + "8", "answer changes the given|answer breaks"),
        ('[{"puzzle": "12"}]', "12|2 characters"),
        ('{"a": {"b": 3}}', "has no puzzle"),
        ("[" * 100 + "]" * 100, "nested|no puzzles|JSON|puzzle"),
        ("{", "JSON"),
        ("\0\1\2", "no text|foreign|characters"),
    ],
)
def test_what_is_no_puzzle_is_one_line(text, message):
    with pytest.raises(HrmGymError, match=message) as refusal:
        read_text(text, NINE)
    assert len(str(refusal.value).splitlines()) == 1


def test_a_board_that_lacks_a_row_takes_none_of_the_next():
    text = "\n".join(["Grid 1", *ROWS[:8], "Grid 2", *ROWS])
    with pytest.raises(HrmGymError, match="line 2: the text has 72 characters"):
        read_text(text, NINE)


# ---- what is written is read -----------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("packed", PACKERS)
@pytest.mark.parametrize("task", [NINE, TEN], ids=["sudoku", "maze"])
def test_what_is_written_is_read(tmp_path, form, packed, task):
    puzzles = task.dataset("test").map(lambda array: array[:3])
    path = tmp_path / f"a{form}{packed}"
    write_puzzles(path, puzzles, task)
    assert all(np.array_equal(a, b) for a, b in zip(read(path, task).puzzles[:2], puzzles[:2], strict=True))
    if packed:
        assert path.read_bytes() != b"" and not path.read_bytes().isascii()


@pytest.mark.parametrize("name", ["a.parquet", "a", "a.bz2", "a.csv.zip", "a.npz", "a.csv.7z"])
def test_names_without_a_form_are_refused_before_the_work(tmp_path, name, capsys, monkeypatch):
    monkeypatch.setattr(type(NINE), "sample", None)
    assert main(["generate", "--env", "Sudoku4x4-v0", "--out", str(tmp_path / name)]) == 2
    assert "its suffix decides the format" in capsys.readouterr().err and not list(tmp_path.iterdir())


# ---- the family by its size ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("puzzle", "env"),
    [
        (PUZZLE, "SudokuExtreme-v0"),
        ("1...2..4..3..1..", "Sudoku4x4-v0"),
        (MAZES["0 and 1"], "MazeSmall-v0"),
        ("\n".join(ROWS), "SudokuExtreme-v0"),
    ],
)
def test_the_size_says_the_family(puzzle, env, capsys):
    assert main(["solve", puzzle, "--exact"]) == 0
    printed = capsys.readouterr()
    assert f"1 puzzle of {env}, from text" in printed.err
    task = make_task(env)
    assert (task.parse(printed.out) == task.solve(task.parse(puzzle))).all()


def test_the_agent_for_hard_ones_solves_a_9x9_sudoku_without_env(capsys):
    assert main(["solve", PUZZLE, "--device", "cpu"]) == 0
    printed = capsys.readouterr()
    assert "".join(printed.out.split()) == SOLUTION and "SudokuExtreme-v0" in printed.err


def test_a_size_of_no_family_is_one_line(capsys):
    assert main(["solve", "12345"]) == 2
    error = capsys.readouterr().err
    assert "no board has the size" in error and "--env" in error and len(error.splitlines()) == 1
    assert main(["solve", PUZZLE.replace("5", "é", 1)]) == 2
    assert "foreign character 'é'" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["~nobody-of-this-name/a.csv", "~", "~\r-T"])
def test_names_with_a_tilde_are_one_line(name):
    with pytest.raises(HrmGymError) as refusal:
        read(name, NINE)
    assert len(str(refusal.value).splitlines()) == 1


def test_a_name_that_is_nearly_right_is_proposed(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "puzzles.csv").write_text(SEVERAL["a.CSV"])
    assert main(["solve", "puzzels.csv", "--env", "Sudoku9x9-v0", "--exact"]) == 2
    assert "did you mean 'puzzles.csv'?" in capsys.readouterr().err
