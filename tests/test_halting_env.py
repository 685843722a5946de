"""When to stop thinking: the rules of the halting environment, over models that need no agent."""

import pickle
import warnings

import gymnasium as gym
import numpy as np
import pytest
from batches import N, equal
from gymnasium.utils.env_checker import check_env, data_equivalence
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from gymnasium.wrappers.vector import RecordEpisodeStatistics
from stable_baselines3.common.env_checker import check_env as sb3_check_env

from hrm_gym import HrmGymError
from hrm_gym.envs.halting.frozen_model import Episodes, LazyEpisodes, RecordedModel, Segment
from hrm_gym.envs.halting.halting_env import HaltingEnv
from hrm_gym.envs.halting.halting_vector_env import HaltingVectorEnv

ENV = "Sudoku4x4-v0"
MODES = tuple(AutoresetMode)
every_mode = pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.value)
every_reward = pytest.mark.parametrize("reward", ("success", "delta", "regret"))


def hand_made():
    """Two puzzles of four cells and three segments: the first is solved in the second segment and lost again."""
    cells = np.array([[2, 4, 3], [1, 2, 3]])
    features = np.arange(6, dtype=np.float32).reshape(2, 3, 1) / 10
    return Episodes(features, cells == 4, cells / 4, names=("q_halt",))


def env_of(episodes, **kwargs):
    return HaltingEnv(RecordedModel(episodes), **kwargs)


def random_episodes(num=50, segments=5):
    rng = np.random.default_rng(0)
    cells = rng.integers(0, 5, (num, segments))
    names = ("q_halt", "q_continue", "residual")
    return Episodes(rng.random((num, segments, len(names)), np.float32), cells == 4, cells / 4, names)


class Counter:
    """A model without an agent: it solves puzzle i in segment i + 1, and counts how often it is asked."""

    names = ("belief", "state_0")
    num_puzzles = 4
    episodes = None

    def __init__(self, num_slots=1):
        self.num_slots, self.asked = num_slots, []
        self.index, self.segment = np.zeros((2, num_slots), np.int64)

    def start(self, slots, index):
        self.index[slots], self.segment[slots] = index, 0

    def think(self, slots):
        self.asked.append(len(slots))
        self.segment[slots] += 1
        right = self.segment[slots] > self.index[slots]
        features = np.stack([right, -7.5 * right], 1).astype(np.float32)
        return Segment(features, right, right * 1.0)


# ---- the libraries' own checks -------------------------------------------------------------------


def test_a_model_without_an_agent():
    env = HaltingEnv(Counter(), max_segments=3, segment_cost=0.25)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(env, skip_render_check=True)
        sb3_check_env(env)
    assert env.observation_space.low.tolist() == [0, 0, -10] and env.observation_space.high.tolist() == [1, 1, 10]
    env.reset(options={"index": 2})
    rewards = [env.step(0)[1:4] for _ in range(3)]
    assert rewards == [(-0.25, False, False), (-0.25, False, False), (1.0, True, False)]


# ---- one set of rules, alone and in batches -------------------------------------------------------


def walk(native, other, mode, steps=25):
    rng = np.random.default_rng(0)
    equal(native.reset(seed=11), other.reset(seed=11))
    ends = np.zeros(2)
    for _ in range(steps):
        actions = (rng.random(N) < 0.3).astype(np.int64)
        one, two = native.step(actions), other.step(actions)
        equal(one, two)
        ends += one[2].sum(), one[3].sum()
        over = one[2] | one[3]
        if mode == AutoresetMode.DISABLED and over.any():
            equal(*(envs.reset(options={"reset_mask": over.copy()}) for envs in (native, other)))
    return ends


@every_mode
def test_a_batch_of_models_without_an_agent(mode):
    kinds = {"max_segments": 3, "segment_cost": 0.25}
    native = HaltingVectorEnv(Counter(N), autoreset_mode=mode, **kinds)
    walk(native, SyncVectorEnv([lambda: HaltingEnv(Counter(), **kinds)] * N, autoreset_mode=mode), mode)


