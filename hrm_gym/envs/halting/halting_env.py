"""Deciding when an agent halts, as a Gymnasium environment."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np

from hrm_gym.envs.arguments import check_options, check_seed
from hrm_gym.envs.arrays import as_numpy
from hrm_gym.envs.drawing.slot_renderer import ending
from hrm_gym.envs.halting.frozen_model import FrozenModel, Pictures
from hrm_gym.envs.halting.halting_rules import HaltingRules, HaltingState
from hrm_gym.envs.halting.model_renderer import ModelRenderer
from hrm_gym.errors import HrmGymError


class HaltingEnv(gym.Env[np.ndarray, int]):
    """A frozen agent works on a puzzle in segments; the action decides when it halts.

    ## Description
    Adaptive computation as a reinforcement-learning problem. A trained reasoning model with fixed weights improves its
    answer segment by segment. After each segment you see how confident it is, how much its answer and state still
    change, and the inputs of its own halting rule. You either let it continue or accept its answer. If you stop too
    early, the answer is wrong; if you stop too late, you waste time.

    `gym.make("hrm_gym:Sudoku6x6-Halt-v0")` makes this environment with the shipped agent. Every puzzle id has a
    halting id.

    ## Action Space
    `Discrete(2)`: 0 to continue, 1 to halt.

    ## Observation Space
    A one-dimensional `Box`, float32. The attribute `names` lists its entries, which depend on the agent:

    | name | meaning |
    | --- | --- |
    | `segment` | number of segments so far, as a share of `max_segments` |
    | the signals of the agent's halting rule | such as `q_halt` and `q_continue`, the learned values of both actions |
    | `confidence_mean` | probability of the chosen symbol, mean over the cells |
    | `confidence_min` | the same in the least certain cell |
    | `entropy` | entropy of a cell's symbol, mean over the cells, as a share of its maximum |
    | `changed` | share of cells that changed in the last segment; 1 after the first |
    | `residual` | change of the agent's state: norm of the difference over the sum of both norms |
    | `violations` | broken rules per cell, at most 1 |

    All of these lie in [0, 1]. With `features=True`, entries whose names begin with `state_` follow: the features that
    the agent's own halting rule reads, in [-10, 10].

    ## Starting State
    A random puzzle of the split, without augmentation. `reset` runs the first segment, so there is an answer to judge
    before the first decision. `reset(options={"index": i})` selects the i-th puzzle.

    ## Rewards
    | `reward` | meaning |
    | --- | --- |
    | `"success"` | 1 at the end if the answer is correct, else 0, as in HRM |
    | `"delta"` | after each further segment, the increase of the share of correct cells |
    | `"regret"` | at the end, the value of stopping now minus the value of the best segment: at most 0 |

    Every segment after the first costs `segment_cost`. With `"success"` the return is therefore
    `right - segment_cost * (segments - 1)`, as in `PuzzleEnv`. `"regret"` compares these returns and pays nothing
    else; it needs recorded episodes.

    Most agents keep a correct answer once they have it. Without a cost and with a discount of 1, "always continue" is
    then optimal, and there is nothing to learn. Set `segment_cost` above 0, or use a discount below 1 in your learner.

    ## Episode End
    The episode terminates when the action halts, or when it continues in segment `max_segments`, without running
    another segment. The answer is graded in both cases. The environment never truncates, because its horizon is part
    of the task and visible in the observation. After the end, a step is an error until `reset`.

    ## Information
    `reset` and `step` return the same keys:

    | key | type | meaning |
    | --- | --- | --- |
    | `is_success` | bool | the answer is right |
    | `cell_accuracy` | float | the share of cells that equal the solution |
    | `segment` | int | number of segments so far |
    | `index` | int | index of the puzzle in the split |

    ## Arguments
    For an id:

    | argument | default | meaning |
    | --- | --- | --- |
    | `agent` | `"pretrained"` | or the folder of a run, or a checkpoint |
    | `split` | `"train"` | `"train"`, `"validation"` or `"test"` |
    | `num_examples` | `None` | use only the first puzzles; `None`: 1,000 if recorded, else all |
    | `reward` | `"success"` | or `"delta"` or `"regret"` |
    | `segment_cost` | `0.0` | the cost of every segment after the first; finite, not negative |
    | `max_segments` | `16` | maximum number of segments |
    | `recorded` | `True` | run the agent once per puzzle, when needed, and replay it; `False` runs it every time |
    | `features` | `False` | whether to observe the agent's features too |
    | `device` | `"cpu"` | device of the agent; observations are always NumPy arrays |
    | `render_mode` | `None` | `"human"`, `"rgb_array"` or `"ansi"`: the agent's answer and what it says about it |

    The class itself takes a `FrozenModel` (`hrm_gym.envs.halting.frozen_model`) instead of an agent, so you can use any
    model that works in segments.

    ## Version History
    - v0: initial version.
    """

    metadata = {"render_modes": ["human", "rgb_array", "ansi"], "render_fps": 4}  # noqa: RUF012 (as in Env)

    def __init__(
        self,
        model: FrozenModel,
        *,
        render_mode: str | None = None,
        pictures: Callable[[], Pictures] | None = None,
        **kwargs: Any,
    ) -> None:
        """Make the environment for a `model` with one slot; the other arguments are those of `HaltingOptions`.

        Args:
            model: the model.
            render_mode: see Arguments.
            pictures: opens the model's pictures, for rendering.
            **kwargs: those of `HaltingOptions`.

        Raises:
            HrmGymError: if an argument is unknown or out of range, or there are no pictures to render.
        """
        if model.num_slots != 1:
            raise HrmGymError(f"this model has {model.num_slots} slots: give one with 1, or use HaltingVectorEnv")
        self.rules = HaltingRules(model, **kwargs)
        self.names = self.rules.names
        self.action_space = self.rules.action_space  # type: ignore[assignment]
        self.observation_space = self.rules.observation_space
        self.render_mode = render_mode
        self._view = ModelRenderer(pictures, render_mode, self.metadata)
        self._state: HaltingState | None = None
        self._over = self._halted = False

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Begin an episode and run its first segment.

        Args:
            seed: seeds the random generator; None continues with its current state.
            options: `{"index": i}`; None picks a puzzle at random.

        Returns:
            The observation and the information.

        Raises:
            HrmGymError: if the seed, an option or the index is invalid.
        """
        super().reset(seed=check_seed(seed))
        index = self.rules.chosen(check_options(options, ("index",)))
        if index is None:
            index = self.rules.pick(self.np_random.random((1, 1)))
        state = self.rules.begin(self.rules.blank(), np.zeros(1, np.int64), index)
        self._state = self.rules.think(state, np.ones(1, bool))
        self._over = self._halted = False
        if self.render_mode == "human":
            self.render()
        return self._shown()

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Continue (0) or halt (1).

        Returns:
            The observation, the reward, terminated, truncated and the information.

        Raises:
            HrmGymError: if the action is invalid or the episode is over.
        """
        before = self._started()
        if self._over:
            raise HrmGymError("step after the end of the episode: call reset() first")
        halts = self.rules.check(as_numpy(action, "the action")[None])
        paid, over = self.rules.outcome(before, halts)
        self._state, self._over, self._halted = self.rules.think(before, ~over), over.item(), bool(halts.item())
        if self.render_mode == "human":
            self.render()
        reward = paid + self.rules.gain(before, self._state, ~over)
        observation, info = self._shown()
        return observation, reward.item(), self._over, False, info

    def render(self) -> np.ndarray | str | None:  # type: ignore[override]
        """Return the agent's answer, uint8 (H, W, 3) for "rgb_array" or text for "ansi"; "human" shows it."""
        if self.render_mode is None:
            gym.logger.warn("render() needs a render_mode: make the environment with render_mode='rgb_array'")
            return None
        state = self._started()
        title = self.spec.id if self.spec else ""
        index, segment = state.puzzle.item(), state.segment.item()
        return self._view.draw(index, segment, ending(self._over, self._halted), title)

    def close(self) -> None:
        """Close the window, if there is one."""
        self._view.close()

    def _started(self) -> HaltingState:
        if self._state is None:
            raise HrmGymError("no episode yet: call reset() first")
        return self._state

    def _shown(self) -> tuple[np.ndarray, dict[str, Any]]:
        state = self._started()
        return self.rules.observe(state)[0], {key: array.item() for key, array in self.rules.info(state).items()}
