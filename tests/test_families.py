"""What every puzzle family goes through, whatever it is: training, resuming, evaluation, solving, watching.

The same commands for all; only the arguments that keep the runs small differ.
"""

import functools
import json

import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from test_arc import EVALUATION, TRAINING, write

from hrm_gym.agents import load_agent
from hrm_gym.agents.saved import checkpoint as checkpoints
from hrm_gym.agents.saved.load import load_task
from hrm_gym.agents.training.optimizers import SignSGD
from hrm_gym.cli import main

SMALL = [
    *("--preset", "local", "--hidden-size", 32, "--num-envs", 8, "--max-minutes", 0, "--device", "cpu"),
    *("--eval-steps", 20, "--eval-puzzles", 4, "--test-puzzles", 4, "--warmup-steps", 2, "--max-segments", 4),
]
FAMILIES = {
    "MazeSmall-v0": ["--task-args", "size=6,min_path=8"],
    "ARC1-v0": ["--task-args", "augmentations=2,side=10"],
    "examples.own_puzzle:Futoshiki4x4-v0": [],
    "Copy-v0": ["--task-args", "num_symbols=2,min_length=6,max_length=10"],
    "Parity-v0": ["--task-args", "min_length=3,max_length=16"],
    "Addition-v0": ["--task-args", "base=2"],
}


@pytest.fixture(scope="module")
def arc(tmp_path_factory):
    folder = tmp_path_factory.mktemp("arc")
    write(folder / "training.json", TRAINING)
    write(folder / "evaluation.json", EVALUATION)
    return folder


@pytest.fixture(scope="module")
def train(arc, tmp_path_factory):
    """Gives a family's short run, made once: the environment, the folder, and how it was called."""

    @functools.cache
    def run(env_id):
        folder = tmp_path_factory.mktemp("run") / "run"
        arguments = ["--env", env_id, *SMALL, *FAMILIES[env_id]]
        if env_id == "ARC1-v0":
            arguments += ["--dataset", arc]
        assert main(["train", *map(str, arguments), "--max-steps", "40", "--run-dir", str(folder)]) == 0
        return env_id, folder, arguments

    return run


QUICK = "MazeSmall-v0"
"""The family that the quick tests train on; a family takes some twenty seconds."""


@pytest.fixture(params=[pytest.param(env, marks=[] if env == QUICK else pytest.mark.slow) for env in FAMILIES])
def trained(request, train):
    return train(request.param)


def test_the_loss_falls_and_the_result_is_complete(trained):
    _, folder, _ = trained
    result = json.loads((folder / "result.json").read_text())
    assert result["training"]["steps"] == 40 and {"exact_accuracy", "valid_accuracy", "cell_accuracy"} <= result.keys()
    events = EventAccumulator(str(folder), size_guidance={"images": 0, "scalars": 0}).Reload()
    losses = [event.value for event in events.Scalars("train/answer_loss")]
    assert losses[-1] < 0.8 * losses[0]
    assert "board/after_04_segments" in events.Tags()["images"]


def test_a_resumed_run_ends_in_the_same_weights(trained, hrm_gym, tmp_path):
    _, _, arguments = trained
    assert hrm_gym("train", *arguments, "--max-steps", 20, "--decay-from", 1, "--run-dir", tmp_path / "half")[0] == 0
    assert hrm_gym("train", "--resume", tmp_path / "half", "--max-steps", 24)[0] == 0
    assert hrm_gym("train", *arguments, "--max-steps", 24, "--decay-from", 1, "--run-dir", tmp_path / "whole")[0] == 0
    half, whole = (checkpoints.load(tmp_path / name) for name in ("half", "whole"))
    assert half.tensors.keys() == whole.tensors.keys()
    for name, tensor in half.tensors.items():
        assert torch.equal(tensor, whole.tensors[name]), name


