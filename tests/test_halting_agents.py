"""The halting environment over an agent, policies for it, and the command that compares them."""

import ast
import dataclasses
import inspect
import json
import pickle
import re
import sys
import warnings

import gymnasium as gym
import numpy as np
import pytest
import torch
from batches import N
from gymnasium.envs.registration import EnvSpec
from gymnasium.utils.env_checker import check_env, data_equivalence
from gymnasium.vector import AutoresetMode
from gymnasium.wrappers.vector import RecordEpisodeStatistics
from stable_baselines3.common.env_checker import check_env as sb3_check_env
from stable_baselines3.common.env_util import make_vec_env
from test_arc import EVALUATION, write
from test_halting_env import hand_made, random_episodes, walk

import hrm_gym
from hrm_gym import HrmGymError
from hrm_gym.agents import Protocol, evaluate, load_agent
from hrm_gym.agents.agent import TaskSpec
from hrm_gym.agents.halting.fixed import Fixed, FixedConfig
from hrm_gym.agents.inference import halting_ids
from hrm_gym.agents.inference.frozen_agent import FEATURES, first_puzzles, record
from hrm_gym.agents.inference.halting_ids import make_halting_env
from hrm_gym.agents.saved.build import build
from hrm_gym.agents.saved.checkpoint import FILE_NAME, save
from hrm_gym.agents.saved.presets import resolve
from hrm_gym.agents.studies import policies
from hrm_gym.agents.studies.halting_study import study
from hrm_gym.agents.training.trainer import Trainer
from hrm_gym.cli import main
from hrm_gym.envs.halting.frozen_model import Episodes
from hrm_gym.envs.halting.halting_env import HaltingEnv
from hrm_gym.envs.halting.halting_rules import HaltingOptions
from hrm_gym.envs.halting.halting_vector_env import HaltingVectorEnv
from hrm_gym.envs.registration import halting_id
from hrm_gym.shares import wilson

ENV = "Sudoku4x4-v0"
HALT = "Sudoku4x4-Halt-v0"
SIGNALS = ("q_halt", "q_continue")  # of the shipped HRM
FEW = {"num_examples": 40, "max_segments": 4}
MODES = tuple(AutoresetMode)
every_mode = pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.value)


@pytest.fixture(scope="module")
def policy():
    return load_agent(ENV, device="cpu")


@pytest.fixture(scope="module")
def puzzles():
    return first_puzzles(hrm_gym.make_task(ENV), "test", 30)


# ---- the environments of the ids -----------------------------------------------------------------


def test_the_documented_arguments_are_those_of_the_ids():
    documented = dict(re.findall(r"^\s*\| `(\w+)` \| `(.*?)` \|", inspect.getdoc(HaltingEnv), flags=re.M))
    own = inspect.signature(halting_ids._frozen_model).parameters
    defaults = {field.name: field.default for field in dataclasses.fields(HaltingOptions)}
    defaults |= {name: one.default for name, one in own.items() if one.default is not inspect.Parameter.empty}
    del defaults["max_episode_steps"]  # of Gymnasium
    assert {name: ast.literal_eval(value) for name, value in documented.items()} == defaults


@pytest.mark.parametrize("recorded", [True, False])
def test_no_number_of_segments_is_the_default_one(recorded):
    env = gym.make(HALT, max_segments=None, num_examples=1, recorded=recorded)
    assert env.unwrapped.rules.max_segments == 16
    env.reset(seed=0)


@pytest.mark.parametrize("kwargs", [{}, {"recorded": False}, {"features": True}, {"reward": "regret"}])
def test_the_checkers_of_gymnasium_and_stable_baselines3(kwargs):
    env = gym.make(HALT, disable_env_checker=True, **FEW, **kwargs).unwrapped
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(env)
        sb3_check_env(env)


def test_the_helper_of_stable_baselines3():
    envs = make_vec_env(HALT, n_envs=2, env_kwargs=FEW)
    assert envs.reset().shape == (2, 1 + len(SIGNALS) + len(FEATURES))


def test_every_puzzle_has_a_halting_environment():
    for env_id in hrm_gym.task_ids():
        for name in (env_id, f"hrm_gym/{env_id}"):
            spec = gym.spec(halting_id(name))
            assert spec.kwargs == {"env_id": env_id}
            assert EnvSpec.from_json(spec.to_json()) == spec
    assert not any("Halt" in env_id for env_id in hrm_gym.task_ids())
    assert gym.make(f"hrm_gym:{HALT}", **FEW).reset(seed=0)[1]["segment"] == 1


