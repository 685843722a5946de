"""What every agent and every halting rule goes through, of the package or not: whatever is registered."""

import dataclasses
import re
import warnings
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.utils.env_checker import check_env
from loop import Loop, agents_here, tiny

import hrm_gym
from hrm_gym import HrmGymError
from hrm_gym.agents import Protocol, evaluate, halting_names, load_agent, registry, think
from hrm_gym.agents.inference.frozen_agent import first_puzzles, record
from hrm_gym.agents.saved import checkpoint as checkpoints
from hrm_gym.agents.saved.checkpoint import FILE_NAME
from hrm_gym.agents.saved.commands import again, names
from hrm_gym.agents.training.run import train
from hrm_gym.envs.registration import halting_id

ENVS = {"tem": "Walk-v0"}
"""Where an agent cannot take a Sudoku: a puzzle that it can."""
OWN = ("own_gru", "own_patience", "conv_gru", "agreement", "own_doors", "own_agent", "own_halting_rule")
QUICK = dict.fromkeys([("hrm", rule) for rule in halting_names()] + [(agent, "auto") for agent in agents_here()])
SLOW = [
    pytest.param(pair, marks=pytest.mark.slow)
    for agent in agents_here()
    if (pair := (agent, "own_patience")) not in QUICK
]


@pytest.fixture(params=[*QUICK, *SLOW], ids="-".join)
def config(request):
    agent, halting = request.param
    env = ENVS.get(agent, "Sudoku4x4-v0")
    return tiny(env=env, agent=agent, halting=halting, num_envs=4, max_steps=3, eval_puzzles=4, test_puzzles=4)


def test_it_thinks_trains_resumes_evaluates_and_halts(config, tmp_path):
    # One after the other: an agent may draw from torch's own generator, which all share.
    whole = Loop(config)
    for _ in range(3):
        assert all(torch.isfinite(loss) for loss in whole.step().values())
    theirs = whole.snapshot().tensors
    part = Loop(config)
    part.step()
    checkpoints.save(tmp_path / FILE_NAME, part.snapshot())
    resumed = Loop(config, checkpoints.load(tmp_path))
    for _ in range(2):
        resumed.step()
    ours = resumed.snapshot().tensors
    assert ours.keys() == theirs.keys()
    for name, tensor in theirs.items():
        assert torch.equal(ours[name], tensor), name

    policy, task = load_agent(config.env, tmp_path, "cpu"), hrm_gym.make_task(config.env)
    puzzles = first_puzzles(task, "validation", 5)
    names = policy.halting.signals
    for thought in think(policy, puzzles.puzzle, 2):
        assert (
            thought.answer.shape == thought.confidence.shape == (5, task.num_cells) and thought.halt.dtype == torch.bool
        )
        assert tuple(thought.signals) == names
        shown = [*thought.signals.values()] + ([] if thought.belief is None else [thought.belief])
        assert all(((s >= 0) & (s <= 1)).all() for s in shown)
    for halting in ("learned", "fixed"):
        result = evaluate(policy, task, puzzles, Protocol(halting=halting, max_segments=3), batch_size=2)
        assert len(result.exact) == 5 and ((result.segments >= 1) & (result.segments <= 3)).all()

    episodes = record(policy, task, puzzles, 2, features=True)
    assert episodes.names[: len(names)] == names and episodes.names[-1] == f"state_{policy.agent.num_features - 1}"
    assert np.isfinite(episodes.features).all()
    few = {"num_examples": 3, "max_segments": 3, "split": "validation", "device": "cpu"}
    for recorded in (True, False):
        env = gym.make(halting_id(config.env), agent=str(tmp_path), recorded=recorded, **few, disable_env_checker=True)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            check_env(env.unwrapped, skip_render_check=True)


def test_a_whole_run_leaves_its_result(tmp_path):
    config = tiny(agent="own_gru", halting="own_patience", num_envs=4, max_steps=3, eval_puzzles=4, test_puzzles=4)
    result = train(config, tmp_path)
    assert result["agent"] == "own_gru" and result["training"]["steps"] == 3


def test_what_a_run_tells_to_type_names_the_module_of_what_is_from_outside():
    inside, outside = tiny(), tiny(agent="own_gru", halting="own_patience")
    assert again(inside, "play") == "hrm-gym play"
    assert again(outside, "train") == "hrm-gym train --agent own_doors:own_gru --halting own_doors:own_patience"
    unknown = dataclasses.replace(outside, env="Latin4x4-v0")  # registered in another process, and not in this one
    assert names(unknown)["env"] == "Latin4x4-v0"


def test_the_package_names_nobody_from_outside():
    for path in Path(hrm_gym.__file__).parent.rglob("*.py"):
        assert not re.search(rf"\b({'|'.join(OWN)})\b", path.read_text()), path


@pytest.mark.parametrize(("table", "name"), [("_agents", "own_gru"), ("_rules", "own_patience")])
def test_a_checkpoint_imports_nothing(table, name, tmp_path, monkeypatch):
    loop = Loop(tiny(agent="own_gru", halting="own_patience", num_envs=2))
    checkpoints.save(tmp_path / FILE_NAME, loop.snapshot())
    monkeypatch.delitem(getattr(registry, table), name)
    with pytest.raises(HrmGymError, match=name) as error:
        load_agent("Sudoku4x4-v0", tmp_path)
    assert "\n" not in str(error.value)


def test_a_flipped_byte_and_weights_that_are_no_numbers(tmp_path):
    snapshot, path = Loop(tiny(num_envs=2)).snapshot(), tmp_path / FILE_NAME
    checkpoints.save(path, snapshot)
    damaged = bytearray(path.read_bytes())
    damaged[-5] ^= 1
    path.write_bytes(damaged)
    with pytest.raises(HrmGymError, match="is damaged"):
        load_agent("Sudoku4x4-v0", path)
    name = "ema/agent.lm_head.weight"
    tensors = snapshot.tensors | {name: torch.full_like(snapshot.tensors[name], float("nan"))}
    checkpoints.save(path, dataclasses.replace(snapshot, tensors=tensors))
    with pytest.raises(HrmGymError, match="not finite numbers"):
        load_agent("Sudoku4x4-v0", path)
