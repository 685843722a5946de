"""Parsing the text of one board in many layouts: one line, rows, frames, or separators.

Layouts are tried in order; the first with the right number of cells is used.
"""

from __future__ import annotations

import dataclasses
import re
import unicodedata
from collections.abc import Callable, Mapping

from hrm_gym.errors import HrmGymError


class WrongSizeError(HrmGymError):
    """The number of cells in the text differs from the board's."""


@dataclasses.dataclass(frozen=True)
class Alphabet:
    """The text form of a family's boards."""

    shape: tuple[int, int]
    """Rows and columns."""
    symbols: str
    """One character per token."""
    blank: str
    """The symbol of an open cell."""
    aliases: Mapping[str, str]
    """Other accepted characters, and the symbols that they mean."""

    @property
    def num_cells(self) -> int:
        """L, the number of cells."""
        return self.shape[0] * self.shape[1]

    @property
    def spaced(self) -> bool:
        """Whether a space is a symbol, as in mazes."""
        return " " in self.symbols


def cells(text: str, alphabet: Alphabet) -> str:
    """The L symbols of one board.

    Raises:
        WrongSizeError: if no layout gives the number of cells of the board.
        HrmGymError: on an unknown character.
    """
    text = plain(text)
    for layout in LAYOUTS:
        found = layout(text, alphabet)
        if found is not None and len(found) == alphabet.num_cells:
            break
    else:
        raise WrongSizeError(_wrong_size(text, alphabet))
    if strange := set(found) - set(alphabet.symbols):
        found = found.translate({ord(c): alphabet.aliases[c] for c in strange if c in alphabet.aliases})
    for i, symbol in enumerate(found if set(found) - set(alphabet.symbols) else ""):
        if symbol not in alphabet.symbols:
            row, column = divmod(i, alphabet.shape[1])
            also = "".join(other for other in alphabet.aliases if other.isascii())
            raise HrmGymError(
                f"foreign character {symbol!r} at row {row + 1}, column {column + 1}: "
                f"allowed are {alphabet.symbols!r}" + (f" and {also!r}" if also else "")
            )
    return found


