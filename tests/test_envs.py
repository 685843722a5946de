"""Every registered environment against the rules of Gymnasium and Stable-Baselines3, and against its own."""

import copy
import itertools
import json
import pickle
import warnings

import gymnasium as gym
import numpy as np
import pytest
from batches import ACTION_TYPES, OBS_TYPES
from gymnasium.envs.registration import EnvSpec
from gymnasium.utils.env_checker import check_env, data_equivalence
from hypothesis import given, settings
from hypothesis import strategies as st
from stable_baselines3.common.env_checker import check_env as sb3_check_env

import hrm_gym
from hrm_gym import HrmGymError
from hrm_gym.envs.drawing.canvas import Canvas
from hrm_gym.envs.options import OPTIONS
from hrm_gym.envs.puzzle_env import PuzzleEnv
from hrm_gym.envs.task import SPLITS

KINDS = [
    pytest.param(env_id, *kind, marks=[] if kind in (("board", "dict"), ("edit", "flat")) else pytest.mark.slow)
    for env_id in hrm_gym.task_ids()
    for kind in itertools.product(ACTION_TYPES, OBS_TYPES)
]
every_kind = pytest.mark.parametrize(("env_id", "action_type", "obs_type"), KINDS)
every_id = pytest.mark.parametrize("env_id", hrm_gym.task_ids())

OWN = ".2.. ..1. ..4. .3.."


def board(env, info, halt, right=True):
    """The action that submits the solution, or what is surely not it."""
    answer = info["solution"].copy()
    if not right:
        task = env.unwrapped.task
        cell = np.argmax(counting(task, answer))
        answer[cell] = answer[cell] % (task.num_tokens - 1) + 1
    return np.append(answer, int(halt))


def counting(task, solution):
    """Which cells of a solution are graded."""
    return solution != (-1 if task.padding is None else task.padding)


# ---- the libraries' own checks -------------------------------------------------------------------


