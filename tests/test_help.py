"""What commands show of themselves: help and lists, on terminals of every width and with few characters."""

import functools
import json
import os
import re
import signal
import subprocess
import sys

import pytest
from torch._inductor.exc import InductorError

from hrm_gym.agents.registry import agent_names, halting_names
from hrm_gym.agents.saved.card import headline
from hrm_gym.agents.saved.config import RunOptions
from hrm_gym.agents.saved.presets import PRESETS, resolve
from hrm_gym.agents.saved.sources import LENT, PRETRAINED
from hrm_gym.agents.training.learner import Learner
from hrm_gym.agents.training.run import train
from hrm_gym.cli import COMMANDS
from hrm_gym.cli.parse import check_values, parse
from hrm_gym.cli.train import COMMON
from hrm_gym.envs.registration import task_ids
from hrm_gym.errors import HrmGymError

OPTION = re.compile(r"^  (--[a-z][\w-]*)", re.MULTILINE)


@pytest.fixture
def at_width(monkeypatch):
    """Sets how many columns the terminal has."""
    return lambda columns: monkeypatch.setenv("COLUMNS", str(columns))


def words(text):
    return " ".join(text.split())


def test_train_help_shows_the_sixteen_options_with_their_choices(hrm_gym, at_width):
    at_width(80)
    code, out, _ = hrm_gym("train", "--help")
    assert code == 0 and len(out.splitlines()) <= 60 and max(map(len, out.splitlines())) <= 80
    assert OPTION.findall(out) == [f"--{name.replace('_', '-')}" for name in COMMON] and len(COMMON) == 16
    for names in (agent_names(), halting_names(), PRESETS, task_ids()):
        inside = [name for name in names if "own" not in name and "Latin" not in name and "Futoshiki" not in name]
        assert all(re.search(rf"[ ,]{re.escape(name)}[,.]", words(out)) for name in inside)
    assert all(device in out for device in ("`auto`", "`cpu`", "`cuda`", "`cuda:N`")) and "--help-all" in out


def test_help_all_shows_every_option_of_the_run_the_agent_and_the_rule(hrm_gym, at_width):
    at_width(80)
    code, out, _ = hrm_gym("train", "--agent", "trm", "--halting", "q_learning", "--help-all")
    shown = OPTION.findall(out)
    assert code == 0 and set(COMMON) <= {name[2:].replace("-", "_") for name in shown} and len(shown) > 60
    assert {"--weight-decay", "--hints", "--layers", "--gamma"} <= set(shown)
    assert all(title in out for title in ("\noptions:", "\nOptions of the agent:", "\nOptions of the halting rule:"))
    assert "--loss {stablemax,softmax}" in out and "--augment, --no-augment" in out


def test_defaults_are_those_of_the_choice(hrm_gym, at_width):
    at_width(200)
    _, small, _ = hrm_gym("train", "--env", "Sudoku4x4-v0", "--help")
    _, paper, _ = hrm_gym("train", "--preset", "paper", "--device", "cpu", "--help")
    assert "D. (default: 64)" in small and "D. (default: 512)" in paper


@pytest.mark.parametrize("columns", [4, 11, 24, 40])
def test_help_ends_on_narrow_terminals_and_cuts_no_word(hrm_gym, at_width, columns):
    at_width(200)
    wide = {command: hrm_gym(command, "--help")[1] for command in ("train", "solve", "analyze")}
    at_width(columns)
    for command, text in wide.items():
        code, out, _ = hrm_gym(command, "--help")
        assert code == 0
        assert sorted(out.split()) == sorted(text.split())


@pytest.mark.slow
def test_few_characters_are_enough():
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "COLUMNS": "80"}
    code = (
        "import sys\nfrom hrm_gym.cli import main\n"
        "for line in (['agents'], ['envs'], ['completion', 'bash'], ['completion', 'zsh'], []):\n"
        "    assert main(line) == 0, line\n"
        f"for command in {list(COMMANDS)!r}:\n"
        "    for option in ('--help', '--help-all'):\n"
        "        try:\n            main([command, option])\n"
        "        except SystemExit as stop:\n            assert not stop.code\n"
        "print('é')"
    )
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0 and done.stderr == "" and done.stdout.endswith("?\n"), done.stderr


