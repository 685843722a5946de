"""The commands as their users call them: what they print, and what they say to bad input."""

import csv
import gzip
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from hrm_gym.cli import COMMANDS, main
from hrm_gym.cli.evaluate import in_lines
from hrm_gym.envs.drawing.text import board_text
from hrm_gym.envs.registration import make_task, task_ids
from hrm_gym.shares import wilson

ROOT = Path(__file__).parent.parent
HARD = "5...27..9..41......1..5.3...92.6.8...5......66..7..29.8...7...2.......8...9..36.."


def board(text):
    """The characters of a printed grid."""
    return "".join(text.split())


# ---- solve -----------------------------------------------------------------------------------------------


def test_solve_exactly_in_every_spelling(hrm_gym, tmp_path, monkeypatch):
    task = make_task("SudokuExtreme-v0")
    expected = task.format(task.solve(task.parse(HARD)))
    rows = "\n".join(HARD[i : i + 9] for i in range(0, 81, 9))
    (tmp_path / "one.txt").write_text(rows + "\n")
    for spelling in (HARD, HARD.replace(".", "0"), rows, tmp_path / "one.txt"):
        code, out, _ = hrm_gym("solve", "--env", "SudokuExtreme-v0", "--exact", spelling)
        assert code == 0
        assert board(out) == expected and len(out.strip().splitlines()) == 9


@pytest.mark.parametrize("empty", ["-", "--"])
def test_a_board_that_begins_with_a_hyphen_is_a_value(hrm_gym, empty):
    task = make_task("Sudoku4x4-v0")
    cells = next(text for text in map(task.format, task.dataset("test").puzzle) if text.startswith("." * len(empty)))
    board_ = cells.replace(".", "-")
    assert board_.startswith(empty)
    code, out, _ = hrm_gym("solve", "--exact", board_)
    assert code == 0 and board(out) == task.format(task.solve(task.parse(cells)))
    code, _, err = hrm_gym("play", "--headless", "--env", "Sudoku4x4-v0", "--max-segments", 1, "--puzzle", board_)
    assert code == 0, err
    code, _, err = hrm_gym("solve", "--exact", board_[:6])
    assert code == 2 and "no board has the size" in err


@pytest.mark.parametrize(
    "option", ["--max-segmants", "--max-segments-in-all", "--max-segments-in-all=3", "-max_segments-2"]
)
def test_a_misspelt_option_is_no_board(hrm_gym, option):
    code, _, err = hrm_gym("solve", "--exact", option, HARD)
    assert code == 2 and option.partition("=")[0] in err and err.count("\n") == 1 and "see hrm-gym solve" in err


def test_several_attempts_solve_more(hrm_gym, tmp_path):
    task = make_task("Sudoku6x6-v0")
    puzzles = task.dataset("test").puzzle[:16]
    path = tmp_path / "puzzles.txt"
    path.write_text("\n".join(map(task.format, puzzles)))
    solved = []
    for rollouts in (1, 6):
        options = ("--max-segments", 3, "--rollouts", rollouts, "--seconds", 0, "--device", "cpu")
        _, out, _ = hrm_gym("solve", "--env", "Sudoku6x6-v0", *options, path)
        answers = np.stack([task.parse(line) for line in out.splitlines()])
        solved.append((task.violations(puzzles, answers) == 0).sum())
    assert len(answers) == 16 and solved[1] > solved[0]


def test_solve_a_file_gives_a_line_each(hrm_gym, tmp_path):
    task = make_task("Sudoku6x6-v0")
    puzzles = task.dataset("test")
    lines = [task.format(p) for p in puzzles.puzzle[:5]]
    (tmp_path / "many.txt").write_text("\n".join(lines))
    with gzip.open(tmp_path / "many.csv.gz", "wt") as file:
        file.write("source,question,answer,rating\n" + "".join(f"x,{line},,0\n" for line in lines))
    for name in ("many.txt", "many.csv.gz"):
        code, out, _ = hrm_gym("solve", "--env", "Sudoku6x6-v0", "--exact", tmp_path / name)
        assert code == 0
        assert out.split() == [task.format(s) for s in puzzles.solution[:5]]