@pytest.mark.parametrize("env_id", hrm_gym.task_ids())
@pytest.mark.parametrize("recorded", [True, pytest.param(False, marks=pytest.mark.slow)], ids=["recorded", "live"])
def test_the_checkers_with_an_untrained_agent_of_every_family(env_id, recorded, tmp_path):
    """Where no agent is shipped, a checkpoint is handed in."""
    dataset = ""
    if "augmentations" in inspect.signature(type(hrm_gym.make_task(env_id))).parameters:  # ARC reads its tasks
        dataset = str(write(tmp_path / "tasks.json", EVALUATION))
    sizes = {"hidden_size": 16, "h_cycles": 1, "num_envs": 2, "max_segments": 3}
    config = resolve({"env": env_id, "preset": "local", "device": "cpu", "dataset": dataset, **sizes})
    trainer = Trainer(config)
    save(tmp_path / FILE_NAME, trainer.snapshot())
    few = {"num_examples": 3, "split": "test", "max_segments": 3}
    halting = gym.make(halting_id(env_id), agent=str(tmp_path), recorded=recorded, **few, disable_env_checker=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(halting.unwrapped)
        sb3_check_env(halting.unwrapped)


def test_make_vec_gives_the_native_batch_and_equals_sync():
    native = gym.make_vec(HALT, N, **FEW)
    assert isinstance(native.unwrapped, HaltingVectorEnv)
    walk(native, gym.make_vec(HALT, N, vectorization_mode="sync", **FEW), AutoresetMode.NEXT_STEP)
    RecordEpisodeStatistics(gym.make_vec(HALT, N, **FEW)).reset(seed=0)


@every_mode
def test_live_equals_recorded(mode):
    kinds = {**FEW, "features": True, "autoreset_mode": mode.value, "reward": "delta"}
    recorded, live = (gym.make_vec(HALT, N, recorded=recorded, **kinds) for recorded in (True, False))
    rng, over = np.random.default_rng(0), np.zeros(N, bool)
    pairs = [[envs.reset(seed=3) for envs in (recorded, live)]]
    for _ in range(12):
        if mode == AutoresetMode.DISABLED and over.any():
            pairs.append([envs.reset(options={"reset_mask": over.copy()}) for envs in (recorded, live)])
        actions = (rng.random(N) < 0.3).astype(np.int64)
        pairs.append([envs.step(actions) for envs in (recorded, live)])
        over = pairs[-1][0][2] | pairs[-1][0][3]
    for one, other in pairs:
        assert np.allclose(one[0], other[0], atol=1e-4)
        for name in ("index", "segment", "is_success"):
            assert (one[-1][name] == other[-1][name]).all()


def test_equal_seeds_give_equal_episodes():
    one, two = (gym.make(HALT, **FEW) for _ in range(2))
    batch = gym.make_vec(HALT, 2, **FEW)
    observations, infos = batch.reset(seed=[5, 3])
    assert data_equivalence(one.reset(seed=3), two.reset(seed=3), exact=True)
    assert (observations[1] == one.reset(seed=3)[0]).all() and infos["index"][1] == two.reset(seed=3)[1]["index"]
    for _ in range(20):
        a, b = one.step(0), two.step(0)
        assert data_equivalence(a, b, exact=True)
        if a[2] or a[3]:
            assert data_equivalence(one.reset(), two.reset(), exact=True)


def test_a_pickle_goes_on_where_the_environment_stood():
    env = gym.make(HALT, **FEW)
    env.reset(seed=5)
    copy = pickle.loads(pickle.dumps(env))
    assert data_equivalence(env.step(0), copy.step(0), exact=True)
    assert data_equivalence(env.reset(), copy.reset(), exact=True)


def test_environments_share_a_recording_until_the_file_changes():
    one, two = (make_halting_env(ENV, **FEW) for _ in range(2))
    assert one.rules.model.episodes is two.rules.model.episodes


# ---- what is seen of an agent --------------------------------------------------------------------


def test_features_are_what_they_are_called(policy, puzzles):
    task = hrm_gym.make_task(ENV)
    episodes = record(policy, task, puzzles, 4, batch_size=7, features=True)
    seen = len(SIGNALS) + len(FEATURES)
    assert episodes.names[:seen] == (*SIGNALS, *FEATURES) and episodes.names[-1] == "state_63"
    known = episodes.features[:, :, :seen]
    assert (known >= 0).all() and (known <= 1).all()
    assert (episodes.column("changed")[:, 0] == 1).all()
    assert (episodes.column("violations")[episodes.right] == 0).all()
    fixed = Protocol(max_segments=4, halting="fixed")
    assert np.allclose(episodes.right.mean(0), evaluate(policy, task, puzzles, fixed).after)
    signals = policies.signals_of(policy.halting, episodes)
    for margin in (-1.0, 0.0, 1.5):
        led = evaluate(policy, task, puzzles, Protocol(max_segments=4, halt_margin=margin))
        assert (policies.threshold(signals["lead"], margin) == led.segments).all()
    state = policy.initial_state(len(puzzles.puzzle))
    with torch.inference_mode():
        _, output, read = policy(state, {"puzzle": torch.as_tensor(puzzles.puzzle).long()})
    assert np.allclose(episodes.column("q_halt")[:, 0], read["q_halt"].sigmoid(), atol=1e-5)
    assert np.allclose(episodes.features[:, 0, seen:], output.features.float(), atol=0.02)


def test_agents_without_a_value_of_continuing_show_none():
    task, sizes = hrm_gym.make_task("Sudoku4x4-v0"), {"hidden_size": 16, "mlp_size": 16, "message_size": 16}
    config = resolve({"env": "Sudoku4x4-v0", "agent": "trm_symbols", "halting": "classifier", "device": "cpu", **sizes})
    policy = build(config, TaskSpec.of(task)).eval()
    episodes = record(policy, task, first_puzzles(task, "test", 4), 2)
    assert episodes.names == ("q_halt", *FEATURES)


# ---- policies ------------------------------------------------------------------------------------


def test_stopping_rules_by_hand():
    episodes = hand_made()  # q_halt is 0.0, 0.1, 0.2 and 0.3, 0.4, 0.5
    assert policies.fixed(episodes, 2).tolist() == [2, 2]
    signal = episodes.column("q_halt")
    assert policies.threshold(signal, 0.15).tolist() == [3, 1]
    assert policies.threshold(signal, 9.0).tolist() == [3, 3]
    assert policies.threshold(signal, 0.05, below=True).tolist() == [1, 3]
    always, *_, never = policies.levels(signal)
    assert policies.threshold(signal, always).tolist() == [1, 1]
    assert policies.threshold(signal, never).tolist() == [3, 3]
    assert policies.oracle(episodes).tolist() == [2, 1], "where none is right, no time is spent"
    assert policies.value(episodes, np.array([2, 3]), cost=0.1) == pytest.approx(0.5 - 0.1 * 1.5)
    assert policies.best_fixed(episodes, 0.1) == 2
    assert policies.best_fixed(episodes, 0.9) == 1
    assert wilson(50, 100) == pytest.approx((0.4038, 0.5962), abs=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", policies.LEARNERS)
def test_learners_find_the_moment(algorithm):
    """The value of halting tells the right answer; it comes after one to four segments."""
    rng = np.random.default_rng(0)
    solved = rng.integers(1, 5, 200)
    right = np.arange(1, 7) >= solved[:, None]
    known = np.where(right, 0.9, 0.1)[:, :, None] + rng.normal(0, 0.02, (200, 6, 1))
    episodes = Episodes(known.astype(np.float32), right, right * 1.0, names=("q_halt",))
    model = policies.learn(episodes, algorithm, cost=0.05, steps=6_000, seed=0)
    stops = policies.stops_of(model, episodes)
    assert policies.right_at(episodes, stops).mean() > 0.97
    assert stops.mean() < solved.mean() + 0.3


RULE = Fixed(FixedConfig(), 1)
# ---- bad input ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: gym.make(HALT, reward="sucess"), "did you mean 'success'"),
        (lambda: gym.make(HALT, segment_cost=-0.1), "segment_cost"),
        (lambda: gym.make(HALT, segment_cost=float("nan")), "segment_cost"),
        (lambda: gym.make(HALT, reward="regret", recorded=False), "recorded=True"),
        (lambda: gym.make(HALT, max_segments=0), "at least 1"),
        (lambda: gym.make(HALT, num_examples=0), "at least 1"),
        (lambda: gym.make(HALT, num_examples=10**6), "puzzles"),
        (lambda: gym.make(HALT, num_examples=10**6, recorded=False), "puzzles"),
        (lambda: gym.make(HALT, split="tset"), "did you mean 'test'"),
        (lambda: gym.make(HALT, segment_costs=1), "did you mean 'segment_cost'"),
        (lambda: gym.make(HALT, agent=None), "agent=None: give 'pretrained', or the path"),
        (lambda: gym.make(HALT, agent=3), "agent=3: give"),
        (lambda: gym.make("ARC2-Halt-v0"), "no agent is shipped for ARC2-v0"),
        (lambda: gym.make("Sudoku6x6-Halt-v0", agent=str(_shipped())), "give a checkpoint trained on it"),
        (lambda: gym.make_vec(HALT, 2, autoreset_mode="Nextstep", **FEW), "did you mean 'NextStep'"),
        (lambda: gym.make_vec(HALT, 2, max_episode_steps=3, **FEW), "max_segments"),
        (lambda: gym.make_vec(HALT, 0, **FEW), "num_envs=0: give an integer, 1 to"),
        (lambda: hand_made().column("q_hallt"), "did you mean 'q_halt'"),
        (lambda: policies.fixed(hand_made(), 4), "1 to 3"),
        (lambda: policies.learn(hand_made(), "dqnn", 0.1), "did you mean 'dqn'"),
        (lambda: study(RULE, random_episodes(), random_episodes(), [-1.0]), "give 0 or more"),
        (lambda: study(RULE, random_episodes(), random_episodes(segments=4), [0.1]), "differ"),
    ],
)
def test_bad_calls(call, message):
    with pytest.raises(HrmGymError, match=message):
        call()


