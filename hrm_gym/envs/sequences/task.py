"""Sequence tasks as a puzzle family each: a question, the sign `=`, and cells for the answer, on one row.

They are what algorithm-learning networks are measured with, above all on longer sequences than they were trained on:
copying and its memory (Neural Turing Machines, arXiv 1410.5401), addition (Neural GPUs, arXiv 1511.08228), parity
(adaptive computation time, arXiv 1603.08983; PonderNet, arXiv 2107.05407).
"""

from __future__ import annotations

import abc
import functools
from typing import ClassVar

import numpy as np

from hrm_gym.envs.arguments import check_integer
from hrm_gym.envs.arrays import Array, as_int64, concatenate, gather, like, where
from hrm_gym.envs.sequences.view import SequenceView
from hrm_gym.envs.task import Puzzles, Task
from hrm_gym.errors import HrmGymError

BLANK, PADDING, EQUALS = 0, 1, 2
LONGEST = 1_000
_VALUE = "x"  # in a form: any of the family's values


class SequenceTask(Task):
    """A question of some length, `=`, and the cells of its answer; what is left of the row is padding.

    Tokens: 0 is a cell to be filled in (`_`), 1 padding (`.`), 2 the sign `=`, then those of the family. Padding counts
    neither in the loss nor in the grade, so one board holds sequences of many lengths. The row is as wide as a question
    of `capacity` needs: give two tasks the same capacity, and an agent that was trained on short sequences can be
    tested on longer ones.

    Args:
        min_length: of the questions that are drawn.
        max_length: of the questions that are drawn.
        capacity: the longest question that the board has room for; None: `max_length`.

    Raises:
        HrmGymError: for lengths out of range.
    """

    blank = BLANK
    padding = PADDING
    violation_name = "wrong cells"
    view = SequenceView
    signs: ClassVar[str] = "_.="
    """The symbols before the values: value v is token `len(signs) + v`."""
    example: ClassVar[str]
    """A question as it is written."""

    def __init__(self, min_length: int, max_length: int, capacity: int | None, num_values: int) -> None:
        capacity = max_length if capacity is None else capacity
        for name, value in (("min_length", min_length), ("max_length", max_length), ("capacity", capacity)):
            check_integer(name, value, 1, LONGEST)
        if not min_length <= max_length <= capacity:
            raise HrmGymError(
                f"min_length={min_length}, max_length={max_length}, capacity={capacity}: none may exceed the next"
            )
        self.min_length, self.max_length, self.capacity = min_length, max_length, capacity
        self.symbols = self.signs + "0123456789"[:num_values]
        self.num_values = num_values
        self.shape = (1, len(self.form(capacity)))
        cells = np.arange(self.num_cells)
        self.links = np.stack((cells[:-1], cells[1:]), axis=1)

    # ---- what a family must give -----------------------------------------------------------------

    @abc.abstractmethod
    def form(self, length: int) -> str:
        """How a question of that length is written: `x` for a value, `_` for a cell of the answer, and signs."""

    @abc.abstractmethod
    def answer(self, puzzle: Array) -> Array:
        """Values, integers of shape (N, L) or (N, 1), that stand in the blank cells of puzzles, int64 (N, L)."""

    # ---- what follows from it --------------------------------------------------------------------

    def sample(self, num: int, rng: np.random.Generator) -> Puzzles:
        """As `Task.sample`: every length is equally likely, and so is every question of a length."""
        length = rng.integers(self.min_length, self.max_length + 1, size=num)
        value = rng.integers(self.num_values, size=(num, self.num_cells)) + len(self.signs)
        form = _forms(self)[length - 1]
        puzzle = np.where(form == len(self.signs), value, form)
        return Puzzles(puzzle.astype(np.uint8), self._solved(puzzle).astype(np.uint8))

    def _solved(self, puzzle: Array) -> Array:
        puzzle = as_int64(puzzle)
        return where(puzzle == BLANK, self.answer(puzzle) + len(self.signs), puzzle)

    def violations(self, puzzle: Array, answer: Array) -> Array:
        """How many cells of each answer are wrong, those of the question among them; padding does not count."""
        return ((answer != self._solved(puzzle)) & (puzzle != PADDING)).sum(-1)

    def count(self, puzzle: np.ndarray, solution: np.ndarray, answer: np.ndarray) -> np.ndarray:
        """As `Task.count`: a question has one answer."""
        return ((answer != solution) & (puzzle != PADDING)).sum(-1)

    def length(self, puzzle: np.ndarray) -> np.ndarray:
        """Of questions, tokens (N, L); integers of shape (N,)."""
        used = (puzzle != PADDING).sum(-1)
        return np.searchsorted((_forms(self) != PADDING).sum(-1), used) + 1

    def rate(self, puzzle: np.ndarray) -> np.ndarray:
        """As `Task.rate`: the length of the question."""
        return self.length(puzzle).astype(np.int64)

    def check(self, puzzle: np.ndarray) -> None:
        """Refuses what is no question.

        Raises:
            HrmGymError: with an example of one.
        """
        first = len(self.signs)
        if not (np.where(puzzle >= first, first, puzzle) == _forms(self)).all(-1).any():
            raise HrmGymError(
                f"{self.format(puzzle).rstrip('.')!r} is no question: write one such as {self.example!r}, "
                f"of length 1 to {self.capacity}"
            )

    def solve(self, puzzle: np.ndarray) -> np.ndarray:
        """As `Task.solve`."""
        self.check(puzzle)
        return self._solved(puzzle[None])[0].astype(np.uint8)

    def parse(self, text: str) -> np.ndarray:
        """As `Task.parse`; padding and, after `=`, the blank cells may be left out: "314=" is "314=___...".

        Raises:
            HrmGymError: with the offending character or length.
        """
        text = "".join(text.split())
        if text.endswith("="):
            for length in range(1, self.capacity + 1):
                form = self.form(length)
                if form.index("=") + 1 == len(text):
                    text += form[len(text) :]
                    break
        return super().parse(text.ljust(self.num_cells, self.signs[PADDING]))