def test_the_shipped_agents_solve(hrm_gym):
    for env_id in ("Sudoku4x4-v0", "Sudoku6x6-v0", "Sudoku9x9-v0"):
        task = make_task(env_id)
        puzzles = task.dataset("test")
        codes = []
        for puzzle, solution in zip(puzzles.puzzle[:5], puzzles.solution[:5], strict=True):
            code, out, _ = hrm_gym("solve", "--env", env_id, "--device", "cpu", task.format(puzzle))
            assert (code == 0) == (board(out) == task.format(solution))
            codes.append(code)
        assert codes.count(0) >= 4


def test_an_answer_against_the_rules_is_status_1(hrm_gym):
    # One segment is not enough for the board on which one sees thinking.
    task = make_task("Sudoku6x6-v0")
    puzzles = [task.format(p) for p in task.dataset("test").puzzle[:20]]
    codes = set()
    for puzzle in puzzles:
        code, out, err = hrm_gym("solve", "--env", "Sudoku6x6-v0", "--max-segments", 1, "--seconds", 0.1, puzzle)
        assert len(board(out)) == 36
        assert ("breaks the rules" in err) == (code == 1)
        codes.add(code)
    assert 1 in codes


@pytest.mark.parametrize(
    ("puzzle", "message"),
    [
        (HARD[:80], "80 characters"),
        (HARD[:80] + "y", "'y' at row 9, column 9"),
        ("55" + HARD[2:], "5"),
        ("." * 81, "several solutions"),
        ("nowhere/puzzles.csv", "no file at nowhere/puzzles.csv"),
        ("puzzles.csv", "no file at puzzles.csv"),
    ],
)
def test_solve_refuses_bad_puzzles_in_one_line(hrm_gym, puzzle, message):
    code, out, err = hrm_gym("solve", "--env", "SudokuExtreme-v0", "--exact", puzzle)
    assert code == 2 and not out
    assert message in err and sum(not line.startswith("compiling") for line in err.splitlines()) == 1


# ---- evaluate --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("halting", ["learned", "fixed"])
def test_evaluate_prints_one_json_object(hrm_gym, halting):
    code, out, _ = hrm_gym(
        *("evaluate", "--env", "Sudoku4x4-v0", "--limit", 200, "--halting", halting, "--json"),
        *("--device", "cpu"),
    )
    assert code == 0
    figures = json.loads(out)
    assert figures["exact_accuracy"] >= 0.97 and figures["valid_accuracy"] >= figures["exact_accuracy"]
    assert figures["num_puzzles"] == 200
    assert (figures["mean_segments"] == 16) == (halting == "fixed")
    for name in ("cell_accuracy", "seconds", "puzzles_per_second"):
        assert figures[name] > 0