@pytest.mark.parametrize("option", ["--max-step", "--hidden", "--hel", "--e"])
def test_abbreviations_are_refused(hrm_gym, option):
    code, _, err = hrm_gym("train", "--env", "Sudoku4x4-v0", option, "1")
    assert code == 2 and f"unknown option {option}" in err and err.count("\n") == 1 and "--help-all" in err


# ---- agents ----------------------------------------------------------------------------------------------


def test_every_shipped_agents_line_equals_its_card(hrm_gym, at_width):
    at_width(80)
    code, out, _ = hrm_gym("agents")
    assert code == 0 and max(map(len, out.splitlines())) <= 80
    listed = words(out.partition("shipped agents:")[2])
    for path in PRETRAINED.glob("*.md"):
        text = path.read_text()
        assert f"{path.stem} " in listed and f": {headline(path)}" in listed
        # The figure stands in the card once more, with its interval or its row, and so does the size.
        (row,) = re.findall(r"^\| headline \| (.+) \|$", text, re.MULTILINE)
        rest = text.replace(row, "")
        assert all(f"**{figure} %**" in rest for figure in re.findall(r"\*\*([\d.]+) %\*\*", row))
        if path.stem not in LENT:
            (size,) = re.findall(rf"{path.stem} \w+, ([\d,]+) parameters: {re.escape(headline(path))}", listed)
            assert f"{size} parameters" in text
    assert all(name in listed for name in (*LENT, *(path.stem for path in PRETRAINED.glob("*.safetensors"))))


def test_options_that_are_on_can_be_turned_off():
    options = parse(RunOptions, ["--no-augment", "--no_compile", "--max_steps=3"], "train")
    assert (options.augment, options.compile, options.max_steps) == (False, False, 3)
    check_values(RunOptions(), ["--no-augment", "--width", "3"], "train")


def test_a_card_without_a_headline_is_one_line(tmp_path):
    (tmp_path / "a.md").write_text("# a\n")
    for name in ("a.safetensors", "b.md"):
        with pytest.raises(HrmGymError, match=r"no card .* with a row 'headline'"):
            headline(tmp_path / name)


# ---- evaluate --------------------------------------------------------------------------------------------


def test_a_submission_without_a_competition_is_refused_before_the_work(hrm_gym, tmp_path, monkeypatch):
    for name in ("hrm_gym.agents.inference.loading.load_both", "hrm_gym.api.grade"):
        monkeypatch.setattr(name, lambda *_: pytest.fail("the work began"))
    path = tmp_path / "answers.json"
    code, _, err = hrm_gym("evaluate", "--env", "Sudoku4x4-v0", "--submission", path)
    assert code == 2 and "--submission: Sudoku4x4-v0 has no competition" in err and err.count("\n") == 1
    assert not path.exists()


def test_each_help_says_which_halting_it_means(hrm_gym, at_width):
    at_width(120)
    _, train, _ = hrm_gym("train", "--help")
    _, graded, _ = hrm_gym("evaluate", "--help")
    assert "The halting rule that learns when to stop" in words(train) and "`hrm-gym evaluate`" in train
    assert "--halting {learned,fixed}" in graded and "`hrm-gym train`" in words(graded)
    code, _, err = hrm_gym("evaluate", "--env", "Sudoku4x4-v0", "--halting", "q_learning")
    assert code == 2 and "unknown --halting 'q_learning': did you mean 'learned'" in err and err.count("\n") == 1


# ---- Ctrl-C ----------------------------------------------------------------------------------------------


def interrupted(command, until, within=120, **options):
    """Start a command, send SIGINT to all its processes, as a terminal does, once it has printed; gives its end."""
    heard = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # jobs in the background ignore it
    options |= {"start_new_session": True, "preexec_fn": heard}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)
    assert process.stdout is not None
    for line in process.stdout:
        if until in line:
            break
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=within)
    return process.returncode, out, err


def test_ctrl_c_while_importing_is_one_line(tmp_path):
    (tmp_path / "torch.py").write_text("import time\nprint('importing', flush=True)\ntime.sleep(60)\n")
    command = [sys.executable, "-m", "hrm_gym", "agents"]
    assert interrupted(command, "importing", cwd=tmp_path) == (130, "", "interrupted\n")


