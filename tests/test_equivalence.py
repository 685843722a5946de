"""Single, NumPy and torch environments against the rules of an episode, written once more in the plainest way."""

import json

import gymnasium as gym
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import hrm_gym
from hrm_gym.errors import HrmGymError

FAMILIES = ("Sudoku4x4-v0", "MazeSmall-v0", "Latin3x3-v0", "Copy-v0", "Parity-v0", "Addition-v0", "ARC1-v0")
MORE: dict[str, dict] = {}
"""Arguments of a family."""
N = 3
KINDS = ("right", "wrong", "random", "given")
"""What is answered, or written into one cell."""

RULES = st.fixed_dictionaries(
    {
        "family": st.sampled_from(FAMILIES),
        "action_type": st.sampled_from(("board", "edit")),
        "graded_by": st.sampled_from(("rules", "solution")),
        "max_segments": st.integers(1, 5),
        "segment_cost": st.sampled_from((0.0, 0.125, 0.5)),
        "max_episode_steps": st.sampled_from((None, None, 1, 2, 4)),
    }
)
SEED = st.integers(0, 2**31)
CHOICE = st.tuples(st.sampled_from(KINDS), st.booleans())
"""What to answer, and whether to halt."""

quickly = settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)


class Episode:
    """One episode: an answer that starts as the puzzle, a count of segments, and what a step pays."""

    def __init__(self, rules, puzzle, solution):
        more = dict(MORE.get(rules["family"], {}))
        self.task = hrm_gym.make_task(rules["family"], more.pop("dataset", None), **more)
        self.rules, self.puzzle, self.solution = rules, list(puzzle), list(solution)
        self.answer, self.segment = list(self.puzzle), 0

    def action(self, choice, rng):
        """An action of this kind, as the environment takes it."""
        kind, halt = choice
        cells, tokens = self.task.num_cells, self.task.num_tokens
        if self.rules["action_type"] == "edit":
            if halt:
                return cells * tokens
            cell = int(rng.integers(cells))
            if kind == "given":
                cell = int(np.argmax(self.task.is_given(np.array(self.puzzle))))
            token = {"right": self.solution[cell], "wrong": (self.solution[cell] + 1) % tokens}
            return cell * tokens + token.get(kind, int(rng.integers(tokens)))
        board = list(self.solution)
        if kind == "random":
            board = rng.integers(tokens, size=cells).tolist()
        elif kind != "right":
            given = self.task.is_given(np.array(self.puzzle)) == (kind == "given")
            cell = int(rng.choice(np.flatnonzero(given if given.any() else ~given)))
            board[cell] = (board[cell] + 1) % tokens
        return [*board, int(halt)]

    def step(self, action):
        """Reward, terminated, truncated."""
        if self.rules["action_type"] == "edit":
            cell, token = divmod(action, self.task.num_tokens)
            halt = cell == self.task.num_cells
            if not halt:
                self.answer[cell] = token
        else:
            self.answer, halt = list(action[:-1]), action[-1] == 1
        self.segment += 1
        terminated = halt or self.segment == self.rules["max_segments"]
        limit = self.rules["max_episode_steps"]
        truncated = limit is not None and self.segment >= limit
        reward = float(self.right) if terminated else -self.rules["segment_cost"]
        return reward, terminated, truncated

    @property
    def violations(self):
        puzzle, answer = (np.array([board]) for board in (self.puzzle, self.answer))
        return int(self.task.violations(puzzle, answer)[0])

    @property
    def right(self):
        by_rules = self.rules["graded_by"] == "rules" and self.task.verifiable
        return self.violations == 0 if by_rules else all(a == b for a, b in self.graded)

    @property
    def graded(self):
        """What the answer and the solution say of each cell that is no padding."""
        return [(a, b) for a, b in zip(self.answer, self.solution, strict=True) if b != self.task.padding]

    def check(self, obs, info):
        """Compare with what an environment shows of this episode."""
        assert list(map(int, obs["puzzle"])) == self.puzzle
        assert list(map(int, obs["answer"])) == self.answer
        assert int(obs["segment"]) == self.segment
        assert bool(info["is_success"]) == self.right
        assert int(info["violations"]) == self.violations
        pairs = self.graded
        assert float(info["cell_accuracy"]) == pytest.approx(sum(a == b for a, b in pairs) / len(pairs))
        assert list(map(int, info["solution"])) == self.solution


