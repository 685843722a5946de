"""The Python door, and what the commands and it must say alike."""

import dataclasses
import json
import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import hrm_gym
from hrm_gym.agents import Protocol
from hrm_gym.agents.saved.presets import resolve
from hrm_gym.agents.training.trainer import Trainer
from hrm_gym.envs.registration import make_task
from hrm_gym.errors import HrmGymError

TINY = {"hidden_size": 16, "num_envs": 8, "max_steps": 20, "max_minutes": 0.0, "test_puzzles": 8, "device": "cpu"}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of 20 steps, from Python."""
    folder = tmp_path_factory.mktemp("api") / "run"
    return hrm_gym.train("Sudoku4x4-v0", "trm", run_dir=str(folder), eval_steps=10, eval_puzzles=8, **TINY)


def test_a_run_gives_its_result_and_its_agent(run):
    assert run.config.agent == "trm" and run.config.halting == "classifier"
    assert run.result == json.loads((run.folder / "result.json").read_text())
    policy = run.load("cpu")
    _, output, signals = policy(policy.initial_state(3), {"puzzle": torch.zeros(3, 16, dtype=torch.long)})
    assert output.logits.shape == (3, 16, 5) and set(signals) == {"q_halt"}


def test_the_result_and_the_command_give_the_same_object(run, hrm_gym):
    code, out, err = hrm_gym("evaluate", "--checkpoint", run.folder, "--limit", 8, "--halting", "fixed", "--json")
    assert code == 0, err  # without --env: the run knows its environment
    printed = json.loads(out)
    result = {name: value for name, value in run.result.items() if name not in ("halting_by_itself", "training")}
    assert printed.keys() == result.keys() == run.result["halting_by_itself"].keys()
    assert printed["exact_accuracy"] == result["exact_accuracy"] and printed["protocol"] == result["protocol"]
    low, high = printed["exact_interval"]
    assert low <= printed["exact_accuracy"] <= high


def test_a_classifier_shows_no_value_of_continuing(run):
    tags = EventAccumulator(str(run.folder)).Reload().Tags()["scalars"]
    assert "train/signal/q_halt" in tags and not any("q_continue" in tag for tag in tags)


def test_evaluate_and_solve_from_python(run):
    figures = hrm_gym.evaluate("Sudoku4x4-v0", run.folder, split="validation", limit=5, max_segments=2, device="cpu")
    assert figures["num_puzzles"] == 5 and figures["protocol"]["max_segments"] == 2
    found = hrm_gym.solve("Sudoku4x4-v0", "1...2..4..3..1..", device="cpu")
    assert found.valid and found.text == "1423231442313142" and found.attempts == 1
    with pytest.raises(HrmGymError, match="did you mean 'max_segments'"):
        hrm_gym.evaluate("Sudoku4x4-v0", run.folder, max_segmets=2)
    with pytest.raises(HrmGymError, match="did you mean 'hidden_size'"):
        hrm_gym.train("Sudoku4x4-v0", "trm", hiden_size=3)


def test_a_run_is_resumed_from_python(run, tmp_path):
    kept = (run.folder / "checkpoint.safetensors").read_bytes()
    longer = hrm_gym.train(resume=run, run_dir=tmp_path / "longer", max_steps=24, agent="trm")
    assert longer.folder == tmp_path / "longer" and longer.config.env == run.config.env
    assert longer.result["training"]["steps"] == 24 and run.result["training"]["steps"] == 20
    assert (run.folder / "checkpoint.safetensors").read_bytes() == kept
    with pytest.raises(HrmGymError, match="--hidden-size 32 differs from the run's 16"):
        hrm_gym.train(resume=run.folder, hidden_size=32)
    with pytest.raises(HrmGymError, match="--agent hrm differs from the run's trm"):
        hrm_gym.train(agent="hrm", resume=run.folder)
    with pytest.raises(HrmGymError, match="there is no such folder"):
        hrm_gym.train(resume=tmp_path / "nowhere")
    with pytest.raises(HrmGymError, match="already holds a run"):
        hrm_gym.train(resume=run.folder, run_dir=str(longer.folder))


def test_a_run_resumed_in_place_goes_on_in_its_folder(tmp_path):
    first = hrm_gym.train("Sudoku4x4-v0", "trm", run_dir=str(tmp_path / "run"), **TINY | {"max_steps": 4})
    assert hrm_gym.train(resume=first.folder, max_steps=6).result["training"]["steps"] == 6
    assert json.loads((first.folder / "result.json").read_text())["training"]["steps"] == 6


def test_a_run_in_a_thread_is_found_from_another_folder(tmp_path, monkeypatch):
    """Only the main thread may install handlers of signals."""
    monkeypatch.chdir(tmp_path)
    options = TINY | {"max_steps": 2, "run_dir": "mine"}
    with ThreadPoolExecutor() as threads:
        run = threads.submit(hrm_gym.train, "Sudoku4x4-v0", "trm", **options).result()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert run.folder == tmp_path / "mine" and run.load("cpu").num_parameters > 0


@pytest.mark.parametrize(
    ("option", "values"),
    [
        ("halting", ("exact", 1, None)),
        ("max_segments", (2.5, 0, True, "16", 10_001)),
        ("halt_margin", ("0", math.nan, math.inf, True)),
        ("rollouts", (1.5, 0, 1 << 30)),
        ("select", ("best", 0)),
        ("vary", ("nothing", 0)),
        ("noise", (-0.1, math.inf, "1")),
        ("boards", (0, 2.0, 1 << 30)),
        ("votes", (-1, 0.5)),
        ("seed", (-1, 1.0, 1 << 63)),
    ],
)
def test_every_field_of_a_protocol_is_checked(option, values):
    assert option in {field.name for field in dataclasses.fields(Protocol)}
    for value in values:
        with pytest.raises(HrmGymError, match=option):
            Protocol(**{option: value})


def test_environments_from_python():
    env = hrm_gym.make("Sudoku4x4-v0", split="validation")
    obs, info = env.reset(seed=0)
    *_, reward, terminated, _, _ = env.step(np.append(info["solution"], 1))
    assert terminated and reward == 1.0 and obs["segment"] == 0
    assert hrm_gym.make_vec("hrm_gym:Sudoku4x4-v0", num_envs=3).num_envs == 3
    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        hrm_gym.trian  # noqa: B018


def test_a_board_of_another_shape_is_reported(run):
    policy = run.load("cpu")
    for puzzle in (torch.zeros(16, dtype=torch.long), torch.zeros(2, 36, dtype=torch.long), np.zeros((2, 16))):
        with pytest.raises(HrmGymError, match=r"shape \(B, 16\)"):
            policy(policy.initial_state(2), {"puzzle": puzzle})
    from hrm_gym.agents import think

    with pytest.raises(HrmGymError, match=r"this agent takes \(n, 16\)"):
        next(think(policy, torch.zeros(2, 36), 1))
    with pytest.raises(HrmGymError, match="tokens 0 to 9"):
        next(think(policy, torch.tensor([[9, *[0] * 15]]), 1))
    assert next(think(policy, np.zeros((2, 16), np.uint8), 1)).answer.shape == (2, 16)


def test_the_label_of_halting_follows_what_is_right():
    """Another shortest path than the label's is right by the rules, and wrong by the solution."""
    for graded_by, right in (("rules", True), ("solution", False)):
        options = {"env": "MazeSmall-v0", "device": "cpu", "hidden_size": 8, "num_envs": 1, "graded_by": graded_by}
        trainer = Trainer(resolve(options))
        envs, task = trainer.envs._envs.unwrapped, trainer.task
        board = np.full((10, 10), "#")
        board[:3, :3] = [["S", " ", " "], [" ", "#", " "], [" ", " ", "G"]]  # two shortest paths around one wall
        puzzle = task.parse("\n".join("".join(row) for row in board))
        obs = trainer.envs._seen(*envs.reset(options={"puzzle": puzzle}))
        solution = trainer.envs.solution
        other = torch.as_tensor(puzzle.reshape(10, 10).T.copy().reshape(1, -1)).long()
        assert torch.equal(other, obs["puzzle"])  # the maze is its own mirror image ...
        mirrored = solution.view(1, 10, 10).transpose(1, 2).reshape(1, -1)
        assert not torch.equal(mirrored, solution)  # ... and its label is not
        _, grades, _ = trainer.envs.step(obs, mirrored, torch.tensor([1]))
        assert bool(grades["right"]) == right and float(grades["reward"]) == float(right)


