"""How a digit may be arranged in a band or stack of a Sudoku: tables over sets of places.

In a band a digit stands once in every row and once in every box, so its places are a permutation of the boxes;
likewise in a stack. A set of places is a bit mask, bit `line * boxes + box`, and there are two, three or four boxes.

For two and three boxes a table of all 16 or 512 sets says what is asked. Four boxes have 65,536 sets. Of them the
tables look at two lines at a time, 256 sets: the upper two lines take two of the boxes, one of six pairs, and the
lower two lines take the other two.
"""

from __future__ import annotations

import itertools

import numpy as np

from hrm_gym.envs.jit import njit

ARRANGEMENTS = np.zeros((3, 24), np.int64)
"""The permutations as sets of places, 0 where there are fewer. First index: 0 for two boxes, 1 for 3, 2 for 4."""

# ---- two and three boxes ------------------------------------------------------------------------------

_POSSIBLE = np.zeros((2, 512), np.int64)
"""For a set of places: the places that some arrangement within it uses."""

_FORCED = np.full((2, 512), 511, np.int64)
"""For a set of places: the places that every arrangement within it uses."""

_COUNT = np.zeros((2, 512), np.int64)
"""For a set of places: how many arrangements lie within it."""

_BOXES_HIT = np.zeros((2, 512), np.int64)
"""For a set of columns: the boxes, of two or of three columns (first index 0 or 1), that they lie in."""

for _kind, _width in enumerate((2, 3)):
    for _box in range(3):
        _hit = [_mask for _mask in range(512) if _mask >> _box * _width & (1 << _width) - 1]
        _BOXES_HIT[_kind, _hit] |= 1 << _box

for _kind, _boxes in enumerate((2, 3, 4)):
    for _i, _order in enumerate(itertools.permutations(range(_boxes))):
        _mask = sum(1 << (_row * _boxes + _box) for _row, _box in enumerate(_order))
        ARRANGEMENTS[_kind, _i] = _mask
        if _boxes < 4:
            _within = [_places for _places in range(1 << _boxes * _boxes) if not _mask & ~_places]
            _POSSIBLE[_kind, _within] |= _mask
            _FORCED[_kind, _within] &= _mask
            _COUNT[_kind, _within] += 1

# ---- four boxes ---------------------------------------------------------------------------------------

_TWO_LINES = np.zeros((256, 6), np.int64)
"""For a set of places of two lines and each pair of boxes: in how many ways (0, 1, 2) the lines can take the pair."""

_PAIRS = np.zeros(256, np.int64)
"""For a set of places of two lines: the pairs of boxes that they can take, as six bits."""

_TWO_POSSIBLE = np.zeros((256, 64), np.int64)
"""For a set of places of two lines and a set of pairs: the places used by some way to take one of these pairs."""

_TWO_FORCED = np.full((256, 64), 255, np.int64)
"""The same, by every way."""

# The boxes of a pair and the other two: pair `i` leaves pair `5 - i`.
for _i, _pair in enumerate(itertools.combinations(range(4), 2)):
    for _upper, _lower in (_pair, _pair[::-1]):
        _mask = 1 << _upper | 1 << 4 + _lower
        _within = [_places for _places in range(256) if not _mask & ~_places]
        _sets = [_pairs for _pairs in range(64) if _pairs >> _i & 1]
        _TWO_LINES[_within, _i] += 1
        _TWO_POSSIBLE[np.ix_(_within, _sets)] |= _mask
        _TWO_FORCED[np.ix_(_within, _sets)] &= _mask
for _i in range(6):
    _PAIRS[_TWO_LINES[:, _i] > 0] |= 1 << _i

_LEFT = np.array([sum((_pairs >> _i & 1) << 5 - _i for _i in range(6)) for _pairs in range(64)])
"""For a set of pairs: the pairs that they leave."""


# ---- one question, two kinds of tables ----------------------------------------------------------------

# `four` is None for two and three boxes and True for four. Numba compiles a function anew for each type, so the choice
# costs nothing while it runs.


@njit(cache=True, nogil=True)
def possible(boxes: int, places: int, four: bool | None) -> int:
    """The places that some arrangement within `places` uses, 0 where there is none."""
    if four is None:
        return _POSSIBLE[boxes - 2, places]
    pairs = _PAIRS[places & 255] & _LEFT[_PAIRS[places >> 8]]
    return _TWO_POSSIBLE[places & 255, pairs] | _TWO_POSSIBLE[places >> 8, _LEFT[pairs]] << 8


@njit(cache=True, nogil=True)
def forced(boxes: int, places: int, four: bool | None) -> int:
    """The places that every arrangement within `places` uses; all where there is no arrangement."""
    if four is None:
        return _FORCED[boxes - 2, places]
    pairs = _PAIRS[places & 255] & _LEFT[_PAIRS[places >> 8]]
    return _TWO_FORCED[places & 255, pairs] | _TWO_FORCED[places >> 8, _LEFT[pairs]] << 8


@njit(cache=True, nogil=True)
def count(boxes: int, places: int, four: bool | None) -> int:
    """How many arrangements lie within `places`."""
    if four is None:
        return _COUNT[boxes - 2, places]
    num = 0
    for pair in range(6):
        num += _TWO_LINES[places & 255, pair] * _TWO_LINES[places >> 8, 5 - pair]
    return num


@njit(cache=True, nogil=True)
def boxes_hit(width: int, columns: int, four: bool | None) -> int:
    """The boxes, of `width` columns, that a set of columns lies in."""
    if four is None:
        return _BOXES_HIT[width - 2, columns]
    columns |= columns >> 2
    columns = (columns | columns >> 1) & 0x1111
    return (columns | columns >> 3 | columns >> 6 | columns >> 9) & 15