def test_evaluate_in_words_and_for_tensorboard(hrm_gym, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    code, out, err = hrm_gym("evaluate", "--env", "Sudoku4x4-v0", "--limit", 50, "--log-dir", tmp_path / "events")
    assert code == 0 and err == ""  # no bar where there is no terminal
    lines = dict(re.split(r"  +|(?<=16) ", line, maxsplit=1) for line in out.splitlines())
    low, high = wilson(round(float(lines["exactly right"].split()[0]) / 2), 50)
    assert lines["exactly right"].endswith(f"% ({100 * low:.1f} to {100 * high:.1f})")
    assert lines["after 1 / 2 / 4 / 8 / 16"].count("/") == 4 and lines["protocol"] == "halting learned, max_segments 16"
    assert "50 of Sudoku4x4-v0, test split" in lines["puzzles"] and "161,282" in lines["agent"]
    events = EventAccumulator(str(tmp_path / "events"))
    events.Reload()
    (curve,) = (tag for tag in events.Tags()["scalars"] if tag.endswith("right_after_segments"))
    after = events.Scalars(curve)
    assert [event.step for event in after] == list(range(1, 17))
    printed = lines["after 1 / 2 / 4 / 8 / 16"].split(" % ")[0].split(" / ")
    assert [f"{100 * after[segment - 1].value:.1f}" for segment in (1, 2, 4, 8, 16)] == printed


def test_a_bar_counts_on_a_terminal_and_leaves_no_trace():
    from rich.console import Console

    from hrm_gym.cli.bar import bar

    shown = io.StringIO()
    with bar("thinking", Console(file=shown, force_terminal=True, width=100)) as tell:
        tell(3, 7)
    assert "thinking" in shown.getvalue() and "3/7" in shown.getvalue() and shown.getvalue().endswith("\x1b[2K")
    silent = io.StringIO()
    with bar("thinking", Console(file=silent)) as tell:
        tell(3, 7)
    assert silent.getvalue() == ""


def test_solve_pretty(hrm_gym):
    code, out, _ = hrm_gym("solve", "--env", "Sudoku4x4-v0", "--pretty", "1...2..4..3..1..")
    lines = out.splitlines()
    assert code == 0 and lines[0] == lines[6] == "+------+------+"
    assert re.fullmatch(r"valid, \d+ attempts?, \d+ segments?", lines[7])
    digits = [character for line in lines[:7] for character in line if character.isdigit()]
    assert len(digits) == 16 and digits[0] == "1" and "?" not in out
    task = make_task("Sudoku4x4-v0")
    given = task.parse("1...2..4..3..1..").astype(np.int64)
    printed = board_text(task, task.solve(given), bold=task.is_given(given))
    assert printed.count("\x1b[1m") == np.count_nonzero(given)
    assert re.sub(r"\x1b\[\dm", "", printed) == "\n".join(lines[:7])


def test_evaluate_on_a_file_and_with_rollouts(hrm_gym, tmp_path):
    task = make_task("Sudoku4x4-v0")
    puzzles = task.dataset("test")
    path = tmp_path / "puzzles.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["source", "question", "answer", "rating"])
        for puzzle, solution in zip(puzzles.puzzle[:30], puzzles.solution[:30], strict=True):
            writer.writerow(["here", task.format(puzzle), task.format(solution), 0])
    code, out, _ = hrm_gym(
        *("evaluate", "--env", "Sudoku4x4-v0", "--puzzles", path, "--rollouts", 3, "--json"),
        *("--max-segments", 4, "--halting", "fixed"),
    )
    figures = json.loads(out)
    assert code == 0 and figures["num_puzzles"] == 30 and figures["mean_segments"] == 12
    assert min(figures["accuracy_after_segments"]) > 0.9  # noise makes later attempts worse
    assert dict(in_lines(figures))["after 1 / 2 / 4"].endswith(" % right in the first attempt")


def test_the_shipped_agent_of_another_environment_is_graded(hrm_gym):
    checkpoint = ("--checkpoint", "pretrained:SudokuExtreme-v0", "--device", "cpu", "--max-segments", 4)
    code, out, _ = hrm_gym("evaluate", "--env", "Sudoku4x4-v0", *checkpoint, "--limit", 50, "--json")
    figures = json.loads(out)
    assert code == 0 and figures["agent"] == "hrm_symbols" and figures["env"] == "Sudoku4x4-v0"
    assert figures["valid_accuracy"] == 1.0  # it has seen 9x9 boards alone


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--env", "Sudoku4x4-v0", "--puzzles", "nowhere.csv"], "nowhere.csv"),
        (["--env", "Sudoku4x4-v0", "--checkpoint", "nowhere"], "no checkpoint at nowhere"),
        (["--env", "Sudoku4x4-v0", "--limit", "-1"], "limit is -1"),
        (["--env", "Sudoku4x4"], "did you mean 'Sudoku4x4-v0'"),
        (["--env", "MazeSmall-v0", "--checkpoint", "pretrained:Sudoku9x9-v0"], "boards of 10x10, 5 symbols"),
        (["--env", "Sudoku4x4-v0", "--checkpoint", "pretrained:Copy-v0"], "no agent is shipped for Copy-v0"),
        (["--env", "Sudoku4x4-v0", "--checkpoint", "pretrained:Sudoku9x8-v0"], "did you mean 'Sudoku9x9-v0'"),
    ],
)
def test_evaluate_refuses(hrm_gym, arguments, message):
    code, out, err = hrm_gym("evaluate", *arguments)
    assert code == 2 and not out and message in err and len(err.strip().splitlines()) == 1