@every_kind
def test_gymnasium_check_env(env_id, action_type, obs_type):
    env = gym.make(env_id, action_type=action_type, obs_type=obs_type, disable_env_checker=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(env.unwrapped)


@every_kind
def test_sb3_check_env(env_id, action_type, obs_type):
    env = gym.make(env_id, action_type=action_type, obs_type=obs_type, render_mode="rgb_array")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sb3_check_env(env.unwrapped)


@every_kind
def test_equal_seeds_give_equal_rollouts(env_id, action_type, obs_type):
    one, two = (gym.make(env_id, action_type=action_type, obs_type=obs_type) for _ in range(2))
    one.action_space.seed(1)
    assert data_equivalence(one.reset(seed=3), two.reset(seed=3), exact=True)
    for _ in range(50):
        action = one.action_space.sample()
        a, b = one.step(action), two.step(action)
        assert data_equivalence(a, b, exact=True)
        if a[2] or a[3]:
            assert data_equivalence(one.reset(), two.reset(), exact=True)


# ---- copies, files, pictures ---------------------------------------------------------------------


@every_id
def test_a_pickle_goes_on_where_the_environment_stood(env_id):
    env = gym.make(env_id, render_mode="rgb_array")
    env.reset(seed=5)
    env.render()
    other = pickle.loads(pickle.dumps(env))
    action = np.append(env.action_space.sample()[:-1], 0)
    assert data_equivalence(env.step(action), other.step(action), exact=True)
    assert data_equivalence(env.reset(), other.reset(), exact=True)
    assert (env.render() == other.render()).all()
    assert len(pickle.dumps(env)) < 100_000, "the pickle holds the puzzles"


def test_a_copy_draws_from_the_same_share_of_the_puzzles():
    env = gym.make("Sudoku4x4-v0", num_examples=1).unwrapped
    env.rules.easiest = 0.25
    assert copy.deepcopy(env).rules.easiest == pickle.loads(pickle.dumps(env)).rules.easiest == 0.25


@every_id
def test_spec_goes_through_json(env_id):
    for name in (env_id, f"hrm_gym/{env_id}"):
        env = gym.make(name, split="test", max_segments=3)
        again = gym.make(EnvSpec.from_json(env.spec.to_json()))
        assert data_equivalence(env.reset(seed=1), again.reset(seed=1), exact=True)
        json.loads(gym.spec(name).to_json())


@every_id
def test_render_modes(env_id):
    for mode in ("human", "rgb_array", "ansi"):
        env = gym.make(env_id, render_mode=mode)
        env.reset(seed=0)
        pictures = [env.render()]
        env.step(np.append(env.action_space.sample()[:-1], 0))
        pictures.append(env.render())
        if mode == "human":
            assert pictures == [None, None]
        elif mode == "rgb_array":
            assert pictures[0].dtype == np.uint8 and pictures[0].shape == pictures[1].shape
            assert (pictures[0] != pictures[1]).any()
        else:
            assert pictures[0].startswith("segment 0") and pictures[1].startswith("segment 1")
            assert len(pictures[0].splitlines()[-2]) == len(pictures[0].splitlines()[-1])
        env.close()
        env.close()


def test_a_window_without_a_display_says_what_an_environment_can_do(without_display):
    code = (
        "import gymnasium, hrm_gym\n"
        "from gymnasium.utils.env_checker import check_env\n"
        "env = gymnasium.make('Sudoku4x4-v0', render_mode='human', disable_env_checker=True).unwrapped\n"
        "try:\n    check_env(env)\n"
        "except hrm_gym.HrmGymError as error:\n    print(error)"
    )
    out = without_display(code)
    assert "render_mode='rgb_array'" in out and "--headless" not in out and out.count("\n") == 1


@pytest.mark.parametrize(("halt", "word"), [(1, "wrong, stopped too early"), (0, "out of time")])
def test_pictures_say_how_an_episode_ended(halt, word, monkeypatch):
    words = []
    monkeypatch.setattr(Canvas, "text", lambda self, text, *rest, **how: words.append(text))
    settings = {"render_mode": "rgb_array", "max_segments": 1}
    action = np.append(np.zeros(16, np.int64), halt)
    for envs in (gym.make("Sudoku4x4-v0", **settings), gym.make_vec("Sudoku4x4-v0", 1, **settings)):
        envs.reset(seed=0), envs.render()
        assert "ready" in words and word not in words
        envs.step(action if isinstance(envs, gym.Env) else action[None]), envs.render()
        assert words.count(word) == 1
        words.clear()


def test_text_tells_givens_from_proposals():
    env = gym.make("Sudoku4x4-v0", render_mode="ansi")
    env.reset(options={"puzzle": OWN})
    env.step([4, 4, *[0] * 14, 0])
    assert env.render().splitlines()[2] == "| 4? 4!| .  . |"
    assert env.render().splitlines()[5] == "| .  . | .! . |"


# ---- the rules of an episode ---------------------------------------------------------------------

MIDDLE, LAST = 1, 3


@pytest.mark.parametrize(
    ("segment", "halt", "right", "terminated"),
    [
        (MIDDLE, False, False, False),
        (MIDDLE, False, True, False),
        (MIDDLE, True, False, True),
        (MIDDLE, True, True, True),
        (LAST, False, False, True),
        (LAST, False, True, True),
        (LAST, True, False, True),
        (LAST, True, True, True),
    ],
)
@pytest.mark.parametrize("cost", [0.0, 0.25])
def test_rewards_and_ends(segment, halt, right, terminated, cost):
    env = gym.make("Sudoku4x4-v0", max_segments=LAST, segment_cost=cost)
    _, info = env.reset(seed=0)
    for _ in range(segment - 1):
        assert env.step(board(env, info, halt=False, right=False))[1:4] == (-cost, False, False)
    obs, *rest, info = env.step(board(env, info, halt, right))
    assert rest == [float(right) if terminated else -cost, terminated, False]
    assert info["is_success"] is right and obs["segment"] == segment
    if terminated:
        with pytest.raises(HrmGymError, match="reset"):
            env.step(env.action_space.sample())


@settings(max_examples=30, deadline=None)
@given(segments=st.integers(1, 6), right=st.booleans(), halt=st.booleans(), cost=st.floats(0, 2))
def test_the_return_is_right_minus_the_cost_of_all_segments_but_the_first(segments, right, halt, cost):
    env = gym.make("Latin3x3-v0", max_segments=6 if halt else segments, segment_cost=cost)
    _, info = env.reset(seed=0)
    total, terminated = 0.0, False
    for segment in range(1, segments + 1):
        last = segment == segments
        assert not terminated
        _, reward, terminated, truncated, _ = env.step(board(env, info, halt and last, right and last))
        total += reward
    assert terminated and not truncated
    assert total == pytest.approx(right - cost * (segments - 1))


def test_only_a_time_limit_truncates():
    env = gym.make("Sudoku4x4-v0", max_episode_steps=2, segment_cost=0.5)
    _, info = env.reset(seed=0)
    assert env.step(board(env, info, halt=False))[1:4] == (-0.5, False, False)
    assert env.step(board(env, info, halt=False))[1:4] == (-0.5, False, True)


TWO_PATHS = {"size": 5, "min_path": 2}
"""A maze of 5 x 5 in which two shortest paths lead around a wall."""


def test_another_shortest_path_is_right_by_the_rules_and_not_by_the_solution():
    for graded_by, right in (("rules", True), ("solution", False)):
        env = gym.make("MazeSmall-v0", graded_by=graded_by, **TWO_PATHS)
        _, info = env.reset(options={"puzzle": "######S  ## # ##  G######"})
        solution = info["solution"].reshape(5, 5)
        other = np.where(solution.T == 4, 4, np.where(solution == 4, 1, solution)).reshape(-1)
        assert (other != info["solution"]).any()
        _, reward, *_, info = env.step(np.append(other, 1))
        assert (reward, info["is_success"], info["violations"]) == (float(right), right, 0)


@every_id
def test_an_episode_of_edits_solves_the_puzzle(env_id):
    env = gym.make(env_id, action_type="edit")
    obs, info = env.reset(seed=2)
    tokens, solution = env.unwrapped.task.num_tokens, info["solution"]
    for cell in np.flatnonzero((obs["answer"] != solution) & counting(env.unwrapped.task, solution)):
        action = cell * tokens + solution[cell]
        assert env.unwrapped.action_masks()[action]
        before = info["cell_accuracy"]
        obs, reward, terminated, truncated, info = env.step(action)
        assert (reward, terminated, truncated) == (0.0, False, False)
        assert obs["answer"][cell] == solution[cell] and info["cell_accuracy"] > before
    assert info["is_success"] and info["violations"] == 0
    _, reward, terminated, truncated, _ = env.step(env.action_space.n - 1)
    assert (reward, terminated, truncated) == (1.0, True, False)


@every_id
def test_masks_leave_the_givens_alone(env_id):
    for action_type in ACTION_TYPES:
        env = gym.make(env_id, action_type=action_type)
        obs, _ = env.reset(seed=4)
        mask = env.unwrapped.action_masks()
        cells, tokens = env.unwrapped.task.num_cells, env.unwrapped.task.num_tokens
        halts = 2 if action_type == "board" else 1
        assert mask.dtype == bool and mask.shape == (cells * tokens + halts,)
        assert mask[cells * tokens :].all()
        given = env.unwrapped.task.is_given(obs["puzzle"])
        counts = mask[: cells * tokens].reshape(cells, tokens).sum(-1)
        assert (counts[~given] == tokens).all()
        assert (counts[given] == (1 if action_type == "board" else 0)).all()


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32), data=st.data())
def test_the_flat_observation_says_what_the_dict_says(seed, data):
    tokens = data.draw(st.lists(st.integers(0, 3), min_size=9, max_size=9))
    flat, plain = (gym.make("Latin3x3-v0", obs_type=kind) for kind in ("flat", "dict"))
    flat.reset(seed=seed), plain.reset(seed=seed)
    one, other = flat.step([*tokens, 0])[0], plain.step([*tokens, 0])[0]
    boards = one[:-1].reshape(2, 9, 4)
    assert (boards.sum(-1) == 1).all() and (boards.argmax(-1) == [other["puzzle"], other["answer"]]).all()
    assert one[-1] == np.float32(other["segment"] / 16)


