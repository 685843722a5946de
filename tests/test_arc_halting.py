"""Halting recorded solvers of ARC tasks: the file, the environment and the study."""

import json

import gymnasium as gym
import numpy as np
import pytest

from hrm_gym.agents.arc.moments import share_and_lead
from hrm_gym.agents.saved.sources import PRETRAINED
from hrm_gym.envs.halting.recorded_solvers import SHARES, SIGNALS, read_results, recorded_episodes
from hrm_gym.errors import HrmGymError

BUDGET = 8


@pytest.fixture
def results(tmp_path):
    """Ten tasks of eight seconds: the i-th is solved from second i on, and its votes agree two seconds later."""
    lines = [{"conditions": {"env": "ARC1-v0", "seconds": 8.0}}]
    for i in range(10):
        seconds = [second + 0.25 for second in range(1, BUDGET)]
        signals = [[0.0, 0.0, 0.5, 1.0, float(second >= i + 2), 0.0, 0.0] for second in seconds]
        course = {"seconds": seconds, "signals": signals, "solved": [second >= i for second in seconds]}
        lines.append({"name": f"task{i}", "course": course})
    path = tmp_path / "results.jsonl"
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    return path


def test_a_second_shows_the_moment_before_it(results):
    features, solved = read_results(results)
    assert features.shape == (10, BUDGET, len(SIGNALS)) and solved.shape == (10, BUDGET)
    assert not features[:, 0].any() and not solved[:, 0].any()  # the first moment is at 1.25 seconds
    assert sorted(solved.sum(1)) == sorted([7, 7, 6, 5, 4, 3, 2, 1, 0, 0])


def test_a_recording_ships():
    sizes = [len(recorded_episodes(PRETRAINED / "ARC1-v0-halting.npz", split, 16)) for split in SHARES]
    assert sizes == [165, 55, 55]
    env = gym.make("hrm_gym:ARC1-Halt-v0", split="test", max_segments=40)
    solved = 0
    for index in range(55):
        env.reset(seed=0, options={"index": index})
        over = False
        while not over:
            _, _, over, _, info = env.step(0)
        solved += info["is_success"]
    assert 10 <= solved <= 30  # 106 of all 275


def test_splits_share_the_tasks_and_segments_share_the_budget(results):
    parts = [recorded_episodes(results, split, 4) for split in ("train", "validation", "test")]
    assert [len(part) for part in parts] == [6, 2, 2] and all(part.max_segments == 4 for part in parts)
    whole = read_results(results)
    assert np.array_equal(np.concatenate([part.right for part in parts]), whole.solved[:, [1, 3, 5, 7]])


def test_a_results_file_is_a_halting_environment(results):
    env = gym.make("hrm_gym:ARC1-Halt-v0", agent=str(results), max_segments=8, segment_cost=0.01)
    env.reset(seed=0, options={"index": 0})
    assert env.unwrapped.names == ("segment", *SIGNALS)
    rewards, over = [], False
    while not over:
        _, reward, over, _, info = env.step(0)
        rewards.append(reward)
    right = recorded_episodes(results, "train", 8).right[0, -1]
    assert info["is_success"] == right and sum(rewards) == pytest.approx(float(right) - 0.07)
    with pytest.raises(HrmGymError, match="only replayed"):
        gym.make("hrm_gym:ARC1-Halt-v0", agent=str(results), recorded=False)
    with pytest.raises(HrmGymError, match="the test split has 2 recorded tasks"):
        gym.make("hrm_gym:ARC1-Halt-v0", agent=str(results), split="test", num_examples=3)


def test_thresholds_on_recordings_are_compared(hrm_gym, results, tmp_path):
    args = ["--checkpoint", str(results), "--out", str(tmp_path / "out"), "--train-steps", "0", "--costs", "0.01"]
    code, _, err = hrm_gym("halting", "--env", "ARC1-v0", "--max-segments", "8", *args)
    assert code == 0, err
    rows = json.loads((tmp_path / "out" / "result.json").read_text())["rows"]
    names = {row["policy"] for row in rows}
    assert {"fixed", "oracle", "threshold on votes"} <= names and "own rule" not in names
    value = {row["policy"]: row["value"] for row in rows if row["cost"] == 0.01}
    assert value["threshold on votes"] <= 1


@pytest.mark.parametrize(
    ("options", "tasks"), [((), "6 to fit, 2 to test"), (("--fit-puzzles", "4", "--limit", "1"), "4 to fit, 1 to test")]
)
def test_so_many_recorded_tasks_are_used(hrm_gym, results, tmp_path, options, tasks):
    args = ["--checkpoint", str(results), "--out", str(tmp_path / "out"), "--train-steps", "0", "--costs", "0.01"]
    code, _, err = hrm_gym("halting", "--env", "ARC1-v0", *args, *options)
    assert code == 0, err
    assert json.loads((tmp_path / "out" / "result.json").read_text())["conditions"]["tasks"] == tasks


def test_another_file_is_refused_in_a_line(tmp_path):
    path = tmp_path / "other.jsonl"
    path.write_text('{"conditions": {"seconds": 4}}\n{"name": "a"}\n')
    with pytest.raises(HrmGymError, match=r"does not hold recorded solvers .*evaluate --env ARC1-v0"):
        read_results(path)


def test_the_share_of_votes_is_that_of_the_least_certain_test():
    one, other = ((1,),), ((2,),)
    sure, unsure = [(one, 1.0)], [(one, 0.5), (other, 0.0), (other, 0.25)]
    assert share_and_lead([sure, unsure]) == (0.5, 0.25)
    assert share_and_lead([sure, []]) == (0.0, 0.0)
