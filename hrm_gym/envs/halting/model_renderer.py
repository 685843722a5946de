"""The render modes of the halting environments."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from hrm_gym.envs.drawing.frame import Ending
from hrm_gym.envs.drawing.slot_renderer import SlotRenderer, check_mode
from hrm_gym.envs.halting.frozen_model import Pictures
from hrm_gym.errors import HrmGymError


class ModelRenderer:
    """Renders the answers of a frozen model; opens its pictures on first use.

    Args:
        pictures: opens them; None if the model has none.
        mode: "human", "rgb_array", "ansi" or None.
        metadata: the environment's metadata, with the allowed "render_modes" and the window's "render_fps".

    Raises:
        HrmGymError: if the mode is not allowed, or the model has no pictures.
    """

    def __init__(self, pictures: Callable[[], Pictures] | None, mode: str | None, metadata: dict[str, Any]) -> None:
        check_mode(mode, metadata)
        if mode is not None and pictures is None:
            raise HrmGymError(f"render_mode={mode!r}: this model has no pictures; give pictures=, or leave it out")
        self._open, self._mode, self._metadata = pictures, mode, metadata
        self._pictures: Pictures | None = None
        self._view: SlotRenderer | None = None

    def draw(self, index: int, segment: int, ended: Ending, title: str) -> np.ndarray | str | None:
        """Render the answer to puzzle `index` after `segment` segments; as `SlotRenderer.draw`."""
        if self._pictures is None or self._view is None:
            assert self._open is not None
            self._pictures = self._open()
            self._view = SlotRenderer(self._pictures.task, self._mode, self._metadata)
        return self._view.draw(dataclasses.replace(self._pictures.frame(index, segment), ended=ended), title)

    def close(self) -> None:
        """Close the window, if there is one; closing twice is allowed."""
        if self._view is not None:
            self._view.close()
        self._view = self._pictures = None

    def __getstate__(self) -> dict[str, Any]:
        """Pickle without the open renderer; a copy opens its own."""
        return {**self.__dict__, "_pictures": None, "_view": None}