@every_id
def test_grades_agree_with_the_task(env_id):
    env = gym.make(env_id)
    _, info = env.reset(seed=6)
    task = env.unwrapped.task
    for right in (True, False):
        _, *_, info = env.step(board(env, info, halt=False, right=right))
        assert info["is_success"] is right
        assert info["violations"] == 0 if right else info["violations"] > 0 or not task.verifiable
        num = np.sum(counting(task, info["solution"]))
        assert info["cell_accuracy"] == (num - (not right)) / num


# ---- which puzzle --------------------------------------------------------------------------------


@every_id
def test_test_puzzles_are_shown_as_they_are(env_id):
    env = gym.make(env_id, split="test")
    puzzles = {row.tobytes() for row in env.unwrapped.task.dataset("test").puzzle.astype(np.int64)}
    for seed in range(20):
        assert env.reset(seed=seed)[0]["puzzle"].tobytes() in puzzles


@pytest.mark.parametrize("split", SPLITS)
def test_num_examples_caps_every_split(split):
    env = gym.make("Latin3x3-v0", split=split, num_examples=3, augment=False)
    first = env.unwrapped.task.dataset(split).puzzle[:3].astype(np.int64)
    seen = {env.reset(seed=seed)[0]["puzzle"].tobytes() for seed in range(30)}
    assert seen == {row.tobytes() for row in first}


