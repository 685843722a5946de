"""The interface of a puzzle family, from which environments, training and pictures are derived.

A task defines its board, its symbols, how to sample puzzles and how to grade answers; it does not know about episodes,
networks or pixels. Rules work on batches, for both NumPy arrays and torch tensors (see `arrays`).
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
    """A puzzle family. Subclasses set the class attributes and implement `sample` and `violations`."""

    shape: tuple[int, int]
    """Rows and columns of the board; L = rows * columns cells."""

    symbols: str
    """One character per token: token `t` is written `symbols[t]`."""

    blank: ClassVar[int] = 0
    """The token of blank cells; every other cell of a puzzle is a given."""

    keeps_blanks: ClassVar[bool] = False
    """Whether answers may keep blank cells, such as the free cells beside the path of a maze."""

    padding: ClassVar[int | None] = None
    """The token of cells outside the answer, which count neither in the loss nor in grades. None: every cell counts."""

    num_uniforms: int = 0
    """Number of uniform numbers in [0, 1) that one random symmetry needs (0: `augment` does nothing)."""

    local: ClassVar[bool] = False
    """Whether the rules connect neighbouring cells of a possibly large board; agents then mix neighbouring cells."""

    verifiable: ClassVar[bool] = True
    """Whether every answer without violations is correct; if False, answers are graded by the solution."""

    by_examples: ClassVar[bool] = False
    """Whether puzzles are tasks with their own demonstrations, which an agent can learn on the spot."""

    hintable: ClassVar[bool] = False
    """Whether additional cells of the solution can be given, which makes a puzzle easier but keeps it valid."""

    violation_name: ClassVar[str] = "broken rules"
    """Display name of violations."""

    another_solution: ClassVar[str] = "another solution"
    """Display name of a valid answer that differs from the known solution."""

    groups: tuple[np.ndarray, ...] = ()
    """Partitions into groups that contain each of the `group_symbols` once, integers (G, n): rows, columns, boxes."""

    group_symbols: tuple[int, ...] = ()
    """The n tokens that each group contains."""

    links: np.ndarray | None = None
    """Pairs of neighbouring cells, integers of shape (E, 2); None if neighbourhood does not matter."""

    colours: tuple[int, ...] = ()
    """Tokens that are colours, background first, if other tokens lie outside the grid (ARC); empty: all tokens."""

    boxes: tuple[int, int] | None = None
    """Rows and columns of the boxes that the view separates by heavy lines; None for none."""

    num_notes: int = 0
    """Number of different notes of the solver in `trace` (see `Traces`)."""

    moves: tuple[int, ...] = ()
    """Tokens of moves, if a board is a walk: moves, with the observation after each move below it."""

    identities: tuple[str, ...] = ()
    """Names of tasks that are defined by examples (ARC); an agent learns an embedding of each."""

    num_variants: int = 1
    """Forms of each identity: number i is form `i % num_variants` (0: unchanged) of `identities[i // num_variants]`."""

    # ---- which task it is ------------------------------------------------------------------------

    @property
    def arguments(self) -> dict[str, Any]:
        """The constructor arguments by name; tasks of one class with equal arguments are equal.

        A family that stores an argument under another name must override this; otherwise a task equals only itself.
        """
        try:
            return {name: getattr(self, name) for name in inspect.signature(type(self)).parameters}
        except AttributeError:
            return {"id": id(self)}

    files: tuple[Any, ...] = ()
    """State of the files that the task was built from (`files.state_of`), used to compare tasks and as a cache key."""

    def __eq__(self, other: object) -> bool:
        """Return whether class, arguments and files are equal."""
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
        """Number of identities, counting forms; 0 for families without identities."""
        return len(self.identities) * self.num_variants

    # ---- required methods ------------------------------------------------------------------------

    @abc.abstractmethod
    def sample(self, num: int, rng: np.random.Generator) -> Puzzles:
        """Sample `num` random puzzles with solutions, uint8 (num, L), with `rng` as the only source of randomness."""

    @abc.abstractmethod
    def violations(self, puzzle: Array, answer: Array) -> Array:
        """Return the number of rules that each answer breaks, shape (N,); 0 if and only if the answer is valid.

        Args:
            puzzle: tokens, integers of shape (N, L).
            answer: tokens, integers of shape (N, L).
        """

    # ---- derived methods -------------------------------------------------------------------------

    def match(self, solution: Array, answer: Array) -> Match:
        """Compare answers with their solutions, both tokens of shape (N, L)."""
        if isinstance(answer, np.ndarray):
            from hrm_gym.envs import compiled  # imports numba, which loads slowly

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
        """Return the `violations` of boards, uint8 (N, L), at every step; families may override this for speed."""
        return as_int64(self.violations(as_int64(puzzle), as_int64(answer)))

    def recount(
        self, puzzle: np.ndarray, solution: np.ndarray, answer: np.ndarray, before: np.ndarray, counts: np.ndarray
    ) -> np.ndarray:
        """As `count`, given earlier answers `before` and their violations `counts`, int64 (N,), -1 if unknown.

        Default: only answers that changed are counted.
        """
        changed, counts = np.flatnonzero((counts < 0) | (answer != before).any(1)), counts.copy()
        if len(changed):
            counts[changed] = self.count(puzzle[changed], solution[changed], answer[changed])
        return counts

    def valid(self, puzzle: Array, solution: Array, answer: Array) -> Array:
        """Return which answers satisfy the rules, bool (N,); all arguments are tokens of shape (N, L)."""
        return self.violations(puzzle, answer) == 0

    def grade(self, puzzle: Array, solution: Array, answer: Array, by: str = "rules") -> Grade:
        """Grade answers, tokens of shape (N, L), by the "rules" or by the "solution".

        If the family's rules cannot decide (`verifiable` is False), the solution is always used.
        """
        right, cell_accuracy = self.match(solution, answer)
        valid = self.valid(puzzle, solution, answer)
        return Grade(valid if by == "rules" and self.verifiable else right, valid, cell_accuracy)

    # ---- optional methods ------------------------------------------------------------------------

    def augment(self, puzzles: Puzzles, uniforms: Array) -> Puzzles:
        """Apply a random symmetry to each puzzle, chosen by `uniforms`, shape (N, num_uniforms). Default: none."""
        return puzzles

    def restore(self, answer: Array, uniforms: Array) -> Array:
        """Undo `augment` with the same `uniforms` on answers, shape (N, L).

        Raises:
            HrmGymError: if the family's symmetries cannot be undone (default).
        """
        raise HrmGymError(
            f"{type(self).__name__} has no symmetries that can be undone, so attempts about images of a puzzle "
            "cannot be compared: give rollouts=1, or evaluate with vary='noise'"
        )

    def images(self, puzzles: Puzzles) -> Puzzles:
        """Return all K symmetric versions of NumPy puzzles, (K * N, L), the original puzzles first.

        Training draws from these. Use it for families with few symmetries or whose solutions must be computed for each
        version, and `augment` for families with too many symmetries to list. Default: only the puzzles.
        """
        return puzzles

    def variants(self, puzzles: Puzzles, number: int | Array) -> Puzzles:
        """Return puzzles with identities in form `number`, an integer or integers of shape (N,). Default: unchanged."""
        return puzzles

    def count_votes(self, puzzles: Puzzles, ballots: Ballots) -> VoteResult:
        """Vote among the answers to several forms of `puzzles`; equal answers vote for each other.

        Raises:
            HrmGymError: if the family has only one form of each puzzle.
        """
        raise HrmGymError(f"{type(self).__name__} has one form of each puzzle: leave out --votes and --submission")

    def is_given(self, puzzle: Array) -> Array:
        """Return which cells an answer must repeat, bool of the shape of `puzzle`. Default: all except blank cells."""
        return puzzle != self.blank

    def keys(self, puzzles: Puzzles) -> list[bytes]:
        """Return a key for each of N NumPy puzzles that its symmetric versions share; splits have no key in common.

        Default: the smallest of the versions that `images` lists.

        Raises:
            HrmGymError: if the family has symmetries by `augment`, which the default cannot list and which require an
                override.
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
        """Read a file or folder in the family's own format; None if it is not in such a format (default).

        Args:
            source: the user's path.
            split: one of `SPLITS`, or None for all.

        Raises:
            HrmGymError: if a file is missing or malformed, with the place in the file.
        """
        return None

    def solve(self, puzzle: np.ndarray) -> np.ndarray:
        """Return the solution, shape (L,), of one puzzle, shape (L,).

        Raises:
            HrmGymError: if the family has no solver, or the puzzle has no or several solutions.
        """
        raise HrmGymError(f"{type(self).__name__} has no exact solver: leave out --exact and give a checkpoint")

    def trace(self, puzzles: np.ndarray, room: int) -> Traces:
        """Return at most `room` steps of a solver per puzzle, shape (N, L), which agents learn to imitate.

        Raises:
            HrmGymError: if the family has no solver with traces (default).
        """
        raise HrmGymError(f"{type(self).__name__} has no solver that records its steps: write its method `trace`")

    def check(self, puzzle: np.ndarray) -> None:  # noqa: B027 (families that cannot tell accept everything)
        """Reject a puzzle, shape (L,), with no or several solutions, if the family can check this.

        Raises:
            HrmGymError: with the reason.
        """

    def rate(self, puzzle: np.ndarray) -> np.ndarray:
        """Return the difficulty of puzzles, shape (N, L), as integers of shape (N,). Default: 0, not rated."""
        return np.zeros(len(puzzle), dtype=np.int64)

    def dataset(self, split: str) -> Puzzles:
        """Return all puzzles of a split, uint8 arrays of shape (N, L).

        The default samples 10,000 puzzles for training and 1,000 each for validation and test, with fixed seeds, and
        keeps a puzzle and its symmetric versions (see `keys`) in one split. Families that ship puzzles override it.
        """
        return _sampled(self, split)

    def write_shipped(self, path: Path) -> None:
        """Regenerate the family's shipped puzzles, bit for bit, and write their file to `path`.

        Raises:
            HrmGymError: if the family ships no puzzles, or the file cannot be written.
        """
        raise HrmGymError(f"{type(self).__name__} ships no puzzles: leave out --shipped")

    # ---- text ------------------------------------------------------------------------------------

    aliases: ClassVar[Mapping[str, str]] = {}
    """Alternative characters that people write, and the symbol that each means."""

    @property
    def alphabet(self) -> Alphabet:
        """The alphabet of the family's boards as text."""
        return Alphabet(self.shape, self.symbols, self.symbols[self.blank], self.aliases)

    def parse(self, text: str) -> np.ndarray:
        """Parse text to tokens, uint8 of shape (L,): L characters, rows, or another layout (`reading.layout`).

        Raises:
            HrmGymError: if a character or the length is invalid.
        """
        return np.array([self.symbols.index(symbol) for symbol in cells(text, self.alphabet)], dtype=np.uint8)

    def format(self, tokens: Array) -> str:
        """Format a board as L characters, row by row, the inverse of `parse`."""
        return "".join(self.symbols[int(token)] for token in tokens)


@functools.lru_cache(maxsize=16)
def _sampled(task: Task, split: str) -> Puzzles:
    # A puzzle sampled for several splits, also as symmetric versions, is kept in the first of these.
    order = ("test", "validation", "train")
    num, seed = {"test": (1_000, 1), "validation": (1_000, 2), "train": (10_000, 0)}[split]
    drawn = task.sample(num, np.random.default_rng([0, seed]))
    taken = {key for other in order[: order.index(split)] for key in task.keys(_sampled(task, other))}
    keep = np.array([key not in taken for key in task.keys(drawn)])
    if not keep.any():
        raise HrmGymError(
            f"{type(task).__name__} has so few puzzles that all {split} puzzles are images of those of another split: "
            "sample from more, or give the family a `dataset` of its own"
        )
    return drawn.map(lambda array: array[keep])
