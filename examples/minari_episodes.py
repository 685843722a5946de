"""Offline reinforcement learning: episodes of a shipped agent as a Minari data set.

    pip install "hrm-gym[minari]"
    python -m examples.minari_episodes --env Sudoku6x6-v0 --episodes 100
    python -c "import minari; print(minari.load_dataset('hrm-gym/Sudoku6x6/pretrained-v0').total_steps)"

An action is the agent's answer and its decision to continue or to halt. `dataset.recover_environment()` makes the
environment again after `import hrm_gym`.
"""

import gymnasium as gym
import numpy as np
import torch
import tyro

import hrm_gym

try:
    import minari
except ModuleNotFoundError:
    raise SystemExit("this example needs Minari: pip install 'hrm-gym[minari]'") from None


@torch.no_grad()
def main(env: str = "Sudoku4x4-v0", episodes: int = 100, checkpoint: str = "pretrained", seed: int = 0) -> str:
    """Record episodes on training puzzles; returns the id of the data set.

    Args:
        env: the puzzles.
        episodes: how many to record.
        checkpoint: the agent, a run's folder or a file.
        seed: of the puzzles.
    """
    policy = hrm_gym.load_agent(env, checkpoint, device="cpu")
    recorder = minari.DataCollector(gym.make(env), record_infos=False)
    solved = 0
    for episode in range(episodes):
        obs, info = recorder.reset(seed=seed if episode == 0 else None)
        state, terminated = policy.initial_state(1), False
        while not terminated:
            tensors = {name: torch.as_tensor(value)[None] for name, value in obs.items()}
            state, output, signals = policy(state, tensors)
            halt = policy.halting.decide(signals, tensors["segment"] + 1)
            action = np.append(output.logits.argmax(-1)[0].numpy(), int(halt))
            obs, _, terminated, _, info = recorder.step(action)
        solved += info["is_success"]
    name = f"hrm-gym/{env.partition('-')[0]}/{'pretrained' if checkpoint == 'pretrained' else 'own'}-v0"
    dataset = recorder.create_dataset(name, algorithm_name=policy.name, description=f"{episodes} episodes of {env}")
    recorder.close()
    print(f"{name}: {dataset.total_episodes} episodes, {dataset.total_steps} steps, {solved / episodes:.0%} solved")
    return name


if __name__ == "__main__":
    tyro.cli(main)
