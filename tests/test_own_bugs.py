"""What people read about the bugs in their own files: the file, the line and what is wrong, and never a traceback."""

import re
import sys
from pathlib import Path

import pytest
from planted import AGENT, BUGS, NAMES, PUZZLE, RULE

import hrm_gym
from hrm_gym import HrmGymError
from hrm_gym.agents.saved import checkpoint as checkpoints
from hrm_gym.cli import main

COMMAND = ["--max-steps", "2", "--max-minutes", "0", "--num-envs", "4", "--eval-puzzles", "4", "--test-puzzles", "4"]
counter = iter(range(10_000))


@pytest.fixture
def stranger(own_folder):
    """Writes a module of somebody else to the current folder; gives its name, which is also what it registers."""

    def write(text):
        name = f"mynet_{next(counter)}"
        Path(f"{name}.py").write_text(text.replace("MODULE", name).replace("NAME", name))
        return name

    return write


def line_of(module, at):
    """Where the line stands that holds one of some words."""
    lines = Path(f"{module}.py").read_text().splitlines()
    return 1 + next(i for i, line in enumerate(lines) if any(part in line for part in at.split("|")))


@pytest.mark.parametrize(("option", "file", "entry", "old", "new", "at", "message"), BUGS, ids=NAMES)
def test_a_bug_is_shown_with_file_and_line(option, file, entry, old, new, at, message, stranger, tmp_path, capsys):
    if option == "--halting":
        old, new = (text.replace("width: int = 8", "patience: int = 2") for text in (old, new))
    assert old in file
    module = stranger(file.replace(old, new))
    entry = entry.replace("MODULE", module).replace("NAME", module)
    env = [] if option == "--env" else ["--env", "Sudoku4x4-v0"]
    status = main(["train", *env, option, entry, *COMMAND])
    captured = capsys.readouterr()
    assert status == 2 and captured.out == ""
    (shown,) = captured.err.splitlines()
    place = rf"{module}\.py:{line_of(module, at)}: " if at else ""
    assert re.match(f"error: {place}.*(?:{message.replace('MODULE', module)})", shown), shown
    assert {path.name for path in tmp_path.iterdir()} <= {f"{module}.py", "__pycache__"}


def test_the_files_without_a_bug_train(stranger, capsys):
    """An agent, a rule and a puzzle of one's own at once, whose options are plain dataclasses."""
    net, rule, puzzle = stranger(AGENT), stranger(RULE), stranger(PUZZLE)
    named = ["--agent", f"{net}:{net}", "--halting", f"{rule}:{rule}", "--env", f"{puzzle}:{puzzle}-v0"]
    own = ["--width", "16", "--patience", "3", "--run-dir", "run"]
    assert main(["train", *named, *own, *COMMAND]) == 0
    assert main(["train", *named, "--resume", "run", "--max-steps", "3"]) == 0
    assert main(["evaluate", *named, "--checkpoint", "run", "--limit", "4"]) == 0
    config = checkpoints.load(Path("run")).config
    assert config.agent_options.width == 16 and config.halting_options.patience == 3
    capsys.readouterr()
    for words, message in (
        (["--width", "wide"], "--width"),
        (["--patience", "2", "--width", "8", "--resume", "run"], "--width 8 differs"),
    ):
        assert main(["train", *named, *words, *COMMAND]) == 2
        (shown,) = capsys.readouterr().err.splitlines()
        assert re.search(message, shown), shown


@pytest.mark.parametrize(
    ("option", "file", "old", "new"),
    [
        (
            "--agent",
            AGENT,
            "spec.num_tokens)\n\n",
            "spec.num_tokens)\n        self.answer.weight = self.embed.weight\n\n",
        ),
        ("--halting", RULE, "(uniforms[:, 0] < 0.9)", "(uniforms[:, 0] < 0.9).long()"),
    ],
    ids=["tied weights", "decisions as integers"],
)
def test_what_is_allowed_trains_and_resumes(option, file, old, new, stranger):
    assert old in file
    module = stranger(file.replace(old, new))
    words = ["train", option, f"{module}:{module}", "--run-dir"]
    assert main([*words, "first", "--env", "Sudoku4x4-v0", *COMMAND]) == 0
    assert main([*words, "longer", "--resume", "first", "--max-steps", "3"]) == 0


BASES = {
    "plain": "@dataclasses.dataclass\nclass Config:",
    "frozen": "@dataclasses.dataclass(frozen=True)\nclass Config:",
    "derived": "@dataclasses.dataclass\nclass Config(hrm_gym.agents.Options):",
    "derived and frozen": "@dataclasses.dataclass(frozen=True)\nclass Config(hrm_gym.agents.Options):",
    "for names alone": "@dataclasses.dataclass(kw_only=True, eq=False)\nclass Config:",
}
FIELDS = """
    width: int = hrm_gym.agents.number(8, most=64)
    form: Literal["round", "square"] = "round"
    sizes: tuple[int, ...] = (1, 2)
    scale: float | None = None
    mode: Mode = Mode.SLOW
"""