@functools.lru_cache(maxsize=32)
def _forms(task: SequenceTask) -> np.ndarray:
    """The forms of all lengths as tokens, (capacity, L), with the first value for every value."""
    symbols = task.symbols.replace("0", _VALUE)
    forms = [task.form(length).ljust(task.num_cells, task.signs[PADDING]) for length in range(1, task.capacity + 1)]
    return np.array([[symbols.index(character) for character in form] for form in forms])


def _equals(puzzle: Array) -> Array:
    """Where the sign `=` stands, (N, 1)."""
    return ((puzzle == EQUALS) * like(np.arange(puzzle.shape[1]), puzzle)).sum(-1)[:, None]


class CopyTask(SequenceTask):
    """Repeat the sequence behind the sign: `31407=_____`.

    A network must keep the whole sequence and give it back in order. Sequences of the shortest lengths are few; those
    that are test puzzles are not trained on.

    Args:
        min_length: symbols of a sequence.
        max_length: symbols of a sequence.
        capacity: the longest sequence that the board has room for; None: `max_length`.
        num_symbols: different symbols, 2 to 10.

    Raises:
        HrmGymError: for a number out of range.
    """

    example = "314=___"

    def __init__(
        self, min_length: int = 3, max_length: int = 10, capacity: int | None = None, num_symbols: int = 8
    ) -> None:
        self.num_symbols = _between("num_symbols", num_symbols)
        super().__init__(min_length, max_length, capacity, num_symbols)

    def form(self, length: int) -> str:
        """See `SequenceTask`."""
        return _VALUE * length + "=" + "_" * length

    def answer(self, puzzle: Array) -> Array:
        """See `SequenceTask`."""
        source = (like(np.arange(self.num_cells), puzzle) - _equals(puzzle) - 1).clip(0, None)
        return gather(puzzle, source) - len(self.signs)


class ParityTask(SequenceTask):
    """Say whether the number of ones is even (0) or odd (1): `10110=_`.

    Every bit changes the answer, so there is nothing to learn from parts of it.

    Args:
        min_length: bits.
        max_length: bits.
        capacity: the most bits that the board has room for; None: `max_length`.

    Raises:
        HrmGymError: for a number out of range.
    """

    example = "10110=_"

    def __init__(self, min_length: int = 4, max_length: int = 20, capacity: int | None = None) -> None:
        super().__init__(min_length, max_length, capacity, num_values=2)

    def form(self, length: int) -> str:
        """See `SequenceTask`."""
        return _VALUE * length + "=_"

    def answer(self, puzzle: Array) -> Array:
        """See `SequenceTask`."""
        return ((puzzle == len(self.signs) + 1).sum(-1) % 2)[:, None]

    def rate(self, puzzle: np.ndarray) -> np.ndarray:
        """As `Task.rate`: the number of ones."""
        return (puzzle == len(self.signs) + 1).sum(-1).astype(np.int64)


class AdditionTask(SequenceTask):
    """Add two numbers of the same number of digits; the sum has one digit more: `027+481=____`.

    Numbers may begin with zeros. In the worst case a carry runs through all digits.

    Args:
        min_length: digits of either number.
        max_length: digits of either number.
        capacity: the most digits that the board has room for; None: `max_length`.
        base: of the numbers, 2 to 10.

    Raises:
        HrmGymError: for a number out of range.
    """

    signs = "_.=+"
    example = "12+34=___"

    def __init__(self, min_length: int = 1, max_length: int = 6, capacity: int | None = None, base: int = 10) -> None:
        self.base = _between("base", base)
        super().__init__(min_length, max_length, capacity, num_values=base)

    def form(self, length: int) -> str:
        """See `SequenceTask`."""
        return _VALUE * length + "+" + _VALUE * length + "=" + "_" * (length + 1)

    def answer(self, puzzle: Array) -> Array:
        """See `SequenceTask`."""
        equals = _equals(puzzle)  # (N, 1)
        length = (equals - 1) // 2
        value = puzzle - len(self.signs)
        carry, digits = length * 0, []
        for place in range(self.capacity + 1):  # from the ones upwards
            summands = [gather(value, (end - place).clip(0, None)) for end in (length - 1, equals - 1)]
            total = where(place < length, summands[0] + summands[1], 0) + carry
            digits.append(total % self.base)
            carry = total // self.base
        place = equals + length + 1 - like(np.arange(self.num_cells), puzzle)
        return gather(concatenate(digits), place.clip(0, self.capacity))


def _between(name: str, value: int) -> int:
    check_integer(name, value, 2, 10)
    return value
