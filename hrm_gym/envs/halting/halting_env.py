"""When to stop thinking, as a Gymnasium environment."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np

from hrm_gym.envs.arguments import check_options, check_seed
from hrm_gym.envs.arrays import as_numpy
from hrm_gym.envs.halting.frozen_model import FrozenModel
from hrm_gym.envs.halting.halting_rules import HaltingRules, HaltingState
from hrm_gym.errors import HrmGymError


class HaltingEnv(gym.Env[np.ndarray, int]):
    """A frozen agent thinks about a puzzle in segments; the action decides when it stops.

    ## Description
    Adaptive computation as a reinforcement-learning problem. A trained reasoning model, which is not changed here,
    improves its answer segment by segment. After each segment you see how confident it is, how much it still
    changes and what its own halting rule reads. You either let it think on or take its answer. Stop too early, and
    the answer is wrong; stop too late, and time is wasted.

    `gym.make("hrm_gym:Sudoku6x6-Halt-v0")` makes this environment over the shipped agent; every puzzle id has such
    a twin.

    ## Action Space
    `Discrete(2)`: 0 to continue, 1 to halt.

    ## Observation Space
    `Box` of one dimension, float32; the attribute `names` lists its entries. They depend on the agent, in this order:

    | name | meaning |
    | --- | --- |
    | `segment` | segments thought, as a share of `max_segments` |
    | the signals of the agent's halting rule | such as `q_halt` and `q_continue`, the learned values of both actions |
    | `confidence_mean` | probability of the chosen symbol, mean over the cells |
    | `confidence_min` | the same in the least certain cell |
    | `entropy` | of the symbol of a cell, mean over the cells, as a share of the highest possible entropy |
    | `changed` | share of cells that changed since the segment before; 1 after the first |
    | `residual` | how far the agent's state moved: norm of the difference over the sum of both norms |
    | `violations` | broken rules per cell, at most 1 |

    All of these lie in [0, 1]. Entries whose names begin with `state_` (see `features`) are the agent's
    features, which its own halting rule reads, and lie in [-10, 10].

    ## Starting State
    A random puzzle of the split, shown as it is. `reset` thinks the first segment, so the first decision already has
    an answer to judge. `reset(options={"index": i})` takes the i-th puzzle.

    ## Rewards
    | `reward` | meaning |
    | --- | --- |
    | `"success"` | 1 on ending with a right answer, else 0, as in HRM |
    | `"delta"` | after each further segment, by how much the share of right cells grew |
    | `"regret"` | on ending, the value of stopping now minus the value of the best segment: at most 0 |

    Every segment after the first costs `segment_cost`. With `"success"` the return is therefore
    `right - segment_cost * (segments - 1)`, as in `PuzzleEnv`. With `"regret"`, which needs recorded episodes, this
    is the value that is compared, and nothing else is paid.

    Most agents keep a right answer once they have it. With no cost and a discount of 1, "always continue" is then
    optimal, and there is nothing to learn. So set `segment_cost` above 0, or use a discount below 1 in your learner.

    ## Episode End
    The episode terminates when the action halts, and when it continues in segment `max_segments`, after which nothing
    more is thought. The answer is graded both times. The environment never truncates: its horizon is part of the
    task and visible in the observation. After the end, a step is an error until `reset`.

    ## Information
    `reset` and `step` return the same keys:

    | key | type | meaning |
    | --- | --- | --- |
    | `is_success` | bool | the answer is right |
    | `cell_accuracy` | float | the share of cells that equal the solution |
    | `segment` | int | segments thought |
    | `index` | int | which puzzle of the split it is |

    ## Arguments
    Those of the id:

    | argument | default | meaning |
    | --- | --- | --- |
    | `agent` | `"pretrained"` | or the folder of a run, or a checkpoint |
    | `split` | `"train"` | `"train"`, `"validation"` or `"test"` |
    | `num_examples` | `None` | only the first so many puzzles; `None`: 1,000 if recorded, else all |
    | `reward` | `"success"` | or `"delta"` or `"regret"` |
    | `segment_cost` | `0.0` | the cost of every segment after the first; finite, not negative |
    | `max_segments` | `16` | the last segment |
    | `recorded` | `True` | think an episode once, when needed, and replay it; `False` thinks live |
    | `features` | `False` | whether to observe the agent's features too |
    | `device` | `"cpu"` | where the agent thinks; observations are NumPy arrays in any case |

    The class itself takes a `FrozenModel` (`hrm_gym.envs.halting.frozen_model`) instead of an agent, so any model that
    thinks in segments will do.

    ## Version History
    - v0: initial version.
    """

    metadata = {"render_modes": []}  # noqa: RUF012 (as in Env)

    def __init__(self, model: FrozenModel, **kwargs: Any) -> None:
        """Make the environment over the one slot of a `model`; the others are arguments of `HaltingOptions`.

        Raises:
            HrmGymError: on an argument that is unknown or out of range.
        """
        if model.num_slots != 1:
            raise HrmGymError(f"this model has {model.num_slots} slots: give one with 1, or use HaltingVectorEnv")
        self.rules = HaltingRules(model, **kwargs)
        self.names = self.rules.names
        self.action_space = self.rules.action_space  # type: ignore[assignment]
        self.observation_space = self.rules.observation_space
        self._state: HaltingState | None = None
        self._over = False

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Begin an episode and think its first segment.

        Args:
            seed: seeds the random numbers; None goes on with them.
            options: `{"index": i}`; None picks a puzzle at random.

        Returns:
            The observation and the information.

        Raises:
            HrmGymError: on a bad seed, an unknown option or an index out of range.
        """
        super().reset(seed=check_seed(seed))
        index = self.rules.chosen(check_options(options, ("index",)))
        if index is None:
            index = self.rules.pick(self.np_random.random((1, 1)))
        state = self.rules.begin(self.rules.blank(), np.zeros(1, np.int64), index)
        self._state, self._over = self.rules.think(state, np.ones(1, bool)), False
        return self._shown()

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Think on (0) or halt (1).

        Returns:
            The observation, the reward, terminated, truncated and the information.

        Raises:
            HrmGymError: on another action, or when the episode is over.
        """
        if self._state is None:
            raise HrmGymError("no episode yet: call reset() first")
        if self._over:
            raise HrmGymError("step after the end of the episode: call reset() first")
        before = self._state
        paid, over = self.rules.outcome(before, self.rules.check(as_numpy(action, "the action")[None]))
        self._state, self._over = self.rules.think(before, ~over), over.item()
        reward = paid + self.rules.gain(before, self._state, ~over)
        observation, info = self._shown()
        return observation, reward.item(), self._over, False, info

    def _shown(self) -> tuple[np.ndarray, dict[str, Any]]:
        assert self._state is not None
        info = {key: array.item() for key, array in self.rules.info(self._state).items()}
        return self.rules.observe(self._state)[0], info
