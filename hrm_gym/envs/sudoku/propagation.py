"""Propagation of the givens of a Sudoku without guessing, on boards of bit masks.

Bit `c` of `masks[d, r]` says whether digit `d` is still possible in row `r`, column `c`. The extra line `masks[size]`
marks the settled cells, and one more holds notes of a search. A few bit operations thus treat whole rows, bands and
stacks.

A band is a row of boxes, a stack a column of boxes; `height` and `width` are the rows and columns of a box.
"""

from __future__ import annotations

import numpy as np

from hrm_gym.envs.jit import njit
from hrm_gym.envs.sudoku.arrangements import boxes_hit, count, forced, possible

# ---- propagation ------------------------------------------------------------------------------------


@njit(cache=True, nogil=True)
def place(masks: np.ndarray, height: int, width: int, digit: int, row: int, bit: int) -> bool:
    """Settles `digit` in one cell and removes it from the peers; False if it is not possible there."""
    size = height * width
    if not masks[digit, row] & bit:
        return False
    box = (1 << width) - 1
    while not box & bit:
        box <<= width
    for i in range(size):
        masks[i, row] &= ~bit
        masks[digit, i] &= ~bit
    top = row - row % height
    for i in range(top, top + height):
        masks[digit, i] &= ~box
    masks[digit, row] = bit
    masks[size, row] |= bit
    return True


@njit(cache=True, nogil=True)
def settle_singles(masks: np.ndarray, height: int, width: int) -> int:
    """Settles cells with one candidate and digits with one cell in a row.

    `_reduce_places` turns singles of columns and boxes into singles of rows.

    Returns:
        1 if something changed, 0 if nothing did, -1 for a contradiction.
    """
    size = height * width
    full = (1 << size) - 1
    changed = 0
    for row in range(size):
        if masks[size, row] == full:
            continue
        once = twice = 0
        for digit in range(size):
            mask = masks[digit, row]
            if not mask:
                return -1
            twice |= once & mask
            once |= mask
        if once != full:
            return -1
        single = once & ~twice & ~masks[size, row]
        for digit in range(size):
            mask = masks[digit, row]
            found = mask & single
            if not mask & (mask - 1):
                found |= mask & ~masks[size, row]
            if found:
                if found & (found - 1):
                    return -1
                place(masks, height, width, digit, row, found)
                changed = 1
    return changed


@njit(cache=True, nogil=True)
def places_of(masks: np.ndarray, height: int, width: int, digit: int, line: int) -> int:
    """The possible places of `digit` in a band or stack, as a bit set.

    Lines 0 to width - 1 are the bands, with bit (row * height + box). The other lines are the stacks, with bit
    (box * width + column). Rows, columns and boxes are counted within the band or stack.
    """
    if width == 4:
        return _places_of(masks, height, width, digit, line, True)
    return _places_of(masks, height, width, digit, line, None)


@njit(cache=True, nogil=True)
def _places_of(masks: np.ndarray, height: int, width: int, digit: int, line: int, four: bool | None) -> int:
    places = 0
    if line < width:
        for i in range(height):
            places |= boxes_hit(width, masks[digit, line * height + i], four) << (i * height)
    else:
        left = (line - width) * width
        for i in range(width):
            columns = 0
            for row in range(i * height, (i + 1) * height):
                columns |= masks[digit, row]
            places |= (columns >> left & (1 << width) - 1) << (i * width)
    return places


@njit(cache=True, nogil=True)
def keep(masks: np.ndarray, height: int, width: int, digit: int, line: int, places: int) -> None:
    """Restricts `digit` to the given places of a band or stack; `line` as in `places_of`."""
    if line < width:
        for i in range(height):
            box = (1 << width) - 1
            for j in range(height):
                if not places >> (i * height + j) & 1:
                    masks[digit, line * height + i] &= ~box
                box <<= width
    else:
        left = (line - width) * width
        for i in range(width):
            removed = (~(places >> (i * width)) & (1 << width) - 1) << left
            for row in range(i * height, (i + 1) * height):
                masks[digit, row] &= ~removed


