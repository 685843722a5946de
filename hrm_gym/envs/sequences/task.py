"""Sequence tasks as puzzle families: one row with a question, the sign `=`, and cells for the answer.

They are standard tests of networks that learn algorithms, above all of generalization to longer sequences: copying
(Neural Turing Machines, arXiv 1410.5401), addition (Neural GPUs, arXiv 1511.08228), parity (adaptive computation
time, arXiv 1603.08983; PonderNet, arXiv 2107.05407).
"""

from __future__ import annotations

import abc
import functools
from typing import ClassVar

import numpy as np

from hrm_gym.envs.arguments import check_integer
from hrm_gym.envs.arrays import Array, as_int64, concatenate, gather, like, where
from hrm_gym.envs.reading.layout import WrongSizeError
from hrm_gym.envs.sequences.view import SequenceView
from hrm_gym.envs.task import Puzzles, Task
from hrm_gym.errors import HrmGymError

BLANK, PADDING, EQUALS = 0, 1, 2
LONGEST = 1_000
_VALUE = "x"  # in a form: any value of the family


class SequenceTask(Task):
    """A question of variable length, `=`, and the cells of its answer; the rest of the row is padding.

    Tokens: 0 is a blank cell (`_`), 1 padding (`.`), 2 the sign `=`, followed by the family's tokens. Padding counts
    neither in the loss nor in the grade, so one board holds sequences of many lengths. The row is wide enough for a
    question of length `capacity`. If two tasks have the same capacity, an agent trained on the one with short sequences
    can be tested on the one with longer sequences.

    Args:
        min_length: minimum length of sampled questions.
        max_length: maximum length of sampled questions.
        capacity: maximum length of questions that fit the board; None: `max_length`.

    Raises:
        HrmGymError: if a length is out of range.
    """

    blank = BLANK
    padding = PADDING
    violation_name = "wrong cells"
    view = SequenceView
    signs: ClassVar[str] = "_.="
    """Symbols before the values; value v is token `len(signs) + v`."""
    example: str
    """An example of a question as text."""

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

    # ---- required methods ------------------------------------------------------------------------

    @abc.abstractmethod
    def form(self, length: int) -> str:
        """Return a question of this length as text: `x` for a value, `_` for a cell of the answer, and signs."""

    @abc.abstractmethod
    def answer(self, puzzle: Array) -> Array:
        """Return the values of the blank cells of puzzles, int64 (N, L), as integers of shape (N, L) or (N, 1)."""

    # ---- derived methods -------------------------------------------------------------------------

    def sample(self, num: int, rng: np.random.Generator) -> Puzzles:
        """As `Task.sample`: all lengths are equally likely, and so are all questions of a length."""
        length = rng.integers(self.min_length, self.max_length + 1, size=num)
        value = self.values(num, rng)
        form = _forms(self)[length - 1]
        puzzle = np.where(form == len(self.signs), value + len(self.signs), form)
        return Puzzles(puzzle.astype(np.uint8), self._solved(puzzle).astype(np.uint8))

    def values(self, num: int, rng: np.random.Generator) -> np.ndarray:
        """Draw the values of `num` questions, one per cell: integers of shape (num, L). Default: independent."""
        return rng.integers(self.num_values, size=(num, self.num_cells))

    def _solved(self, puzzle: Array) -> Array:
        puzzle = as_int64(puzzle)
        return where(puzzle == BLANK, self.answer(puzzle) + len(self.signs), puzzle)

    def violations(self, puzzle: Array, answer: Array) -> Array:
        """Return the number of wrong cells of each answer, including altered cells of the question but not padding."""
        return ((answer != self._solved(puzzle)) & (puzzle != PADDING)).sum(-1)

    def count(self, puzzle: np.ndarray, solution: np.ndarray, answer: np.ndarray) -> np.ndarray:
        """As `Task.count`: a question has one answer."""
        return ((answer != solution) & (puzzle != PADDING)).sum(-1)

    def length(self, puzzle: np.ndarray) -> np.ndarray:
        """Return the lengths of questions, tokens (N, L), as integers of shape (N,)."""
        used = (puzzle != PADDING).sum(-1)
        return np.searchsorted((_forms(self) != PADDING).sum(-1), used) + 1

    def rate(self, puzzle: np.ndarray) -> np.ndarray:
        """As `Task.rate`: the length of the question."""
        return self.length(puzzle).astype(np.int64)

    def check(self, puzzle: np.ndarray) -> None:
        """Reject a board that is not a question.

        Raises:
            HrmGymError: with an example of a question.
        """
        first = len(self.signs)
        if not (np.where(puzzle >= first, first, puzzle) == _forms(self)).all(-1).any():
            raise HrmGymError(
                f"{self.format(puzzle).rstrip('.')!r} is not a question: write one such as {self.example!r}, "
                f"of length 1 to {self.capacity}"
            )

    def solve(self, puzzle: np.ndarray) -> np.ndarray:
        """As `Task.solve`."""
        self.check(puzzle)
        return self._solved(puzzle[None])[0].astype(np.uint8)

    def parse(self, text: str) -> np.ndarray:
        """As `Task.parse`; padding and the blank cells after `=` can be omitted: "314=" means "314=___...".

        Raises:
            WrongSizeError: if there are several questions, one per line.
            HrmGymError: if a character or the length is invalid.
        """
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        if len(lines) > 1 and any(len(line) > 1 for line in lines):
            raise WrongSizeError(f"the text has {len(lines)} lines: write a question on one, such as {self.example!r}")
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
    """Return the forms of all lengths as tokens, (capacity, L), with the first value in place of every `x`."""
    symbols = task.symbols.replace("0", _VALUE)
    forms = [task.form(length).ljust(task.num_cells, task.signs[PADDING]) for length in range(1, task.capacity + 1)]
    return np.array([[symbols.index(character) for character in form] for form in forms])


