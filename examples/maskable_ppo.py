"""sb3-contrib: MaskablePPO fills in a 4x4 Sudoku, a cell a step, and leaves the givens alone.

python -m examples.maskable_ppo
python -m examples.maskable_ppo --puzzles 4 --steps 200000

Learns one puzzle by heart: random edits return 0.14, MaskablePPO 1.75, a solved puzzle. 14 s on one core.
"""

import tyro
from stable_baselines3.common.env_util import make_vec_env

from examples.edit_task import ARGS, ENV, LEARNING, Progress, compare

try:
    from sb3_contrib import MaskablePPO
except ModuleNotFoundError:
    raise SystemExit("this example needs sb3-contrib: pip install 'hrm-gym[examples]'") from None


def main(steps: int = 15_000, puzzles: int = 1, seed: int = 0) -> dict[str, float]:
    """Train, and compare the policy with chance that leaves the givens alone, too.

    Args:
        steps: edits to learn from.
        puzzles: how many puzzles to learn.
        seed: of the network, the exploration and the puzzles.
    """
    env = make_vec_env(ENV, 16, seed, wrapper_class=Progress, env_kwargs={"num_examples": puzzles, **ARGS})
    model = MaskablePPO("MlpPolicy", env, seed=seed, device="cpu", **LEARNING)
    model.learn(steps)  # asks every environment for its action_masks()

    def greedy(obs, mask):
        return int(model.predict(obs, action_masks=mask, deterministic=True)[0])

    return compare(greedy, puzzles, masked=True)


if __name__ == "__main__":
    tyro.cli(main)
