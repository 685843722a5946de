"""What a puzzle family must say of itself to become environments, a training run and a window.

A task knows its board, its symbols, how to sample puzzles and how to grade an answer; it knows nothing of
episodes, networks or pixels. Rules work on batches, on NumPy arrays and torch tensors alike (see `arrays`).
"""

from __future__ import annotations

import abc
import functools
import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from hrm_gym.envs.arrays import Array, as_bytes, as_int64
from hrm_gym.envs.puzzles import Ballots, Grade, Match, Puzzles, Traces, VoteResult
from hrm_gym.envs.reading.layout import Alphabet, cells
from hrm_gym.errors import HrmGymError

SPLITS = ("train", "validation", "test")


class Task(abc.ABC):
    """A puzzle family. Subclasses set the class attributes and give `sample` and `violations`."""

    shape: tuple[int, int]
    """Rows and columns of the board; L = rows * columns cells."""

    symbols: str
    """One character a token, in the order of the tokens: token `t` is written `symbols[t]`."""

    blank: ClassVar[int] = 0
    """The token of a cell that the puzzle leaves open; every other cell of a puzzle is a given."""

    padding: ClassVar[int | None] = None
    """The token of cells outside the answer, which are neither learned nor graded. None: every cell counts."""

    num_uniforms: int = 0
    """How many uniform numbers in [0, 1) one random symmetry consumes (0: `augment` does nothing)."""
    local: ClassVar[bool] = False
    """Whether its rules join neighbouring cells, on a board that may be large: agents then mix neighbours."""

    verifiable: ClassVar[bool] = True
    """Whether an answer without violations is a right one; where it is not, only the solution tells."""

    by_examples: ClassVar[bool] = False
    """Whether puzzles are tasks with demonstrations of their own, which an agent can learn on the spot."""

    hintable: ClassVar[bool] = False
    """Whether any cell of the solution may be given as well, which makes a puzzle easier and leaves it one."""

    violation_name: ClassVar[str] = "broken rules"
    """What violations are called where they are shown."""

    another_solution: ClassVar[str] = "another solution"
    """What an answer is called that the rules allow and that is not the known solution."""

    groups: tuple[np.ndarray, ...] = ()
    """Sets of cells that hold each of the `group_symbols` exactly once, in partitions whose rows share no cell:
    integers of shape (G, n) each, such as the rows, the columns and the boxes of a Sudoku. Empty: there are none."""

    group_symbols: tuple[int, ...] = ()
    """The n tokens that each group holds."""

    links: np.ndarray | None = None
    """Pairs of neighbouring cells, integers of shape (E, 2), where neighbourhood matters; None: it does not."""

    colours: tuple[int, ...] = ()
    """Tokens that are colours, the background first, where other tokens lie off the board (ARC); empty: all are."""

    num_notes: int = 0
    """How many different notes the solver of `trace` makes beside its statements of tokens (see `Traces`)."""

    moves: tuple[int, ...] = ()
    """Where a board is a walk, moves above what is seen after each: the tokens of the moves."""

    identities: tuple[str, ...] = ()
    """Names of puzzles that are known by examples, such as ARC's: an agent learns an embedding of each."""

    num_variants: int = 1
    """In how many forms each of them appears; identity number i is form `i % num_variants` of
    `identities[i // num_variants]`, and the first form is the puzzle as it is."""

    # ---- which task it is ------------------------------------------------------------------------

    @property
    def arguments(self) -> dict[str, Any]:
        """What it was built with, by name: tasks of one class with equal arguments are equal.

        A family that keeps an argument under another name overrides this; else a task equals only itself.
        """
        try:
            return {name: getattr(self, name) for name in inspect.signature(type(self)).parameters}
        except AttributeError:
            return {"id": id(self)}

    files: tuple[Any, ...] = ()
    """The state of the files that it was built from (`files.state_of`): what is kept of one family is not another's."""

    def __eq__(self, other: object) -> bool:
        """Whether it is the same family with the same arguments, from the same files."""
        if not isinstance(other, Task) or type(self) is not type(other):
            return False
        return self.arguments == other.arguments and self.files == other.files

    def __hash__(self) -> int:
        """Equal for equal tasks."""
        return hash(repr(self))

    def __repr__(self) -> str:
        """The call that builds it."""
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self.arguments.items())})"

    # ---- sizes -----------------------------------------------------------------------------------

    @property
    def num_cells(self) -> int:
        """L, the number of cells."""
        return self.shape[0] * self.shape[1]

    @property
    def num_tokens(self) -> int:
        """V, the size of the vocabulary."""
        return len(self.symbols)

    @property
    def num_identities(self) -> int:
        """How many identities there are, forms included; 0 for families whose boards say everything."""
        return len(self.identities) * self.num_variants

    # ---- what a family must give -----------------------------------------------------------------

    @abc.abstractmethod
    def sample(self, num: int, rng: np.random.Generator) -> Puzzles:
        """`num` random puzzles with their solutions, uint8 arrays of shape (num, L), drawn with `rng` alone."""

    @abc.abstractmethod
    def violations(self, puzzle: Array, answer: Array) -> Array:
        """How many rules each answer breaks, shape (N,); 0 exactly where the answer is valid.

        Args:
            puzzle: tokens, integers of shape (N, L).
            answer: tokens, integers of shape (N, L).
        """

    # ---- what follows from it --------------------------------------------------------------------

    def match(self, solution: Array, answer: Array) -> Match:
        """Grade answers by their solutions, both tokens of shape (N, L)."""
        if isinstance(answer, np.ndarray):
            from hrm_gym.envs import compiled  # imports numba, which is not loaded before there are boards

            boards = as_bytes(solution), as_bytes(answer)
            return Match(*compiled.match(*boards, -1 if self.padding is None else self.padding))
        same = solution == answer
        if self.padding is None:
            count = same.sum(-1)
            return Match(count == self.num_cells, count / self.num_cells)
        counts = solution != self.padding
        num, count = counts.sum(-1), (same & counts).sum(-1)
        return Match((count == num) & (num > 0), count / (num + (num == 0)))

    def count(self, puzzle: np.ndarray, solution: np.ndarray, answer: np.ndarray) -> np.ndarray:
        """The `violations` of boards, uint8 (N, L), at every step: a family may override it with a faster way."""
        return as_int64(self.violations(as_int64(puzzle), as_int64(answer)))

    def recount(
        self, puzzle: np.ndarray, solution: np.ndarray, answer: np.ndarray, before: np.ndarray, counts: np.ndarray
    ) -> np.ndarray:
        """As `count`, after answers `before` that broke so many rules: `counts`, int64 (N,), -1 where nobody knows.

        Default: only answers that changed are counted.
        """
        changed, counts = np.flatnonzero((counts < 0) | (answer != before).any(1)), counts.copy()
        if len(changed):
            counts[changed] = self.count(puzzle[changed], solution[changed], answer[changed])
        return counts

    def valid(self, puzzle: Array, solution: Array, answer: Array) -> Array:
        """Which answers satisfy the rules, bool (N,); the three are tokens of shape (N, L)."""
        return self.violations(puzzle, answer) == 0

    def grade(self, puzzle: Array, solution: Array, answer: Array, by: str = "rules") -> Grade:
        """Grade answers, tokens of shape (N, L), by the "rules" or by the "solution".

        Where the rules of a family do not decide (`verifiable` is False), the solution does in any case.
        """
        right, cell_accuracy = self.match(solution, answer)
        valid = self.valid(puzzle, solution, answer)
        return Grade(valid if by == "rules" and self.verifiable else right, valid, cell_accuracy)

    # ---- what a family may give ------------------------------------------------------------------

    def augment(self, puzzles: Puzzles, uniforms: Array) -> Puzzles:
        """A random symmetry of each puzzle; `uniforms`, shape (N, num_uniforms), says which. Default: none."""
        return puzzles

    def restore(self, answer: Array, uniforms: Array) -> Array:
        """Answers, shape (N, L), to puzzles that were shown under `augment` with these `uniforms`, as their answers.

        Raises:
            HrmGymError: where the family's symmetries are not undone. Default.
        """
        raise HrmGymError(
            f"{type(self).__name__} has no symmetries that can be undone, so attempts about images of a puzzle "
            "cannot be compared: give rollouts=1, or evaluate with vary='noise'"
        )

    def images(self, puzzles: Puzzles) -> Puzzles:
        """All symmetric images of NumPy puzzles, for a family that has few symmetries: (K * N, L), the puzzles first.

        Training draws from these. It suits families whose solutions must be found again for each image;
        `augment` suits those whose symmetries are too many to list. Default: the puzzles alone.
        """
        return puzzles

    def variants(self, puzzles: Puzzles, number: int | Array) -> Puzzles:
        """Puzzles of identities in form `number`, one for all or integers of shape (N,). Default: as they are."""
        return puzzles

    def count_votes(self, puzzles: Puzzles, ballots: Ballots) -> VoteResult:
        """Count the votes that answers to `puzzles` in several forms are for one another.

        Raises:
            HrmGymError: where the family has one form of each puzzle.
        """
        raise HrmGymError(f"{type(self).__name__} has one form of each puzzle: leave out --votes and --submission")

    def is_given(self, puzzle: Array) -> Array:
        """Which cells an answer must repeat, bool of the shape of `puzzle`. Default: those that are not blank."""
        return puzzle != self.blank

    def keys(self, puzzles: Puzzles) -> list[bytes]:
        """A name for each of N NumPy puzzles that all its symmetric images share: splits are kept apart by it.

        Default: the least of the images that `images` lists.

        Raises:
            HrmGymError: where the family has symmetries by `augment`, which the default cannot list: such a family
                overrides this.
        """
        if self.num_uniforms:
            raise HrmGymError(
                f"{type(self).__name__} shows puzzles under symmetries (augment), so give it `keys`, a name that all "
                "images of a puzzle share: without it images of test puzzles would be trained on"
            )
        num = len(puzzles.puzzle)
        images = np.ascontiguousarray(self.images(puzzles).puzzle, np.uint8).reshape(-1, num, self.num_cells)
        return [min(image.tobytes() for image in images[:, i]) for i in range(num)]

    def read(self, source: str, split: str | None) -> Puzzles | None:
        """The puzzles of a file or folder in a form of the family's own; None where it has no such form. Default.

        Args:
            source: what the user gave.
            split: of `SPLITS`, or None for all of them.

        Raises:
            HrmGymError: naming the file, and the place in it, where one is missing or malformed.
        """
        return None

    def solve(self, puzzle: np.ndarray) -> np.ndarray:
        """The solution, shape (L,), of one puzzle, shape (L,).

        Raises:
            HrmGymError: where the family has no solver, or the puzzle has no solution or several.
        """
        raise HrmGymError(f"{type(self).__name__} has no exact solver: leave out --exact and give a checkpoint")

    def trace(self, puzzles: np.ndarray, room: int) -> Traces:
        """How a solver goes about puzzles, shape (N, L), told by at most `room` steps each: agents learn to imitate it.

        Raises:
            HrmGymError: where the family has no solver that tells its steps. Default.
        """
        raise HrmGymError(f"{type(self).__name__} has no solver that tells its steps: give the family `trace`")

    def check(self, puzzle: np.ndarray) -> None:  # noqa: B027 (families that cannot tell accept everything)
        """Refuse a puzzle, shape (L,), that has no solution or several; families that can tell do.

        Raises:
            HrmGymError: with the reason.
        """

    def rate(self, puzzle: np.ndarray) -> np.ndarray:
        """The difficulty of puzzles, shape (N, L), as integers of shape (N,). Default: 0, not rated."""
        return np.zeros(len(puzzle), dtype=np.int64)

    def dataset(self, split: str) -> Puzzles:
        """All puzzles of a split, uint8 arrays of shape (N, L).

        The default draws 10,000 for training and 1,000 each for validation and test, with fixed seeds, and keeps no
        puzzle, nor an image of it (see `keys`), in two splits. A family which ships its puzzles overrides this.
        """
        return _sampled(self, split)

    def write_shipped(self, path: Path) -> None:
        """Make the family's shipped puzzles anew and write their file to `path`, the same bit for bit.

        Raises:
            HrmGymError: where the family ships none, or the file cannot be written.
        """
        raise HrmGymError(f"{type(self).__name__} ships no puzzles: leave out --shipped")

    # ---- text ------------------------------------------------------------------------------------

    aliases: ClassVar[Mapping[str, str]] = {}
    """Characters beside the symbols that people write in texts, and the symbol that each stands for."""

    @property
    def alphabet(self) -> Alphabet:
        """What its boards look like as text."""
        return Alphabet(self.shape, self.symbols, self.symbols[self.blank], self.aliases)

    def parse(self, text: str) -> np.ndarray:
        """Tokens, uint8 of shape (L,), of a board as text: L characters, rows, or another layout (`reading.layout`).

        Raises:
            HrmGymError: with the offending character or length.
        """
        return np.array([self.symbols.index(symbol) for symbol in cells(text, self.alphabet)], dtype=np.uint8)

    def format(self, tokens: Array) -> str:
        """The board as L characters, row by row, the inverse of `parse`."""
        return "".join(self.symbols[int(token)] for token in tokens)

    # ---- drawing ---------------------------------------------------------------------------------

    boxes: tuple[int, int] | None = None
    """Rows and columns of the boxes that the view divides by heavy lines, None for none."""


@functools.lru_cache(maxsize=16)
def _sampled(task: Task, split: str) -> Puzzles:
    # A puzzle of which an image is drawn for several splits stays in the first of these.
    order = ("test", "validation", "train")
    num, seed = {"test": (1_000, 1), "validation": (1_000, 2), "train": (10_000, 0)}[split]
    drawn = task.sample(num, np.random.default_rng([0, seed]))
    taken = {key for other in order[: order.index(split)] for key in task.keys(_sampled(task, other))}
    keep = np.array([key not in taken for key in task.keys(drawn)])
    if not keep.any():
        raise HrmGymError(
            f"{type(task).__name__} has so few puzzles that all {split} puzzles are images of those of another split: "
            "give the family a `dataset` of its own"
        )
    return drawn.map(lambda array: array[keep])