@pytest.mark.slow
def test_ctrl_c_while_compiling_is_one_line_and_leaves_nothing(tmp_path):
    cache = {"TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "cache"), "OMP_NUM_THREADS": "1"}
    code = (
        "import sys\nfrom hrm_gym.cli import main\nfrom torch._inductor import compile_fx\n"
        "real = compile_fx.compile_fx\n"
        "def compiling(*arguments, **options):\n"
        "    print('compiling', flush=True)\n    return real(*arguments, **options)\n"
        "compile_fx.compile_fx = compiling\nsys.exit(main(sys.argv[1:]))"
    )
    run = ["train", "--env", "Sudoku4x4-v0", "--device", "cpu", "--compile", "--max-steps", "9", "--run-dir", "run"]
    command = [sys.executable, "-c", code, *run]
    status, out, err = interrupted(command, "compiling", cwd=tmp_path, env={**os.environ, **cache})
    assert (status, out, err) == (0, "stopped before the first step: nothing is kept\n", "")
    assert not (tmp_path / "run").exists()


def test_ctrl_c_twice_ends_the_last_test_whose_run_is_saved(tmp_path, monkeypatch, capsys):
    def judge(*_):
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGINT)
        raise AssertionError("the test was not interrupted")

    monkeypatch.setattr("hrm_gym.agents.training.monitor.judge", judge)
    config = resolve({"env": "Sudoku4x4-v0", "hidden_size": 32, "num_envs": 4, "device": "cpu", "max_steps": 1})
    assert train(config, tmp_path / "run") is None
    *_, last = capsys.readouterr().out.splitlines()
    assert last.startswith("stopped at step 1; go on with: hrm-gym train --resume ")


@pytest.mark.slow
def test_ctrl_c_while_processes_learn_tasks_gives_the_best_so_far(tmp_path):
    """With an agent that each process must import; tasks that wait are not begun."""
    (tmp_path / "mine.py").write_text(
        "from hrm_gym.agents import register_agent\nfrom hrm_gym.agents.models.planes import PlanesHRM\n"
        "register_agent('my_planes', f'{__name__}:Mine')\n"
        "class Mine(PlanesHRM):\n"
        "    def __init__(self, config, spec):\n"
        "        super().__init__(config, spec)\n        print('learning', flush=True)\n"
    )
    pairs = [{"input": [[i, 2], [0, 1]], "output": [[2, i], [1, 0]]} for i in range(4)]
    names = list("abcdef")
    (tmp_path / "tasks.json").write_text(json.dumps({name: {"train": pairs[1:], "test": pairs[:1]} for name in names}))
    options = ["--agent", "mine:my_planes", "--seconds", "90", "--processes", "2", "--submission", "answers.json"]
    command = [sys.executable, "-m", "hrm_gym", "solve", "--env", "ARC1-v0", "tasks.json", "--json", *options]
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    status, out, err = interrupted(command, "learning", cwd=tmp_path, env=env, within=60)
    assert (status, err) == (130, "interrupted: the best so far\n")
    rows = [json.loads(line) for line in out.splitlines() if line != "learning"]
    assert 1 <= len(rows) <= 2 and not any(row["complete"] for row in rows)
    answers = json.loads((tmp_path / "answers.json").read_text())
    assert set(answers) == set(names) and answers[rows[0]["name"]][0]["attempt_1"] == [[0, 2], [0, 1]]


@pytest.mark.parametrize("asked", [True, False])
def test_a_compiler_that_ctrl_c_ended_stops_the_run(tmp_path, monkeypatch, capsys, asked):
    """Ctrl-C reaches the compiler's processes, too; without it, what a compiler raises is an error."""
    real, steps = Learner.step, []

    def step(self, *arguments):
        steps.append(1)
        if len(steps) == 3:
            if asked:
                os.kill(os.getpid(), signal.SIGINT)
            raise InductorError(RuntimeError("the compiler ended"), None)
        return real(self, *arguments)

    monkeypatch.setattr(Learner, "step", step)
    config = resolve({"env": "Sudoku4x4-v0", "hidden_size": 32, "num_envs": 4, "device": "cpu", "max_steps": 9})
    if not asked:
        with pytest.raises(InductorError):
            train(config, tmp_path / "run")
        return
    assert train(config, tmp_path / "run") is None
    *_, last = capsys.readouterr().out.splitlines()
    assert last.startswith("stopped at step 1; go on with: hrm-gym train --resume ")
