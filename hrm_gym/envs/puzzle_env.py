"""One puzzle as a Gymnasium environment."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np

from hrm_gym.envs.arguments import check_options, check_seed
from hrm_gym.envs.arrays import as_numpy
from hrm_gym.envs.drawing.slot_renderer import SlotRenderer, ending, frame_of
from hrm_gym.envs.rules import Graded, PuzzleState, Rules
from hrm_gym.envs.slots import row_of
from hrm_gym.envs.task import Task
from hrm_gym.errors import HrmGymError


class PuzzleEnv(gym.Env[Any, Any]):
    """Solve a puzzle in segments, and halt when the answer seems correct.

    ## Description
    A puzzle, such as a Sudoku, is a board of L cells, each with one of V tokens. A step is one segment: the agent
    submits its current answer and chooses to continue or to halt. Halting ends the episode and pays 1 if the answer is
    correct. So the agent decides two things: what the answer is, and when it is good enough.

    ## Action Space
    With `action_type="board"`, the default, `MultiDiscrete([V] * L + [2])`: the token of every cell, row by row, and
    a last entry, 0 to continue or 1 to halt. With `guesses` above 0 it can also be 2, to give up.

    With `action_type="edit"`, `Discrete(L * V + 1)`: `cell * V + token` writes one token into one cell of the
    answer, and `L * V` halts.

    An action may overwrite the givens of the puzzle, which counts as a violation. `action_masks()` excludes such
    actions; its format is that of MaskablePPO in sb3-contrib.

    ## Observation Space
    With `obs_type="dict"`, the default, a `Dict` of

    | key | space | meaning |
    | --- | --- | --- |
    | `puzzle` | `MultiDiscrete([V] * L)` | the tokens of the puzzle, row by row |
    | `answer` | `MultiDiscrete([V] * L)` | the last answer submitted |
    | `segment` | `Discrete(max_segments + 1)` | the number of steps taken |
    | `puzzle_id` | `Discrete(I)` | the identity of the puzzle; only in families with I identities, such as ARC |

    With `obs_type="flat"`, `Box(0, 1, (2 * L * V + 1,), float32)`: the puzzle one-hot, cell by cell, the answer in the
    same form, and `segment / max_segments`. Families with identities append `puzzle_id / I`.

    ## Starting State
    A random puzzle of the split, in training under a random symmetry of its family. The answer is the puzzle itself,
    and the segment is 0. `reset(options={"index": i})` selects the i-th puzzle of the split without a symmetry;
    `reset(options={"puzzle": "53..7...."})` uses your own puzzle, as text or as L tokens, if the family has a solver.

    ## Rewards
    The last step pays 1 if the answer is correct, else 0. Every other step costs `segment_cost`. So the return is
    `right - segment_cost * (segments - 1)`.

    An answer is correct if it satisfies the rules of the puzzle. For example, any shortest path through a maze is
    correct, even if the dataset lists another one. With `graded_by="solution"`, and in families whose rules cannot
    decide (ARC), the answer must equal the solution.

    ## Episode End
    The episode terminates when the agent halts or after segment `max_segments`; the answer is graded in both cases.
    The environment never truncates, because its horizon is part of the task and visible in the observation. After the
    end, a step is an error until `reset`.

    ## Information
    `reset` and `step` return the same keys:

    | key | type | meaning |
    | --- | --- | --- |
    | `is_success` | bool | whether the answer is correct |
    | `cell_accuracy` | float | the share of all L cells, including givens, that equal the solution |
    | `violations` | int | the number of rules that the answer breaks |
    | `solution` | int64 of shape (L,) | for supervised learning |

    ## Arguments
    The fields of `EnvOptions` (`hrm_gym.envs.options`, with defaults and meanings), such as `split`, `action_type`,
    `obs_type`, `max_segments` and `segment_cost`; `render_mode`, which is `None`, `"human"`, `"rgb_array"` or `"ansi"`;
    the arguments of the puzzle family, which the id sets together with `task`; and `generator`, a function that makes
    other puzzles for the family (`hrm_gym.envs.generated.Generator`).

    ## Version History
    - v0: initial version.
    """

    metadata = {"render_modes": ["human", "rgb_array", "ansi"], "render_fps": 4}  # noqa: RUF012 (as in Env)

    def __init__(self, task: str, *, render_mode: str | None = None, **kwargs: Any) -> None:
        """Make the environment of a `task`, an id or "module:Class".

        Other arguments are fields of `EnvOptions` and arguments of the family.

        Raises:
            HrmGymError: if an argument is unknown or out of range.
        """
        self.rules = Rules(task, **kwargs)
        self.render_mode = render_mode
        self.action_space = self.rules.action_space
        self.observation_space = self.rules.observation_space
        self._view = SlotRenderer(self.task, render_mode, self.metadata)
        self._state: PuzzleState | None = None
        self._graded: Graded
        self._previous: np.ndarray | None = None
        self._over = self._halted = False

    @property
    def task(self) -> Task:
        """The puzzle family."""
        return self.rules.task

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin an episode.

        Args:
            seed: seeds the random generator; None continues with its current state.
            options: `{"index": i}` or `{"puzzle": text or tokens}`; None picks a puzzle at random.

        Returns:
            The observation and the information.

        Raises:
            HrmGymError: if the seed, an option or the index is invalid, or the puzzle is malformed or unsolvable.
        """
        super().reset(seed=check_seed(seed))
        state = self.rules.chosen(check_options(options, ("puzzle", "index")), num=1)
        if state is None:
            uniforms = self.np_random.random((1, self.rules.num_uniforms))
            state = self.rules.start(self.rules.data, uniforms)
        self._state, self._previous = state, None
        self._over = self._halted = False
        if self.render_mode == "human":
            self.render()
        self._graded = self.rules.grade(state)
        return self._observation(state), self._info(state, self._graded)

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Submit an answer, or an edit of it, and continue or halt.

        Returns:
            The observation, the reward, terminated, truncated and the information.

        Raises:
            HrmGymError: if the action is outside the action space or the episode is over.
        """
        before = self._started()
        if self._over:
            raise HrmGymError("step after the end of the episode: call reset() first")
        state, decision = self.rules.act(before, self.rules.check(as_numpy(action, "the action")[None], num=1))
        grade = self._graded = self.rules.grade(state, (before.answer, self._graded.violations))
        reward, terminated = (array.item() for array in self.rules.outcome(state, decision, grade.right))
        self._state, self._previous = state, before.answer
        self._over, self._halted = terminated, bool(decision.item())
        if self.render_mode == "human":
            self.render()
        return self._observation(state), reward, terminated, False, self._info(state, grade)

    def action_masks(self) -> np.ndarray:
        """Return the mask of sensible actions, bool of shape (L * V + 2,) for boards and (L * V + 1,) for edits."""
        return self.rules.action_masks(self._started())[0]

    def render(self) -> np.ndarray | str | None:  # type: ignore[override]
        """Return the board, uint8 (H, W, 3) for "rgb_array" or text for "ansi"; "human" shows it and returns None."""
        if self.render_mode is None:
            gym.logger.warn("render() needs a render_mode: make the environment with render_mode='rgb_array'")
            return None
        title = self.spec.id if self.spec else ""
        ended = ending(self._over, self._halted)
        return self._view.draw(frame_of(self.rules, self._started(), 0, self._previous, ended), title)

    def close(self) -> None:
        """Close the window, if there is one."""
        self._view.close()

    def _started(self) -> PuzzleState:
        if self._state is None:
            raise HrmGymError("no episode yet: call reset() first")
        return self._state

    def _observation(self, state: PuzzleState) -> Any:
        return row_of(self.rules.observe(state), 0)

    def _info(self, state: PuzzleState, grade: Graded) -> dict[str, Any]:
        batch = self.rules.info(state, grade)
        return {key: array[0] if array.ndim > 1 else array.item() for key, array in batch.items()}