@pytest.mark.parametrize("base", BASES)
def test_any_dataclass_is_a_config(base, stranger, capsys):
    """Its fields are options, and come back from a checkpoint as they were."""
    text = AGENT.replace("@dataclasses.dataclass\nclass Config:\n    width: int = 8\n", BASES[base] + FIELDS)
    imports = "import enum\nimport hrm_gym.agents\nfrom typing import Literal\n"
    net = stranger(imports + "Mode = enum.Enum('Mode', ['FAST', 'SLOW'])\n" + text)
    words = ["--width", "16", "--form", "square", "--sizes", "3", "4", "5", "--scale", "0.5", "--mode", "FAST"]
    assert (
        main(["train", "--env", "Sudoku4x4-v0", "--agent", f"{net}:{net}", *words, *COMMAND, "--run-dir", "run"]) == 0
    )
    chosen = checkpoints.load(Path("run")).config.agent_options
    assert (chosen.width, chosen.form, chosen.sizes, chosen.scale) == (16, "square", (3, 4, 5), 0.5)
    assert chosen.mode is sys.modules[net].Mode.FAST
    assert main(["train", "--agent", f"{net}:{net}", "--resume", "run", "--max-steps", "3"]) == 0
    capsys.readouterr()
    assert main(["train", "--env", "Sudoku4x4-v0", "--agent", f"{net}:{net}", "--width", "65", *COMMAND]) == 2
    assert "--width is 65: it must be at most 64" in capsys.readouterr().err
    with pytest.raises(HrmGymError, match="width is 65: it must be at most 64"):
        hrm_gym.train("Sudoku4x4-v0", f"{net}:{net}", width=65)


def test_an_option_that_there_is_already_is_refused(stranger, capsys):
    net = stranger(AGENT.replace("width", "seed"))
    assert main(["train", "--env", "Sudoku4x4-v0", "--agent", f"{net}:{net}", *COMMAND]) == 2
    assert f"{net}.py:7: RunOptions has an option 'seed', too: rename this one" in capsys.readouterr().err


def test_from_python_the_first_error_is_the_cause(stranger):
    net = stranger(AGENT.replace("torch.zeros", "torch.zero"))
    with pytest.raises(HrmGymError, match=rf"{net}\.py:21: AttributeError: module 'torch' has no") as refusal:
        hrm_gym.train("Sudoku4x4-v0", f"{net}:{net}", max_steps=1)
    assert isinstance(refusal.value.__cause__, AttributeError)


@pytest.mark.parametrize("name", ["nothing_here:x", "nothing_here.at_all:x", ":x", "..:x", "nothing_here.py:x"])
@pytest.mark.parametrize("option", ["--env", "--agent", "--halting"])
def test_no_module_is_said_of_what_is_not_there(option, name, stranger, capsys):
    assert main(["train", option, name, *COMMAND]) == 2
    (shown,) = capsys.readouterr().err.splitlines()
    assert re.search(r"no module|unknown environment ':x'", shown), shown


def test_an_error_in_the_first_step_leaves_nothing_behind(stranger, tmp_path, capsys):
    """One that no trial finds: it needs the whole batch."""
    late = "        if len(state) == 4:\n            raise RuntimeError('four')\n        state = state + self.embed"
    net = stranger(AGENT.replace("        state = state + self.embed", late))
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "notes.txt").write_text("mine")
    for place in (["--run-dir", "run"], ["--run-dir", "kept"], []):
        assert main(["train", "--env", "Sudoku4x4-v0", "--agent", f"{net}:{net}", *place, *COMMAND]) == 2
        shown = capsys.readouterr().err.splitlines()[-1]
        assert shown == f"error: {net}.py:{line_of(net, 'four')}: RuntimeError: four"
    assert not (tmp_path / "run").exists() and not any((tmp_path / "runs").glob("*"))
    assert [path.name for path in (tmp_path / "kept").iterdir()] == ["notes.txt"]


def test_a_bug_in_use_is_shown_as_well(stranger, capsys):
    """A trained agent whose file has been changed since."""
    net = stranger(AGENT)
    named = ["--env", "Sudoku4x4-v0", "--agent", f"{net}:{net}"]
    assert main(["train", *named, *COMMAND, "--run-dir", "run"]) == 0
    cls, task = sys.modules[net].Net, hrm_gym.make_task("Sudoku4x4-v0")
    puzzle = task.format(task.dataset("test").puzzle[0])
    for method in ("__init__", "initial_state", "forward"):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(cls, method, broken)
            for words in (
                ["evaluate", *named, "--checkpoint", "run", "--limit", "2"],
                ["solve", *named, "--checkpoint", "run", puzzle],
                ["play", *named, "--checkpoint", "run", "--headless"],
                ["train", "--agent", f"{net}:{net}", "--resume", "run", "--max-steps", "3"],
            ):
                capsys.readouterr()
                assert main(words) == 2
                (shown,) = capsys.readouterr().err.splitlines()
                assert re.search(rf"test_own_bugs\.py:{BROKEN}: ZeroDivisionError: division by zero$", shown), shown


def broken(*arguments):
    return 1 / 0


BROKEN = broken.__code__.co_firstlineno + 1


def test_what_is_registered_from_elsewhere_is_shown_where_it_stands(stranger):
    """A registration imports nothing yet."""
    module = stranger(PUZZLE.replace("answer == 0", "answer == zero"))
    hrm_gym.register_task(f"Other{module}-v0", f"{module}:Copy")
    with pytest.raises(HrmGymError, match=rf"^{module}\.py:{line_of(module, 'zero')}: NameError") as refusal:
        hrm_gym.make_vec(f"Other{module}-v0", num_envs=2)
    assert isinstance(refusal.value.__cause__, NameError)
