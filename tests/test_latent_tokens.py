"""Continuous thoughts: what becomes of the steps that a solver writes."""

import numpy as np
import pytest
import torch

from examples.lineage.latent_tokens_chain import chain
from examples.lineage.longer import build
from hrm_gym import HrmGymError
from hrm_gym.envs.sequences.chain import ChainTask
from hrm_gym.envs.sequences.task import AdditionTask


def test_written_steps_are_a_solvers_in_training_and_the_agents_own_in_use():
    task = ChainTask(3, 3, num_places=4)
    puzzle = torch.as_tensor(task.sample(5, np.random.default_rng(0)).puzzle.astype(np.int64))
    agent = build("latent_tokens", task, prefix_tokens=3, steps="replaced", stage_steps=2, hidden_size=16)
    search, _, answer, _ = task.trace(puzzle.numpy(), 3)
    solver = agent._solver(puzzle)
    assert (solver[:, :2].numpy() == search[:, :2]).all() and (solver[:, 2].numpy() == answer[:, 0]).all()
    seen = []
    spoken = agent._written
    agent._written = lambda last, step: seen.append(step) or spoken(last, step)
    counted = []
    for _ in range(8):  # the last stage has nothing to write
        seen.clear()
        _, out = agent.train()(agent.initial_state(5), {"puzzle": puzzle})
        counted.append(len(seen))
        assert all((step == solver[:, 3 - len(seen) + i]).all() for i, step in enumerate(seen))
        assert (out.aux_loss is None) == (not seen)
    assert counted == [3, 3, 2, 2, 1, 1, 0, 0]
    agent = build("latent_tokens", task, prefix_tokens=3, stage_steps=2, first_stage_steps=3, hidden_size=16)
    agent.trained += 2
    numbers = []
    for _ in range(8):
        numbers.append(agent.num_thoughts)
        agent.trained += 1
    assert numbers == [0, 1, 1, 2, 2, 3, 3, 3]
    agent = build("latent_tokens", task, prefix_tokens=3, steps="kept", hidden_size=16).eval()
    agent._written = lambda last, step: seen.append(step) or spoken(last, step)
    with torch.no_grad():
        agent(agent.initial_state(5), {"puzzle": puzzle})
    assert seen == [None] * 3


def test_written_steps_in_bfloat16():
    task = ChainTask(3, 3, num_places=4)
    puzzle = torch.as_tensor(task.sample(2, np.random.default_rng(0)).puzzle.astype(np.int64))
    agent = build("latent_tokens", task, prefix_tokens=3, steps="kept", hidden_size=16)
    agent.dtype = torch.bfloat16
    state, out = agent.train()(agent.initial_state(2), {"puzzle": puzzle})
    assert state.dtype == torch.bfloat16 and out.aux_loss.dtype == torch.float32


def test_written_steps_need_a_solver_that_writes_them():
    with pytest.raises(HrmGymError, match="--steps kept: this puzzle has no solver") as error:
        build("latent_tokens", AdditionTask(), steps="kept")
    assert "\n" not in str(error.value)


@pytest.mark.rare
def test_thoughts_replace_written_steps_without_loss_and_do_better_than_no_steps():
    sizes = {"hops": 3, "num_places": 6, "every": 10_000, "first": 350, "stage": 30, "steps": 500}
    shares = {kind: chain(kind, **sizes)[-1][1] for kind in ("written steps", "thoughts", "neither")}
    assert min(shares["written steps"], shares["thoughts"]) > 0.95 > 0.6 > shares["neither"], shares