def plain(text: str) -> str:
    """The text without terminal colours, with full-width characters and digits of other scripts in ASCII."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", text.removeprefix("\ufeff"))
    return text if text.isascii() else "".join(map(_plain_character, text))


def _plain_character(character: str) -> str:
    digit = unicodedata.decimal(character, None)
    if digit is not None:
        return str(digit)
    if unicodedata.east_asian_width(character) == "F" or character == "\u00a0":
        return unicodedata.normalize("NFKC", character)
    return character


# ---- layouts ---------------------------------------------------------------------------------------------

_SEPARATORS = ",;\t"
_FRAMES = "|│║┃¦"
_CORNERS = "+*┌┐└┘├┤┬┴┼╔╗╚╝╠╣╦╩╬╟╢╤╧╪╫┏┓┗┛┣┫┳┻╋"
_LINES = "-=─═━"
_QUOTES = "[](){}\"'"


def _rows(text: str) -> list[str]:
    """The lines of a text, without empty lines at both ends."""
    return text.strip("\r\n").splitlines() or [""]


def _exact(text: str, alphabet: Alphabet) -> str | None:
    """All characters; white space is ignored unless it is a symbol."""
    if not alphabet.spaced:
        return "".join(text.split())
    lines = text.splitlines()
    if len(lines) > alphabet.shape[0]:
        lines = _rows(text)
    single = len(lines) == 1
    fits = single or (len(lines) == alphabet.shape[0] and all(len(line) == alphabet.shape[1] for line in lines))
    return "".join(lines) if fits else None


def _drawn(text: str, alphabet: Alphabet) -> str | None:
    """The output of `--pretty`: three characters per cell, and frames between boxes."""
    lines = [line.rstrip() for line in text.splitlines() if line.lstrip().startswith("|")]
    inner = [re.sub(r"\|", "", line) for line in lines]
    if len(lines) != alphabet.shape[0] or any(len(line) != 3 * alphabet.shape[1] for line in inner):
        return None
    signs = "".join(line[::3] + line[2::3] for line in inner)
    return "".join(line[1::3] for line in inner) if not signs.strip(" ?!") else None


def _boxed(text: str, alphabet: Alphabet) -> str | None:
    """Cells separated by spaces, in boxes between vertical lines; a blank may be a space, too."""
    lines = [line.strip() for line in text.splitlines() if line.strip() and not is_rule(line.strip(), alphabet)]
    if alphabet.spaced or any(len(line) < 2 or line[0] not in _FRAMES or line[-1] not in _FRAMES for line in lines):
        return None
    boxes = [box for line in lines for box in re.split(f"[{_FRAMES}]", line[1:-1])]
    found = "".join(box[1::2] if not box[::2].strip() else box for box in boxes)
    return found.replace(" ", alphabet.blank)


def is_rule(line: str, alphabet: Alphabet) -> bool:
    """Whether a line is part of a frame and has no cells."""
    own = set(alphabet.symbols) - {" "}
    marks = set(line) - set(" \t")
    return (
        bool(marks)
        and not marks & own
        and marks <= {*_FRAMES, *_CORNERS, *_LINES}
        and sum(character in _LINES for character in line) > 1
    )


def _framed(surely: Callable[[str], bool]) -> Callable[[str, Alphabet], str | None]:
    """Cells between frames and separators; lines that look like frames are skipped if `surely` accepts them."""

    def layout(text: str, alphabet: Alphabet) -> str | None:
        skipped = set(_FRAMES + _SEPARATORS + _QUOTES + " ") - set(alphabet.symbols.replace(" ", ""))
        kept = [line for line in text.splitlines() if not (is_rule(line, alphabet) and surely(line))]
        return "".join(c for line in kept for c in line if c not in skipped and not c.isspace())

    return layout


def _separated(text: str, alphabet: Alphabet) -> str | None:
    """One field per cell: an empty field is a blank, and a number of several digits is a token."""
    text = "".join(character for character in text.strip() if character not in _QUOTES)
    for pattern in (r"[,;\t]", r"[\s,;]+"):
        fields = [field.strip() for line in _rows(text) for field in re.split(pattern, line.strip("\r\n"))]
        if len(fields) != alphabet.num_cells:
            continue
        found = []
        for field in fields:
            if not field or field in ("None", "null", "nan"):
                found.append(alphabet.blank)
            elif len(field) == 1:
                found.append(field)
            elif field.isdecimal() and int(field) < len(alphabet.symbols):
                found.append(alphabet.symbols[int(field)])
            else:
                return None
        return "".join(found)
    return None


def _padded(text: str, alphabet: Alphabet) -> str | None:
    """Rows whose spaces are cells; an editor may have stripped trailing spaces."""
    rows, columns = alphabet.shape
    lines = text.splitlines()
    if len(lines) > rows:
        lines = _rows(text)
    lines = _without_sides([line.rstrip() for line in lines if not is_rule(line, alphabet)])
    if not alphabet.spaced and len(lines) == 1 and len(text) == alphabet.num_cells:
        return text.replace(" ", alphabet.blank)
    # If another character marks open cells, a short row lacks cells.
    blank = " " if alphabet.spaced else alphabet.blank
    others = {alias for alias, symbol in alphabet.aliases.items() if symbol == blank} | {blank}
    if len(lines) != rows or set("".join(lines)) & (others - {" "}):
        return None
    for width in (1, 2):  # a cell of two characters repeats one, or adds a space
        wide = [line.ljust(width * columns) for line in lines]
        if all(len(line) == width * columns for line in wide):
            joined, seconds = ("".join(line[begin::width] for line in wide) for begin in (0, width - 1))
            if any(b not in (a, " ") for a, b in zip(joined, seconds, strict=True)):
                continue
            return joined if alphabet.spaced else joined.replace(" ", alphabet.blank)
    return None


def _apart(text: str, alphabet: Alphabet) -> str | None:
    """Rows of cells with one space or comma between them; a cell may be a space, too."""
    wide = [line.ljust(2 * alphabet.shape[1] - 1) for line in _rows(text)]
    if any(len(line) > 2 * alphabet.shape[1] or set(line[1::2]) - set(" ,;\t") for line in wide):
        return None
    found = "".join(line[: 2 * alphabet.shape[1] - 1 : 2] for line in wide)
    return found if alphabet.spaced else found.replace(" ", alphabet.blank)


def _without_sides(lines: list[str]) -> list[str]:
    """The lines without a frame at both sides."""
    if lines and all(len(line) > 1 and line[0] in _FRAMES and line[-1] in _FRAMES for line in lines):
        return [line[1:-1] for line in lines]
    return lines


LAYOUTS: tuple[Callable[[str, Alphabet], str | None], ...] = (
    _exact,
    _drawn,
    _padded,
    _apart,
    _framed(lambda line: True),
    _framed(lambda line: any(c in _CORNERS for c in line) or any(c in "=─═━" for c in line)),
    _framed(lambda line: False),
    _separated,
    _boxed,
)
"""Layouts in the order of trial."""


def _wrong_size(text: str, alphabet: Alphabet) -> str:
    """An error message with the number of cells, or with the row of the wrong length."""
    rows, columns = alphabet.shape
    needed = f"a {rows}x{columns} board needs {alphabet.num_cells}, row by row"
    lines = [line for line in _rows(text) if not is_rule(line, alphabet)]
    if len(lines) == rows and rows > 1:
        for i, line in enumerate(lines, start=1):
            num = len(line) if alphabet.spaced else len("".join(line.split()))
            if num != columns:
                return f"row {i} has {num} characters, not {columns}: {needed}"
    num = len("".join(lines)) if alphabet.spaced else len("".join(text.split()))
    return f"the text has {num} characters{f' in {len(lines)} rows' if len(lines) > 1 else ''}; {needed}"
