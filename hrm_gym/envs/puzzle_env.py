"""One puzzle as a Gymnasium environment."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np

from hrm_gym.envs.drawing.viewing import View
from hrm_gym.envs.rules import Grade, Rules, State
from hrm_gym.envs.task import Task
from hrm_gym.errors import HrmGymError


class PuzzleEnv(gym.Env[Any, Any]):
    """A puzzle that is thought about in segments, and halted on when the answer seems right.

    ## Description
    One puzzle, such as a Sudoku, stands on a board of L cells, each with one of V tokens. A step is one
    segment of thought: the agent submits its answer so far and says whether to think on or to halt. Halting
    ends the episode and pays 1 if the answer is exactly right. So the question is not only what the answer
    is, but when it is good enough.

    ## Action Space
    With `action_type="board"`, the default, `MultiDiscrete([V] * L + [2])`: the token of every cell, row by
    row, and last 0 to continue or 1 to halt.

    With `action_type="edit"`, `Discrete(L * V + 1)`: `cell * V + token` writes one token into one cell of the
    answer, and `L * V` halts.

    The givens of the puzzle may be overwritten, which counts as a violation. `action_masks()`, in the form
    that MaskablePPO of sb3-contrib takes, leaves such actions out.

    ## Observation Space
    With `obs_type="dict"`, the default, a `Dict` of

    | key | space | meaning |
    | --- | --- | --- |
    | `puzzle` | `MultiDiscrete([V] * L)` | the tokens of the puzzle, row by row |
    | `answer` | `MultiDiscrete([V] * L)` | the last answer submitted |
    | `segment` | `Discrete(max_segments + 1)` | the number of steps taken |
    | `puzzle_id` | `Discrete(I)` | which of I puzzles it is an example of; only where the family has such |

    With `obs_type="flat"`, `Box(0, 1, (2 * L * V + 1,), float32)`: the puzzle one-hot, cell by cell, then the
    answer likewise, then `segment / max_segments`; where there is a `puzzle_id`, `puzzle_id / I` comes last.

    ## Starting State
    A puzzle of the split, drawn at random; for training it is shown under a random symmetry of its family.
    The answer is the puzzle itself, the segment 0. `reset(options={"index": i})` takes the i-th puzzle of
    the split as it is; `reset(options={"puzzle": "53..7...."})` takes a puzzle of your own, as text or as L
    tokens, which the family must be able to solve.

    ## Rewards
    1 at the end of an episode whose last answer is exactly right, else 0; every step costs `segment_cost`.

    ## Episode End
    - Termination: the agent halts, be it in the last segment.
    - Truncation: `max_segments` steps were taken without halting. The last answer is graded all the same.

    After that a step is an error until `reset`.

    ## Information
    `reset` and `step` give the same keys:

    | key | type | meaning |
    | --- | --- | --- |
    | `is_success` | bool | the answer is exactly right |
    | `cell_accuracy` | float | the share of all L cells that are right, givens included |
    | `violations` | int | how many rules of the puzzle the answer breaks |
    | `solution` | int64 of shape (L,) | for supervised learners |

    ## Arguments
    | argument | default | meaning |
    | --- | --- | --- |
    | `split` | `"train"` | `"train"` or `"test"`, which share no puzzle |
    | `num_examples` | `None` | keep only the first so many training puzzles; `None` keeps all |
    | `action_type` | `"board"` | or `"edit"` |
    | `obs_type` | `"dict"` | or `"flat"` |
    | `max_segments` | `None` | `None`: 16 for boards, 2 * L for edits, which write a cell each |
    | `segment_cost` | `0.0` | what every step costs |
    | `augment` | `None` | random symmetries; `None`: in training. Test puzzles never change |
    | `count_violations` | `True` | whether to tell `violations`; on a GPU those of large mazes take their time |
    | `dataset` | `None` | the path of a file of puzzles instead of the shipped ones |
    | `render_mode` | `None` | `"human"`, `"rgb_array"` or `"ansi"` |

    The id fills in `task` and the task's own arguments.

    ## Version History
    - v0: initial version.
    """

    metadata = {"render_modes": ["human", "rgb_array", "ansi"], "render_fps": 4}  # noqa: RUF012 (as in Env)

    def __init__(self, task: str, *, render_mode: str | None = None, **kwargs: Any) -> None:
        """Make the environment of a `task`, an id or "module:Class"; the others are arguments of `Rules`.

        Raises:
            HrmGymError: on an argument that is unknown or out of range.
        """
        self.rules = Rules(task, **kwargs)
        self.render_mode = render_mode
        self.action_space = self.rules.action_space
        self.observation_space = self.rules.observation_space
        self._view = View(self.rules, render_mode, self.metadata)
        self._state: State | None = None
        self._previous: np.ndarray | None = None
        self._over = False

    @property
    def task(self) -> Task:
        """The puzzle family."""
        return self.rules.task

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin an episode.

        Args:
            seed: seeds the random numbers; None goes on with them.
            options: `{"index": i}` or `{"puzzle": text or tokens}`; None picks a puzzle at random.

        Returns:
            The observation and the information.

        Raises:
            HrmGymError: on an unknown option, an index out of range, or a puzzle that is malformed or
                unsolvable.
        """
        super().reset(seed=seed)
        state = self.rules.chosen(options or {}, num=1)
        if state is None:
            uniforms = self.np_random.random((1, self.rules.num_uniforms))
            state = self.rules.start(self.rules.data, uniforms)
        self._state, self._previous, self._over = state, None, False
        if self.render_mode == "human":
            self.render()
        return self._observation(state), self._info(state, self.rules.grade(state))

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Submit an answer, or an edit of it, and think on or halt.

        Returns:
            The observation, the reward, terminated, truncated and the information.

        Raises:
            HrmGymError: on an action outside the action space, or when the episode is over.
        """
        before = self._started()
        if self._over:
            raise HrmGymError("step after the end of the episode: call reset() first")
        state, halt = self.rules.act(before, self.rules.check(np.asarray(action)[None], num=1))
        grade = self.rules.grade(state)
        reward, terminated, truncated = (array.item() for array in self.rules.outcome(state, halt, grade))
        self._state, self._previous, self._over = state, before.answer, terminated or truncated
        if self.render_mode == "human":
            self.render()
        return self._observation(state), reward, terminated, truncated, self._info(state, grade)

    def action_masks(self) -> np.ndarray:
        """Which actions make sense now, bool of shape (L * V + 2,) for boards and (L * V + 1,) for edits."""
        return self.rules.action_masks(self._started())[0]

    def render(self) -> np.ndarray | str | None:  # type: ignore[override]
        """The board: uint8 (H, W, 3) for "rgb_array", text for "ansi"; "human" shows it and gives None."""
        if self.render_mode is None:
            gym.logger.warn("render() needs a render_mode: make the environment with render_mode='rgb_array'")
            return None
        return self._view.draw(self._started(), 0, self._previous, title=self.spec.id if self.spec else "")

    def close(self) -> None:
        """Close the window, if there is one."""
        self._view.close()

    def _started(self) -> State:
        if self._state is None:
            raise HrmGymError("no episode yet: call reset() first")
        return self._state

    def _observation(self, state: State) -> Any:
        batch = self.rules.observe(state)
        return {key: array[0] for key, array in batch.items()} if isinstance(batch, dict) else batch[0]

    def _info(self, state: State, grade: Grade) -> dict[str, Any]:
        batch = self.rules.info(state, grade)
        return {key: array[0] if array.ndim > 1 else array.item() for key, array in batch.items()}
