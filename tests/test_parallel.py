"""Two processes learn what one learns: the same puzzles in the same slots, the same weights, the same files."""

import dataclasses
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from loop import Loop, tiny
from test_arc import EVALUATION, TRAINING, write

from hrm_gym.agents.saved import checkpoint as checkpoints
from hrm_gym.agents.training import parallel
from hrm_gym.agents.training.learner import Learner
from hrm_gym.agents.training.run import train
from hrm_gym.agents.training.trainer import Trainer
from hrm_gym.errors import HrmGymError

pytestmark = pytest.mark.slow  # processes that import torch, again and again
ROOT = Path(__file__).parent.parent
STEPS, HALF = 8, 4
SUDOKU = tiny(
    **{"seed": 5, "max_steps": STEPS, "h_cycles": 1, "l_cycles": 1},
    **{"num_envs": 12, "max_segments": 4, "exploration": 0.3, "warmup_steps": 2},
)
FIELDS = {name: value for name, value in SUDOKU.to_dict().items() if not name.endswith("_options")}
ARC = {"env": "ARC1-v0", "task_args": "augmentations=3", "num_envs": 4, "seed": 7}


def like_sudoku(**options):
    return tiny(**FIELDS | SUDOKU.agent_options.to_dict() | SUDOKU.halting_options.to_dict() | options)


CASES = {
    "extra_pass": SUDOKU,
    "monte_carlo": like_sudoku(halt_target="monte_carlo", optimizer="adam_atan2"),
    "arc": like_sudoku(**ARC, mixer="convolution"),
}


def cases(folder):
    return {name: dataclasses.replace(c, dataset=str(folder) if name == "arc" else "") for name, c in CASES.items()}


def learn(config, name, saved=None):
    """Leaves checkpoints `name-4` and `name-8`, which also hold what all slots were shown."""
    loop = Loop(config, saved)
    learner = loop.trainer.learner
    if saved is None:  # of random values some halt early, so that slots get new puzzles at different times
        torch.nn.init.normal_(loop.policy.halting.head.weight)
    seen = []
    while learner.steps < STEPS:
        seen.append(parallel.gather(torch.cat((loop.obs["puzzle"], loop.obs["segment"][:, None]), 1)))
        loop.step()
        if learner.steps in (HALF, STEPS):
            snapshot = loop.snapshot()
            snapshot.tensors["seen"] = torch.stack(seen)
            if parallel.is_leader():
                checkpoints.save(Path(f"{name}-{learner.steps}"), snapshot)


def stop(config, run_dir, rank):
    """A run of which one process, not the one that leads, gets the signal to stop."""
    original, learners = Learner.step, []

    def step(learner, *arguments):
        learners.append(learner)
        if rank == 1 and learner.steps == HALF:
            signal.raise_signal(signal.SIGTERM)
        return original(learner, *arguments)

    Learner.step = step
    try:
        # The learning rate follows the clock: without one clock for both, the weights would part.
        config = dataclasses.replace(config, max_steps=0, max_minutes=1.0, decay_from=0.0)
        assert train(config, run_dir) is None
    finally:
        Learner.step = original
    weights = torch.cat([p.detach().flatten() for p in learners[-1].policy.parameters()])
    one, other = parallel.gather(weights[None])
    assert learners[-1].steps == HALF + 1 and torch.equal(one, other)


def process(rank, port, folder):
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2"}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    assert parallel.join("cpu") == "cpu"
    with pytest.raises(HrmGymError, match="num_envs is 13, which 2 processes cannot share"):
        Trainer(dataclasses.replace(SUDOKU, num_envs=13))
    for name, config in cases(folder).items():
        learn(config, folder / f"{name}-two")
        learn(config, folder / f"{name}-one-then-two", checkpoints.load(folder / f"{name}-one-{HALF}"))
    stop(SUDOKU, folder / "stopped", rank)
    parallel.leave()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """What one process leaves and what two leave."""
    folder = tmp_path_factory.mktemp("parallel")
    write(folder / "training.json", TRAINING)
    write(folder / "evaluation.json", EVALUATION)
    for name, config in cases(folder).items():
        learn(config, folder / f"{name}-one")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    torch.multiprocessing.spawn(process, (port, folder), nprocs=2)
    for name, config in cases(folder).items():
        learn(config, folder / f"{name}-two-then-one", checkpoints.load(folder / f"{name}-two-{HALF}"))
    return folder


def agree(ours, theirs):
    """Whether two checkpoints are the same, up to the order of sums."""
    assert ours.keys() == theirs.keys()
    for name, tensor in theirs.items():
        if tensor.is_floating_point():
            torch.testing.assert_close(
                ours[name], tensor, rtol=1e-4, atol=1e-5, msg=lambda text, n=name: f"{n}: {text}"
            )
        else:
            assert torch.equal(ours[name], tensor), name


@pytest.mark.parametrize("name", CASES)
def test_two_processes_learn_what_one_learns(folder, name):
    one, two = (checkpoints.load(folder / f"{name}-{number}-{STEPS}") for number in ("one", "two"))
    segments = one.tensors["seen"][..., -1]
    assert segments.unique(dim=1).shape[1] > 1, "the slots should not all be in the same segment"
    agree(two.tensors, one.tensors)
    assert two.counters == one.counters


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("way", ["one-then-two", "two-then-one"])
def test_a_run_is_resumed_by_another_number_of_processes(folder, name, way):
    whole, resumed = (checkpoints.load(folder / f"{name}-{kind}-{STEPS}").tensors for kind in ("one", way))
    whole["seen"] = whole["seen"][HALF:]
    agree(resumed, whole)


def test_all_processes_stop_where_one_gets_a_signal(folder):
    assert checkpoints.load(folder / "stopped").counters["step"] == HALF + 1
    assert not (folder / "stopped" / "result.json").exists()


def test_torchrun_leaves_one_whole_run(tmp_path):
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    arguments = ["--env", "Sudoku4x4-v0", "--device", "cpu", "--max-steps", "20", "--max-minutes", "0"]
    sizes = ["--hidden-size", "16", "--num-envs", "16", "--eval-steps", "10", "--eval-puzzles", "8"]
    arguments += [*sizes, "--test-puzzles", "16", "--run-dir", str(tmp_path / "run")]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*command, str(ROOT / "train_agent.py"), *arguments], capture_output=True, text=True, env=environment, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("test, 16 puzzles") == 1  # one process speaks
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    training = result["training"]
    assert training["steps"] == 20 and training["processes"] == 2 and len(training["validation_curve"]) == 2
    saved = checkpoints.load(tmp_path / "run")
    assert saved.counters["step"] == 20 and len(saved.tensors["state/z_h"]) == 16
    assert len(list((tmp_path / "run").glob("events.*"))) == 1