def test_the_puzzle_environment_pays_the_same():
    """Answers of a recorded model, submitted to the puzzle environment, earn what the halting environment pays."""
    rng = np.random.default_rng(0)
    kinds = {"segment_cost": 0.125, "max_segments": 3}
    for _ in range(20):
        right = rng.random(3) < 0.5
        episodes = Episodes(np.zeros((1, 3, 1), np.float32), right[None], right[None] * 1.0, names=("q_halt",))
        halting, puzzle = env_of(episodes, **kinds), gym.make(ENV, **kinds)
        halting.reset()
        _, info = puzzle.reset(seed=0)
        total = np.zeros(2)
        for segment in range(3):
            halt = rng.random() < 0.3
            answer = np.append(info["solution"] if right[segment] else info["solution"] * 0, int(halt))
            for i, step in enumerate((halting.step(int(halt)), puzzle.step(answer))):
                total[i] += step[1]
                assert step[3] is False and step[2] is (halt or segment == 2)
            if halt:
                break
        assert total[0] == total[1] == right[segment] - 0.125 * segment


@every_mode
@every_reward
def test_native_equals_sync(mode, reward):
    kinds = {"reward": reward, "segment_cost": 0.125, "max_segments": 3}
    episodes = random_episodes()
    native = HaltingVectorEnv(RecordedModel(episodes, N), autoreset_mode=mode.value, **kinds)
    sync = SyncVectorEnv([lambda: env_of(episodes, **kinds)] * N, autoreset_mode=mode)
    assert native.observation_space == sync.observation_space
    assert native.metadata["autoreset_mode"] is native.autoreset_mode is mode
    terminated, truncated = walk(native, sync, mode)
    assert terminated > N and truncated == 0


def test_a_step_thinks_once_for_all_slots():
    model = Counter(N)
    envs = HaltingVectorEnv(model, max_segments=4)
    envs.reset(seed=0)
    envs.step(np.array([1, 1, 0, 0, 0, 0]))
    envs.step(np.array([0, 0, 1, 0, 0, 0]))
    assert model.asked == [N, N - 2, N - 1], "finished slots rest, those being reset think with the others"


def test_equal_seeds_give_equal_episodes_and_a_pickle_goes_on():
    one, two = (env_of(random_episodes()) for _ in range(2))
    assert data_equivalence(one.reset(seed=3), two.reset(seed=3), exact=True)
    for _ in range(20):
        two = pickle.loads(pickle.dumps(two))
        a, b = one.step(0), two.step(0)
        assert data_equivalence(a, b, exact=True)
        if a[2]:
            assert data_equivalence(one.reset(), two.reset(), exact=True)


def test_the_wrappers_of_gymnasium_take_it():
    envs = RecordEpisodeStatistics(HaltingVectorEnv(Counter(N), max_segments=3))
    envs.reset(seed=0)
    *_, infos = [envs.step(np.zeros(N, np.int64)) for _ in range(3)][-1]
    assert (infos["episode"]["l"] == 3).all()


# ---- rewards and ends, by hand -------------------------------------------------------------------


def rollout(actions, index=0, **kwargs):
    """Rewards of an episode, how it ended, and the last information."""
    env, rewards = env_of(hand_made(), **kwargs), []
    env.reset(options={"index": index})
    for action in actions:
        _, reward, terminated, truncated, info = env.step(action)
        rewards.append(reward)
    return rewards, (terminated, truncated), info


@pytest.mark.parametrize(
    ("actions", "kwargs", "rewards"),
    [
        ([1], {}, [0]),
        ([0, 1], {}, [0, 1]),
        ([0, 0, 1], {}, [0, 0, 0]),
        ([0, 0, 0], {}, [0, 0, 0]),
        ([0, 1], {"segment_cost": 0.25}, [-0.25, 1]),
        ([0, 0], {"segment_cost": 0.25, "max_segments": 2}, [-0.25, 1]),
        ([0, 0, 1], {"reward": "delta"}, [0.5, -0.25, 0]),
        ([0, 0, 0], {"reward": "delta", "segment_cost": 0.25}, [0.25, -0.5, 0]),
        ([1], {"reward": "regret"}, [-1]),
        ([0, 1], {"reward": "regret"}, [0, 0]),
        ([0, 0, 0], {"reward": "regret"}, [0, 0, -1]),
        ([1], {"reward": "regret", "segment_cost": 0.25}, [-0.75]),
        ([0, 0, 1], {"reward": "regret", "segment_cost": 0.25}, [0, 0, -1.25]),
    ],
)
def test_rewards(actions, kwargs, rewards):
    assert rollout(actions, **kwargs)[0] == rewards


def test_ends():
    assert rollout([1])[1] == (True, False)
    assert rollout([0, 0, 1])[1] == (True, False), "halting in the last segment is halting"
    assert rollout([0, 0, 0])[1] == (True, False), "the horizon is part of the task"
    assert rollout([0, 1])[2] == {"is_success": True, "cell_accuracy": 1.0, "segment": 2, "index": 0}
    assert rollout([0, 0, 0])[2]["segment"] == 3, "nothing is thought after the last segment"


