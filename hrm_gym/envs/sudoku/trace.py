"""A Sudoku solver that records its steps: propagate, guess, undo.

It writes one cell at a time, as a person would. It takes the first cell with one candidate; else the first digit with
one place in a row, column or box; else it guesses the smallest candidate of the cell with the fewest. A blank cell
without a candidate is a contradiction: the solver then erases cells in reverse order back to the last guess, and tries
the next candidate.
"""

from __future__ import annotations

import numpy as np

from hrm_gym.envs.jit import njit


@njit(cache=True, nogil=True)
def _solve(board: np.ndarray, groups: np.ndarray, of_cell: np.ndarray, search: np.ndarray) -> int:
    """Solves `board` in place and records the steps.

    Args:
        board: tokens, (L,).
        groups: the cells of each row, column and box, (G, n).
        of_cell: the groups of each cell, (L, 3).
        search: gets cell and digit of each step, 0 for an erased one, (room, 2).

    Returns:
        The number of steps, which may exceed the length of `search`. If the puzzle has no solution, all digits are
        erased in the end.
    """
    size, num = groups.shape[1], len(board)
    cells, options = np.zeros(num, np.int64), np.zeros(num, np.int64)  # written cells and untried candidates
    guessed = np.zeros(num, np.bool_)
    left = np.zeros(num, np.int64)  # candidates of each cell as bits
    depth = steps = 0
    full = (1 << size) - 1
    while True:
        cell = digit = fewest = -1
        contradiction = False
        for i in range(num):
            left[i] = 0
            if board[i]:
                continue
            used = 0
            for g in of_cell[i]:
                for j in groups[g]:
                    used |= (1 << board[j]) >> 1
            left[i] = full & ~used
            count = 0
            for d in range(size):
                count += left[i] >> d & 1
            if count == 0:
                contradiction = True
                break
            if fewest < 0 or count < fewest:
                fewest, cell = count, i
        if contradiction:
            while depth and not (guessed[depth - 1] and options[depth - 1]):
                depth -= 1
                board[cells[depth]] = 0
                if steps < len(search):
                    search[steps] = cells[depth], 0
                steps += 1
            if not depth:
                return steps
            depth -= 1  # a guess with an untried candidate
            cell = cells[depth]
            board[cell] = 0
            if steps < len(search):
                search[steps] = cell, 0
            steps += 1
            rest, is_guess = options[depth], True
        elif fewest < 0:
            return steps
        else:
            rest, is_guess = left[cell], fewest > 1
            if is_guess:  # a digit with one place left is better than a guess
                found = False
                for g in range(len(groups)):
                    for d in range(size):
                        places = where = 0
                        for j in groups[g]:
                            if left[j] >> d & 1:
                                places += 1
                                where = j
                        if places == 1:
                            cell, rest, is_guess, found = where, 1 << d, False, True
                            break
                    if found:
                        break
        digit = 0
        while not rest >> digit & 1:
            digit += 1
        board[cell] = digit + 1
        cells[depth], guessed[depth], options[depth] = cell, is_guess, rest & ~(1 << digit)
        depth += 1
        if steps < len(search):
            search[steps] = cell, digit + 1
        steps += 1


@njit(cache=True, nogil=True)
def trace(
    puzzles: np.ndarray, groups: np.ndarray, of_cell: np.ndarray, room: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The arrays of `Traces` for puzzles, uint8 (N, L); the answer lists the blank cells in board order."""
    num, length = puzzles.shape
    search, num_search = np.zeros((num, room, 2), np.int64), np.zeros(num, np.int64)
    answer, num_answer = np.zeros((num, length, 2), np.int64), np.zeros(num, np.int64)
    for i in range(num):
        board = puzzles[i].astype(np.int64)
        num_search[i] = _solve(board, groups, of_cell, search[i])
        for cell in range(length):
            if board[cell] and not puzzles[i, cell]:
                answer[i, num_answer[i]] = cell, board[cell]
                num_answer[i] += 1
    return search, num_search, answer, num_answer
