"""Following pointers: a task that takes one step after another, whose steps a solver can write down."""

from __future__ import annotations

import numpy as np

from hrm_gym.envs.arrays import Array, concatenate, gather
from hrm_gym.envs.sequences.task import BLANK, SequenceTask, between
from hrm_gym.envs.task import Traces


class ChainTask(SequenceTask):
    """Follow pointers: `2031:1>>=_` asks where two steps lead from place 1, and place 1 points to 0, which points to 2.

    The first cells are the table of pointers; place i points to the i-th value. After `:` come the place to begin at
    and one `>` for each step. Pointers are drawn as permutations, so no place is more probable than others. No step can
    be skipped: the k-th is known only after the one before it. `trace` gives the places on the way.

    Args:
        min_length: minimum number of steps.
        max_length: maximum number of steps.
        capacity: maximum number of steps that fit the board; None: `max_length`.
        num_places: number of places, 2 to 10.

    Raises:
        HrmGymError: if a number is out of range.
    """

    signs = "_.=:>"

    def __init__(
        self, min_length: int = 1, max_length: int = 5, capacity: int | None = None, num_places: int = 8
    ) -> None:
        self.num_places = between("num_places", num_places)
        super().__init__(min_length, max_length, capacity, num_values=num_places)
        self.example = f"{'1234567890'[: num_places - 1]}0:1>=_"

    def form(self, length: int) -> str:
        """See `SequenceTask`."""
        return "x" * self.num_places + ":x" + ">" * length + "=_"

    def values(self, num: int, rng: np.random.Generator) -> np.ndarray:
        """As `SequenceTask.values`: the pointers are permutations."""
        values = super().values(num, rng)
        values[:, : self.num_places] = rng.random((num, self.num_places)).argsort(1)
        return values

    def answer(self, puzzle: Array) -> Array:
        """See `SequenceTask`."""
        places = self._places(puzzle)  # (N, capacity + 1)
        return gather(places, self._num_steps(puzzle)[:, None])

    def trace(self, puzzles: np.ndarray, room: int) -> Traces:
        """As `Task.trace`: the places on the way, written into the cell of the answer, then the answer."""
        puzzle = puzzles.astype(np.int64)
        tokens, num = self._places(puzzle)[:, 1:] + len(self.signs), self._num_steps(puzzle)
        search, answer = (np.zeros((len(puzzle), size, 2), np.int64) for size in (room, self.num_cells))
        cell = (puzzle == BLANK).argmax(1)
        search[..., 0], answer[:, 0, 0] = cell[:, None], cell
        search[:, : self.capacity, 1] = tokens[:, :room]
        answer[:, 0, 1] = gather(tokens, num[:, None] - 1)[:, 0]
        return Traces(search, num - 1, answer, np.ones_like(num))

    def _num_steps(self, puzzle: Array) -> Array:
        return (puzzle == self.signs.index(">")).sum(-1)

    def _places(self, puzzle: Array) -> Array:
        """The places after 0, 1, ... steps, (N, capacity + 1)."""
        pointers = puzzle[:, : self.num_places] - len(self.signs)
        place = puzzle[:, self.num_places + 1 : self.num_places + 2] - len(self.signs)  # (N, 1)
        places = [place]
        for _ in range(self.capacity):
            places.append(gather(pointers, places[-1]))
        return concatenate(places)