def test_the_sampled_splits_share_no_puzzle():
    boards = [{row.tobytes() for row in hrm_gym.make_task("Futoshiki4x4-v0").dataset(split).puzzle} for split in SPLITS]
    assert not (boards[0] & boards[1] or boards[0] & boards[2] or boards[1] & boards[2])
    assert all(len(some) > 500 for some in boards)


def test_training_puzzles_come_under_symmetries():
    env = gym.make("Sudoku9x9-v0", num_examples=1)
    assert len({env.reset(seed=seed)[0]["puzzle"].tobytes() for seed in range(10)}) == 10


def test_index_and_puzzle_of_your_own():
    env = gym.make("Sudoku4x4-v0", split="test")
    data = env.unwrapped.task.dataset("test")
    obs, info = env.reset(options={"index": 7})
    assert (obs["puzzle"] == data.puzzle[7]).all() and (info["solution"] == data.solution[7]).all()
    task = env.unwrapped.task
    for puzzle in (OWN, task.parse(OWN), list(task.parse(OWN))):
        obs, info = env.reset(options={"puzzle": puzzle})
        assert task.format(info["solution"]) == "1234341221434321"
        assert task.format(obs["puzzle"]) == task.format(obs["answer"]) == OWN.replace(" ", "")


@pytest.mark.parametrize("ranked", [False, True])
def test_an_index_counts_the_puzzles_of_the_split(ranked):
    """Ranking and symmetric versions, both for random episodes, change nothing about it."""
    envs = hrm_gym.make_vec("MazeSmall-v0", 40, ranked=ranked, num_examples=40)
    obs, infos = envs.reset(options={"index": np.arange(40)})
    data = envs.task.dataset("train")
    assert (obs["puzzle"] == data.puzzle[:40]).all() and (infos["solution"] == data.solution[:40]).all()


def test_a_choice_draws_no_random_number():
    one, two = gym.make("Sudoku4x4-v0"), gym.make("Sudoku4x4-v0")
    one.reset(seed=1), two.reset(seed=1)
    one.reset(options={"index": 0})
    assert data_equivalence(one.reset(), two.reset(), exact=True)