# ---- generate --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["new.csv", "new.csv.gz"])
def test_generate_writes_the_benchmarks_form_and_the_same_for_the_same_seed(hrm_gym, tmp_path, name):
    path = tmp_path / name
    texts = []
    for seed in (1, 1, 2):
        code, _, err = hrm_gym(
            "generate", "--env", "Sudoku6x6-v0", "--num", 4, "--seed", seed, "--out", path, "--overwrite"
        )
        assert code == 0, err
        content = path.read_bytes()
        texts.append((gzip.decompress(content) if name.endswith("gz") else content).decode())
    assert texts[0] == texts[1] != texts[2]
    rows = list(csv.DictReader(texts[0].splitlines()))
    assert list(rows[0]) == ["source", "question", "answer", "rating"] and len(rows) == 4
    task = make_task("Sudoku6x6-v0")
    for row in rows:
        assert task.format(task.solve(task.parse(row["question"]))) == row["answer"]


@pytest.mark.slow
def test_generate_makes_a_shipped_set_anew_bit_for_bit(hrm_gym, tmp_path):
    code, _, err = hrm_gym("generate", "--env", "Sudoku4x4-v0", "--shipped", "--out", tmp_path / "4x4.npz")
    assert code == 0, err
    with np.load(tmp_path / "4x4.npz") as new, np.load(ROOT / "hrm_gym/envs/sudoku/data/4x4.npz") as old:
        assert set(new) == set(old) and all(np.array_equal(new[name], old[name]) for name in old)


def test_generate_refuses(hrm_gym, tmp_path):
    for arguments, message in (
        (["--num", 0, "--out", tmp_path / "a.csv"], "--num is 0"),
        (["--num", 1, "--out", tmp_path / "no" / "such" / "a.csv"], "a.csv"),
    ):
        code, _, err = hrm_gym("generate", "--env", "Sudoku4x4-v0", *arguments)
        assert code == 2 and message in err and len(err.strip().splitlines()) == 1


# ---- lists and the whole ---------------------------------------------------------------------------------


def test_lists_name_everything(hrm_gym):
    _, out, _ = hrm_gym("envs")
    assert all(env_id in out for env_id in task_ids())
    _, out, _ = hrm_gym("agents")
    assert all(word in out for word in ("hrm", "trm", "paper", "27.27", "Sudoku6x6-v0"))


def test_help_and_unknown_commands(hrm_gym):
    code, out, _ = hrm_gym()
    assert code == 0 and all(command in out for command in COMMANDS)
    code, _, err = hrm_gym("slove")
    assert code == 2 and "did you mean 'solve'" in err
    for command in COMMANDS:
        code, out, _ = hrm_gym(command, "--help")
        assert code == 0 and "usage" in out


def test_the_console_script_and_a_reader_that_leaves():
    command = f"{sys.executable} -m hrm_gym envs | head -1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.startswith("id") and "Traceback" not in done.stderr


def closed_pipe():
    reader, writer = os.pipe()
    os.close(reader)
    return writer


def full_disk():
    return os.open("/dev/full", os.O_WRONLY)


@pytest.mark.parametrize("buffering", [-1, 0])
@pytest.mark.parametrize("words", [["--help"], ["--version"], ["envs"], ["solve", "--help"]])
@pytest.mark.parametrize(("output", "status"), [(closed_pipe, 0), (full_disk, 2)])
def test_an_output_that_takes_no_more(words, output, status, buffering, monkeypatch, capsys):
    if output is full_disk and not Path("/dev/full").exists():
        pytest.skip("only Linux has a full disk to test on")
    stream = io.TextIOWrapper(os.fdopen(output(), "wb", buffering), write_through=not buffering)
    monkeypatch.setattr(sys, "stdout", stream)
    assert main(words) == status
    stream.close()  # as Python does at exit
    err = capsys.readouterr().err
    assert err.count("\n") == (status == 2) and err.startswith("error: cannot write (No space left" if status else "")


def test_a_closed_standard_input_is_one_line(hrm_gym, monkeypatch):
    monkeypatch.setattr(sys, "stdin", None)
    code, _, err = hrm_gym("solve", "-")
    assert code == 2 and "standard input, which is closed" in err and err.count("\n") == 1


@pytest.mark.parametrize("script", ["train_agent.py", "play.py", "hrm_gym_command.py"])
def test_ctrl_c_while_the_package_is_imported_is_one_line(script, tmp_path):
    (tmp_path / "gymnasium.py").write_text("raise KeyboardInterrupt\n")
    call = f"import runpy, sys; sys.exit(runpy.run_path({str(ROOT / script)!r})['main']())"
    done = subprocess.run(
        [sys.executable, "-c", call],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "interrupted\n")