@pytest.fixture(scope="module", autouse=True)
def arc(tmp_path_factory):
    """Three tasks that recolour, on a canvas of 3x3."""
    path = tmp_path_factory.mktemp("arc") / "tasks.json"
    pairs = [
        [{"input": [[c, 0]], "output": [[c + 1, 0]]}, {"input": [[c], [c]], "output": [[c + 1]]}] for c in (1, 3, 5)
    ]
    path.write_text(json.dumps({f"task{i}": {"train": shown, "test": shown[:1]} for i, shown in enumerate(pairs)}))
    MORE["ARC1-v0"] = {"dataset": str(path), "side": 3, "augmentations": 2}


def arguments(rules):
    own = {name: value for name, value in rules.items() if name not in ("family", "max_episode_steps")}
    return own | MORE.get(rules["family"], {})


def slot(batch, i):
    """What a batch of observations or information says of one slot."""
    return {name: array[i] for name, array in batch.items() if not (name.startswith("_") or name.startswith("final"))}


def fresh(rules, obs, info):
    """The episode that an environment has just begun, which must show the puzzle as its answer."""
    episode = Episode(rules, map(int, obs["puzzle"]), map(int, info["solution"]))
    episode.check(obs, info)
    return episode


@quickly
@given(rules=RULES, seed=SEED, program=st.lists(CHOICE, max_size=14))
def test_a_single_environment(rules, seed, program):
    limit = rules["max_episode_steps"]
    env = gym.make(f"hrm_gym:{rules['family']}", max_episode_steps=limit, disable_env_checker=True, **arguments(rules))
    rng = np.random.default_rng(seed)
    episode = fresh(rules, *env.reset(seed=seed))
    for choice in program:
        action = episode.action(choice, rng)
        obs, *outcome, info = env.step(action if isinstance(action, int) else np.array(action))
        assert tuple(outcome) == episode.step(action)
        episode.check(obs, info)
        if outcome[1]:
            with pytest.raises(HrmGymError, match="reset"):
                env.unwrapped.step(np.array(action))
        if outcome[1] or outcome[2]:
            episode = fresh(rules, *env.reset())


@pytest.mark.parametrize("device", [None, "cpu"], ids=["numpy", "torch"])
@pytest.mark.parametrize("mode", ["NextStep", "SameStep", "Disabled"])
@quickly
@given(rules=RULES, seed=SEED, program=st.lists(st.tuples(*[CHOICE] * N), max_size=14))
def test_a_batch(device, mode, rules, seed, program):
    place = {} if device is None else {"device": device}
    limit = rules["max_episode_steps"]
    name = f"hrm_gym:{rules['family']}"
    envs = gym.make_vec(
        name, num_envs=N, autoreset_mode=mode, max_episode_steps=limit or -1, **place, **arguments(rules)
    )
    alone = [gym.make(name, disable_env_checker=True, **arguments(rules)).unwrapped for _ in range(N)]
    drawn = [env.reset(seed=seed + i)[0]["puzzle"].tolist() for i, env in enumerate(alone)]
    rng = np.random.default_rng(seed)
    obs, info = envs.reset(seed=seed)

    def begun(i):
        """A fresh episode in slot i; in NumPy its puzzle is the next one of the environment with the slot's seed."""
        episode = fresh(rules, slot(obs, i), slot(info, i))
        if device is None:
            assert episode.puzzle == drawn[i]
            drawn[i] = alone[i].reset()[0]["puzzle"].tolist()
        return episode

    episodes, over = [begun(i) for i in range(N)], [False] * N
    for choices in program:
        if mode == "Disabled" and any(over):
            with pytest.raises(HrmGymError, match="finished slots"):
                envs.step(envs.action_space.sample())
            obs, info = envs.reset(options={"reset_mask": np.array(over)})
            episodes = [begun(i) if over[i] else episodes[i] for i in range(N)]
        actions = [episode.action(choice, rng) for episode, choice in zip(episodes, choices, strict=True)]
        obs, reward, terminated, truncated, info = envs.step(np.array(actions))
        for i in range(N):
            outcome = float(reward[i]), bool(terminated[i]), bool(truncated[i])
            if mode == "NextStep" and over[i]:
                assert outcome == (0.0, False, False)
                episodes[i], over[i] = begun(i), False
                continue
            assert outcome == episodes[i].step(actions[i])
            over[i] = outcome[1] or outcome[2]
            if mode == "SameStep" and over[i]:
                last = info["final_obs"][i] if device is None else slot(info["final_obs"], i)
                episodes[i].check(last, slot(info["final_info"], i))
                assert bool(info["_final_obs"][i])
                episodes[i], over[i] = begun(i), False
            else:
                episodes[i].check(slot(obs, i), slot(info, i))
                assert "_final_obs" not in info or not bool(info["_final_obs"][i])