def _equals(puzzle: Array) -> Array:
    """Return the position of the sign `=`, (N, 1)."""
    return ((puzzle == EQUALS) * like(np.arange(puzzle.shape[1]), puzzle)).sum(-1)[:, None]


class CopyTask(SequenceTask):
    """Copy the sequence into the cells after the sign: `31407=_____`.

    A network must remember the whole sequence and reproduce it in order. There are few sequences of the shortest
    lengths; test puzzles never appear in training.

    Args:
        min_length: minimum number of symbols of a sequence.
        max_length: maximum number of symbols of a sequence.
        capacity: maximum length of sequences that fit the board; None: `max_length`.
        num_symbols: number of different symbols, 2 to 10.

    Raises:
        HrmGymError: if a number is out of range.
    """

    example = "314=___"

    def __init__(
        self, min_length: int = 3, max_length: int = 10, capacity: int | None = None, num_symbols: int = 8
    ) -> None:
        self.num_symbols = between("num_symbols", num_symbols)
        super().__init__(min_length, max_length, capacity, num_symbols)

    def form(self, length: int) -> str:
        """See `SequenceTask`."""
        return _VALUE * length + "=" + "_" * length

    def answer(self, puzzle: Array) -> Array:
        """See `SequenceTask`."""
        source = (like(np.arange(self.num_cells), puzzle) - _equals(puzzle) - 1).clip(0, None)
        return gather(puzzle, source) - len(self.signs)


class ParityTask(SequenceTask):
    """Determine whether the number of ones is even (0) or odd (1): `10110=_`.

    Every bit changes the answer, so parts of the sequence carry no information about it.

    Args:
        min_length: minimum number of bits.
        max_length: maximum number of bits.
        capacity: maximum number of bits that fit the board; None: `max_length`.

    Raises:
        HrmGymError: if a number is out of range.
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
    """Add two numbers with the same number of digits; the sum has one more digit: `027+481=____`.

    Numbers may begin with zeros. In the worst case a carry propagates through all digits.

    Args:
        min_length: minimum number of digits of each number.
        max_length: maximum number of digits of each number.
        capacity: maximum number of digits that fit the board; None: `max_length`.
        base: base of the numbers, 2 to 10.

    Raises:
        HrmGymError: if a number is out of range.
    """

    signs = "_.=+"
    example = "12+34=___"

    def __init__(self, min_length: int = 1, max_length: int = 6, capacity: int | None = None, base: int = 10) -> None:
        self.base = between("base", base)
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
        for place in range(self.capacity + 1):  # from the lowest digit upwards
            summands = [gather(value, (end - place).clip(0, None)) for end in (length - 1, equals - 1)]
            total = where(place < length, summands[0] + summands[1], 0) + carry
            digits.append(total % self.base)
            carry = total // self.base
        place = equals + length + 1 - like(np.arange(self.num_cells), puzzle)
        return gather(concatenate(digits), place.clip(0, self.capacity))


def between(name: str, value: int) -> int:
    """Check that a number of different values, for which there are ten digits, is 2 to 10, and return it."""
    check_integer(name, value, 2, 10)
    return value