@njit(cache=True, nogil=True)
def _reduce_places(masks: np.ndarray, height: int, width: int, four: bool | None) -> tuple[int, int, int, int]:
    """Removes candidates that no arrangement of a digit in a band or stack uses, and finds the best guess.

    A place is the intersection of a box and a line. If as many digits must be in a place as it has cells, no other
    digit fits; if only so many digits can be there, all of them must be. `four` is as in `arrangements`.

    Returns:
        The change as in `settle_singles`; then the best guess: a digit, a line as in `places_of`, and the number of its
        arrangements there, 0 if all is settled. The line is the one nearest to being settled, the digit the one with
        the fewest arrangements in it.
    """
    size = height * width
    changed = 0
    least = size * 64
    guess_digit = guess_line = guess_count = 0
    for line in range(width + height):
        boxes, cells = (height, width) if line < width else (width, height)
        # Bit masks of the places that at least one, two, ... digits can take, and must take.
        can1 = can2 = can3 = can4 = can5 = 0
        must1 = must2 = must3 = must4 = must5 = 0
        total = best = 0
        fewest = 64
        for digit in range(size):
            places = _places_of(masks, height, width, digit, line, four)
            can = possible(boxes, places, four)
            if can != places:
                if not can:
                    return -1, 0, 0, 0
                keep(masks, height, width, digit, line, can)
                changed = 1
            must = forced(boxes, can, four)
            if four is not None:
                can5 |= can4 & can
                must5 |= must4 & must
            can4 |= can3 & can
            can3 |= can2 & can
            can2 |= can1 & can
            can1 |= can
            must4 |= must3 & must
            must3 |= must2 & must
            must2 |= must1 & must
            must1 |= must
            num = count(boxes, can, four)
            total += num
            if 1 < num < fewest:
                fewest, best = num, digit
        if size < total < least:
            least, guess_digit, guess_line, guess_count = total, best, line, fewest
        if cells == 2:
            can4, can3, must4, must3 = can3, can2, must3, must2
        elif four is not None:
            can4, can3, must4, must3 = can5, can4, must5, must4
        if must4:
            return -1, 0, 0, 0
        closed = must3 & can4
        taken = can3 & ~can4 & ~must3
        if closed | taken:
            changed = 1
            for digit in range(size):
                places = _places_of(masks, height, width, digit, line, four)
                kept = places & ~(closed & ~forced(boxes, places, four))
                for i in range(boxes * boxes):
                    if (kept & taken) >> i & 1:
                        row = ((1 << boxes) - 1) << (i - i % boxes)
                        kept &= ~row | 1 << i
                keep(masks, height, width, digit, line, kept)
    return changed, guess_digit, guess_line, guess_count


@njit(cache=True, nogil=True)
def propagate(masks: np.ndarray, height: int, width: int) -> tuple[bool, int, int, int]:
    """Draws all consequences of `masks`, in place.

    Returns:
        False for a contradiction; then the best guess as in `_reduce_places`: a digit, a line and a number of
        arrangements.
    """
    while True:
        change = settle_singles(masks, height, width)
        digit = line = num = 0
        if change == 0:
            if width == 4:
                change, digit, line, num = _reduce_places(masks, height, width, True)
            else:
                change, digit, line, num = _reduce_places(masks, height, width, None)
        if change <= 0:
            return change == 0, digit, line, num


# ---- in and out -------------------------------------------------------------------------------------


@njit(cache=True, nogil=True)
def start(masks: np.ndarray, height: int, width: int, puzzle: np.ndarray) -> bool:
    """Sets `masks`, shape (size + 1 or more, size), to the givens of `puzzle`; False if two givens collide."""
    size = height * width
    masks[:size] = (1 << size) - 1
    masks[size:] = 0
    for i in range(size * size):
        if puzzle[i] and not place(masks, height, width, puzzle[i] - 1, i // size, 1 << (i % size)):
            return False
    return True


@njit(cache=True, nogil=True)
def read(masks: np.ndarray, height: int, width: int, board: np.ndarray) -> None:
    """Writes the digits of a settled board into `board`, shape (L,)."""
    size = height * width
    for row in range(size):
        for digit in range(size):
            for column in range(size):
                if masks[digit, row] >> column & 1:
                    board[row * size + column] = digit + 1