def test_it_is_evaluated_solved_and_watched(trained, hrm_gym, tmp_path):
    env_id, folder, _ = trained
    code, out, err = hrm_gym("evaluate", "--env", env_id, "--checkpoint", folder, "--limit", 3, "--json")
    assert code == 0, err
    figures = json.loads(out)
    assert {"exact_accuracy", "valid_accuracy", "cell_accuracy", "mean_segments", "num_puzzles"} <= figures.keys()
    assert figures["num_puzzles"] == 3 and figures["valid_accuracy"] >= figures["exact_accuracy"]
    gif = tmp_path / "a.gif"
    watch = ("play", "--env", env_id, "--checkpoint", folder, "--max-segments", 12, "--headless", "--record", gif)
    code, out, err = hrm_gym(*watch)
    assert code == 0 and gif.stat().st_size > 10_000, err


# ---- what only some of them have -----------------------------------------------------------------------------


@pytest.fixture
def arc_run(train):
    return train("ARC1-v0")[1]


@pytest.mark.slow
def test_arc_is_scored_by_its_protocol_and_handed_in(arc_run, arc, hrm_gym, tmp_path):
    path = tmp_path / "submission.json"
    call = ("evaluate", "--env", "ARC1-v0", "--checkpoint", arc_run, "--json")
    code, out, err = hrm_gym(*call, "--puzzles", arc / "evaluation.json", "--submission", path)
    assert code == 0, err
    figures = json.loads(out)
    assert figures["protocol"]["votes"] == 3 and 0 <= figures["pass@1"] <= figures["pass@2"] <= 1
    assert {name: len(tests) for name, tests in json.loads(path.read_text()).items()} == {"c": 1, "d": 2}
    code, _, err = hrm_gym(*call, "--submission", tmp_path / "none" / "a.json")
    assert code == 2 and "there is no folder" in err and len(err.strip().splitlines()) == 1


@pytest.mark.slow
def test_arc_does_not_report_on_what_it_was_trained_on(arc_run, arc, hrm_gym, tmp_path):
    call = ("evaluate", "--env", "ARC1-v0", "--checkpoint", arc_run, "--puzzles")
    for tasks, message in ((TRAINING, "trained on"), ({"x": EVALUATION["c"]}, "not trained on the demonstrations")):
        code, _, err = hrm_gym(*call, write(tmp_path / "tasks.json", tasks))
        assert code == 2 and message in err and len(err.strip().splitlines()) == 1
    code, _, err = hrm_gym(
        "solve", "--env", "ARC1-v0", "--checkpoint", arc_run, "--seconds", 0.1, arc / "evaluation.json"
    )
    assert code in (0, 1) and "Traceback" not in err


@pytest.mark.slow
def test_an_embedding_of_each_form_is_learned(arc_run):
    saved = checkpoints.load(arc_run)
    task = load_task("ARC1-v0", arc_run)
    table = saved.part("model")["agent.embed_puzzle.weight"]
    assert table.shape == (task.num_identities, 32) and (table != 0).any(1).all()
    assert torch.equal(table, saved.part("ema")["agent.embed_puzzle.weight"])
    agent = load_agent("ARC1-v0", arc_run)
    tests = task.dataset("test")
    puzzle, identity = (torch.as_tensor(a.astype(np.int64)) for a in (tests.puzzle, tests.identity))
    with torch.no_grad():
        outputs = [
            agent(agent.initial_state(len(puzzle)), {"puzzle": puzzle, "puzzle_id": i})[1].logits
            for i in (identity, identity * 0)
        ]
    assert not torch.equal(*outputs)


def test_sign_sgd_moves_the_rows_of_the_batch_alone():
    table = torch.nn.Embedding(5, 3, sparse=True)
    before = table.weight.detach().clone()
    optimizer = SignSGD(table.parameters(), lr=0.1, weight_decay=0.5)
    weight = torch.tensor([[1.0, -1.0, 2.0], [-3.0, 1.0, 0.0], [1.0, 1.0, 1.0]])
    (table(torch.tensor([1, 1, 4])) * weight).sum().backward()
    optimizer.step()
    expected = before.clone()
    expected[1] = before[1] * 0.95 - 0.1 * torch.tensor([-1.0, 0.0, 1.0])  # signs of the sums over the batch
    expected[4] = before[4] * 0.95 - 0.1
    assert torch.allclose(table.weight, expected)