def test_solve_says_which_lines_are_wrong(hrm_gym, tmp_path):
    task = make_task("Sudoku6x6-v0")
    path = tmp_path / "many.txt"
    path.write_text("\r\n".join(task.format(p) for p in task.dataset("test").puzzle[:12]) + "\r\n")
    options = ("--env", "Sudoku6x6-v0", "--max-segments", 2, "--seconds", 0, "--device", "cpu")
    code, out, err = hrm_gym("solve", *options, path)
    answers = [task.parse(line) for line in out.split()]
    broken = task.violations(task.dataset("test").puzzle[:12], np.stack(answers)) > 0
    assert code == 1 and 0 < broken.sum() < 12
    lines = ", ".join(str(i + 1) for i in np.flatnonzero(broken))
    assert f"lines {lines}: the answers break the rules" in err
    code, out, _ = hrm_gym("solve", *options, "--json", path)
    assert [json.loads(line)["valid"] for line in out.splitlines()] == (~broken).tolist()


def test_help_shows_the_options_of_the_chosen_agent(hrm_gym):
    code, out, _ = hrm_gym("train", "--agent", "direct", "--help-all")
    assert code == 0 and "--layers" in out and "--h-cycles" not in out and "--gamma" not in out
    code, out, _ = hrm_gym("train", "--agent", "hrm", "--help-all")
    assert code == 0 and "--h-cycles" in out and "--gamma" in out
    code, _, err = hrm_gym("train", "--hiden-size", 3)
    assert code == 2 and "--hidden-size" in err
