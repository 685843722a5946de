"""Adjacency matrices of the cells of a puzzle family."""

from __future__ import annotations

import numpy as np

from hrm_gym.agents.agent import TaskSpec


def sharing(spec: TaskSpec) -> np.ndarray:
    """Pairs of different cells that share a group, bool (L, L)."""
    together = np.zeros((spec.num_cells, spec.num_cells), bool)
    for group in (cells for partition in spec.groups for cells in np.asarray(partition)):
        together[np.ix_(group, group)] = True
    np.fill_diagonal(together, False)
    return together


def linked(spec: TaskSpec) -> np.ndarray:
    """Pairs of different linked cells, bool (L, L)."""
    together = np.zeros((spec.num_cells, spec.num_cells), bool)
    if spec.links is not None:
        first, second = np.asarray(spec.links).T
        together[first, second] = together[second, first] = True
    np.fill_diagonal(together, False)
    return together
