"""One puzzle as a Gymnasium environment, and the pictures of it."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np

from hrm_gym.envs.rules import Grade, Rules, State
from hrm_gym.envs.task import Task
from hrm_gym.errors import HrmGymError


class PuzzleEnv(gym.Env[Any, Any]):
    """A puzzle that is thought about in segments, and halted on when the answer seems right.

    ## Description
    One puzzle, such as a Sudoku, stands on a board of L cells, each with one of V symbols. A step is one segment
    of thought: the agent submits its answer so far and says whether to think on or to halt. Halting ends the
    episode and pays 1 if the answer is exactly right. The interest lies in how long to think about what.

    ## Action Space
    | `action_type` | space | meaning |
    | --- | --- | --- |
    | `"board"` (default) | `MultiDiscrete([V] * L + [2])` | the token of every cell, row by row; last 0: continue, 1: halt |
    | `"edit"` | `Discrete(L * V + 1)` | `cell * V + token` writes one token into one cell; `L * V`: halt |

    The givens of the puzzle may be overwritten: that counts as a violation and is never right. `action_masks()`,
    in the form that MaskablePPO of sb3-contrib takes, leaves such actions out.

    ## Observation Space
    | `obs_type` | space | meaning |
    | --- | --- | --- |
    | `"dict"` (default) | `Dict` | `puzzle` and `answer`: `MultiDiscrete([V] * L)` tokens, row by row; `segment`: `Discrete(max_segments + 1)` |
    | `"flat"` | `Box(0, 1, (2 * L * V + 1,), float32)` | the puzzle one-hot, the answer one-hot, `segment / max_segments` |

    ## Starting State
    A puzzle of the split, drawn at random; in training it is shown under a random symmetry of its family. The
    answer is the puzzle itself and the segment 0. `reset(options={"index": i})` takes the i-th puzzle of the split
    as it is, `reset(options={"puzzle": "53..7...."})` a puzzle of your own as text or tokens, which the family's
    solver must solve.

    ## Rewards
    1 at the end of an episode whose last answer is exactly right, else 0; every step costs `segment_cost`.

    ## Episode End
    - Termination: the agent halts (in the last segment, too).
    - Truncation: `max_segments` steps were taken without halting; the last answer is graded.

    Stepping on is an error until `reset`.

    ## Information
    `reset` and `step` return the same keys:
    - `is_success` (bool): the answer is exactly right.
    - `cell_accuracy` (float): the share of all L cells that are right, givens included.
    - `violations` (int): how many rules of the puzzle the answer breaks.
    - `solution` (int64 of shape (L,)): the solution, for supervised learners.

    ## Arguments
    | argument | default | meaning |
    | --- | --- | --- |
    | `split` | `"train"` | `"train"` or `"test"`: the two share no puzzle |
    | `num_examples` | `None` | only the first so many training puzzles; `None`: all |
    | `action_type` | `"board"` | see above |
    | `obs_type` | `"dict"` | see above |
    | `max_segments` | `None` | steps until truncation; `None`: 16 for boards, and 2 * L for edits, which write one cell each |
    | `segment_cost` | `0.0` | what every step costs |
    | `augment` | `None` | random symmetries; `None`: in training only. Test puzzles are never changed |
    | `dataset` | `None` | path of a file of puzzles instead of the shipped ones |
    | `render_mode` | `None` | `"human"`, `"rgb_array"` or `"ansi"` |

    The task itself (`task` and its own arguments) is filled in by the id.

    ## Version History
    - v0: initial version.
    """

    metadata = {"render_modes": ["human", "rgb_array", "ansi"], "render_fps": 4}

    def __init__(self, task: str, *, render_mode: str | None = None, **kwargs: Any) -> None:
        """Make the environment of a `task`; the other arguments are those of `rules.Rules`.

        Raises:
            HrmGymError: on an argument that is unknown or out of range.
        """
        self.rules = Rules(task, **kwargs)
        self.view = View(self.rules, render_mode, self.metadata["render_modes"])
        self.render_mode = render_mode
        self.action_space = self.rules.action_space
        self.observation_space = self.rules.observation_space
        self._state: State | None = None
        self._over = False
        self._previous: np.ndarray | None = None

    @property
    def task(self) -> Task:
        """The puzzle family."""
        return self.rules.task

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Begin an episode.

        Args:
            seed: seeds the random numbers; None goes on with them.
            options: `{"index": i}` or `{"puzzle": text or tokens}`; None picks a puzzle at random.

        Returns:
            The observation and the information.

        Raises:
            HrmGymError: on an unknown option, an index out of range, a bad puzzle or one that cannot be solved.
        """
        super().reset(seed=seed)
        state = self.rules.chosen(options or {}, num=1)
        if state is None:
            state = self.rules.start(self.rules.data, self.np_random.random((1, self.rules.num_uniforms)))
        self._state, self._over, self._previous = state, False, None
        if self.render_mode == "human":
            self.render()
        return self._observation(state), self._info(state, self.rules.grade(state))

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Submit an answer (or an edit), and think on or halt.

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
        self._state, self._over, self._previous = state, terminated or truncated, before.answer
        if self.render_mode == "human":
            self.render()
        return self._observation(state), reward, terminated, truncated, self._info(state, grade)

    def action_masks(self) -> np.ndarray:
        """Which actions make sense now, bool of shape (L * V + 2,) for boards and (L * V + 1,) for edits."""
        return self.rules.action_masks(self._started())[0]

    def render(self) -> np.ndarray | str | None:  # type: ignore[override]
        """The board as (H, W, 3) uint8 ("rgb_array") or text ("ansi"); "human" shows it and returns None."""
        if self.render_mode is None:
            gym.logger.warn(
                "render() without a render_mode: make the environment with render_mode='rgb_array'"
            )
            return None
        return self.view.draw(self._started(), 0, self._previous)

    def close(self) -> None:
        """Close the window, if there is one."""
        self.view.close()

    def _started(self) -> State:
        if self._state is None:
            raise HrmGymError("no episode yet: call reset() first")
        return self._state

    def _observation(self, state: State) -> Any:
        batch = self.rules.observe(state)
        return {name: array[0] for name, array in batch.items()} if isinstance(batch, dict) else batch[0]

    def _info(self, state: State, grade: Grade) -> dict[str, Any]:
        return {
            "is_success": grade.correct.item(),
            "cell_accuracy": grade.cell_accuracy.item(),
            "violations": grade.violations.item(),
            "solution": state.solution[0].copy(),
        }


