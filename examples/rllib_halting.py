"""RLlib (new API stack): PPO learns when a reasoning model should stop thinking.

RLlib pins a Gymnasium of its own, so it wants an environment of its own; docs/libraries.md has the recipe.

    python -m examples.rllib_halting
    python -m examples.rllib_halting --iterations 30

Halting at random returns 0.24 on test puzzles, thinking to the end 0.64, PPO 0.89: 24 s on one core.
"""

import gymnasium as gym
import torch
import tyro

from examples.halting_task import ARGS, ENV, Outcome, compare

try:
    import ray
    from ray.rllib.algorithms.ppo import PPOConfig
    from ray.rllib.core.columns import Columns
    from ray.rllib.core.rl_module.default_model_config import DefaultModelConfig
    from ray.tune.registry import register_env
except ModuleNotFoundError:
    raise SystemExit("this example needs RLlib: pip install 'ray[rllib]', in an environment of its own") from None


def main(iterations: int = 12, seed: int = 0) -> dict[str, Outcome]:
    """Train, and compare the policy on test puzzles.

    Args:
        iterations: of 1,024 decisions each.
        seed: of the network, the exploration and the puzzles.
    """
    register_env("halting", lambda config: gym.make(ENV, **config))
    config = (
        PPOConfig()
        .environment("halting", env_config=ARGS)
        .env_runners(num_env_runners=0, num_envs_per_env_runner=16)  # in this process, which records the thoughts once
        .learners(num_learners=0)
        .rl_module(model_config=DefaultModelConfig(fcnet_hiddens=[64, 64], vf_share_layers=False))
        .training(
            gamma=1.0, lr=2e-3, train_batch_size_per_learner=1024, minibatch_size=128, num_epochs=8, entropy_coeff=0.01
        )
        .debugging(seed=seed)
    )
    ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False)
    try:
        algorithm = config.build_algo()
        for _ in range(iterations):
            algorithm.train()
        module = algorithm.get_module()
    finally:
        ray.shutdown()

    def greedy(obs):
        out = module.forward_inference({Columns.OBS: torch.from_numpy(obs)})
        return out[Columns.ACTION_DIST_INPUTS].argmax(-1).numpy()

    with torch.no_grad():
        return compare({"PPO": greedy})


if __name__ == "__main__":
    tyro.cli(main)
