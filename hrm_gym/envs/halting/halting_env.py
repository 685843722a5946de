"""When to stop thinking, as a Gymnasium environment."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np

from hrm_gym.envs.halting.halting_rules import HaltingRules, State
from hrm_gym.envs.halting.thinkers import Thinker
from hrm_gym.errors import HrmGymError


class HaltingEnv(gym.Env[np.ndarray, int]):
    """A frozen agent thinks about a puzzle in segments; the action says when it stops.

    ## Description
    Adaptive computation as a reinforcement-learning problem. A reasoning model, which learns nothing here,
    improves its answer segment by segment. After each one you see how sure it is, how much it still moves and
    what it thinks of itself, and either let it think on or take the answer as it stands. Too early, and the
    answer is wrong; too late, and the time is wasted.

    `gym.make("hrm_gym:Sudoku6x6-Halt-v0")` gives this over the shipped agent; every puzzle id has such a twin.

    ## Action Space
    `Discrete(2)`: 0 to continue, 1 to halt.

    ## Observation Space
    `Box` of one dimension, float32. Its entries in order (`HaltingEnv.names` lists them), all in [0, 1]:

    | entry | name | meaning |
    | --- | --- | --- |
    | 0 | `segment` | segments thought, as a share of `max_segments` |
    | 1 | `q_halt` | the agent's value of halting: its probability of being right |
    | 2 | `q_continue` | its value of going on; 1/2 for agents that learned none (TRM) |
    | 3 | `confidence_mean` | probability of the chosen symbol, mean over the cells |
    | 4 | `confidence_min` | the same in the least certain cell |
    | 5 | `entropy` | of a cell's symbol, mean over the cells, as a share of the highest possible one |
    | 6 | `changed` | share of cells that changed since the segment before; 1 after the first |
    | 7 | `moved_h` | how far the slow state z_H moved: norm of the difference over the sum of both norms |
    | 8 | `moved_l` | the same of the fast state z_L |
    | 9 | `violations` | rules that the answer breaks, a cell, at most 1 |

    Entries 1 and 2 are sigmoids of the learned Q values, so the agent's own policy is `obs[1] > obs[2]`. With
    `pooled_states=True` the mean of z_H over all positions follows, clipped to [-10, 10].

    ## Starting State
    A puzzle of the split, drawn at random and shown as it is. Its first segment is thought in `reset`, so that
    the first decision already has an answer before it. `reset(options={"index": i})` takes the i-th puzzle.

    ## Rewards
    | `reward` | meaning |
    | --- | --- |
    | `"success"` | 1 on ending with an exactly right answer, else 0: HRM's own |
    | `"delta"` | after each further segment, by how much the share of right cells grew |
    | `"regret"` | on ending, the value of this moment minus that of the best one: at most 0 |

    Every segment after the first costs `segment_cost`. For `"regret"`, which needs recorded episodes, the value
    of a moment is 1 or 0 minus the cost of all segments until then, and nothing else is paid.

    An agent that keeps a right answer once it has it makes going on never worse than halting, as long as time
    is free: with no cost and a discount of 1, "always continue" is optimal and nothing is to be learned. So set
    `segment_cost` above 0 here, or gamma below 1 in your learner.

    ## Episode End
    - Termination: the action halts. The answer is graded.
    - Truncation: the action continues in segment `max_segments`. Nothing more is thought, and the answer is
      graded all the same.

    A learner that bootstraps from the last observation of a truncated episode, as PPO and DQN of
    Stable-Baselines3 do, would count that grade twice. `truncate=False` makes this end a termination for it,
    which is right: the last segment can be told by entry 0. After the end a step is an error until `reset`.

    ## Information
    `reset` and `step` give the same keys:

    | key | type | meaning |
    | --- | --- | --- |
    | `is_success` | bool | the answer is exactly right |
    | `cell_accuracy` | float | the share of cells that are right |
    | `segment` | int | segments thought |
    | `index` | int | which puzzle of the split it is |

    ## Arguments
    Those of the id, `hrm_gym.agents.inference.live.make_halting_env`:

    | argument | default | meaning |
    | --- | --- | --- |
    | `agent` | `"pretrained"` | or a run's folder, or a checkpoint |
    | `split` | `"train"` | `"train"` or `"test"` |
    | `num_examples` | `None` | only the first so many puzzles; `None`: 1,000 when recorded, else all |
    | `reward` | `"success"` | or `"delta"` or `"regret"` |
    | `segment_cost` | `0.0` | what every segment after the first costs |
    | `max_segments` | `16` | the last segment |
    | `truncate` | `True` | whether going on in the last segment truncates or terminates |
    | `recorded` | `True` | all episodes are thought once and replayed from memory; `False` thinks live |
    | `pooled_states` | `False` | whether the mean of z_H is observed too |
    | `device` | `"cpu"` | where the agent thinks; observations are NumPy in any case |

    The class itself is handed a `Thinker` (`hrm_gym.envs.halting.thinkers`) instead of an agent, so any model that
    thinks in segments will do.

    ## Version History
    - v0: initial version.
    """

    metadata = {"render_modes": []}  # noqa: RUF012 (as in Env)

    def __init__(self, thinker: Thinker, **kwargs: Any) -> None:
        """Make the environment over the one slot of a `thinker`; the others are arguments of `HaltingRules`.

        Raises:
            HrmGymError: on an argument that is unknown or out of range.
        """
        if thinker.num_slots != 1:
            raise HrmGymError(f"this thinker has {thinker.num_slots} slots: give one with 1, or use HaltingVectorEnv")
        self.rules = HaltingRules(thinker, **kwargs)
        self.names = self.rules.names
        self.action_space = self.rules.action_space  # type: ignore[assignment]
        self.observation_space = self.rules.observation_space
        self._state: State | None = None
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
            HrmGymError: on an unknown option or an index out of range.
        """
        super().reset(seed=seed)
        index = self.rules.chosen(options or {})
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
        terminated, truncated, reward = self.rules.outcome(before, self.rules.check(np.asarray(action)[None]))
        on = ~(terminated | truncated)
        self._state, self._over = self.rules.think(before, on), not on.item()
        reward = reward + self.rules.gain(before, self._state, on)
        observation, info = self._shown()
        return observation, reward.item(), terminated.item(), truncated.item(), info

    def _shown(self) -> tuple[np.ndarray, dict[str, Any]]:
        assert self._state is not None
        info = {key: array.item() for key, array in self.rules.info(self._state).items()}
        return self.rules.observe(self._state)[0], info