class View:
    """Draws slots of a state in one render mode. pygame is imported at the first picture."""

    def __init__(self, rules: Rules, mode: str | None, allowed: list[str]) -> None:
        if mode is not None and mode not in allowed:
            raise HrmGymError(f"render_mode {mode!r} is not among {', '.join(map(repr, allowed))}")
        self.rules = rules
        self.mode = mode
        self._renderer: Any = None
        self._window: Any = None

    def draw(self, state: State, slot: int, previous: np.ndarray | None) -> np.ndarray | str | None:
        """One slot, `previous` being the answers, shape (N, L), of the segment before."""
        boards = (board[slot] for board in state[:3])
        puzzle, solution, answer = (np.asarray(board.tolist()) for board in boards)
        segment = int(state.segment[slot])
        if self.mode == "ansi":
            violations = int(self.rules.task.violations(puzzle[None], answer[None])[0])
            head = f"segment {segment} of {self.rules.max_segments}, violations {violations}"
            return f"{head}\n{board_text(self.rules.task, puzzle, answer)}"
        from hrm_gym.envs import rendering

        self._renderer = self._renderer or rendering.Renderer(self.rules.task)
        frame = rendering.Frame(
            puzzle=puzzle,
            answer=answer,
            segment=segment,
            max_segments=self.rules.max_segments,
            solution=solution,
            previous=None if previous is None else np.asarray(previous[slot].tolist()),
        )
        if self.mode == "rgb_array":
            return self._renderer.rgb(frame)
        self._window = self._window or rendering.Window(self._renderer)
        self._window.show(frame)
        return None

    def close(self) -> None:
        """Close the window, if there is one."""
        if self._window is not None:
            self._window.close()
        self._renderer = self._window = None

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the window and its fonts, which a pickle cannot hold."""
        return {**self.__dict__, "_renderer": None, "_window": None}


def board_text(task: Task, puzzle: np.ndarray, answer: np.ndarray) -> str:
    """The board in characters: givens plain, proposals with a `?`, overwritten givens with a `!`.

    Args:
        task: the family, whose `symbols`, `shape` and `boxes` are drawn.
        puzzle: tokens of shape (L,).
        answer: tokens of shape (L,).
    """
    rows, columns = task.shape
    high, wide = task.boxes or (rows, columns)
    rule = "+" + ("-" * 3 * wide + "+") * (columns // wide)
    marks = np.where(answer == puzzle, " ", np.where(puzzle == task.blank, "?", "!"))
    cells = np.array([f" {task.symbols[token]}{mark}" for token, mark in zip(answer, marks, strict=True)])
    lines = []
    for row, line in enumerate(cells.reshape(rows, columns)):
        if row % high == 0:
            lines.append(rule)
        lines.append("|" + "|".join("".join(box) for box in line.reshape(-1, wide)) + "|")
    return "\n".join([*lines, rule])