def _shipped():
    from hrm_gym.agents.saved.sources import pretrained_path

    return pretrained_path(ENV)


# ---- the command ---------------------------------------------------------------------------------


def test_the_command_writes_a_table_figures_and_a_plot(tmp_path, capsys):
    pytest.importorskip("matplotlib")
    sizes = [
        "--limit",
        "40",
        "--fit-puzzles",
        "60",
        "--max-segments",
        "4",
        "--train-steps",
        "300",
        "--costs",
        "0.01",
        "--seeds",
        "0",
    ]
    assert main(["halting", "--env", ENV, "--out", str(tmp_path / "study"), *sizes]) == 0
    figures = json.loads((tmp_path / "study" / "result.json").read_text())
    rows = {row["policy"]: row for row in figures["rows"]}
    assert {"fixed", "own rule", "random", "oracle", "DQN", "PPO", "threshold on residual"} <= set(rows)
    assert figures["conditions"]["test puzzles"] == 40
    for row in rows.values():
        low, high = row["accuracy_interval"]
        assert low <= row["accuracy"] <= high
        assert 1 <= row["mean_segments"] <= 4
    assert max(row["accuracy"] for row in rows.values()) == rows["oracle"]["accuracy"]
    assert "| DQN | 0.01 | 300 steps, seed 0 |" in (tmp_path / "study" / "table.md").read_text()
    assert (tmp_path / "study" / "plot.png").read_bytes().startswith(b"\x89PNG")
    assert "oracle" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--costs", "-1"], "give 0 or more"),
        (["--limit", "-1"], "--limit is -1"),
        (["--checkpoint", "nowhere"], "nowhere"),
    ],
)
def test_bad_words(words, message, tmp_path, capsys):
    assert main(["halting", "--env", ENV, "--out", str(tmp_path), *words]) == 2
    printed = capsys.readouterr().err
    assert message in printed and printed.count("\n") == 1


def test_without_matplotlib_only_the_plot_is_missing(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    few = ["--limit", "20", "--fit-puzzles", "20", "--max-segments", "2", "--train-steps", "0"]
    assert main(["halting", "--env", ENV, "--out", str(tmp_path / "study"), *few]) == 0
    assert 'pip install "hrm-gym[plots]"' in capsys.readouterr().out
    assert sorted(path.name for path in (tmp_path / "study").iterdir()) == ["result.json", "table.md"]
