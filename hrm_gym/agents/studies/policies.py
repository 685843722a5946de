"""Stopping rules over recorded episodes: when would each rule have halted?

Each function takes `Episodes` of N puzzles and T segments and returns the stopping segment of each puzzle, int64
(N,) in 1..T. Only the oracle uses the solutions.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from hrm_gym.agents.halting.rule import HaltingRule
from hrm_gym.envs.halting.frozen_model import Episodes, RecordedModel
from hrm_gym.envs.halting.halting_env import HaltingEnv
from hrm_gym.errors import HrmGymError, extra, unknown

LEARNERS = ("dqn", "ppo")

_ENVS = 16
"""Number of parallel environments for a learner of Stable-Baselines3."""


def first(halt: np.ndarray) -> np.ndarray:
    """The first segment where `halt`, bool (N, T), is true; the last segment if it never is."""
    halt = halt.copy()
    halt[:, -1] = True
    return halt.argmax(1) + 1


# ---- rules without learning ----------------------------------------------------------------------


def fixed(episodes: Episodes, segments: int) -> np.ndarray:
    """The same number of segments for every puzzle.

    Raises:
        HrmGymError: if the episodes are shorter.
    """
    if not 1 <= segments <= episodes.max_segments:
        raise HrmGymError(f"{segments} segments: the episodes have 1 to {episodes.max_segments}")
    return np.full(len(episodes), segments)


def signals_of(rule: HaltingRule | None, episodes: Episodes) -> dict[str, np.ndarray]:
    """The signals for thresholds, (N, T) each.

    `lead`: by how many logits the agent's own rule prefers halting; a threshold of 0 is its own policy. `belief`: the
    logit that the answer is right, if the rule has a belief. All others are features of the episodes.
    """
    found = {name: episodes.column(name) for name in episodes.names}
    if rule is None:
        return found
    read = {name: torch.logit(torch.from_numpy(episodes.column(name)).double(), eps=1e-7) for name in rule.signals}
    segment = torch.arange(1, episodes.max_segments + 1).expand(episodes.right.shape)
    found["lead"] = rule.lead(read, segment).numpy()
    if (belief := rule.belief(read)) is not None:
        found["belief"] = belief.numpy()
    return found


def threshold(signal: np.ndarray, level: float, below: bool = False) -> np.ndarray:
    """Halt once the signal, (N, T), is above `level`; with `below`, below it."""
    return first(signal < level if below else signal > level)


def random(episodes: Episodes, seed: int = 0) -> np.ndarray:
    """A segment drawn uniformly for each puzzle."""
    return np.random.default_rng(seed).integers(1, episodes.max_segments + 1, len(episodes))


def oracle(episodes: Episodes) -> np.ndarray:
    """The first right segment, or segment 1 if none is right, because more time would not have helped.

    It uses the solutions. No policy is right more often, or equally often with fewer segments.
    """
    return episodes.right.argmax(1) + 1


# ---- the value of stopping -----------------------------------------------------------------------


def right_at(episodes: Episodes, stops: np.ndarray) -> np.ndarray:
    """Whether the answers at the stopping segments are right, bool (N,)."""
    return episodes.right[np.arange(len(episodes)), stops - 1]


def value(episodes: Episodes, stops: np.ndarray, cost: float) -> float:
    """The mean return: the share of right answers minus `cost` for each segment after the first."""
    return float(right_at(episodes, stops).mean() - cost * (stops.mean() - 1))


def levels(signal: np.ndarray, num: int = 64) -> np.ndarray:
    """Candidate thresholds, from "always halt at once" to "never halt"."""
    finite = signal[np.isfinite(signal)]
    if not finite.size:
        return np.zeros(1)
    inside = np.quantile(finite, np.linspace(0, 1, num))
    return np.unique(np.concatenate((inside[:1] - 1, inside, inside[-1:] + 1)))


def best_level(episodes: Episodes, signal: np.ndarray, cost: float, below: bool = False) -> float:
    """The threshold with the highest mean return on these episodes."""
    tried = levels(signal)
    values = [value(episodes, threshold(signal, level, below), cost) for level in tried]
    return float(tried[int(np.argmax(values))])


def best_fixed(episodes: Episodes, cost: float) -> int:
    """The number of segments with the highest mean return on these episodes."""
    spent = cost * np.arange(episodes.max_segments)
    return int(np.argmax(episodes.right.mean(0) - spent)) + 1


# ---- learned rules: Stable-Baselines3 on the halting environment ---------------------------------


def stable_baselines3() -> Any:
    """The module of DQN and PPO.

    Raises:
        HrmGymError: if it is missing.
    """
    return extra("stable_baselines3", "sb3", "training DQN and PPO", "give --train-steps 0")


def learn(episodes: Episodes, algorithm: str, cost: float, steps: int = 20_000, seed: int = 0) -> Any:
    """Train DQN or PPO of Stable-Baselines3 on the halting environment.

    Undiscounted, with the cost of a segment in the reward. Reaching the horizon is a termination, not a truncation:
    the horizon is observable and part of the task, and these learners would otherwise bootstrap beyond it.

    Args:
        episodes: episodes to train on.
        algorithm: "dqn" or "ppo".
        cost: cost of a segment.
        steps: number of decisions to train on.
        seed: seed of the network, the exploration and the puzzles.

    Returns:
        The model of Stable-Baselines3.

    Raises:
        HrmGymError: on an unknown algorithm or a number out of range.
    """
    if algorithm not in LEARNERS:
        raise unknown("algorithm", algorithm, LEARNERS)
    if steps < 1:
        raise HrmGymError(f"{steps} training steps: give at least 1")
    sb3 = stable_baselines3()
    from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

    def make() -> HaltingEnv:
        return HaltingEnv(RecordedModel(episodes), segment_cost=cost)

    # Standardise: small differences near 1 matter most.
    env = VecNormalize(DummyVecEnv([make for _ in range(_ENVS)]), training=False, norm_reward=False)
    seen = _observations(episodes).astype(np.float64)
    scale: Any = env.obs_rms
    scale.mean, scale.var = seen.mean(0), seen.var(0).clip(1e-6)
    common: dict[str, Any] = {"gamma": 1.0, "seed": seed, "device": "cpu", "learning_rate": _falling}
    model: Any
    if algorithm == "dqn":
        model = sb3.DQN(
            "MlpPolicy",
            env,
            **common,
            n_steps=3,  # the savings of halting are small against its reward and the noise of the estimates
            buffer_size=50_000,
            learning_starts=min(1_000, steps // 2),
            batch_size=256,
            train_freq=1,
            gradient_steps=2,
            target_update_interval=500,
            exploration_fraction=0.5,
            exploration_final_eps=0.05,
        )
    else:
        rollout = min(128, max(8, steps // _ENVS // 8 * 8))  # whole batches
        model = sb3.PPO("MlpPolicy", env, **common, n_steps=rollout, batch_size=8 * _ENVS, n_epochs=4, ent_coef=0.003)
    return model.learn(steps)


def stops_of(model: Any, episodes: Episodes) -> np.ndarray:
    """The stopping segments of the greedy policy of a model from `learn`."""
    observations = model.get_vec_normalize_env().normalize_obs(_observations(episodes))
    actions, _ = model.predict(observations, deterministic=True)
    return first(actions.reshape(episodes.right.shape) == 1)


def _observations(episodes: Episodes) -> np.ndarray:
    """All observations of the halting environment, float32 (N * T, 1 + F)."""
    num, total = episodes.right.shape
    segment = np.tile(np.arange(1, total + 1, dtype=np.float32) / total, (num, 1))[:, :, None]
    return np.concatenate((segment, episodes.features), axis=-1).reshape(num * total, -1)


def _falling(left: float) -> float:
    """The learning rate when a share `left` of the training remains."""
    return 1e-3 * left + 1e-5