# ---- bad input -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"split": "tset"}, "did you mean 'test'"),
        ({"action_type": "borad"}, "did you mean 'board'"),
        ({"obs_type": "image"}, "known are dict, flat"),
        ({"spilt": "test"}, "did you mean 'split'"),
        ({"max_segments": 0}, "at least 1"),
        ({"max_segments": 2.5}, "give an integer or None"),
        ({"segment_cost": -0.1}, "at least 0"),
        ({"segment_cost": float("nan")}, "finite"),
        ({"segment_cost": float("inf")}, "finite"),
        ({"segment_cost": "much"}, "give a number"),
        ({"graded_by": "rule"}, "did you mean 'rules'"),
        ({"split": "test", "num_examples": 10**9}, "num_examples=1000000000"),
        ({"num_examples": 0}, "num_examples=0"),
        ({"num_examples": 10**9}, "num_examples=1000000000"),
        ({"split": "test", "augment": True}, "leave it out"),
    ],
)
def test_bad_arguments(kwargs, message):
    with pytest.raises(HrmGymError, match=message):
        gym.make("Sudoku4x4-v0", **kwargs)


STRANGE = (b"x", float("nan"), float("inf"), -1, 1j, [1], {}, np.zeros(2), object())
"""What no option can be."""
TYPED = {
    **{name: (0, 2.5, "2", True) for name in ("num_examples", "max_segments")},
    **{name: (2.5, "0.5", True, None) for name in ("hints", "guesses")},
    **{name: (1, "True") for name in ("augment", "ranked", "count_violations")},
    **{name: (1, True, None, "") for name in ("split", "action_type", "obs_type", "graded_by")},
    "segment_cost": ("1", True, None),
    "dataset": (2, True),
}
"""What each option, by its name, refuses as well."""


@pytest.mark.parametrize("name", OPTIONS)
def test_every_option_refuses_what_it_cannot_be_in_one_line(name):
    for value in (*STRANGE, *TYPED[name]):
        with pytest.raises(HrmGymError, match=name) as error:
            gym.make("Sudoku4x4-v0", **{name: value})
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("task", [None, 5, b"Sudoku4x4-v0", ["Sudoku4x4-v0"]])
def test_a_task_is_named_by_a_text(task):
    with pytest.raises(HrmGymError, match="give an id"):
        PuzzleEnv(task)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"indx": 1}, "did you mean 'index'"),
        ({"index": -1}, "there are puzzles 0 to"),
        ({"index": 0.5}, "give an integer"),
        ({"index": 10**9}, "there are puzzles 0 to"),
        ({"index": [[1, 2], [3]]}, "option 'index' cannot be read"),
        ({"puzzle": [[1, 2], [3]]}, "option 'puzzle' cannot be read"),
        ({"puzzle": {"a": 1}}, "16 integers"),
        ([1], "give a dictionary"),
        ({"puzzle": "12"}, "2 characters"),
        ({"puzzle": [1, 2]}, "16 integers"),
        ({"puzzle": [9] * 16}, "allowed are 0 to 4"),
        ({"puzzle": "." * 16}, "several solutions"),
        ({"puzzle": OWN, "index": 1}, "both"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(HrmGymError, match=message):
        gym.make("Sudoku4x4-v0").reset(options=options)


@pytest.mark.parametrize(
    ("action_type", "action"),
    [
        ("board", [0] * 16),
        ("board", [0] * 16 + [2]),
        ("board", [5] + [0] * 16),
        ("board", [-1] + [0] * 16),
        ("board", [0.5] * 17),
        ("board", [[1, 2], [3]]),
        ("board", None),
        ("board", {"cell": 1}),
        ("edit", 81),
        ("edit", -1),
        ("edit", [1]),
    ],
)
def test_bad_actions(action_type, action):
    env = gym.make("Sudoku4x4-v0", action_type=action_type, disable_env_checker=True)
    env.reset(seed=0)
    with pytest.raises(HrmGymError, match="action") as error:
        env.step(action)
    assert "\n" not in str(error.value)