def test_the_first_segment_is_thought_in_reset():
    env = env_of(hand_made())
    observation, info = env.reset(options={"index": 1})
    assert np.allclose(observation, [1 / 3, 0.3]) and info["segment"] == 1
    assert env.names == ("segment", "q_halt")
    assert np.allclose(env.step(0)[0], [2 / 3, 0.4])


# ---- bad input -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: env_of(hand_made(), segment_cost=float("inf")), "finite"),
        (lambda: rollout([[[1], [2, 3]]]), "the action cannot be read"),
        (lambda: env_of(hand_made()).reset(options=[1]), "give a dictionary"),
        (lambda: env_of(hand_made(), max_segments=4), "only 3 were recorded"),
        (lambda: HaltingEnv(RecordedModel(hand_made(), 2)), "HaltingVectorEnv"),
        (lambda: env_of(hand_made()).step(0), "reset"),
        (lambda: rollout([1, 1]), "call reset"),
        (lambda: rollout([2]), "0 continues and 1 halts"),
        (lambda: rollout([0.5]), "integers"),
        (lambda: env_of(hand_made()).reset(options={"index": 2}), "puzzles 0 to 1"),
        (lambda: env_of(hand_made()).reset(options={"puzzle": "1"}), "unknown option"),
        (
            lambda: Episodes(np.zeros((2, 3, 1)), np.zeros((2, 3), bool), np.zeros((2, 3)), ("a", "b")),
            "recorded episodes need",
        ),
        (lambda: env_of(hand_made(), reward="sucess"), "did you mean 'success'"),
        (lambda: env_of(hand_made(), segment_cost=-0.1), "at least 0"),
        (lambda: env_of(hand_made(), max_segments=0), "at least 1"),
        *[(lambda v=v: env_of(hand_made(), max_segments=v), "max_segments is") for v in (2.5, "2", True, np.nan)],
        *[(lambda v=v: env_of(hand_made(), segment_cost=v), "segment_cost is") for v in ("1", True, None, np.nan)],
        (lambda: env_of(hand_made(), features=True), "unknown option 'features'"),
        (lambda: HaltingEnv(Counter(), reward="regret"), "recorded=True"),
        (lambda: HaltingVectorEnv(Counter(2), autoreset_mode="Nextstep"), "did you mean 'NextStep'"),
    ],
)
def test_bad_calls(call, message):
    with pytest.raises(HrmGymError, match=message):
        call()


def test_a_finished_slot_must_be_reset_where_nobody_else_does():
    envs = HaltingVectorEnv(RecordedModel(hand_made(), 2), autoreset_mode="Disabled")
    envs.reset(seed=0)
    envs.step(np.array([1, 0]))
    with pytest.raises(HrmGymError, match="reset_mask"):
        envs.step(np.array([0, 0]))
    with pytest.raises(HrmGymError, match="False everywhere"):
        envs.reset(options={"reset_mask": np.zeros(2, bool)})


# ---- episodes that are recorded when they are needed ----------------------------------------------


def lazy(whole, block=4):
    """The episodes `whole`, and the list of what was recorded of them."""
    asked = []

    def between(begin, end):
        asked.append((begin, end))
        return Episodes(
            *(array[begin:end] for array in (whole.features, whole.right, whole.cell_accuracy)), whole.names
        )

    return LazyEpisodes(len(whole), whole.max_segments, whole.names, between, block), asked


@every_reward
def test_lazy_episodes_give_the_same_numbers_as_all_at_once(reward):
    whole = random_episodes(10)
    episodes, asked = lazy(whole)
    envs = [env_of(e, reward=reward, segment_cost=0.1) for e in (whole, episodes)]
    assert not asked
    for seed in range(8):
        for env in envs:
            env.reset(seed=seed)
        for action in (0, 0, 1):
            assert data_equivalence(*(env.step(action) for env in envs), exact=True)
    assert asked and len(asked) == len(set(asked)) and set(asked) <= {(0, 4), (4, 8), (8, 10)}


def test_lazy_episodes_record_what_is_asked_for_and_nothing_else():
    episodes, asked = lazy(random_episodes(10))
    env = env_of(episodes)
    env.reset(options={"index": 9})
    env.reset(options={"index": 8})
    assert asked == [(8, 10)]
    copy = pickle.loads(pickle.dumps(episodes))
    assert len(asked) == 3 and type(copy) is Episodes and np.array_equal(copy.right, random_episodes(10).right)
