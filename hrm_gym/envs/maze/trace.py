"""A maze solver that records its steps: A* (Hart, Nilsson and Raphael, 1968) with the Manhattan distance.

Each step closes the open cell with the least sum of steps from the start and distance to the goal. It breaks ties by
the most steps from the start, then by the order of discovery. When the goal is next, the path is recorded from the goal
back to the start.
"""

from __future__ import annotations

import numpy as np

from hrm_gym.envs.jit import njit
from hrm_gym.envs.maze.solver import GOAL, PATH, START, WALL


@njit(cache=True, nogil=True)
def trace(
    puzzles: np.ndarray, columns: int, num_tokens: int, room: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The arrays of `Traces` for mazes, uint8 (N, L); a note is the number of steps from the start."""
    num, length = puzzles.shape
    rows = length // columns
    search, num_search = np.zeros((num, room, 2), np.int64), np.zeros(num, np.int64)
    answer, num_answer = np.zeros((num, length, 2), np.int64), np.zeros(num, np.int64)
    parent, behind = np.zeros(length, np.int64), np.zeros(length, np.int64)
    state, order = np.zeros(length, np.int64), np.zeros(length, np.int64)  # 0 new, 1 open, 2 closed
    for i in range(num):
        start = goal = -1
        for cell in range(length):
            if puzzles[i, cell] == START:
                start = cell
            elif puzzles[i, cell] == GOAL:
                goal = cell
        if start < 0 or goal < 0:
            continue
        state[:] = 0
        state[start], behind[start], parent[start], order[start] = 1, 0, -1, 0
        reached = 1
        while True:
            best, least = -1, 0
            for cell in range(length):
                if state[cell] != 1:
                    continue
                total = behind[cell] + abs(cell // columns - goal // columns) + abs(cell % columns - goal % columns)
                if (
                    best < 0
                    or total < least
                    or (
                        total == least
                        and (
                            behind[cell] > behind[best] or (behind[cell] == behind[best] and order[cell] < order[best])
                        )
                    )
                ):
                    best, least = cell, total
            if best < 0 or best == goal:
                break
            state[best] = 2
            if best != start:
                if num_search[i] < room:
                    search[i, num_search[i]] = best, num_tokens + behind[best]
                num_search[i] += 1
            row, column = best // columns, best % columns
            for down, right in ((1, 0), (0, -1), (0, 1), (-1, 0)):
                if not (0 <= row + down < rows and 0 <= column + right < columns):
                    continue
                beside = best + down * columns + right
                shorter = state[beside] == 1 and behind[best] + 1 < behind[beside]
                if (state[beside] == 0 and puzzles[i, beside] != WALL) or shorter:
                    state[beside], behind[beside], parent[beside] = 1, behind[best] + 1, best
                    order[beside] = reached
                    reached += 1
        if best == goal:
            cell = parent[goal]
            while cell != start:
                answer[i, num_answer[i]] = cell, PATH
                num_answer[i] += 1
                cell = parent[cell]
    return search, num_search, answer, num_answer
