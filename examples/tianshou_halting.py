"""Tianshou 2: DQN learns when a reasoning model should stop thinking.

python -m examples.tianshou_halting
python -m examples.tianshou_halting --steps 50000

Halting at random returns 0.24 on test puzzles, thinking to the end 0.64, DQN 0.87: 28 s on one core.
"""

import gymnasium as gym
import numpy as np
import torch
import tyro

from examples.halting_task import ARGS, ENV, Outcome, compare

try:
    from tianshou.algorithm import DQN
    from tianshou.algorithm.modelfree.dqn import DiscreteQLearningPolicy
    from tianshou.algorithm.optim import AdamOptimizerFactory
    from tianshou.data import Batch, Collector, VectorReplayBuffer
    from tianshou.env import DummyVectorEnv
    from tianshou.trainer import OffPolicyTrainerParams
    from tianshou.utils.net.common import Net
except ModuleNotFoundError:
    raise SystemExit("this example needs Tianshou 2: pip install 'tianshou>=2'") from None

NUM_ENVS = 16


def main(steps: int = 10_000, seed: int = 0) -> dict[str, Outcome]:
    """Train, and compare the policy on test puzzles.

    Args:
        steps: decisions to learn from.
        seed: of the network, the exploration and the puzzles.
    """
    torch.manual_seed(seed)
    np.random.seed(seed)  # noqa: NPY002 (Tianshou explores and samples by it)
    envs = DummyVectorEnv([lambda: gym.make(ENV, **ARGS) for _ in range(NUM_ENVS)])  # it takes single environments
    envs.seed(seed)
    space, actions = envs.observation_space[0], envs.action_space[0]
    policy = DiscreteQLearningPolicy(
        model=Net(state_shape=space.shape, action_shape=actions.n, hidden_sizes=(64, 64)),
        action_space=actions,
        observation_space=space,
    )
    algorithm = DQN(
        policy=policy,
        optim=AdamOptimizerFactory(lr=1e-3),
        gamma=1.0,
        n_step_return_horizon=3,
        target_update_freq=100,
    )
    collector = Collector(algorithm, envs, VectorReplayBuffer(steps, NUM_ENVS), exploration_noise=True)
    collector.reset()
    algorithm.run_training(
        OffPolicyTrainerParams(
            training_collector=collector,
            training_fn=lambda epoch, step: policy.set_eps_training(max(0.05, 1 - 2 * step / steps)),
            max_epochs=1,
            epoch_num_steps=steps,
            collection_step_num_env_steps=NUM_ENVS,
            update_step_num_gradient_steps_per_sample=1 / NUM_ENVS,
            batch_size=256,
            show_progress=False,
            verbose=False,
        )
    )

    with torch.no_grad():
        return compare({"DQN": lambda obs: policy(Batch(obs=obs, info=Batch())).act})


if __name__ == "__main__":
    tyro.cli(main)
