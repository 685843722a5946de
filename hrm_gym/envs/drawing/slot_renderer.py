"""The render modes of the environments: a window, an array or text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from hrm_gym.envs.arrays import Array
from hrm_gym.envs.rules import PuzzleState, Rules
from hrm_gym.envs.task import Task
from hrm_gym.errors import HrmGymError

if TYPE_CHECKING:
    from hrm_gym.envs.drawing.frame import Ending, Frame


class SlotRenderer:
    """Renders frames in one mode; imports and opens the renderer on first use.

    Args:
        task: the puzzle family.
        mode: "human", "rgb_array", "ansi" or None.
        metadata: the environment's metadata, with the allowed "render_modes" and the window's "render_fps".

    Raises:
        HrmGymError: if the mode is not allowed.
    """

    def __init__(self, task: Task, mode: str | None, metadata: dict[str, Any]) -> None:
        check_mode(mode, metadata)
        self._task = task
        self._mode = mode
        self._fps = metadata["render_fps"]
        self._renderer: Any = None
        self._window: Any = None

    def draw(self, frame: Frame, title: str = "") -> np.ndarray | str | None:
        """Render one frame.

        Args:
            frame: what to draw.
            title: text above the panel.

        Returns:
            uint8 of shape (H, W, 3) for "rgb_array", text for "ansi", None for "human", which shows a window.

        Raises:
            HrmGymError: if the mode needs a window and there is no display.
        """
        task = self._task
        if self._mode == "ansi":
            from hrm_gym.envs.drawing.text import board_text, signs

            violations = int(task.violations(frame.puzzle[None], frame.answer[None])[0])
            head = f"segment {frame.segment} of {frame.max_segments}, violations {violations}"
            return f"{head}\n{board_text(task, frame.answer, signs(task, frame))}"
        from hrm_gym.envs.drawing.renderer import Renderer
        from hrm_gym.envs.drawing.window import NoDisplayError, Window

        self._renderer = self._renderer or Renderer(task, title)
        if self._mode == "rgb_array":
            return self._renderer.rgb(frame)
        try:
            self._window = self._window or Window(self._renderer)
        except NoDisplayError as error:
            raise HrmGymError(
                f"{error}: make the environment with render_mode='rgb_array', or, to check it without a screen, set "
                "the variable SDL_VIDEODRIVER to dummy"
            ) from None
        self._window.show(frame)
        self._window.wait(self._fps)
        return None

    def close(self) -> None:
        """Close the window, if there is one; closing twice is allowed."""
        if self._window is not None:
            self._window.close()
        self._renderer = self._window = None

    def __getstate__(self) -> dict[str, Any]:
        """Pickle without the renderer, because windows cannot be pickled."""
        return {**self.__dict__, "_renderer": None, "_window": None}


def check_mode(mode: str | None, metadata: dict[str, Any]) -> None:
    """Check a render mode against the "render_modes" of an environment's metadata.

    Raises:
        HrmGymError: if it is not among them, nor None.
    """
    allowed = metadata["render_modes"]
    if mode is not None and not (isinstance(mode, str) and mode in allowed):
        raise HrmGymError(f"unknown render_mode {mode!r}: give one of {', '.join(allowed)}, or None")


def frame_of(rules: Rules, state: PuzzleState, slot: int, previous: Array | None, ended: Ending = "") -> Frame:
    """Return the frame of one slot of a puzzle environment.

    Args:
        rules: the rules of the environment.
        state: the state of N slots.
        slot: index of the slot.
        previous: the answers one segment earlier, shape (N, L).
        ended: how the episode of this slot ended, see `ending`.
    """
    from hrm_gym.envs.drawing.frame import Frame

    puzzle, solution, answer = (_numpy(board[slot]) for board in state[:3])
    segment = int(state.segment[slot])
    return Frame(
        puzzle=puzzle,
        answer=answer,
        segment=segment,
        max_segments=rules.max_segments,
        solution=solution,
        identity=int(state.identity[slot]) if rules.task.num_identities else None,
        previous=None if previous is None or segment == 0 else _numpy(previous[slot]),
        ended=ended,
    )


def ending(over: bool, halted: bool) -> Ending:
    """Return how an episode ended, as in `Frame.ended`; "" if it continues."""
    return "" if not over else "halted" if halted else "out_of_segments"


def _numpy(board: Array) -> np.ndarray:
    return board.astype(np.int64) if isinstance(board, np.ndarray) else board.cpu().numpy()
