"""TorchRL: DQN on the native batch of the halting environment, whose finished slots TorchRL resets itself.

python -m examples.torchrl_halting
python -m examples.torchrl_halting --steps 50000

Halting at random returns 0.24 on test puzzles, thinking to the end 0.64, DQN 0.86: 15 s on one core.
"""

import gymnasium as gym
import torch
import tyro

from examples.halting_task import ARGS, ENV, Outcome, compare

try:
    from tensordict import TensorDict
    from tensordict.nn import TensorDictSequential
    from torchrl.collectors import Collector
    from torchrl.data import LazyTensorStorage, TensorDictReplayBuffer
    from torchrl.envs import GymWrapper
    from torchrl.modules import MLP, EGreedyModule, QValueActor
    from torchrl.objectives import DQNLoss, SoftUpdate
except ModuleNotFoundError:
    raise SystemExit("this example needs TorchRL: pip install 'hrm-gym[examples]'") from None

NUM_ENVS = 64


def main(steps: int = 25_600, seed: int = 0) -> dict[str, Outcome]:
    """Train, and compare the policy on test puzzles.

    Args:
        steps: decisions to learn from.
        seed: of the network, the exploration and the puzzles.
    """
    torch.manual_seed(seed)
    # Of the three autoreset modes TorchRL likes "Disabled" best: it says itself which slots begin anew.
    envs = gym.make_vec(ENV, num_envs=NUM_ENVS, autoreset_mode="Disabled", **ARGS)
    env = GymWrapper(envs, categorical_action_encoding=True)  # actions are integers, not one-hot
    env.set_seed(seed)
    network = MLP(in_features=envs.single_observation_space.shape[0], out_features=2, num_cells=[64, 64])
    actor = QValueActor(network, spec=env.action_spec_unbatched, action_space="categorical")
    explore = EGreedyModule(env.action_spec, eps_init=1.0, eps_end=0.05, annealing_num_steps=steps // 2)

    loss_of = DQNLoss(actor, action_space="categorical", delay_value=True)
    loss_of.make_value_estimator(gamma=1.0)
    target = SoftUpdate(loss_of, tau=0.02)
    optimizer = torch.optim.Adam(loss_of.parameters(), lr=2e-3)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.01, total_iters=steps // NUM_ENVS)
    buffer = TensorDictReplayBuffer(storage=LazyTensorStorage(steps), batch_size=256)

    policy = TensorDictSequential(actor, explore)
    for data in Collector(
        env, policy, frames_per_batch=NUM_ENVS, total_frames=steps, auto_register_policy_transforms=False
    ):
        explore.step(data.numel())
        buffer.extend(data.reshape(-1))
        for _ in range(2):
            optimizer.zero_grad()
            loss_of(buffer.sample())["loss"].backward()
            optimizer.step()
            target.step()
        schedule.step()

    def greedy(obs):
        return actor(TensorDict({"observation": torch.from_numpy(obs)}, batch_size=len(obs)))["action"].numpy()

    with torch.no_grad():
        return compare({"DQN": greedy})


if __name__ == "__main__":
    tyro.cli(main)
