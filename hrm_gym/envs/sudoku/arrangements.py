"""The arrangements of a digit in a band or stack of a Sudoku, as tables over sets of places.

In a band, a digit occurs once in every row and once in every box, so its places form a permutation of the boxes; the
same holds in a stack. A set of places is a bit mask with bit `line * boxes + box`, for two, three or four boxes.

For two and three boxes, the tables have an entry for each of the 16 or 512 sets. Four boxes have 65,536 sets, so their
tables cover two lines at a time, with 256 sets. The upper two lines take two of the boxes, one of six pairs, and the
lower two lines take the other two.
"""

from __future__ import annotations

import itertools

import numpy as np

from hrm_gym.envs.jit import njit

ARRANGEMENTS = np.zeros((3, 24), np.int64)
"""The permutations as sets of places, padded by 0. First index: number of boxes minus two."""

# ---- two and three boxes ------------------------------------------------------------------------------

_POSSIBLE = np.zeros((2, 512), np.int64)
"""By set of places: the places that at least one arrangement within the set uses."""

_FORCED = np.full((2, 512), 511, np.int64)
"""By set of places: the places that every arrangement within the set uses."""

_COUNT = np.zeros((2, 512), np.int64)
"""By set of places: the number of arrangements within the set."""

_BOXES_HIT = np.zeros((2, 512), np.int64)
"""By box width minus two and set of columns: the boxes that contain the columns."""

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
"""By set of places of two lines and pair of boxes: the number of ways (0, 1, 2) in which the lines take the pair."""

_PAIRS = np.zeros(256, np.int64)
"""By set of places of two lines: the possible pairs of boxes, as six bits."""

_TWO_POSSIBLE = np.zeros((256, 64), np.int64)
"""By set of places of two lines and set of pairs: the places used by at least one way to take one of the pairs."""

_TWO_FORCED = np.full((256, 64), 255, np.int64)
"""The same for every way."""

# Pair `5 - i` consists of the boxes that are not in pair `i`.
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
"""By set of pairs: their complementary pairs."""


# ---- look-ups -----------------------------------------------------------------------------------------

# `four` is None for two and three boxes and True for four. Numba compiles a version for each type, so the branch costs
# nothing at run time.


@njit(cache=True, nogil=True)
def possible(boxes: int, places: int, four: bool | None) -> int:
    """The places that at least one arrangement within `places` uses; 0 if there is no arrangement."""
    if four is None:
        return _POSSIBLE[boxes - 2, places]
    pairs = _PAIRS[places & 255] & _LEFT[_PAIRS[places >> 8]]
    return _TWO_POSSIBLE[places & 255, pairs] | _TWO_POSSIBLE[places >> 8, _LEFT[pairs]] << 8


@njit(cache=True, nogil=True)
def forced(boxes: int, places: int, four: bool | None) -> int:
    """The places that every arrangement within `places` uses; all if there is no arrangement."""
    if four is None:
        return _FORCED[boxes - 2, places]
    pairs = _PAIRS[places & 255] & _LEFT[_PAIRS[places >> 8]]
    return _TWO_FORCED[places & 255, pairs] | _TWO_FORCED[places >> 8, _LEFT[pairs]] << 8


@njit(cache=True, nogil=True)
def count(boxes: int, places: int, four: bool | None) -> int:
    """The number of arrangements within `places`."""
    if four is None:
        return _COUNT[boxes - 2, places]
    num = 0
    for pair in range(6):
        num += _TWO_LINES[places & 255, pair] * _TWO_LINES[places >> 8, 5 - pair]
    return num


@njit(cache=True, nogil=True)
def boxes_hit(width: int, columns: int, four: bool | None) -> int:
    """The boxes, of `width` columns, that contain a set of columns."""
    if four is None:
        return _BOXES_HIT[width - 2, columns]
    columns |= columns >> 2
    columns = (columns | columns >> 1) & 0x1111
    return (columns | columns >> 3 | columns >> 6 | columns >> 9) & 15
